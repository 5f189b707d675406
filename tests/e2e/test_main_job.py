"""Import, recall and exact order on real vectors."""

import json

import numpy as np
import pytest

import datasets

K = 10
EXACT_QUERIES = 5


def perturbed(rows, count):
    """Questions near the data but not in it."""
    random = np.random.default_rng(7)
    chosen = rows[random.choice(len(rows), count, replace=False)]
    return chosen + random.normal(0, 0.3 * rows.std(), chosen.shape).astype("<f4")


def hits_of(varve, index, query, *flags):
    answer = varve.json(
        "query", index, "--vector", json.dumps([float(x) for x in query]), "-k", K, *flags
    )
    return answer["hits"], answer["performance"]


@pytest.mark.parametrize("data_set", datasets.REAL_SETS, ids=lambda s: s.name)
def test_imports_finds_and_agrees_with_brute_force(varve, data, tmp_path, data_set):
    keys, base = datasets.load(data / data_set.base)
    if data_set.queries:
        queries = datasets.load(data / data_set.queries)[1]
    else:
        queries = perturbed(base, 200)
    query_file = tmp_path / "queries.fvecs"
    query_file.write_bytes(datasets.to_fvecs(queries))

    index = f"demo/{data_set.name}"
    varve.create(index, base.shape[1], data_set.metric)
    report = varve.json("import", index, data / data_set.base)
    assert report["vectors"] == len(keys)

    measured = varve.json("recall", index, "--queries", query_file)
    print(data_set.name, measured)
    assert measured["vectors"] == len(keys)
    assert measured["recall"] >= 0.95
    exact = varve.json("recall", index, "--queries", query_file, "--limit", 20, "--exact")
    assert exact["recall"] == 1.0

    for query in queries[:EXACT_QUERIES]:
        hits, performance = hits_of(varve, index, query, "--exact")
        expected = datasets.nearest(base, keys, query, data_set.metric, K)
        assert performance["certainty"] == "exact"
        assert [hit["key"] for hit in hits] == [key for key, _ in expected]
        for hit, (_, distance) in zip(hits, expected):
            assert hit["distance"] == pytest.approx(distance, rel=1e-9, abs=1e-12)

    assert varve.keys(index) == sorted(keys, key=str.encode)
    stored = varve.json("get", index, *keys[:3])["vectors"]
    for row, expected in zip(stored, base):
        assert np.array_equal(np.array(row["vector"], "<f4"), expected)
    varve.state(index)


def test_exact_order_breaks_ties_by_key(varve):
    varve.create("demo/ties", 2)
    rows = [{"key": key, "vector": [1, 0]} for key in ["b", "a", "10", "9", "ä", "Z"]]
    varve.put("demo/ties", rows)
    hits, _ = hits_of(varve, "demo/ties", [1, 0], "--exact")
    assert [hit["key"] for hit in hits] == sorted((r["key"] for r in rows), key=str.encode)


FLOORS = {"--recall": 0.978, "--nprobe": 0.3, "--exact": 1.0, "--bounded": 1.0}


@pytest.mark.parametrize(
    "flags", [("--recall", "0.99"), ("--nprobe", "5"), ("--exact",), ("--bounded",), ()]
)
def test_effort_can_be_chosen(varve, data, flags):
    varve.create("demo/sift", 128)
    varve.ok("import", "demo/sift", data / "sift-bigann10k/base.bvecs.gz")
    queries = data / "sift-bigann10k/query.bvecs.gz"
    report = varve.json("recall", "demo/sift", "--queries", queries, *flags)
    # What is asked for is a mean over all queries. That of 100 queries, of which most find all ten
    # and a few miss one or two, strays from it by 0.004 (one standard error): three are allowed.
    floor = FLOORS.get(flags[0] if flags else "", 0.93)
    assert report["recall"] >= floor
    assert report["queries"] == 100
    for name in ["qps", "p50_us", "p99_us", "nprobe", "rows_scanned", "exact_qps", "speedup"]:
        assert report[name] >= 0
    assert report["peak_memory_bytes"] > 0
