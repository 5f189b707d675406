"""Runs one Python peer of `varve bench ann`, which starts it and asks it line by line.

The job and the protocol are those of src/cli/ann_bench/peer.cc. One query at a time on one thread;
the clock runs around the call with the least overhead that each library has, and nothing else.
Results are turned into ids when the clock stands.
"""

import json
import math
import os
import pathlib
import sys
import time



def choose_blas_kernels():
    """The BLAS inside a wheel takes its SSE kernels on processors that are newer than itself."""
    flags = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    kernels = "SkylakeX" if "avx512f" in flags else "Haswell" if "avx2" in flags else ""
    if kernels:
        os.environ.setdefault("OPENBLAS_CORETYPE", kernels)


choose_blas_kernels()

import numpy as np  # noqa: E402

GRAPH_LINKS = 16
GRAPH_BREADTH = 200
PROBES = [1, 2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64, 90, 128, 180, 256, 360, 512, 1024]
BREADTHS = [10, 12, 14, 17, 20, 25, 30, 40, 50, 60, 80, 100, 130, 170, 220, 300, 400, 600, 800, 1200, 1600, 2400]
REFINED = [3, 10, 30, 100]  # candidates for each neighbour that are compared exactly


def list_count(rows):
    """About four times the root, a power of two, 39 rows a list at least, as faiss advises."""
    wanted = max(1.0, min(4 * math.sqrt(rows), rows / 39))
    return 1 << int(math.log2(wanted) + 0.5)


def grid(name, values, other, others):
    return [[{name: value, other: fixed} for value in values] for fixed in others]


def line(name, values):
    return [[{name: value} for value in values]]


class Peer:
    """Rows come as the metric wants them: of length 1 under cosine, for an inner product."""

    def __init__(self, job, rows, asked):
        self.k = job["k"]
        self.threads = job["build_threads"]
        self.metric = job["metric"]
        self.folder = pathlib.Path(job["folder"])
        self.count, self.dim = rows.shape
        self.asked = asked
        self.fill(rows)

    @property
    def is_cosine(self):
        return self.metric == "cosine"

    def file_bytes(self, write):
        """The size of what `write(path)` makes, a file or a folder; it is removed."""
        path = self.folder / "saved"
        write(str(path))
        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        size = sum(each.stat().st_size for each in files)
        for each in files:
            each.unlink()
        return size


class Faiss(Peer):
    """An index by its factory name, asked through the C++ method below the Python one."""

    def fill(self, rows):
        import faiss

        self.faiss = faiss
        faiss.omp_set_num_threads(self.threads)
        self.name = self.factory()
        metric = faiss.METRIC_INNER_PRODUCT if self.is_cosine else faiss.METRIC_L2
        start = time.perf_counter()
        self.index = faiss.index_factory(self.dim, self.name, metric)
        self.prepare()
        self.index.train(rows)
        self.index.add(rows)
        self.seconds = time.perf_counter() - start
        faiss.omp_set_num_threads(1)
        self.parameters = {"factory": self.name}
        self.about = f"faiss {faiss.__version__}, {faiss.get_compile_options().strip()}"
        self.bytes = self.file_bytes(lambda path: faiss.write_index(self.index, path))
        self.distances = np.empty((len(self.asked), self.k), np.float32)
        self.labels = np.empty((len(self.asked), self.k), np.int64)
        self.calls = [
            (1, faiss.swig_ptr(self.asked[i]), self.k, faiss.swig_ptr(self.distances[i]), faiss.swig_ptr(self.labels[i]))
            for i in range(len(self.asked))
        ]

    def prepare(self):
        pass

    def search(self, parameters):
        self.set(parameters)
        search, calls = self.index.search_c, self.calls
        return lambda i: search(*calls[i])

    def ids(self, i, result):
        return self.labels[i]


class FaissIvf(Faiss):
    sweep = line("nprobe", PROBES)

    def factory(self):
        return f"IVF{list_count(self.count)},Flat"

    def set(self, parameters):
        self.index.nprobe = parameters["nprobe"]


class FaissHnsw(Faiss):
    sweep = line("efSearch", BREADTHS)

    def factory(self):
        return f"HNSW{GRAPH_LINKS},Flat"

    def prepare(self):
        self.index.hnsw.efConstruction = GRAPH_BREADTH

    def set(self, parameters):
        self.index.hnsw.efSearch = parameters["efSearch"]


class FaissRefined(Faiss):
    """Codes first, and exact distances of some candidates."""

    sweep = grid("nprobe", PROBES, "k_factor", REFINED)

    def set(self, parameters):
        self.faiss.extract_index_ivf(self.index.base_index).nprobe = parameters["nprobe"]
        self.index.k_factor = parameters["k_factor"]


class FaissIvfPqFs(FaissRefined):
    def factory(self):
        wanted = self.dim // 2 if self.dim <= 256 else self.dim // 4
        parts = next((m for m in range(wanted, 0, -1) if self.dim % m == 0 and m % 2 == 0), 1)
        return f"IVF{list_count(self.count)},PQ{parts}x4fs,RFlat"


class FaissRabitq(FaissRefined):
    """Rotated first, without which the codes of images need ten times the candidates."""

    sweep = grid("nprobe", PROBES, "k_factor", [1, 2, 4, 10])

    def factory(self):
        return f"HR{self.dim},IVF{list_count(self.count)},RaBitQfs,RFlat"


class Usearch(Peer):
    sweep = line("expansion_search", BREADTHS)

    def fill(self, rows):
        import usearch
        from usearch.index import Index, ScalarKind

        self.unknown = ScalarKind.Unknown
        start = time.perf_counter()
        self.index = Index(
            ndim=self.dim,
            metric="ip" if self.is_cosine else "l2sq",
            dtype="f32",
            connectivity=GRAPH_LINKS,
            expansion_add=GRAPH_BREADTH,
        )
        self.index.add(np.arange(self.count), rows, threads=self.threads)
        self.seconds = time.perf_counter() - start
        self.parameters = {"connectivity": GRAPH_LINKS, "expansion_add": GRAPH_BREADTH, "dtype": "f32"}
        self.about = f"usearch {usearch.__version__}, {self.index.hardware_acceleration}"
        self.bytes = self.index.memory_usage

    def search(self, parameters):
        self.index.expansion_search = parameters["expansion_search"]
        asked = [self.asked[i : i + 1] for i in range(len(self.asked))]
        call, k, unknown = self.index._compiled.search_many, self.k, self.unknown
        return lambda i: call(asked[i], count=k, exact=False, threads=1, dtype=unknown)

    def ids(self, i, result):
        return result[0][0]


class Scann(Peer):
    sweep = grid("leaves", PROBES, "reorder", [30, 100, 300, 1000])

    def fill(self, rows):
        import scann
        from importlib.metadata import version

        leaves = max(1, list_count(self.count) // 2)
        metric = "dot_product" if self.is_cosine else "squared_l2"
        start = time.perf_counter()
        builder = scann.scann_ops_pybind.builder(rows, self.k, metric)
        builder.tree(num_leaves=leaves, num_leaves_to_search=1, training_sample_size=min(self.count, 250_000))
        builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100)
        builder.set_n_training_threads(self.threads)
        searcher = builder.build()
        self.seconds = time.perf_counter() - start
        self.searcher = searcher.searcher
        self.parameters = {"num_leaves": leaves, "dimensions_per_block": 2}
        self.about = f"scann {version('scann')}"

        def save(path):
            os.makedirs(path)
            searcher.serialize(path)

        self.bytes = self.file_bytes(save)

    def search(self, parameters):
        call, asked, k = self.searcher.search, self.asked, self.k
        queries = [asked[i] for i in range(len(asked))]
        reorder, leaves = max(k, parameters["reorder"]), parameters["leaves"]
        return lambda i: call(queries[i], k, reorder, leaves)

    def ids(self, i, result):
        return result[0]


class Svs(Peer):
    """Vamana; over vectors compressed to 4 bits and 8 more, which the wheel does on Intel's alone."""

    sweep = line("search_window_size", BREADTHS)

    def fill(self, rows):
        import svs
        from importlib.metadata import version

        is_intel = "GenuineIntel" in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
        parameters = svs.VamanaBuildParameters(
            alpha=0.95 if self.is_cosine else 1.2,
            graph_max_degree=2 * GRAPH_LINKS,
            window_size=GRAPH_BREADTH,
        )
        distance = svs.DistanceType.MIP if self.is_cosine else svs.DistanceType.L2
        data = rows
        if is_intel:
            path = str(self.folder / "rows.fvecs")
            svs.write_vecs(rows, path)
        start = time.perf_counter()
        if is_intel:
            data = svs.LVQLoader(svs.VectorDataLoader(path, svs.float32, self.dim), 4, 8, 32)
        self.index = svs.Vamana.build(parameters, data, distance, num_threads=self.threads)
        self.seconds = time.perf_counter() - start
        self.index.num_threads = 1
        self.parameters = {
            "graph_max_degree": 2 * GRAPH_LINKS,
            "window_size": GRAPH_BREADTH,
            "rows": "LVQ 4x8" if is_intel else "float32",
        }
        self.about = f"scalable-vs {version('scalable-vs')}, {self.index.experimental_backend_string}"

        def save(path):
            os.makedirs(path)
            self.index.save(*(os.path.join(path, part) for part in ["config", "graph", "data"]))

        self.bytes = self.file_bytes(save)

    def search(self, parameters):
        self.index.search_window_size = parameters["search_window_size"]
        queries = [self.asked[i] for i in range(len(self.asked))]
        call, k = self.index.search, self.k
        return lambda i: call(queries[i], k)

    def ids(self, i, result):
        return result[0][0]


class RabitqlibIvf(Peer):
    """32 bits: one a value to rank, and the rows themselves for what remains."""

    sweep = line("nprobe", PROBES)
    BITS = 32

    def fill(self, rows):
        import rabitqlib
        from importlib.metadata import version

        lists = list_count(self.count)
        start = time.perf_counter()
        means = rabitqlib.RaBitQKMeans(self.dim, lists, num_threads=self.threads)
        means.train(rows)
        metric = "ip" if self.is_cosine else "l2"
        self.index = rabitqlib.IvfIndex(self.dim, self.count, lists, self.BITS, metric)
        self.index.build(rows, means.centroids, means.assignments, self.threads, True)
        self.seconds = time.perf_counter() - start
        self.parameters = {"lists": lists, "bits": self.BITS}
        self.about = f"rabitqlib {version('rabitqlib')}"
        self.bytes = self.file_bytes(self.index.save)

    def search(self, parameters):
        queries = [self.asked[i : i + 1] for i in range(len(self.asked))]
        call, k, nprobe = self.index.search, self.k, parameters["nprobe"]
        return lambda i: call(queries[i], k, nprobe)

    def ids(self, i, result):
        return result[0][0]


class RabitqlibSymqg(Peer):
    """SymphonyQG: a graph whose neighbours are ranked by codes."""

    sweep = line("ef", BREADTHS)

    def fill(self, rows):
        import rabitqlib
        from importlib.metadata import version

        degree = 2 * GRAPH_LINKS
        start = time.perf_counter()
        self.index = rabitqlib.SymqgIndex(self.dim, degree, "ip" if self.is_cosine else "l2")
        self.index.build(rows, GRAPH_BREADTH, self.threads)
        self.seconds = time.perf_counter() - start
        self.parameters = {"max_degree": degree, "ef_construction": GRAPH_BREADTH}
        self.about = f"rabitqlib {version('rabitqlib')}"
        self.bytes = self.file_bytes(self.index.save)

    def search(self, parameters):
        queries = [self.asked[i : i + 1] for i in range(len(self.asked))]
        call, k, breadth = self.index.search, self.k, parameters["ef"]
        return lambda i: call(queries[i], k, breadth)

    def ids(self, i, result):
        return result[0][0]


PEERS = {
    "faiss-ivf": FaissIvf,
    "faiss-hnsw": FaissHnsw,
    "faiss-ivfpqfs": FaissIvfPqFs,
    "faiss-rabitq": FaissRabitq,
    "usearch": Usearch,
    "scann": Scann,
    "svs": Svs,
    "rabitqlib-ivf": RabitqlibIvf,
    "rabitqlib-symqg": RabitqlibSymqg,
}


def read_rows(job, name):
    rows = np.fromfile(job[f"{name}_file"], "<f4").reshape(-1, job["dim"])
    if job["metric"] == "cosine":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def build(job):
    peer = PEERS[job["engine"]](job, read_rows(job, "rows"), read_rows(job, "queries"))
    answer = {
        "seconds": peer.seconds,
        "threads": peer.threads,
        "bytes_per_vector": peer.bytes / peer.count,
        "parameters": peer.parameters,
        "about": peer.about,
        "sweep": peer.sweep,
    }
    return peer, answer


def run(peer, job, question):
    if question["core"] >= 0:
        os.sched_setaffinity(0, {question["core"]})
    search = peer.search(question["parameters"])
    queries, clock = job["queries"], time.perf_counter_ns
    for i in range(min(queries, job["warm_up"])):
        search(i)
    spent = np.empty(queries, np.int64)
    results = [None] * queries
    for i in range(queries):
        start = clock()
        result = search(i)
        spent[i] = clock() - start
        results[i] = result
    ids = np.full((queries, job["k"]), -1, np.int64)
    for i, result in enumerate(results):
        found = np.asarray(peer.ids(i, result)).astype(np.int64)[: job["k"]]
        ids[i, : len(found)] = found
    (spent / 1e3).astype("<f8").tofile(peer.folder / "us")
    ids.astype("<i8").tofile(peer.folder / "ids")
    return {"done": queries}


def main():
    # Libraries print; only answers may reach the bench.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    job = json.loads(pathlib.Path(sys.argv[1]).read_text())
    peer = None
    for text in sys.stdin:
        question = json.loads(text)
        try:
            if question["do"] == "build":
                peer, answer = build(job)
            else:
                answer = run(peer, job, question)
        except Exception as error:  # any failure of a library is a reason to name, not to hide
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
