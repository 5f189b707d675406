"""The data sets that the environment variable VARVE_DATA names, read without Varve."""

import gzip
import os
import pathlib

import numpy as np


class DataSet:
    """A real set: files in a folder of VARVE_DATA; without `queries` some are made from rows."""

    def __init__(self, folder_name, metric, base, queries=None):
        self.folder_name = folder_name
        self.name = folder_name.split("-")[0]
        self.metric = metric
        self.base = f"{folder_name}/{base}"
        self.queries = queries and f"{folder_name}/{queries}"


REAL_SETS = [
    DataSet("sift-bigann10k", "euclidean", "base.bvecs.gz", "query.bvecs.gz"),
    DataSet("glove-twitter-25d", "cosine", "glove.twitter.25d.12k.txt.gz"),
    DataSet("bible-bge-large-1024", "cosine", "bible.bge-large-en-v1.5.1024.fvecs.gz"),
    DataSet(
        "treasury-openai3large-1536",
        "cosine",
        "poma_chunks__treasury_bulletin_1939_12.fvecs.gz",
        "questions.fvecs.gz",
    ),
]


def folder():
    name = os.environ.get("VARVE_DATA", "")
    return pathlib.Path(name) if name else None


def unpacked(path):
    data = pathlib.Path(path).read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def fvecs(path):
    raw = np.frombuffer(unpacked(path), "<i4")
    return raw.reshape(-1, raw[0] + 1)[:, 1:].copy().view("<f4")


def bvecs(path):
    raw = np.frombuffer(unpacked(path), np.uint8)
    dim = int(raw[:4].view("<i4")[0])
    return raw.reshape(-1, dim + 4)[:, 4:].astype("<f4")


def words(path):
    keys, rows = [], []
    for line in unpacked(path).decode().splitlines():
        key, *numbers = line.rstrip().split(" ")
        keys.append(key)
        rows.append(np.array(numbers, "<f4"))
    return keys, np.array(rows)


def load(path):
    """Keys and rows of a file of REAL_SETS."""
    if ".txt" in path.name:
        return words(path)
    rows = bvecs(path) if ".bvecs" in path.name else fvecs(path)
    return [str(i) for i in range(len(rows))], rows


def to_fvecs(rows):
    rows = np.ascontiguousarray(rows, "<f4")
    head = np.full((len(rows), 1), rows.shape[1], "<i4").view("<f4")
    return np.hstack([head, rows]).tobytes()


def nearest(base, keys, query, metric, k):
    """The k nearest by brute force in float64, ties in the byte order of the keys."""
    base = base.astype(np.float64)
    query = query.astype(np.float64)
    if metric == "cosine":
        norms = np.linalg.norm(base, axis=1) * np.linalg.norm(query)
        distances = 1 - base @ query / norms
    else:
        distances = ((base - query) ** 2).sum(axis=1)
    order = sorted(range(len(base)), key=lambda i: (distances[i], keys[i].encode()))
    return [(keys[i], float(distances[i])) for i in order[:k]]
