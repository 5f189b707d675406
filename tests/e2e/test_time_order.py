"""Indexes whose clusters hold rows in the order of time."""

import json


def test_an_index_by_time_says_so_and_answers_windows(varve):
    made = varve.json("index", "create", "demo/time", "--dim", 2, "--metric", "euclidean",
                      "--order", "time")
    assert made["order"] == "time"
    rows = [{"key": f"k{i:04}", "vector": [i % 7, i % 5], "metadata": {"t": i}} for i in range(500)]
    varve.put("demo/time", rows)
    for folded in (False, True):
        answer = varve.json("query", "demo/time", "--vector", "[3, 3]", "-k", 100, "--filter",
                            json.dumps({"t": {"$gte": 200, "$lt": 240}}))
        assert sorted(hit["key"] for hit in answer["hits"]) == [f"k{i:04}" for i in range(200, 240)]
        if not folded:
            varve.ok("index", "compact", "demo/time")
    assert varve.json("index", "info", "demo/time")["order"] == "time"
    assert varve.json("fsck", "demo/time")["sound"]


def test_the_order_is_part_of_the_configuration(varve):
    varve.create("demo/plain", 2)
    assert varve.json("index", "info", "demo/plain")["order"] == "similarity"
    create = ("index", "create", "demo/plain", "--dim", 2, "--metric", "euclidean", "--exist-ok")
    varve.ok(*create, "--order", "similarity")
    varve.fails(4, *create, "--order", "time", says="order")
    varve.fails(2, "index", "create", "demo/other", "--dim", 2, "--metric", "euclidean",
                "--order", "random", says="order 'random'")
