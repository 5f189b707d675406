"""Asks fashion-mnist with a skewed load through caches of a twentieth of it, and without a cache.

All answers must be equal, and a process that finds the folder of another must not read the store.
"""

import pathlib
import sys
import tempfile

import measure
from fashion import DIM, TEST, TRAIN, path

INDEX = "bench/fashion"
ROWS = 60_000
CACHE_SHARE = 0.05
COUNT, ZIPF = 20_000, 1.0


def load(varve, flags):
    arguments = ["bench", "queries", INDEX, "--queries", path(TEST), "--count", COUNT,
                 "--zipf", ZIPF]
    return varve.json(*flags, *arguments)["rows"][0]


def row(case, result):
    ratios = {name: tier["hit_ratio"] for name, tier in result["tiers"].items()}
    return {
        "case": case,
        "p50_us": result["p50_us"],
        "p99_us": result["p99_us"],
        **{name: ratios.get(name, 0.0) for name in ("ram", "ram-compressed", "disk", "store")},
        "answers": result["answers_hash"][:12],
    }


def main():
    options = measure.arguments(__doc__).parse_args()
    report = measure.Report("cache_engine")
    ram = int(CACHE_SHARE * ROWS * DIM)
    with measure.temporary_store(options.scratch) as varve, tempfile.TemporaryDirectory(
        prefix="varve-cache-", dir=options.scratch
    ) as folder:
        varve.create(INDEX, DIM)
        varve.ok("import", INDEX, path(TRAIN))
        disk = ["--cache", pathlib.Path(folder) / "one"]
        layers = ["--cache", pathlib.Path(folder) / "two", "--cache-compressed", ram]
        cases = [
            ("no cache", ["--cache-ram", 0]),
            ("5 % in memory", ["--cache-ram", ram]),
            ("5 % in memory, disk", ["--cache-ram", ram, *disk]),
            ("the same, restarted", ["--cache-ram", ram, *disk]),
            ("5 % in memory, 5 % compressed, disk", ["--cache-ram", ram, *layers]),
            ("1 MB, 3 MB compressed, disk", ["--cache-ram", "1MB", "--cache-compressed", "3MB",
                                             *disk]),
            ("all in memory", []),
        ]
        results = {}
        for case, flags in cases:
            measure.progress(case)
            results[case] = load(varve, flags)
            report.rows.append(row(case, results[case]))
    expected = results["no cache"]["answers_hash"]
    for case, result in results.items():
        report.require(result["answers_hash"] == expected, f"{case}: other answers than without")
    restarted = results["the same, restarted"]["tiers"]
    report.require(restarted["store"]["reads"] == 0, "a restarted process reads the store")
    return report.finish(options.output)


if __name__ == "__main__":
    sys.exit(main())
