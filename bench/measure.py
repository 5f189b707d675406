"""What the benches share: the machine, a store that goes away, reports as table and JSON."""

import argparse
import contextlib
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The command and the data sets are run and read as the end-to-end tests do.
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import command  # noqa: E402
import datasets  # noqa: E402,F401

command.TIMEOUT_S = 3600


def data_folder():
    folder = datasets.folder()
    if folder is None:
        sys.exit("bench: error: VARVE_DATA does not name the folder of the data sets")
    return folder


def proc_value(path, name):
    """The first value of a `name : value` line, or an empty text."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""


def choose_blas_kernels():
    """Call before faiss is loaded: names the fastest kernels of OpenBLAS that this CPU runs."""
    flags = proc_value("/proc/cpuinfo", "flags").split()
    kernels = "SkylakeX" if "avx512f" in flags else "Haswell" if "avx2" in flags else ""
    if kernels:
        os.environ.setdefault("OPENBLAS_CORETYPE", kernels)


def machine():
    """What figures depend on."""
    built = json.loads(subprocess.check_output([command.binary(), "bench", "machine", "-o", "json"]))
    commit = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, check=False
    )
    memory_kib = proc_value("/proc/meminfo", "MemTotal").split()
    model = f"{proc_value('/proc/cpuinfo', 'model name')} model {proc_value('/proc/cpuinfo', 'model')}"
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int(memory_kib[0]) * 1024 if memory_kib else 0,
        "compiler": built["compiler"],
        "commit": commit.stdout.decode().strip(),
    }


def machine_line(values):
    gib = values["memory_bytes"] / 2**30
    return (
        f"{values['cpu']}, {values['cores']} cores, {gib:.0f} GiB, compiler {values['compiler']}, "
        f"commit {values['commit']}"
    )


@contextlib.contextmanager
def temporary_store(folder=None):
    """A varve command on a store that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="varve-bench-", dir=folder) as path:
        yield command.Varve(pathlib.Path(path) / "store")


def folder_bytes(path):
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in pathlib.Path(path).rglob("*") if file.is_file())


@contextlib.contextmanager
def seconds():
    """`with seconds() as took: ...` leaves the wall time in took[0]."""
    took = [0.0]
    start = time.perf_counter()
    yield took
    took[0] = time.perf_counter() - start


def cell(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value == 0:
            return "0"
        digits = max(0, 3 - int(math.floor(math.log10(abs(value)))))
        return f"{value:,.{min(digits, 4)}f}"
    return str(value)


def table(rows):
    """Markdown; numbers right-aligned. The columns are the keys of the first row."""
    columns = list(rows[0])
    aligned = ["---" if isinstance(rows[0][name], str) else "---:" for name in columns]
    lines = [columns, aligned] + [[cell(row[name]) for name in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def arguments(description):
    """The flags of every bench; the caller adds its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    parser.add_argument("--scratch", help="folder for stores and generated files")
    return parser


def progress(text):
    print(text, file=sys.stderr, flush=True)


class Report:
    """Rows of one bench, and the conditions that it must meet."""

    def __init__(self, bench):
        self.bench = bench
        self.machine = machine()
        self.rows = []
        self.broken = []

    def require(self, holds, text):
        if not holds:
            self.broken.append(text)
            progress(f"broken: {text}")

    def finish(self, output):
        """Prints everything; the exit code of the bench."""
        if output == "json":
            document = {"bench": self.bench, "machine": self.machine, "rows": self.rows}
            print(json.dumps({**document, "broken": self.broken}))
        else:
            print(machine_line(self.machine))
            print(table(self.rows))
            for text in self.broken:
                print(f"broken: {text}")
        return 1 if self.broken else 0
