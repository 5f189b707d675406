"""Writes the generated sets of `varve bench ann`, and held-out queries of the same kind.

    generate_ann.py FOLDER --shape sift    1,000,000 x 128 whole numbers to 255 as .bvecs
    generate_ann.py FOLDER --shape text    300,000 x 768 of length 1 as .npy, for cosine

Rows come from the distribution of generate_clustered.py: Zipf-sized clusters in few dimensions,
mapped into many, with a little noise off the surface. The same seed gives the same bytes, a smaller
set is the beginning of a larger one, and memory is bounded by one block of rows. Prints both paths.
"""

import argparse
import pathlib

import numpy as np
from numpy.lib import format as npy

import generate_clustered as clustered

# Of the values of the sift shape: some are cut off at 0, as those of gradients are.
MIDDLE, WIDTH = 60, 30


class Sift:
    rows, dim, latent, clusters, ending = 1_000_000, 128, 16, 400, ".bvecs"

    @staticmethod
    def values(block):
        return np.clip(np.rint(MIDDLE + WIDTH * block), 0, 255).astype(np.uint8)

    @staticmethod
    def write(file, blocks, rows, dim):
        head = np.frombuffer(np.int32(dim).tobytes(), np.uint8)
        for values in blocks:
            np.hstack([np.tile(head, (len(values), 1)), values]).tofile(file)


class Text:
    rows, dim, latent, clusters, ending = 300_000, 768, 40, 600, ".npy"

    @staticmethod
    def values(block):
        return block / np.linalg.norm(block, axis=1, keepdims=True)

    @staticmethod
    def write(file, blocks, rows, dim):
        head = {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)}
        npy.write_array_header_1_0(file, head)
        for values in blocks:
            values.astype("<f4").tofile(file)


SHAPES = {"sift": Sift, "text": Text}


def generate(folder, name, rows=None, dim=None, seed=7, queries=2000):
    """Writes two files unless they are there; returns both paths."""
    shape = SHAPES[name]
    rows, dim = rows or shape.rows, dim or shape.dim
    distribution = clustered.Clustered(dim, seed, clustered.SPREAD, shape.latent, shape.clusters)
    stem = f"{name}-shape-{rows}x{dim}-seed{seed}"
    paths = []
    for path, count, first in [
        (pathlib.Path(folder) / f"{stem}{shape.ending}", rows, 0),
        (pathlib.Path(folder) / f"{stem}.queries-{queries}{shape.ending}", queries, clustered.QUERY_STREAM),
    ]:
        paths.append(path)
        if path.exists():
            continue
        partial = path.with_suffix(".partial")
        with open(partial, "wb") as file:
            blocks = (shape.values(block) for block in distribution.blocks(count, first))
            shape.write(file, blocks, count, dim)
        partial.rename(path)
    return paths


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where the two files go")
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--rows", type=int, help="default: that of the shape")
    parser.add_argument("--dim", type=int, help="default: that of the shape")
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    print(*generate(args.folder, args.shape, args.rows, args.dim, args.seed, args.queries), sep="\n")


if __name__ == "__main__":
    main()
