"""FIFO and LRU, and the recorded traces, written without Varve."""

import collections
import csv
import gzip
import io
import lzma
import shutil
import subprocess

import numpy as np


def unpacked(path):
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        return subprocess.check_output(["zstd", "-dc", path])
    return data


def readable(path):
    return path.suffix != ".zst" or shutil.which("zstd") is not None


def accesses(path):
    """Keys and sizes; a key has the size of its first access."""
    data = unpacked(path)
    if path.name.startswith("arc-"):
        runs = np.loadtxt(io.BytesIO(data), dtype=np.int64, usecols=(0, 1))
        keys = [key for first, count in runs.tolist() for key in range(first, first + count)]
    elif path.name.startswith("cache2k-"):
        keys = np.frombuffer(data, ">i4").tolist()
    elif path.name.startswith(("scarab-", "corda-")):
        keys = np.frombuffer(data, ">i8").tolist()
    elif path.name.startswith("lirs-"):
        keys = [int(line) for line in data.split() if line != b"*"]
    elif path.name.startswith("adapt_size-"):
        rows = np.loadtxt(io.BytesIO(data), dtype=np.int64, usecols=(1, 2)).tolist()
        return [key for key, _ in rows], [max(1, size) for _, size in rows]
    elif ".oracleGeneral" in path.name:
        rows = np.frombuffer(data, "<u4,<u8,<u4,<i8")
        return rows["f1"].tolist(), np.maximum(rows["f2"], 1).tolist()
    else:
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        return [int(row["lbn"]) for row in rows], [max(1, int(row["size"])) for row in rows]
    return keys, [1] * len(keys)


def misses(keys, sizes, capacity, hits_count):
    """Of LRU if hits count, else of FIFO."""
    held, size_of = collections.OrderedDict(), {}
    used = missed = 0
    for key, size in zip(keys, sizes):
        if key in held:
            if hits_count:
                held.move_to_end(key)
            continue
        missed += 1
        size = size_of.setdefault(key, size)
        if size > capacity:
            continue
        held[key] = size
        used += size
        while used > capacity:
            used -= held.popitem(last=False)[1]
    return missed
