"""Answers from codes alone: recall, speed, and memory as a part of the rows as float32.

An index of text shape is imported once for each number of bits, and its codes are pinned in a
process with a cache folder. Beside them the same queries with all sections in memory.
"""

import pathlib
import sys
import tempfile

import numpy as np

import generate_ann
import measure

INDEX = "bench/codes"
RECALL_MIN = 0.95
SHARE_MAX = 1 / 8


def ask(varve, cache, queries, count, *flags):
    # Half of the memory can be pinned.
    tiers = ["--cache-ram", "8GB", "--cache", cache]
    return varve.json("recall", INDEX, "--pin", "--queries", queries, "--limit", count, *flags, *tiers)


def row_of(bits, found, raw_bytes):
    return {
        "code bits": bits,
        "recall@10": found["recall"],
        "qps": found["qps"],
        "p50 µs": found["p50_us"],
        "clusters": found["nprobe"],
        "bytes/row": found["resident_bytes"] / found["vectors"],
        "part of f32": found["resident_bytes"] / raw_bytes,
    }


def main():
    parser = measure.arguments(__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--bits", default="3.25,3.75,5,8", help="of indexes, with commas")
    parser.add_argument("--recall", default="0.98", help="asked for, of clusters")
    parser.add_argument("--clusters", default="512")
    arguments = parser.parse_args()
    report = measure.Report("codes_only")
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        rows, queries = generate_ann.generate(folder, "text", rows=arguments.rows)
        raw_bytes = np.load(rows, mmap_mode="r").nbytes
        for number, bits in enumerate(arguments.bits.split(",")):
            measure.progress(f"{bits} bits")
            with measure.temporary_store(folder) as varve:
                create = ["index", "create", INDEX, "--dim", "768", "--metric", "cosine"]
                varve.ok(*create, "--code-bits", bits)
                varve.ok("import", INDEX, rows, "--clusters", arguments.clusters)
                asked = [queries, arguments.queries, "--recall", arguments.recall]
                if number == 0:
                    cache = pathlib.Path(folder) / "cache-rows"
                    found = ask(varve, cache, *asked)
                    report.rows.append(row_of("rows decide", found, raw_bytes))
                cache = pathlib.Path(folder) / f"cache-{bits}"
                found = ask(varve, cache, *asked, "--codes-only")
                report.rows.append(row_of(bits, found, raw_bytes))
    small = [row for row in report.rows if row["part of f32"] <= SHARE_MAX]
    best = max((row["recall@10"] for row in small), default=0.0)
    report.require(best >= RECALL_MIN, f"recall within an eighth of float32: {best:.3f}")
    return report.finish(arguments.output)


if __name__ == "__main__":
    sys.exit(main())
