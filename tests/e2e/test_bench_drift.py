"""An index under turnover beside a fresh one: what `varve bench drift` prints. No test looks at a time."""

import json

import numpy as np

KEYS = [
    "turnover", "recall", "fresh_recall", "recall_gap", "qps", "fresh_qps", "ratio", "nprobe", "fresh_nprobe",
    "rows_scanned", "fresh_rows_scanned", "clusters", "fresh_clusters", "parts", "stale_rows", "cluster_rows_max",
    "fresh_cluster_rows_max", "cluster_rows_limit", "rows_rewritten_per_insert", "rows_rebuilt_per_insert",
    "inserts_per_second",
]  # fmt: skip


def check_rows(report, turnovers):
    assert report["bench"] == "drift" and report["machine"]["cores"] > 0
    assert [row["turnover"] for row in report["rows"]] == list(range(1, turnovers + 1))
    for row in report["rows"]:
        assert list(row) == KEYS
        assert 0 < row["recall"] <= 1 and 0 < row["fresh_recall"] <= 1
        assert row["recall_gap"] == row["fresh_recall"] - row["recall"]
        assert row["recall_gap"] <= 0.05
        assert row["qps"] > 0 and row["fresh_qps"] > 0 and row["ratio"] > 0
        assert 1 <= row["clusters"] <= row["parts"]
        assert row["inserts_per_second"] > 0


def test_generated_rows_turn_over(varve, tmp_path):
    flags = ["--rows", 4000, "--dim", 32, "--turnover", 2, "--queries", 100, "--fold-ops", 500]
    report = varve.json("bench", "drift", *flags, "--scratch", tmp_path / "scratch")
    check_rows(report, 2)
    assert report["set"]["rows"] == 4000 and report["set"]["dim"] == 32 and report["set"]["queries"] == 100
    assert list((tmp_path / "scratch").iterdir()) == []


def test_rows_of_a_file_turn_over(varve, tmp_path):
    rows = np.random.default_rng(3).normal(size=(3000, 16)).astype("<f4")
    np.save(tmp_path / "rows.npy", rows)
    flags = ["--data", tmp_path / "rows.npy", "--metric", "cosine", "--turnover", 1, "-k", 5, "--batch", 300]
    report = varve.json("bench", "drift", *flags)
    check_rows(report, 1)
    # Of 1500 rows in each half a fifth are asked for.
    assert report["set"]["name"] == "rows.npy" and report["set"]["rows"] == 1200
    assert report["set"]["queries"] == 300 and report["set"]["metric"] == "cosine"
    table = varve.ok("bench", "drift", *flags, "--rows", 800).out.splitlines()
    assert table[0].split()[:2] == ["turnover", "recall"] and len(table) == 2


def test_what_is_wrong_is_said_before_the_work(varve, tmp_path):
    np.save(tmp_path / "few.npy", np.ones((5000, 4), "<f4"))
    answer = varve.fails(2, "bench", "drift", "--data", tmp_path / "few.npy", "-o", "json", says="--data")
    assert json.loads(answer.err)["error"]["code"] == "invalid" and "5000 rows" in answer.err
    varve.fails(2, "bench", "drift", "--metric", "l2", says="l2")
    varve.fails(2, "bench", "drift", "--recall", 1.5, says="1.5")
    varve.fails(2, "bench", "drift", "--turnover", 0, says="--turnover")
    varve.fails(2, "bench", "drift", "--rows", 100, "-k", 500, says="-k")
