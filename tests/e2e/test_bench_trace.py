"""Traces of cache accesses in every format, replayed by `varve bench trace`."""

import gzip
import lzma
import os
import pathlib
import struct

import numpy as np
import pytest

KEYS = np.random.default_rng(5).zipf(1.3, 4000) % 500
SIZES = KEYS % 9 + 1


def text(*columns):
    return "".join(" ".join(map(str, row)) + "\n" for row in zip(*columns)).encode()


def files():
    nothing = [0] * len(KEYS)
    csv = b"version,time,op,size,lbn\n" + b"".join(
        b"1,7,2a,%d,%d\n" % pair for pair in zip(SIZES, KEYS)
    )
    # Keys of 8 bytes, as hashes are: both halves say something.
    wide = (KEYS.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype(">u8").tobytes()
    oracle = b"".join(struct.pack("<IQIq", 0, *pair, 0) for pair in zip(KEYS, SIZES))
    return {
        "a.lis": text(KEYS, [1] * len(KEYS), nothing, nothing),
        "a.trace": text(KEYS) + b"*\n",
        "b.trace.xz": lzma.compress(KEYS.astype(">i4").tobytes()),
        "c.gz": gzip.compress(wide),
        "d.txt": text(nothing, KEYS, SIZES),
        "e.csv.gz": gzip.compress(csv),
        "f.oracleGeneral.bin": oracle,
    }


def lru_misses(keys, capacity):
    held, misses = [], 0
    for key in keys:
        if key in held:
            held.remove(key)
        else:
            misses += 1
        held.append(key)
        del held[:-capacity]
    return misses


@pytest.mark.parametrize("name", files())
def test_every_format_gives_the_same_misses(varve, tmp_path, name):
    (tmp_path / name).write_bytes(files()[name])
    flags = ["--items", "--size", "20,50", "--policy", "lru,fifo,optimum"]
    found = varve.json("bench", "trace", tmp_path / name, *flags)
    assert found["bench"] == "trace" and found["machine"]["cores"] > 0
    rows = {(row["policy"], row["size"]): row for row in found["rows"]}
    assert len(rows) == 6
    for capacity in (20, 50):
        row = rows["lru", str(capacity)]
        assert (row["requests"], row["trace"]) == (len(KEYS), name)
        assert row["misses"] == lru_misses(list(KEYS), capacity)
        assert row["miss_ratio"] == pytest.approx(row["misses"] / len(KEYS))
        assert rows["optimum", str(capacity)]["misses"] <= row["misses"]


def test_sizes_count_and_all_policies_are_the_default(varve, tmp_path):
    (tmp_path / "sized.txt").write_bytes(files()["d.txt"])
    rows = varve.json("bench", "trace", tmp_path / "sized.txt", "--size", "10%")["rows"]
    total = sum({key: size for key, size in zip(KEYS, SIZES)}.values())
    assert {row["capacity"] for row in rows} == {round(total / 10)}
    policies = [row["policy"] for row in rows]
    assert policies == ["s3-fifo", "sieve", "w-tinylfu", "lru", "lfu", "fifo", "optimum"]
    combined = varve.json("bench", "trace", tmp_path / "sized.txt", "--policy", "lru+forecast")
    assert combined["rows"][0]["policy"] == "lru+forecast"
    assert "miss ratio" in varve.ok("bench", "trace", tmp_path / "sized.txt").out


@pytest.mark.parametrize(
    "name, content, flags, says",
    [
        ("a.lis", b"1 2 3\n", ["--format", "arc"], "line 1: expected four numbers"),
        ("a.csv", b"version,x\n", ["--format", "csv"], "line 1: expected the header"),
        ("a.csv", b"version,time,op,size,lbn\n1,2,3,x,5\n", [], "line 2: size is no number"),
        ("a.txt", b"1 2 3\n4 5\n", [], "line 2: expected time, key and size"),
        ("a.bin", b"abcde", ["--format", "int32"], "5 bytes are no whole keys of 4"),
        ("a.oracleGeneral", b"abcde", [], "5 bytes are no whole records"),
        ("a.trace", b"*\n", [], "holds no accesses"),
        ("a.xz", lzma.compress(b"1\n")[:-3], [], "xz stream is cut short"),
        ("a.trace", b"1\n", ["--policy", "mru"], "policy 'mru' does not exist"),
        ("a.trace", b"1\n", ["--size", "0%"], "--size: '0%' is no size"),
        ("a.trace", b"1\n", ["--format", "zip"], "trace format 'zip' does not exist"),
    ],
)
def test_bad_traces_are_named(varve, tmp_path, name, content, flags, says):
    (tmp_path / name).write_bytes(content)
    varve.fails(2, "bench", "trace", tmp_path / name, *flags, says=says)


def test_recorded_traces_have_the_known_counts(varve):
    if "VARVE_DATA" not in os.environ:
        pytest.skip("VARVE_DATA does not name the folder of the data sets")
    folder = pathlib.Path(os.environ["VARVE_DATA"]) / "cache-traces"
    # Requests and unique keys: a cache of 100 % misses each key once.
    for name, requests, keys in [
        ("arc-OLTP.lis.zst", 914_145, 186_880),
        ("cache2k-web12.trace.xz", 95_607, 13_756),
        ("cache2k-orm-busy.trace.xz", 5_000_000, 76_349),
        ("scarab-scarab-recs.trace.xz", 1_245_184, 258_368),
        ("corda-trace_vaultservice.gz", 135_702, 90_468),
        ("lirs-sprite.trace.gz", 133_996, 7_075),
        ("adapt_size-request.trace.xz", 66_987, 36_815),
        ("cloudPhysicsIO.csv.gz", 113_872, 48_974),
        ("cloudPhysicsIO.oracleGeneral.bin.gz", 113_872, 48_974),
    ]:
        flags = ["--items", "--size", "100%", "--policy", "lru"]
        row = varve.json("bench", "trace", folder / name, *flags)["rows"][0]
        assert (row["requests"], row["misses"]) == (requests, keys), name
