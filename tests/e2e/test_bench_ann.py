"""Search beside other libraries: what `varve bench ann` prints. No test looks at a time."""

import json
import sys
import xml.etree.ElementTree

import numpy as np
import pytest

TARGETS = [0.9, 0.95, 0.98, 0.99, 0.999]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def files(tmp_path):
    """The arguments that name 3000 rows and 40 queries."""
    random = np.random.default_rng(5)
    np.save(tmp_path / "rows.npy", random.normal(size=(3000, 24)).astype("<f4"))
    np.save(tmp_path / "queries.npy", random.normal(size=(40, 24)).astype("<f4"))
    return ["--data", tmp_path / "rows.npy", "--queries", tmp_path / "queries.npy", "--scratch", tmp_path / "scratch"]


def of_kind(report, engine, kind):
    return [row for row in report["rows"] if row["engine"] == engine and row["kind"] == kind]


def check_engine(report, engine):
    (build,) = of_kind(report, engine, "build")
    assert build["seconds"] > 0 and build["threads"] == 1 and build["bytes_per_vector"] > 24
    sweep = of_kind(report, engine, "sweep")
    assert len(sweep) > 3 or engine == "varve"  # which scans a few rows, whatever is asked
    for row in sweep:
        assert 0 <= row["recall_by_ids"] <= row["recall"] <= 1
        assert row["qps"] > 0 and 0 < row["p50_us"] <= row["p99_us"]
        assert row["parameters"] and 1 <= row["rounds"] <= 2
    best = max(row["recall"] for row in sweep)
    at = of_kind(report, engine, "at")
    assert [row["recall_target"] for row in at] == TARGETS
    for row in at:
        assert (row["qps"] is None) == (row["recall_target"] > best)
    assert best > 0.98


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_rows_of_varve_and_of_hnswlib(varve, files, tmp_path, metric):
    plot = tmp_path / "out.svg"
    flags = ["--metric", metric, "--peers", "hnswlib", "--rounds", 2, "--build-threads", 1, "--plot", plot]
    report = varve.json("bench", "ann", *files, *flags)
    assert report["bench"] == "ann" and report["machine"]["cores"] > 0
    assert report["set"] == {"name": "rows.npy", "rows": 3000, "dim": 24, "metric": metric, "queries": 40, "k": 10}
    assert {row["engine"] for row in report["rows"]} == {"varve", "hnswlib"}
    check_engine(report, "varve")
    check_engine(report, "hnswlib")
    assert "simd" in of_kind(report, "hnswlib", "build")[0]["parameters"]
    picture = xml.etree.ElementTree.parse(plot).getroot()
    assert picture.tag == f"{SVG}svg"
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert "varve" in texts and "hnswlib" in texts
    assert len(list(picture.iter(f"{SVG}polyline"))) == 2
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_missing_peer_is_said(varve, files):
    flags = ["--peers", "hnswlib,faiss-ivf,usearch", "--rounds", 1, "--python", "/nowhere/python"]
    report = varve.json("bench", "ann", *files, *flags)
    for engine in ["faiss-ivf", "usearch"]:
        (row,) = [row for row in report["rows"] if row["engine"] == engine]
        assert row["kind"] == "missing" and "/nowhere/python" in row["reason"]
    assert of_kind(report, "hnswlib", "at")


@pytest.mark.parametrize(
    "script, says",
    [
        ("raise ModuleNotFoundError('no wheel')", "no wheel"),
        ("import os; os.abort()", "ended by signal"),
        ("print('hello', flush=True); input()", "hello"),
        ("""print('{"error": "too hot"}', flush=True); input()""", "too hot"),
        ("print('{}', flush=True); input()", "seconds"),
    ],
)
def test_a_peer_that_breaks_is_missing_with_its_reason(varve, files, tmp_path, script, says):
    """Whatever a peer does, the others have their figures."""
    (tmp_path / "peer.py").write_text(script)
    flags = ["--peers", "faiss-ivf", "--rounds", 1, "--python", sys.executable, "--peers-script", tmp_path / "peer.py"]
    report = varve.json("bench", "ann", *files, *flags)
    (row,) = [row for row in report["rows"] if row["engine"] == "faiss-ivf"]
    assert row["kind"] == "missing" and says in row["reason"]
    assert of_kind(report, "varve", "at")


def test_tables(varve, files):
    flags = ["--peers", "hnswlib", "--rounds", 1]
    markdown = varve.ok("bench", "ann", *files, *flags, "-o", "markdown").out
    tables = [line for line in markdown.splitlines() if line.startswith("|")]
    assert tables[0].startswith("| qps at recall | build s |")
    assert set(tables[1]) <= set("|-: ")
    assert tables[2].startswith("| varve |") and tables[3].startswith("| hnswlib |")
    assert "varve is so many times as fast as" in markdown
    table = varve.ok("bench", "ann", *files, *flags).out
    assert "|" not in table and "hnswlib" in table


def test_what_is_wrong_is_said_before_the_work(varve, files, tmp_path):
    varve.fails(2, "bench", "ann", *files, "--peers", "faisss", says="faisss")
    varve.fails(2, "bench", "ann", *files, "--metric", "l2", says="l2")
    varve.fails(2, "bench", "ann", *files, "--plot", tmp_path / "no" / "o.svg", says="o.svg")
    varve.fails(2, "bench", "ann", *files, "-k", "4000", says="-k")
    varve.fails(2, "bench", "kernels", "-o", "markdown", says="markdown")
    answer = varve.run("bench", "ann", *files, "--peers", "faisss", "-o", "json")
    assert json.loads(answer.err)["error"]["code"] == "invalid"


def test_all_peers_that_are_installed(varve, files):
    """With tools/setup_peers done, every peer answers; else it is said of each."""
    report = varve.json("bench", "ann", *files, "--rounds", 1)
    for row in report["rows"]:
        assert row["kind"] != "missing" or row["reason"]
    engines = {row["engine"] for row in report["rows"]}
    assert {"varve", "hnswlib", "faiss-ivf", "faiss-hnsw", "faiss-ivfpqfs", "faiss-rabitq", "usearch", "scann"} <= engines
