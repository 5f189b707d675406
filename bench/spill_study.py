"""Would codes in a second cluster save work? Codes scanned and clusters opened at equal recall.

Each row has its code in the nearest cluster. A spill puts it into one more: the second nearest, or
the one with the least SOAR loss (arXiv 2404.00774), which prefers a cluster whose centroid is off in
another direction than the first. `part`: of the rows, those nearest to a border. A neighbour is
found once one of its clusters is visited; clusters are visited in order of distance.
"""

import argparse
import gzip
import pathlib
import tempfile

import measure

measure.choose_blas_kernels()

import faiss  # noqa: E402
import numpy as np  # noqa: E402

import generate_ann  # noqa: E402

NEIGHBORS = 10
TARGETS = (0.90, 0.95, 0.99)
NEAREST = 32  # clusters among which a second one is looked for
SOAR_WEIGHTS = (0.5, 1.0, 2.0)
PARTS = (0.25, 0.5, 1.0)
BLOCK_ROWS = 4096


def fashion(_folder):
    parts = []
    for name in ("train", "t10k"):
        path = measure.data_folder() / "fashion-mnist-784-euclidean" / f"{name}-images-idx3-ubyte.gz"
        parts.append(np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16))
    return [part.reshape(-1, 784).astype("<f4") for part in parts]


def sift_shape(folder):
    paths = generate_ann.generate(folder, "sift", rows=200_000)
    return [measure.datasets.bvecs(path) for path in paths]


def text_shape(folder):
    paths = generate_ann.generate(folder, "text", rows=100_000)
    return [np.load(path) for path in paths]


SETS = {"fashion-mnist": (fashion, 170), "sift-shape": (sift_shape, 600), "text-shape": (text_shape, 250)}


def centroids_of(rows, clusters):
    trained = faiss.Kmeans(rows.shape[1], clusters, niter=12, seed=1, max_points_per_centroid=256)
    trained.train(rows)
    return trained.centroids


def soar_choice(rows, centroids, nearest, distances, weight):
    """|x - c|^2 + weight (r . (x - c) / |r|)^2 is least, r = x - first centroid."""
    chosen = np.empty(len(rows), np.int64)
    for first in range(0, len(rows), BLOCK_ROWS):
        part = slice(first, first + BLOCK_ROWS)
        residual = rows[part] - centroids[nearest[part, 0]]
        offsets = rows[part, None, :] - centroids[nearest[part, 1:]]
        along = np.einsum("ij,ikj->ik", residual, offsets)
        length = np.maximum(np.einsum("ij,ij->i", residual, residual), 1e-20)
        loss = distances[part, 1:] + weight * along**2 / length[:, None]
        chosen[part] = nearest[part, 1:][np.arange(len(residual)), loss.argmin(axis=1)]
    return chosen


class Probing:
    """The order of clusters for each query, and the clusters of its true neighbours."""

    def __init__(self, rows, queries, centroids):
        self.nearest, self.distances = (
            values[:, :NEAREST] for values in reversed(knn(rows, centroids, NEAREST))
        )
        _, self.order = knn(queries, centroids, len(centroids))
        self.rank = np.argsort(self.order, axis=1)
        _, self.true = knn(queries, rows, NEIGHBORS)

    def cost(self, second, spilled):
        """Codes scanned and clusters opened for each target; between two counts by the recall."""
        clusters = self.order.shape[1]
        sizes = np.bincount(self.nearest[:, 0], minlength=clusters)
        sizes = sizes + np.bincount(second[spilled], minlength=clusters)
        found_at = np.take_along_axis(self.rank, self.nearest[self.true.ravel(), 0].reshape(self.true.shape), 1)
        again_at = np.take_along_axis(self.rank, second[self.true.ravel()].reshape(self.true.shape), 1)
        found_at = np.where(spilled[self.true], np.minimum(found_at, again_at), found_at)
        recalls = np.cumsum(np.bincount(found_at.ravel(), minlength=clusters)) / found_at.size
        codes = np.cumsum(sizes[self.order], axis=1).mean(axis=0)
        opened = np.arange(1, clusters + 1)
        return [(np.interp(t, recalls, codes), np.interp(t, recalls, opened)) for t in TARGETS]


def knn(queries, rows, k):
    return faiss.knn(queries, rows, k)


def choices(rows, centroids, probing):
    """Name, the second cluster of each row."""
    yield "second nearest", probing.nearest[:, 1]
    for weight in SOAR_WEIGHTS:
        chosen = soar_choice(rows, centroids, probing.nearest, probing.distances, weight)
        yield f"SOAR {weight:g}", chosen


def row_of(name, choice, part, cost, base):
    row = {"set": name, "second cluster": choice, "part": part}
    for target, (codes, opened), (base_codes, base_opened) in zip(TARGETS, cost, base, strict=True):
        row[f"codes at {target:.2f}"] = int(codes)
        row[f"ratio at {target:.2f}"] = float(codes / base_codes)
        row[f"clusters at {target:.2f}"] = float(opened)
        row[f"opened at {target:.2f}"] = float(opened / base_opened)
    return row


def study(name, folder, query_count):
    read, clusters = SETS[name]
    rows, queries = (np.ascontiguousarray(part, "<f4") for part in read(folder))
    queries = queries[:query_count]
    centroids = centroids_of(rows, clusters)
    measure.progress(f"{name}: {len(centroids)} centroids")
    probing = Probing(rows, queries, centroids)
    none = np.zeros(len(rows), bool)
    base = probing.cost(probing.nearest[:, 1], none)
    yield row_of(name, "none", 0.0, base, base)
    # Fewer clusters are opened, too, if there are fewer.
    halved = Probing(rows, queries, centroids_of(rows, clusters // 2))
    yield row_of(name, "none, half as many", 0.0, halved.cost(halved.nearest[:, 1], none), base)
    for choice, second in choices(rows, centroids, probing):
        # Nearest to a border: the first two centroids are about equally far.
        offered = probing.distances[:, 1] - probing.distances[:, 0]
        for part in PARTS:
            spilled = offered <= np.quantile(offered, part)
            yield row_of(name, choice, part, probing.cost(second, spilled), base)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=",".join(SETS), help="with commas")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--scratch", type=pathlib.Path, help="folder for generated files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        rows = []
        for name in arguments.sets.split(","):
            rows += study(name, folder, arguments.queries)
    print(measure.table(rows))


if __name__ == "__main__":
    main()
