"""Runs `varve bench ann` on a set by name: fashion-mnist, or one that generate_ann.py makes.

    bench/run ann                            fashion-mnist, all peers
    bench/run ann --set sift-shape           a million rows; --rows for fewer
    bench/run ann --set text-shape --peers hnswlib,faiss-ivf -o json --plot out.svg

Installs the peers first (tools/setup_peers).
"""

import argparse
import subprocess
import sys
import tempfile

import fashion
import generate_ann
import measure

SETS = ["fashion-mnist", "sift-shape", "text-shape"]


def files_of(args, folder):
    """Paths of rows and queries, and the metric."""
    if args.set == "fashion-mnist":
        return fashion.path(fashion.TRAIN), fashion.path(fashion.TEST), "euclidean"
    shape = args.set.removesuffix("-shape")
    rows, queries = generate_ann.generate(folder, shape, args.rows)
    return rows, queries, "cosine" if shape == "text" else "euclidean"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=SETS, default=SETS[0])
    parser.add_argument("--rows", type=int, help="of a generated set; default: as the shape says")
    parser.add_argument("--scratch", help="folder for stores and generated files")
    parser.add_argument("-o", "--output", choices=["table", "markdown", "json"], default="table")
    args, others = parser.parse_known_args()  # --peers, --rounds, --plot, ... are the command's own
    setup = [measure.ROOT / "tools" / "setup_peers"]
    subprocess.run(setup, stdout=sys.stderr, check=False)  # what it lacks, the bench says
    with tempfile.TemporaryDirectory(prefix="varve-ann-", dir=args.scratch) as folder:
        rows, queries, metric = files_of(args, args.scratch or folder)
        flags = ["--data", rows, "--queries", queries, "--metric", metric, "--scratch", folder]
        command = [measure.command.binary(), "bench", "ann", *flags, "-o", args.output, *others]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
