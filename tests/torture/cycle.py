"""One cycle: write, kill, open again, compare with what was acknowledged."""

import itertools
import json
import pathlib
import random
import signal
import time
from dataclasses import dataclass, field

from history import DELETED, DIM, History, Op, Read, row_of, vector_of
from processes import INDEX, Failed, Job, Reader, Varve, Writer

KEYS = [f"key-{i:03}" for i in range(500)]
FOLD_OPS = 400
KILL_AFTER_S = (0.05, 0.8)
ROWS_MAX = 3000  # of one writer and cycle
JOB_WAIT_S = 1
FAULTS = "lose_answer=0.05&land_late=0.02"
# A write whose outcome nobody can know ends the command with one of these, behind faults only.
EXIT_PARTIAL, EXIT_UNAVAILABLE = 5, 7


@dataclass
class World:
    """A store, and all that is known about it."""

    path: pathlib.Path
    varve: Varve
    versions: itertools.count = field(default_factory=lambda: itertools.count(1))
    history: History = field(default_factory=History)
    slowest: dict = field(default_factory=lambda: {"reading": 0.0, "writing": 0.0})

    @staticmethod
    def create(binary, path):
        varve = Varve(binary, path, FOLD_OPS)
        varve.run("index", "create", INDEX, "--dim", str(DIM), "--metric", "euclidean")
        return World(path, varve)


def key_sets(mode, rng):
    """For each writer that runs at the same time, its keys."""
    if mode == "single" or (mode == "faults" and rng.random() < 0.5):
        return [KEYS]
    shared, first, second = KEYS[:100], KEYS[100:300], KEYS[300:]
    return [shared + first, shared + second]


class Cycle:
    """Everything of one cycle is started, killed and counted here."""

    def __init__(self, world, mode, seed, totals):
        self.world, self.mode, self.totals = world, mode, totals
        self.rng = random.Random(seed)
        self.failures = []
        self.processes = []
        self.reader = None

    def uri(self):
        if self.mode != "faults":
            return None
        return f"fault+file://{self.world.path}?seed={self.rng.randrange(1 << 32)}&{FAULTS}"

    def make_writer(self, keys):
        verb = self.rng.choice(["put", "put", "delete"])
        rng = random.Random(self.rng.random())
        world = self.world
        rows_max = ROWS_MAX if verb == "put" else ROWS_MAX // 10
        writer = Writer(world.varve, self.uri(), verb, keys, world.versions, rng, rows_max)
        self.start(writer)
        return writer

    def start(self, process):
        self.processes.append(process)
        process.start()

    def start_job(self):
        """Compact or import; half of them may finish before the kill."""
        if self.rng.random() < 0.5:
            self.start(Job(self.world.varve, self.uri(), "index compact"))
        else:
            self.start_import()
        if self.rng.random() < 0.5:
            self.processes[-1].wait(JOB_WAIT_S)

    def start_import(self):
        own = [f"import-{i:04}" for i in range(self.rng.choice([20, 400, 2000]))]
        keys = own + self.rng.sample(KEYS, 60)
        file = self.world.path.parent / f"{self.world.path.name}.jsonl"
        versions = [next(self.world.versions) for _ in keys]
        rows = [row_of(key, version) for key, version in zip(keys, versions, strict=True)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        sent = time.monotonic()
        job = Job(self.world.varve, self.uri(), "import", str(file))
        job.ops = [Op(key, v, sent, "import") for key, v in zip(keys, versions, strict=True)]
        self.start(job)

    def observe(self, key, version, begin, what):
        read = Read(key, version, begin, time.monotonic(), what)
        self.world.history.reads.append(read)

    def write_and_kill(self):
        """Sessions of one writer end in order before the one that is killed."""
        rng = self.rng
        self.reader = Reader(self.world.varve, KEYS, random.Random(rng.random()), self.observe)
        self.reader.start()
        sets = key_sets(self.mode, rng)
        if len(sets) == 1:
            for _ in range(rng.randint(0, 2)):
                writer = self.make_writer(KEYS)
                time.sleep(rng.uniform(0.02, 0.2))
                writer.join()
        writers = [self.make_writer(keys) for keys in sets]
        kill_at = time.monotonic() + rng.uniform(*KILL_AFTER_S)
        if rng.random() < 0.6:
            time.sleep(rng.uniform(0, 0.1))
            self.start_job()
        if len(writers) > 1 and rng.random() < 0.4:
            stall(writers[0], rng)
        time.sleep(max(0, kill_at - time.monotonic()))
        for process in rng.sample(self.processes, len(self.processes)):
            process.kill()
        self.killed_at = time.monotonic()
        self.recover()
        self.reader.enough.set()
        self.reader.join()
        self.join_all()

    def recover(self):
        """How long until the first strong answer, and until the first write is acknowledged."""
        world, key = self.world, self.rng.choice(KEYS)
        begin = time.monotonic()
        self.observe(key, world.varve.get([key])[key], begin, "get after the kill")
        world.slowest["reading"] = max(world.slowest["reading"], time.monotonic() - begin)
        begin = time.monotonic()
        rng = random.Random(self.rng.random())
        writer = Writer(world.varve, None, "put", [key], world.versions, rng, 1)
        self.start(writer)
        while writer.acked == 0 and writer.process.poll() is None:
            time.sleep(0.001)
        world.slowest["writing"] = max(world.slowest["writing"], time.monotonic() - begin)
        if writer.join() != 0 or writer.acked == 0:
            raise Failed(f"no write after the kill: {writer.errors.decode().strip()}")

    def join_all(self):
        for process in self.processes:
            code = process.join()
            self.judge_end(process, code)
            if isinstance(process, Writer):
                self.count_writer(process)
            elif code == 0:
                now = time.monotonic() if process.ended is None else process.ended
                for op in process.ops:
                    op.acked = now
                self.totals["compactions or imports done"] += 1
            for op in process.ops:
                self.world.history.add(op)
        if self.reader.failure:
            self.failures.append(self.reader.failure)
        self.totals["reader calls"] += self.reader.calls

    def judge_end(self, process, code):
        if code == -signal.SIGKILL and process.killed:
            self.totals["kills"] += 1
            return
        if code != 0:
            allowed = self.mode == "faults" and code in (EXIT_PARTIAL, EXIT_UNAVAILABLE)
            self.totals["commands ended by faults"] += allowed
            if not allowed:
                errors = process.errors.decode(errors="replace").strip()
                self.failures.append(f"{process.name}: exit {code}: {errors}")
        elif isinstance(process, Writer) and process.acked != len(process.ops):
            self.failures.append(f"{process.name}: done, but {process.acked} of"
                                 f" {len(process.ops)} rows are acknowledged")

    def count_writer(self, writer):
        if writer.broken:
            self.failures.append(writer.broken)
        kind = "puts" if writer.verb == "put" else "deletes"
        self.totals[f"acknowledged {kind}"] += writer.acked
        self.totals["unknown operations"] += len(writer.ops) - writer.acked

    def check_order(self):
        """No two acknowledged operations have one place in the order of writes."""
        seen = {}
        for process in self.processes:
            for op in process.ops:
                if op.lsn is None:
                    continue
                other = seen.setdefault(op.lsn, op)
                if other is not op:
                    self.failures.append(f"one lsn twice: {other.text()}, and {op.text()}")

    def check_prefix(self, found):
        """Batches of one writer take effect in order, each as a whole or not at all."""
        writers = [p for p in self.processes if isinstance(p, Writer)]
        if self.mode != "single" or len(writers) < 2:
            return
        last, recovery = writers[-2], writers[-1]
        touched = {op.key for p in self.processes if not isinstance(p, Writer) for op in p.ops}
        touched.update(op.key for op in recovery.ops)
        unknown = [op for op in last.ops[last.acked :] if op.key not in touched]
        for length in range(len(unknown) + 1):
            newest = {op.key: op.version for op in unknown[:length]}
            rest = {op.key for op in unknown[length:]} - newest.keys()
            applied = {op.version for op in unknown if op.version != DELETED}
            if all(found.get(k, DELETED) == v for k, v in newest.items()) and not any(
                found.get(k, DELETED) in applied for k in rest
            ):
                return
        self.failures.append(f"{last.name}: not a prefix of what it wrote was applied")

    def check_state(self):
        varve, history = self.world.varve, self.world.history
        report = varve.json("fsck", INDEX, codes=(0, 1))
        self.failures += [f"fsck: {finding}" for finding in report["findings"]]
        listed = varve.list()
        keys = sorted({*KEYS, *history.ops, *listed})
        found = {}
        for begin in range(0, len(keys), 250):
            found.update(varve.get(keys[begin : begin + 250]))
        alive = sorted(key for key, version in found.items() if version != DELETED)
        if alive != listed:
            different = sorted(set(alive) ^ set(listed))
            self.failures.append(f"list and get differ in {different[:5]}")
        if report["live_keys"] != len(alive):
            self.failures.append(f"fsck counts {report['live_keys']} keys, not {len(alive)}")
        for key, version in found.items():
            if version not in history.state(key):
                self.failures.append(
                    f"key {key} has version {version}, allowed {sorted(history.state(key))}:"
                    f" {history.explain(key)}"
                )
        self.check_prefix(found)
        for key, version in found.items():
            history.settle(key, version)
        self.check_queries({key: found[key] for key in alive})

    def check_queries(self, found):
        """Exact queries are compared with brute force over all that was read back."""
        rows = {key: vector_of(key, version) for key, version in found.items()}
        for _ in range(2):
            target = vector_of("query", self.rng.randrange(1000))
            near = sorted(
                (sum((a - b) ** 2 for a, b in zip(row, target, strict=True)), key)
                for key, row in rows.items()
            )
            hits = self.world.varve.query(target, 20)["hits"]
            if [(hit["distance"], hit["key"]) for hit in hits] != near[:20]:
                self.failures.append(f"exact query: {hits[:3]}, not {near[:3]}")
            if any(hit["metadata"]["version"] != found.get(hit["key"]) for hit in hits):
                self.failures.append("exact query: metadata of another version")


def stall(writer, rng):
    """Holds a process still, as a paused machine does, while the other takes the index over."""
    writer.signal(signal.SIGSTOP)
    time.sleep(rng.uniform(0.05, 0.2))
    writer.signal(signal.SIGCONT)


def run_cycle(world, mode, seed, totals):
    """Returns what went wrong, as text. Leaves no process behind."""
    before = world.varve.json("index", "info", INDEX)
    cycle = Cycle(world, mode, seed, totals)
    try:
        cycle.write_and_kill()
    finally:
        cycle.reader.enough.set()
        for process in cycle.processes:
            process.kill()
            process.join()
        cycle.reader.join()
    cycle.check_order()
    cycle.failures += world.history.wrong_reads()
    cycle.check_state()
    after = world.varve.json("index", "info", INDEX)
    totals["takeovers"] += after["epoch"] - before["epoch"]
    totals["versions of HEAD"] += after["version"] - before["version"]
    return cycle.failures
