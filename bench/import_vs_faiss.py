"""Times `varve import` against training and adding of faiss IVF1024,Flat, in turns.

faiss gets the rows as float32 in memory; varve unpacks the file, makes a durable store and fits its
probe table. Both have two threads.
"""

import resource
import statistics
import sys
import time

import fashion
import measure

# The BLAS inside faiss takes its SSE kernels on processors newer than itself.
measure.choose_blas_kernels()

import faiss  # noqa: E402

INDEX = "bench/fashion"
FACTORY = "IVF1024,Flat"
THREADS = 2
DEFAULT_SPEEDUP_MIN = 8
MEMORY_RATIO_MAX = 1.5
STORE_RATIO_MAX = 1.15


def faiss_round(rows):
    """Wall and processor seconds of one build."""
    index = faiss.index_factory(rows.shape[1], FACTORY)
    cpu = time.process_time()
    with measure.seconds() as took:
        index.train(rows)
        index.add(rows)
    assert index.ntotal == len(rows)
    return took[0], time.process_time() - cpu


def children_cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def varve_round(scratch, file, queries):
    """One import into a fresh store, and the recall there if queries are given."""
    with measure.temporary_store(scratch) as varve:
        varve.create(INDEX, fashion.DIM)
        cpu = children_cpu_seconds()
        with measure.seconds() as took:
            report = varve.json("import", INDEX, file)
        cpu = children_cpu_seconds() - cpu
        stored = measure.folder_bytes(varve.store)
        answers = {}
        for target in ["0.95", "0.99"] if queries else []:
            answers[target] = varve.json(
                "recall", INDEX, "--queries", queries, "--recall", target
            )
    return took[0], cpu, report, stored, answers


def main():
    parser = measure.arguments(__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    faiss.omp_set_num_threads(THREADS)
    rows = fashion.images(fashion.TRAIN)
    raw = rows.nbytes
    report = measure.Report("import")
    times = {"varve": [], "faiss": []}
    cpus = {"varve": [], "faiss": []}
    peak = stored = 0
    answers = {}
    for number in range(args.rounds):
        last = number + 1 == args.rounds
        queries = fashion.path(fashion.TEST) if last else None
        took, cpu, imported, stored, answers = varve_round(args.scratch, fashion.path(fashion.TRAIN), queries)
        for name, (wall, used) in {"varve": (took, cpu), "faiss": faiss_round(rows)}.items():
            times[name].append(wall)
            cpus[name].append(used)
        peak = max(peak, imported["peak_memory_bytes"])
        ratio = times["varve"][-1] / times["faiss"][-1]
        measure.progress(
            f"round {number + 1}: varve {took:.2f} s, faiss {times['faiss'][-1]:.2f} s, "
            f"ratio {ratio:.2f}"
        )
    ratio = statistics.median(times["varve"]) / statistics.median(times["faiss"])
    default, high = answers["0.95"], answers["0.99"]
    report.rows.append(
        {
            "rows": len(rows),
            "varve_seconds": statistics.median(times["varve"]),
            "faiss_seconds": statistics.median(times["faiss"]),
            "ratio": ratio,
            "varve_cpu_seconds": statistics.median(cpus["varve"]),
            "faiss_cpu_seconds": statistics.median(cpus["faiss"]),
            "cpu_ratio": statistics.median(cpus["varve"]) / statistics.median(cpus["faiss"]),
            "varve_seconds_best": min(times["varve"]),
            "faiss_seconds_best": min(times["faiss"]),
            "peak_memory_bytes": peak,
            "memory_ratio": peak / raw,
            "store_bytes": stored,
            "store_ratio": stored / raw,
            "recall": default["recall"],
            "speedup": default["speedup"],
            "query_memory_ratio": default["peak_memory_bytes"] / raw,
            "recall_at_99": high["recall"],
            "speedup_at_99": high["speedup"],
        }
    )
    report.require(ratio <= 1, f"import takes {ratio:.2f} times as long as faiss")
    report.require(peak <= MEMORY_RATIO_MAX * raw, "import takes more than 1.5 times the raw bytes")
    report.require(stored <= STORE_RATIO_MAX * raw, "the store is larger than 1.15 times the raw bytes")
    report.require(default["recall"] >= 0.95, "default recall is below 0.95")
    report.require(high["recall"] >= 0.99, "recall 0.99 is not reached")
    report.require(
        default["speedup"] >= DEFAULT_SPEEDUP_MIN, "default queries are less than 8 times as fast as exact"
    )
    return report.finish(args.output)


if __name__ == "__main__":
    sys.exit(main())
