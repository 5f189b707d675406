"""The varve command in processes that write and are killed, and calls that read."""

import contextlib
import itertools
import json
import signal
import subprocess
import threading
import time

from history import DELETED, Op, row_of, version_of

TIMEOUT_S = 120
EXIT_NOT_FOUND = 3
INDEX = "torture/rows"


class Failed(Exception):
    """The command did what it must not do; the text says what."""


class Varve:
    """The command on one store. `uri` may lead through planned faults; checks use `path`."""

    def __init__(self, binary, path, fold_ops):
        self.binary = binary
        self.path = str(path)
        self.flags = ["--no-progress", "--fold-ops", str(fold_ops)]

    def arguments(self, *args, uri=None):
        return [self.binary, "--store", uri or self.path, *self.flags, *map(str, args)]

    def run(self, *args, codes=(0,)):
        done = subprocess.run(
            self.arguments(*args), capture_output=True, timeout=TIMEOUT_S, check=False, text=True
        )
        if done.returncode not in codes:
            raise Failed(f"{' '.join(args[:2])}: exit {done.returncode}: {done.stderr.strip()}")
        if done.returncode != 0 and not done.stdout:
            raise Failed(f"{' '.join(args[:2])}: nothing but {done.stderr.strip()}")
        return done.stdout

    def json(self, *args, codes=(0,)):
        text = self.run(*args, "-o", "json", codes=codes)
        try:
            return json.loads(text)
        except ValueError as error:
            raise Failed(f"{' '.join(args[:2])}: no JSON: {text[:200]!r}") from error

    def get(self, keys):
        """Version by key, DELETED where there is none."""
        answer = self.json("get", INDEX, *keys, codes=(0, EXIT_NOT_FOUND))
        versions = dict.fromkeys(answer["missing"], DELETED)
        for record in answer["vectors"]:
            versions[record["key"]] = torn_is_failed(record)
        if sorted(versions) != sorted(keys):
            raise Failed("get: the keys of the answer are not those of the question")
        return versions

    def list(self):
        keys = [json.loads(line)["key"] for line in self.run("list", INDEX, "-o", "jsonl").split()]
        if keys != sorted(set(keys)):
            raise Failed("list: not in order, or a key twice")
        return keys

    def query(self, vector, k):
        return self.json("query", INDEX, "--exact", "-k", str(k), "--vector", json.dumps(vector))


def torn_is_failed(record):
    try:
        return version_of(record)
    except (ValueError, TypeError, KeyError) as error:
        raise Failed(str(error)) from error


class Process:
    """A started command whose output is read to the end by a thread."""

    def __init__(self, name, arguments, takes_input):
        self.name = name
        self.killed = False
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.threads = [
            threading.Thread(target=self.read_output),
            threading.Thread(target=self.read_errors),
        ]
        self.errors = b""

    def start(self):
        for thread in self.threads:
            thread.start()

    def read_output(self):
        self.process.stdout.read()

    def read_errors(self):
        self.errors = self.process.stderr.read()

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def wait(self, seconds):
        """Until it ends, but not longer."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def kill(self):
        self.killed = self.process.poll() is None
        self.signal(signal.SIGKILL)

    def join(self):
        """The exit code; negative if a signal ended it."""
        try:
            self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.errors += b" (hangs)"
        for thread in self.threads:
            thread.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()
        return self.process.returncode


class Writer(Process):
    """`put` or `delete` fed without end. `ops` are in the order in which they were sent."""

    numbers = itertools.count(1)

    def __init__(self, varve, uri, verb, keys, versions, rng, rows_max):
        file = ["-"] if verb == "put" else ["--keys-file", "-"]
        name = f"{verb} process {next(Writer.numbers)}"
        arguments = varve.arguments(verb, INDEX, *file, "-o", "jsonl", uri=uri)
        super().__init__(name, arguments, takes_input=True)
        self.verb, self.keys, self.versions, self.rng = verb, keys, versions, rng
        self.rows_max = rows_max
        self.burst_max = rng.choice([1, 5, 50])
        self.pause_s = rng.choice([0, 0.001, 0.005])
        self.ops = []
        self.acked = 0
        self.broken = ""
        self.enough = threading.Event()
        self.threads.append(threading.Thread(target=self.feed))

    def line(self):
        key = self.rng.choice(self.keys)
        version = next(self.versions) if self.verb == "put" else DELETED
        self.ops.append(Op(key, version, time.monotonic(), self.name))
        return (json.dumps(row_of(key, version)) if version else key) + "\n"

    def feed(self):
        with contextlib.suppress(OSError, ValueError):
            while not self.enough.is_set() and len(self.ops) < self.rows_max:
                burst = "".join(self.line() for _ in range(self.rng.randint(1, self.burst_max)))
                self.process.stdin.write(burst.encode())
                self.process.stdin.flush()
                self.enough.wait(self.pause_s)
            self.enough.wait()
            self.process.stdin.close()

    def read_output(self):
        last = (0, 0, -1)
        for line in self.process.stdout:
            now = time.monotonic()
            if not line.endswith(b"\n"):
                return  # cut short by the kill: no acknowledgement
            ack = json.loads(line)
            epoch, seq, end = map(int, ack["lsn"].split("."))
            ops = self.ops[self.acked : self.acked + len(ack["keys"])]
            begin = end + 1 - len(ops)
            if [op.key for op in ops] != ack["keys"] or begin < 0 or (epoch, seq, begin) <= last:
                self.broken = f"{self.name}: acknowledgement out of order: {line.decode()}"
                return
            last = (epoch, seq, end)
            for i, op in enumerate(ops):
                op.acked, op.lsn = now, (epoch, seq, begin + i)
            self.acked += len(ops)

    def join(self):
        """Ends the input and waits until all is written. Returns the exit code."""
        self.enough.set()
        return super().join()


class Job(Process):
    """`index compact` or `import` of some rows."""

    def __init__(self, varve, uri, verb, *args):
        super().__init__(verb, varve.arguments(*verb.split(), INDEX, *args, uri=uri), False)
        self.ops = []
        self.ended = None

    def read_output(self):
        super().read_output()
        self.ended = time.monotonic()


class Reader(threading.Thread):
    """Reads in a loop and keeps what it saw for the check at the end of the cycle."""

    def __init__(self, varve, keys, rng, observe):
        super().__init__()
        self.varve, self.keys, self.rng, self.observe = varve, keys, rng, observe
        self.enough = threading.Event()
        self.failure = ""
        self.calls = 0

    def run(self):
        try:
            while not self.enough.is_set():
                self.rng.choice([self.get, self.list, self.query])()
                self.calls += 1
                self.enough.wait(self.rng.uniform(0, 0.05))
        except (Failed, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            self.failure = f"reader: {error}"

    def get(self):
        keys = self.rng.sample(self.keys, 20)
        begin = time.monotonic()
        for key, version in self.varve.get(keys).items():
            self.observe(key, version, begin, "get")

    def list(self):
        begin = time.monotonic()
        found = set(self.varve.list())
        for key in self.keys:
            self.observe(key, None if key in found else DELETED, begin, "list")

    def query(self):
        key = self.rng.choice(self.keys)
        begin = time.monotonic()
        vector = row_of(key, self.rng.randint(1, 1000))["vector"]
        for hit in self.varve.query(vector, 10)["hits"]:
            version = hit["metadata"]["version"]
            row = row_of(hit["key"], version)
            distance = sum((a - b) ** 2 for a, b in zip(row["vector"], vector, strict=True))
            if row["metadata"] != hit["metadata"] or distance != hit["distance"]:
                raise Failed(f"query: hit {hit} has not the distance {distance}")
            self.observe(hit["key"], version, begin, "query")
