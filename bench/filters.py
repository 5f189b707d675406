"""Filtered queries of a pinned index against unfiltered ones and exact filtered scans.

Each image of fashion-mnist has a number from 0 to 999 that comes up equally often, so that a filter
on it lets through an exact share of the rows. The questions are the test images.
"""

import json
import pathlib
import sys
import tempfile

import numpy as np

import measure
from fashion import TEST, TRAIN, images, path

INDEX = "bench/filtered"
NUMBERS = 1000
SEED = 20261124
# Share of the rows in thousandths, and the filter that lets it through.
FILTERS = [
    (500, {"n": {"$lt": 500}}),
    (100, {"n": {"$lt": 100}}),
    (10, {"n": {"$gte": 500, "$lt": 510}}),
    (1, {"n": 77}),
]
RECALL_MIN = 0.95
SLOWDOWN_MAX = 3.0  # over unfiltered queries, of shares of at least a hundredth


def write_rows(rows, file_path):
    numbers = np.arange(len(rows)) % NUMBERS
    np.random.default_rng(SEED).shuffle(numbers)
    with open(file_path, "w", encoding="utf-8") as file:
        for row, number in zip(rows.astype(int).tolist(), numbers.tolist()):
            line = {"vector": row, "metadata": {"n": number}}
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


def ask(varve, queries, *flags):
    """The report of one filter or none, by the index pinned in memory."""
    return varve.json(
        "recall", INDEX, "--pin", "--queries", path(TEST), "--limit", queries, *flags
    )


def row_of(name, found, plain):
    return {
        "rows that match": name,
        "recall@10": found["recall"],
        "p50 µs": found["p50_us"],
        "p99 µs": found["p99_us"],
        "of unfiltered": found["p50_us"] / plain["p50_us"],
        "exact p50 µs": found["exact_p50_us"],
        "clusters": found["nprobe"],
        "rows looked at": found["rows_scanned"],
    }


def compare(varve, report, queries):
    plain = ask(varve, queries)
    report.rows.append(row_of("all", plain, plain))
    for thousandths, wanted in FILTERS:
        found = ask(varve, queries, "--filter", json.dumps(wanted))
        name = f"{thousandths / 10:g} %"
        report.rows.append(row_of(name, found, plain))
        report.require(found["recall"] >= RECALL_MIN, f"{name}: recall {found['recall']:.3f}")
        slowdown = found["p50_us"] / plain["p50_us"]
        if thousandths >= 10:
            report.require(slowdown <= SLOWDOWN_MAX, f"{name}: {slowdown:.2f} times unfiltered")
        report.require(found["p50_us"] < found["exact_p50_us"], f"{name}: slower than exact")


def main():
    parser = measure.arguments(__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000, help="images; default 60000")
    parser.add_argument("--queries", type=int, default=1000, help="default 1000")
    arguments = parser.parse_args()
    report = measure.Report("filters")
    with (
        measure.temporary_store(arguments.scratch) as varve,
        tempfile.TemporaryDirectory(dir=arguments.scratch) as folder,
    ):
        rows_file = pathlib.Path(folder) / "rows.jsonl"
        measure.progress("rows")
        write_rows(images(TRAIN)[: arguments.rows], rows_file)
        varve.ok("index", "create", INDEX, "--dim", "784", "--metric", "euclidean")
        measure.progress("import")
        varve.ok("import", INDEX, rows_file)
        compare(varve, report, arguments.queries)
    return report.finish(arguments.output)


if __name__ == "__main__":
    sys.exit(main())
