"""Measures real data sets: recall at two targets, speed, and exact order against numpy."""

import gzip
import json
import pathlib
import sys
import tempfile

import numpy as np

import measure
from measure import datasets

K = 10
PAGE = measure.ROOT / "docs" / "benchmarks" / "datasets.md"
EXACT_QUERIES = 20
HELD_OUT = 500


def split(data_set, folder):
    """Base and queries; every n-th row is a query where the set has none of its own."""
    rows = datasets.load(folder / data_set.base)[1]
    if data_set.queries:
        return rows, datasets.load(folder / data_set.queries)[1]
    step = max(2, len(rows) // HELD_OUT)
    asked = np.zeros(len(rows), bool)
    asked[::step] = True
    return rows[~asked], rows[asked]


def same_order(varve, index, base, queries, metric):
    """How many answers of --exact have the keys of brute force in float64, in its order."""
    keys = [str(i) for i in range(len(base))]
    same = 0
    for query in queries:
        vector = json.dumps([float(x) for x in query])
        hits = varve.json("query", index, "--vector", vector, "-k", K, "--exact")["hits"]
        expected = datasets.nearest(base, keys, query, metric, K)
        same += [hit["key"] for hit in hits] == [key for key, _ in expected]
    return same


def measure_set(data_set, scratch):
    base, queries = split(data_set, measure.data_folder())
    base_file = pathlib.Path(scratch) / "base.fvecs.gz"
    query_file = pathlib.Path(scratch) / "queries.fvecs"
    base_file.write_bytes(gzip.compress(datasets.to_fvecs(base), 1))
    query_file.write_bytes(datasets.to_fvecs(queries))
    index = f"bench/{data_set.name}"
    with measure.temporary_store(scratch) as varve:
        varve.create(index, base.shape[1], data_set.metric)
        imported = varve.json("import", index, base_file)
        stored = measure.folder_bytes(varve.store)
        found = {
            target: varve.json("recall", index, "--queries", query_file, "--recall", target)
            for target in ["0.95", "0.99"]
        }
        asked = queries[:EXACT_QUERIES]
        same = same_order(varve, index, base, asked, data_set.metric)
    default, high = found["0.95"], found["0.99"]
    return {
        "set": data_set.folder_name,
        "rows": len(base),
        "dim": base.shape[1],
        "metric": data_set.metric,
        "queries": len(queries),
        "clusters": imported["clusters"],
        "import_seconds": imported["seconds"],
        "store_ratio": stored / (base.size * 4),
        "recall": default["recall"],
        "nprobe": default["nprobe"],
        "rows_scanned": default["rows_scanned"],
        "speedup": default["speedup"],
        "recall_at_99": high["recall"],
        "nprobe_at_99": high["nprobe"],
        "speedup_at_99": high["speedup"],
        "exact_order": f"{same}/{len(asked)}",
    }


def write_page(report):
    text = f"""# Real data sets

recall@{K} by default (target 0.95) and with `--recall 0.99`, one query at a time on one thread.
`speedup` is against `--exact` in the same run. `exact_order` counts the exact answers whose keys
are those of brute force in float64 in the same order, ties by key. sift has queries of its own;
treasury takes its questions; of the others about {HELD_OUT} rows, evenly spread, are held out.

{measure.table(report.rows)}

Machine: {measure.machine_line(report.machine)}. Other work ran on it at the same time: compare
within a row.

    VARVE_DATA=FOLDER bench/run datasets_report --write
"""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")


def main():
    parser = measure.arguments(__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks/datasets.md")
    args = parser.parse_args()
    report = measure.Report("datasets")
    for data_set in datasets.REAL_SETS:
        with tempfile.TemporaryDirectory(prefix="varve-bench-", dir=args.scratch) as scratch:
            row = measure_set(data_set, scratch)
        measure.progress(str(row))
        report.rows.append(row)
        report.require(row["recall"] >= 0.95, f"{data_set.name}: recall {row['recall']:.4f}")
        report.require(row["recall_at_99"] >= 0.99, f"{data_set.name}: {row['recall_at_99']:.4f}")
        same, asked = row["exact_order"].split("/")
        report.require(same == asked, f"{data_set.name}: exact order {row['exact_order']}")
    if args.write:
        write_page(report)
    return report.finish(args.output)


if __name__ == "__main__":
    sys.exit(main())
