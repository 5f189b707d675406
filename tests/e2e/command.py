"""Runs the varve command the way a user does."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT_S = 300


def binary():
    return os.environ.get("VARVE_BIN", str(ROOT / "build" / "release" / "varve"))


class Answer:
    """What one run printed, and its exit code."""

    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode(errors="backslashreplace")

    def assert_failed(self, code, says=""):
        """That it failed with this code and one line that says this."""
        assert self.code == code, f"exit {self.code}\n{self.out}\n{self.err}"
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith(("varve: error: ", '{"error":')), self.err
        assert says in lines[0], self.err

    def json(self):
        return json.loads(self.out)

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


class Varve:
    """The command on one store."""

    def __init__(self, store):
        self.store = str(store)

    def arguments(self, *args):
        return [binary(), "--store", self.store, "--no-progress", *map(str, args)]

    def run(self, *args, stdin=b"", **settings):
        """`settings` are variables of the environment."""
        if isinstance(stdin, str):
            stdin = stdin.encode()
        done = subprocess.run(
            self.arguments(*args),
            input=stdin,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            env={**os.environ, **settings},
        )
        return Answer(done)

    def shell(self, command):
        """Runs a shell command in which "$@" is the varve command on this store."""
        done = subprocess.run(
            ["sh", "-c", command, "sh", *self.arguments()],
            input=b"",
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Answer(done)

    def ok(self, *args, stdin=b""):
        answer = self.run(*args, stdin=stdin)
        assert answer.code == 0, f"{args}: exit {answer.code}\n{answer.out}\n{answer.err}"
        return answer

    def fails(self, code, *args, stdin=b"", says="", **settings):
        """Runs what must fail with this code and one line, and returns the answer."""
        answer = self.run(*args, stdin=stdin, **settings)
        answer.assert_failed(code, says)
        return answer

    def json(self, *args, stdin=b""):
        return self.ok(*args, "-o", "json", stdin=stdin).json()

    def create(self, index, dim, metric="euclidean"):
        self.ok("index", "create", index, "--dim", dim, "--metric", metric)

    def put(self, index, rows):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        return self.ok("put", index, "-", "-o", "jsonl", stdin=text).lines()

    def keys(self, index):
        return [line["key"] for line in self.ok("list", index, "-o", "jsonl").lines()]

    def state(self, index):
        """The hash of all keys, vectors and metadata; the index must be sound."""
        report = self.json("fsck", index)
        assert report["findings"] == []
        return report["state_hash"]

    def start(self, *args):
        """A running command whose input and output are pipes."""
        return subprocess.Popen(
            self.arguments(*args),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
