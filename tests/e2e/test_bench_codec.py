"""Records of vectors, measured and verified by `varve bench codec`."""

import os
import pathlib

import numpy as np
import pytest


def rows_of(report):
    return {(row["case"], row["method"]): row for row in report["rows"]}


def test_generated_vectors_show_every_method(varve):
    report = varve.json("bench", "codec")
    assert report["bench"] == "codec" and report["machine"]["cores"] > 0
    rows = rows_of(report)
    expected = [
        ("normal, unit norm", "exponent", 1.15, 1.20),
        ("normal, born as bf16", "bf16", 2, 2),
        ("normal, born as f16", "f16", 2, 2),
        ("normal, born as int8", "int8", 3.98, 4),
        ("constant vector", "repeat", 290, 2000),
        ("period of 16 values", "repeat", 90, 100),
        ("random bits", "raw", 1, 1),
    ]
    for case, method, least, most in expected:
        row = rows[case, "best"]
        assert row["stored_as"] == {method: row["vectors"]}
        assert least <= row["compression_ratio"] <= most
    for row in report["rows"]:
        raw = row["vectors"] * row["vector_bytes"]
        assert row["stored_bytes"] <= raw
        assert row["compression_ratio"] == pytest.approx(raw / row["stored_bytes"])
        assert 0 < row["p50_ns"] <= row["p99_ns"] and row["decode_ns"] == row["p50_ns"]
        assert row["peer"] == "zstd-3" and row["encode_ns"] > 0


def test_files_are_measured_by_name(varve, tmp_path):
    whole = np.random.default_rng(1).integers(0, 256, (20, 128)).astype("<f4")
    np.save(tmp_path / "whole.npy", whole)
    real = np.random.default_rng(2).normal(size=(300, 65)).astype("<f4")
    np.save(tmp_path / "real.npy", real)
    rows = rows_of(varve.json("bench", "codec", tmp_path / "whole.npy", tmp_path / "real.npy"))
    assert rows["whole.npy", "best"]["stored_as"] == {"int8": 20}
    assert rows["real.npy", "best"]["stored_as"] == {"exponent": 256}
    assert rows["real.npy", "best"]["vector_bytes"] == 260
    assert "raw/stored" in varve.ok("bench", "codec", tmp_path / "whole.npy").out


def test_random_patterns_come_back(varve):
    report = varve.json("bench", "codec", "--patterns", "2000000", "--seed", "7")
    assert report["bench"] == "codec-patterns"
    assert report["patterns"] >= 2_000_000 and report["different"] == 0 and report["seed"] == 7
    methods = {row["method"]: row["records"] for row in report["rows"]}
    assert set(methods) == {"raw", "repeat", "bf16", "f16", "int8", "exponent", "zstd"}
    assert min(methods.values()) > 10 and sum(methods.values()) == report["records"]


@pytest.mark.parametrize("name, content", [("a.fvecs", b"\x01"), ("b.npy", b""), ("c.bin", b"1")])
def test_bad_files_are_named(varve, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    varve.fails(2, "bench", "codec", tmp_path / name, says=name)


def test_recorded_embeddings_save_a_seventh(varve):
    if "VARVE_DATA" not in os.environ:
        pytest.skip("VARVE_DATA does not name the folder of the data sets")
    folder = pathlib.Path(os.environ["VARVE_DATA"])
    for name in [
        "treasury-openai3large-1536/questions.fvecs.gz",
        "bible-bge-large-1024/bible.bge-large-en-v1.5.1024.fvecs.gz",
        "so-mpnet-768-queries/so.mpnet.768.queries.fvecs.gz",
    ]:
        row = rows_of(varve.json("bench", "codec", folder / name))[name.split("/")[1], "best"]
        assert row["compression_ratio"] > 1.15
