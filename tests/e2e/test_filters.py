"""Queries that answer with rows whose metadata matches."""

import json


def row(i):
    return {"key": f"k{i:04}", "vector": [i, 1], "metadata": {"n": i, "even": i % 2 == 0}}


def asked(varve, filter, *more):
    answer = varve.json("query", "demo/filters", "--vector", "[0, 1]", "--filter",
                        json.dumps(filter), *more)
    return [hit["key"] for hit in answer["hits"]]


def test_only_rows_that_match_are_in_the_answer(varve):
    varve.create("demo/filters", 2)
    varve.put("demo/filters", [row(i) for i in range(300)])
    for folded in (False, True):
        assert asked(varve, {"even": False}, "-k", "3") == ["k0001", "k0003", "k0005"]
        assert asked(varve, {"n": {"$gte": 200, "$lt": 202}}) == ["k0200", "k0201"]
        assert asked(varve, {"n": {"$gt": 1000}}) == []
        assert asked(varve, {}, "-k", "1") == ["k0000"]
        assert asked(varve, {"n": {"$in": [7, 9]}}, "--exact") == ["k0007", "k0009"]
        if not folded:
            varve.ok("index", "compact", "demo/filters")


def test_a_malformed_filter_is_refused(varve):
    varve.create("demo/filters", 2)
    varve.put("demo/filters", [row(1)])
    failed = varve.run("query", "demo/filters", "--vector", "[0, 1]", "--filter",
                       '{"n": {"$near": 1}}')
    assert failed.code == 2
    assert "$near" in failed.err
