"""The vectors that are farthest from their neighbours."""

import json


def filled(varve):
    varve.create("demo/outliers", 2)
    rows = [
        {"key": f"k{i:04}", "vector": [i % 20 / 100, i // 20 / 100], "metadata": {"even": i % 2 == 0}}
        for i in range(400)
    ]
    rows[7]["vector"] = [9, 9]
    rows[30]["vector"] = [-4, 3]
    varve.put("demo/outliers", rows)


def test_finds_the_rows_that_lie_apart(varve):
    filled(varve)
    for folded in (False, True):
        answer = varve.json("index", "outliers", "demo/outliers", "--count", "2", "--neighbors", "3")
        assert [one["key"] for one in answer["outliers"]] == ["k0007", "k0030"]
        assert answer["outliers"][0]["metadata"] == {"even": False}
        assert answer["outliers"][0]["distance"] > answer["outliers"][1]["distance"] > 20
        cost = answer["performance"]
        assert cost["rows"] == 400
        assert cost["dropped"] > 300
        assert 0 < cost["pair_share"] < 1
        if not folded:
            varve.ok("index", "compact", "demo/outliers")


def test_a_filter_chooses_among_which_rows(varve):
    filled(varve)
    answer = varve.json("index", "outliers", "demo/outliers", "--count", "1", "--filter",
                        json.dumps({"even": True}))
    assert [one["key"] for one in answer["outliers"]] == ["k0030"]
    assert answer["performance"]["rows"] == 200


def test_lines_and_tables_hold_the_same(varve):
    filled(varve)
    lines = varve.ok("index", "outliers", "demo/outliers", "--count", "2", "-o", "jsonl").lines()
    assert [one["key"] for one in lines] == ["k0007", "k0030"]
    table = varve.ok("index", "outliers", "demo/outliers", "--count", "2")
    assert [line.split()[1] for line in table.out.splitlines()[-2:]] == ["k0007", "k0030"]
    assert "2 outliers of 400 vectors" in table.err


def test_bad_arguments_are_refused(varve):
    filled(varve)
    for flag, value in (("--count", "0"), ("--count", "10001"), ("--neighbors", "1001"),
                        ("--neighbors", "-1"), ("--filter", "{")):
        failed = varve.run("index", "outliers", "demo/outliers", flag, value)
        failed.assert_failed(2, flag if flag != "--filter" else "filter")
    varve.run("index", "outliers", "demo/none").assert_failed(3)
