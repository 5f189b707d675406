"""Shows how cost grows with the number of rows, on generated sets of 10 thousand to a million."""

import pathlib
import sys
import tempfile

import numpy as np

import generate_clustered
import measure

SIZES = [10_000, 30_000, 100_000, 300_000, 1_000_000]
DIM = 128
SEED = 7
SPREADS = [1.0, 3.0]
INDEX = "bench/scale"
SLOPE_MAX = 0.5
TARGET = 0.95
MEMORY_RATIO_MAX = 1.5
PAGE = measure.ROOT / "docs" / "benchmarks" / "scale.md"


# Of a row in a block of codes: a bit for each dimension, and factors (docs/formats/group.md).
CODE_BYTES = DIM // 8 + 8


def recall(varve, queries, limit, *flags):
    return varve.json("recall", INDEX, "--pin", "--queries", queries, "--limit", limit, *flags)


def cost_at_target(varve, queries, limit, clusters):
    """Rows, bytes and microseconds of a query if one number of clusters for all queries finds 0.95
    of the true neighbours of just these: what the index as such can do, without the margin of a
    target. Between two numbers of clusters along the straight line."""
    low, high = (0, 0.0, np.zeros(3)), (clusters, 1.0, np.zeros(3))
    probes = 4
    while high[0] - low[0] > max(1, low[0] // 16):
        found = recall(varve, queries, limit, "--nprobe", probes)
        # The codes of all centroids are looked at too, and rows that codes do not decide.
        bytes_touched = CODE_BYTES * (clusters + found["rows_scanned"]) + 4 * DIM * found["rows_compared"]
        cost = np.array([found["rows_scanned"], bytes_touched, found["p50_us"]])
        point = (probes, found["recall"], cost)
        if point[1] < TARGET:
            low = point
        else:
            high = point
        probes = 2 * probes if high[0] == clusters else (low[0] + high[0]) // 2
        probes = min(max(probes, low[0] + 1), clusters)
    share = (TARGET - low[1]) / (high[1] - low[1])
    return low[2] + share * (high[2] - low[2])


def measure_size(scratch, rows, limit, spread):
    base, queries = generate_clustered.generate(scratch, rows, DIM, SEED, spread=spread)
    raw = rows * DIM * 4
    with measure.temporary_store(scratch) as varve:
        varve.create(INDEX, DIM)
        imported = varve.json("import", INDEX, base)
        stored = measure.folder_bytes(varve.store)
        found = recall(varve, queries, limit)
        least = cost_at_target(varve, queries, limit, imported["clusters"])
    base.unlink()
    return {
        "spread": spread,
        "rows": rows,
        "clusters": imported["clusters"],
        "import_seconds": imported["seconds"],
        "import_memory_ratio": imported["peak_memory_bytes"] / raw,
        "store_ratio": stored / raw,
        "recall": found["recall"],
        "nprobe": found["nprobe"],
        "rows_scanned": found["rows_scanned"],
        "rows_at_0.95": least[0],
        "bytes_at_0.95": least[1],
        "us_at_0.95": least[2],
        "qps": found["qps"],
        "exact_qps": found["exact_qps"],
        "speedup": found["speedup"],
        "query_memory_ratio": found["peak_memory_bytes"] / raw,
    }


def slope(rows, name):
    """Exponent of growth: the least squares line through the logarithms."""
    sizes = np.log([row["rows"] for row in rows])
    return float(np.polyfit(sizes, np.log([row[name] for row in rows]), 1)[0])


def write_page(report, exponents, limit):
    growth = "; ".join(
        f"spread {key:g}: n^{values['rows_scanned']:.2f}, at recall 0.95 n^{values['rows_at_0.95']:.2f}"
        for key, values in exponents.items()
    )
    text = f"""# Cost against the number of rows

Generated clustered vectors ({DIM} dimensions, intrinsic {generate_clustered.LATENT}, \
{generate_clustered.CLUSTERS} Zipf-sized clusters, seed {SEED}), {limit} held-out
queries, k = 10, default recall 0.95, one query at a time on one thread of a pinned index. Every smaller set is the
beginning of the larger one. `spread` is the distance of the cluster middles in units of their
width: at 1 clusters overlap, as those of embeddings do; at 3 they stand apart, and finding the
right one is easy until centroids outnumber them and cut them into pieces.

{measure.table(report.rows)}

Growth of the rows scanned by a query: {growth}. The limit is n^{SLOPE_MAX}. Ratios are to the raw
float32 bytes. `rows_scanned` is what a query with the default target scans: at least 2,048 rows, and
a margin for queries unlike the rows. `rows_at_0.95` is what scanning one number of clusters needs for
a recall of exactly 0.95 with just these queries, and `bytes_at_0.95` and `us_at_0.95` what it costs: codes of all
centroids and of these rows, the values of rows that codes do not decide, the median time. Clusters
grow as 0.07 n^0.75 ([0019](../decisions/0019-fewer-clusters-with-codes.md)).

Machine: {measure.machine_line(report.machine)}. Other work ran on it at the same time: compare
within a row, not with other machines.

    bench/run scale --write
"""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")


def measure_growth(args, report, scratch, spread):
    """Measures all sizes with one spread; the exponents of the rows scanned."""
    rows = []
    for size in [size for size in SIZES if size <= args.rows_max]:
        row = measure_size(scratch, size, args.limit, spread)
        measure.progress(str(row))
        rows.append(row)
        report.require(row["recall"] >= 0.95, f"{size} rows: recall {row['recall']:.3f}")
    report.rows += rows
    ratio = rows[-1]["import_memory_ratio"]
    # Of small inputs the program itself takes more.
    report.require(rows[-1]["rows"] < SIZES[-1] or ratio <= MEMORY_RATIO_MAX, f"the largest import takes {ratio:.2f} times raw")
    exponents = {name: slope(rows, name) for name in ("rows_scanned", "rows_at_0.95")}
    text = f"spread {spread:g}: rows scanned grow as n^{exponents['rows_scanned']:.2f}"
    measure.progress(f"{text}, at recall 0.95 as n^{exponents['rows_at_0.95']:.2f}")
    report.require(exponents["rows_scanned"] <= SLOPE_MAX, text)
    return exponents


def main():
    parser = measure.arguments(__doc__.splitlines()[0])
    parser.add_argument("--rows-max", type=int, default=SIZES[-1])
    parser.add_argument("--limit", type=int, default=300, help="queries per size")
    parser.add_argument("--spread", type=float, nargs="*", default=SPREADS)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks/scale.md")
    args = parser.parse_args()
    report = measure.Report("scale")
    exponents = {}
    with tempfile.TemporaryDirectory(prefix="varve-bench-", dir=args.scratch) as scratch:
        for spread in args.spread:
            exponents[spread] = measure_growth(args, report, pathlib.Path(scratch), spread)
    if args.write:
        write_page(report, exponents, args.limit)
    return report.finish(args.output)


if __name__ == "__main__":
    sys.exit(main())
