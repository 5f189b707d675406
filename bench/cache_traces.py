"""Miss ratios of every eviction policy on recorded accesses, and what the default is held to."""

import json
import subprocess
import sys

import measure
from measure import command

import cache_oracle  # of tests/e2e, which measure puts on the path

SIZES = ["0.1%", "1%", "10%"]
OPTIMUM = "optimum"
# Points of miss ratio. The default must be this close to LRU everywhere ...
BEHIND_LRU_MAX = 1.0
# ... and this close to the best policy in most places.
NEAR_BEST = 2.0
NEAR_SHARE_MIN = 2 / 3
PAGE = measure.ROOT / "docs" / "benchmarks" / "cache-traces.md"


def trace_files():
    """Everything but texts about the traces."""
    folder = measure.data_folder() / "cache-traces"
    found = sorted(path for path in folder.iterdir() if path.suffix not in (".md", ".txt"))
    if not found:
        sys.exit(f"bench: error: no traces in {folder}")
    return found


def replay(path):
    """One row a size: the miss ratio of each policy in percent. The first policy is the default."""
    sizes = ",".join(SIZES)
    run = [command.binary(), "bench", "trace", path, "--size", sizes, "-o", "json"]
    rows = {}
    for found in json.loads(subprocess.check_output(run, stderr=subprocess.DEVNULL))["rows"]:
        row = {"trace": found["trace"], "size": found["size"], "capacity": found["capacity"]}
        row = rows.setdefault(found["size"], row)
        row[found["policy"]] = 100 * found["misses"] / found["requests"]
    return [rows[size] for size in SIZES]


def policies_of(row):
    return [name for name in row if name not in ("trace", "size", "capacity", OPTIMUM)]


def check_oracle(path, rows, report):
    """FIFO and LRU must miss exactly what the oracle of tests/e2e misses."""
    keys, sizes = cache_oracle.accesses(path)
    for row in rows:
        for policy in ("fifo", "lru"):
            expected = cache_oracle.misses(keys, sizes, row["capacity"], policy == "lru")
            same = row[policy] == 100 * expected / len(keys)
            report.require(same, f"{path.name} {row['size']}: {policy} is not the oracle's")
            report.compared += 1


def distinct(rows):
    """Without traces that are there twice in two formats: they must agree."""
    seen, kept = {}, []
    for row in rows:
        name = row["trace"].split(".")[0]
        first = seen.setdefault((name, row["size"]), row)
        if first is row:
            kept.append(row)
        elif any(first[policy] != row[policy] for policy in policies_of(row)):
            sys.exit(f"bench: error: {row['trace']} and {first['trace']} differ")
    return kept


def verdict(rows, policy):
    """How far behind LRU at worst, and the shares of cells and of traces near the best policy."""
    worst = max(rows, key=lambda row: row[policy] - row["lru"])
    near = {}
    for row in rows:
        best = min(row[name] for name in policies_of(row))
        near.setdefault(row["trace"], []).append(row[policy] <= best + NEAR_BEST)
    cells = sum(near.values(), [])
    return {
        "policy": policy,
        "mean_miss_percent": sum(row[policy] for row in rows) / len(rows),
        "worst_points_behind_lru": worst[policy] - worst["lru"],
        "where": f"{worst['trace']} {worst['size']}",
        "cells_near_best": sum(cells) / len(cells),
        "traces_near_best": sum(map(all, near.values())) / len(near),
    }


def held(verdict_of_default, report):
    """Says what the default is held to; in words for people."""
    name = verdict_of_default["policy"]
    behind = verdict_of_default["worst_points_behind_lru"]
    report.require(behind <= BEHIND_LRU_MAX, f"{name}: {behind:.2f} points behind LRU")
    for what in ("cells", "traces"):
        share = verdict_of_default[f"{what}_near_best"]
        report.require(share >= NEAR_SHARE_MIN, f"{name}: {share:.0%} of {what} near the best")


def oracle_line(report):
    if report.compared == 0:
        return "not compared with the oracle in this run (`--oracle`)."
    broken = sum("oracle" in text for text in report.broken)
    return f"{report.compared} replays compared with an oracle in Python, {broken} differ."


def write_page(report, verdicts, count):
    text = f"""# Eviction policies on recorded accesses

Miss ratios in percent on {count} traces at three capacities (a percentage of all keys' bytes, or of
all keys where the trace has no sizes). The default is `{verdicts[0]['policy']}`. `{OPTIMUM}` is
Belady's policy, which knows the future: a bound where all sizes are equal. What the traces record is in
the `README.md` beside them.

{measure.table(report.rows)}

## What the default is held to

At most {BEHIND_LRU_MAX:g} point behind LRU in every cell; best or within {NEAR_BEST:g} points of the
best in two thirds of the cells, and in all three cells of two thirds of the traces. Each policy by that:

{measure.table(verdicts)}

FIFO and LRU: {oracle_line(report)}

Machine: {measure.machine_line(report.machine)}. Replays are exact: the figures do not depend on it.

    VARVE_DATA=FOLDER bench/run cache_traces --oracle --write
"""
    PAGE.write_text(text, encoding="utf-8")


def main():
    parser = measure.arguments(__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks/cache-traces.md")
    parser.add_argument("--oracle", action="store_true", help="check FIFO and LRU, two minutes more")
    args = parser.parse_args()
    report = measure.Report("cache_traces")
    report.compared = 0
    found = []
    for path in trace_files():
        measure.progress(path.name)
        rows = replay(path)
        if args.oracle:
            check_oracle(path, rows, report)
        found += rows
    report.rows = distinct(found)
    verdicts = [verdict(report.rows, policy) for policy in policies_of(report.rows[0])]
    held(verdicts[0], report)
    for line in verdicts:
        measure.progress(json.dumps(line))
    if args.oracle:
        measure.progress(f"{report.compared} replays of FIFO and LRU compared with the oracle")
    if args.write:
        write_page(report, verdicts, len({row["trace"] for row in report.rows}))
    return report.finish(args.output)


if __name__ == "__main__":
    sys.exit(main())
