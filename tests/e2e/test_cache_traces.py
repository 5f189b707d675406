"""FIFO and LRU on recorded traces equal an oracle that shares no code, access by access."""

import os
import pathlib

import cache_oracle
import pytest

# Accesses that the oracle goes through at most: a few seconds for each trace.
# `bench/run cache_traces --oracle` takes all.
ACCESSES_MAX = 1_500_000


def recorded():
    folder = pathlib.Path(os.environ.get("VARVE_DATA", "/nonexistent")) / "cache-traces"
    return sorted(path for path in folder.glob("*") if path.suffix not in (".md", ".txt"))


@pytest.mark.parametrize("path", recorded() or [None], ids=lambda path: path.name if path else "none")
def test_fifo_and_lru_equal_the_oracle(varve, path):
    if path is None:
        pytest.skip("VARVE_DATA does not name the folder of the data sets")
    rows = varve.json("bench", "trace", path, "--policy", "fifo,lru")["rows"]
    if rows[0]["requests"] > ACCESSES_MAX or not cache_oracle.readable(path):
        pytest.skip(f"{rows[0]['requests']} accesses take the oracle too long")
    keys, sizes = cache_oracle.accesses(path)
    assert len(keys) == rows[0]["requests"]
    for row in rows:
        expected = cache_oracle.misses(keys, sizes, row["capacity"], row["policy"] == "lru")
        assert row["misses"] == expected, row
