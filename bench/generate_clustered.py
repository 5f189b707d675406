"""Writes clustered vectors of low intrinsic dimension, and held-out queries of the same kind.

Embeddings lie near surfaces of few dimensions and in clusters of very unequal size; uniform noise
does neither and makes every search look bad. Here a row is drawn from one of `CLUSTERS` Zipf-sized
Gaussians in `LATENT` dimensions, mapped linearly into `dim`, plus a little noise off the surface.

The same seed gives the same bytes, and a smaller set is the beginning of a larger one. Memory is
bounded by one block of rows.
"""

import argparse
import pathlib

import numpy as np

CLUSTERS = 400
LATENT = 16
ZIPF_EXPONENT = 0.8
SPREAD = 1.0  # of cluster middles, in units of the width of a cluster: 1 overlaps, 3 separates
NOISE = 0.05  # off the surface, of the width of a cluster
BLOCK_ROWS = 10_000
QUERY_STREAM = 1 << 32  # number of the first block of queries, past every block of rows


class Clustered:
    """The distribution: what all blocks share."""

    def __init__(self, dim, seed, spread=SPREAD, latent=LATENT, clusters=CLUSTERS):
        random = np.random.default_rng([seed, dim])
        self.dim = dim
        self.seed = seed
        self.latent = latent
        self.clusters = clusters
        share = np.arange(1, clusters + 1) ** -ZIPF_EXPONENT
        self.share = share / share.sum()
        self.middles = random.normal(0, spread, (clusters, latent))
        self.widths = random.lognormal(0, 0.4, (clusters, 1))
        self.map = random.normal(0, latent**-0.5, (latent, dim))

    def block(self, number, rows):
        """Rows of one block: a function of seed, dim and number alone."""
        random = np.random.default_rng([self.seed, self.dim, number])
        cluster = random.choice(self.clusters, BLOCK_ROWS, p=self.share)
        latent = random.normal(0, 1, (BLOCK_ROWS, self.latent))
        latent = self.middles[cluster] + self.widths[cluster] * latent
        values = latent @ self.map
        values += random.normal(0, NOISE, values.shape)
        return values[:rows].astype("<f4")

    def blocks(self, rows, first=0):
        """All blocks of a set, one at a time."""
        for number, begin in enumerate(range(0, rows, BLOCK_ROWS), first):
            yield self.block(number, min(BLOCK_ROWS, rows - begin))


def write_fvecs(path, blocks):
    """Each row is its dimension as int32, then its values."""
    with open(path, "wb") as file:
        for values in blocks:
            head = np.full((len(values), 1), values.shape[1], "<i4").view("<f4")
            np.hstack([head, values]).tofile(file)


def name_of(rows, dim, seed, spread):
    return f"clustered-{rows}x{dim}-spread{spread:g}-seed{seed}"


def generate(folder, rows, dim=128, seed=7, queries=1000, spread=SPREAD):
    """Writes NAME.fvecs and NAME.queries.fvecs unless they are there; returns both paths."""
    folder = pathlib.Path(folder)
    name = name_of(rows, dim, seed, spread)
    base, asked = folder / f"{name}.fvecs", folder / f"{name}.queries.fvecs"
    distribution = Clustered(dim, seed, spread)
    for path, count, first in [(base, rows, 0), (asked, queries, QUERY_STREAM)]:
        if path.exists() and path.stat().st_size == count * 4 * (dim + 1):
            continue
        partial = path.with_suffix(".partial")
        write_fvecs(partial, distribution.blocks(count, first))
        partial.rename(path)
    return base, asked


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where the two files go")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--spread", type=float, default=SPREAD, help="of the cluster middles")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    made = generate(args.folder, args.rows, args.dim, args.seed, args.queries, args.spread)
    print(*made, sep="\n")


if __name__ == "__main__":
    main()
