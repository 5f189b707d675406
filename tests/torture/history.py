"""What may stand in the index after writers were killed, and what may not.

Every operation that was ever sent for a key is kept until something newer is certain. `Op.lsn` is
its place in the order of writes if it was acknowledged; an operation without acknowledgement may
have taken effect at any time since it was sent, or never.
"""

import collections
import hashlib
import struct
from dataclasses import dataclass, field

DIM = 8
DELETED = 0  # the version of a deleted key; versions of rows start at 1


def key_number(key):
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big")


def vector_of(key, version):
    """Values with an exact form in float32 and in decimal: sixteenths."""
    mixed = hashlib.blake2b(f"{key}/{version}".encode(), digest_size=2 * DIM).digest()
    return [value / 16 for value in struct.unpack(f"<{DIM}h", mixed)]


def metadata_of(key, version):
    return {"key": key, "version": version, "pad": "x" * ((key_number(key) + version) % 97)}


def row_of(key, version):
    return {"key": key, "vector": vector_of(key, version), "metadata": metadata_of(key, version)}


def version_of(record):
    """The version of a row that came back; raises ValueError if it is torn."""
    key, metadata = record["key"], record["metadata"]
    version = metadata["version"] if isinstance(metadata, dict) else None
    if not isinstance(version, int) or metadata != metadata_of(key, version):
        raise ValueError(f"metadata of key {key} is torn: {metadata}")
    if record["vector"] != vector_of(key, version):
        raise ValueError(f"vector of key {key} is not the one of version {version}")
    return version


@dataclass(eq=False)
class Op:
    key: str
    version: int
    sent: float
    writer: str
    acked: float | None = None
    lsn: tuple | None = None  # epoch, seq, op; an import has none

    def text(self):
        what = "delete" if self.version == DELETED else f"version {self.version}"
        lsn = ".".join(map(str, self.lsn)) if self.lsn else "no lsn"
        acked = f"acknowledged {self.acked:.3f}" if self.acked is not None else "unacknowledged"
        return f"{what} by {self.writer}, sent {self.sent:.3f}, {acked}, {lsn}"


def overrides(newer, older):
    """True if `newer` was acknowledged and certainly comes after `older`."""
    if newer is older or newer.acked is None:
        return False
    if newer.lsn is not None and older.lsn is not None:
        return newer.lsn > older.lsn
    return older.acked is not None and newer.sent > older.acked


@dataclass
class Read:
    """What a reader saw of one key between two points of time."""

    key: str
    version: int | None  # None: some version, it is not known which
    begin: float
    end: float
    what: str


@dataclass
class History:
    ops: dict = field(default_factory=lambda: collections.defaultdict(list))
    reads: list = field(default_factory=list)

    def state(self, key):
        """Versions that may stand in the index now."""
        ops = self.ops[key]
        alive = [op for op in ops if not any(overrides(other, op) for other in ops)]
        return {op.version for op in alive} if ops else {DELETED}

    def add(self, op):
        if not self.ops[op.key]:
            self.ops[op.key].append(Op(op.key, DELETED, 0, "nobody", 0, (0, 0, 0)))
        self.ops[op.key].append(op)

    def settle(self, key, version):
        """What was seen after all writers ended is all that counts from now on."""
        self.ops[key] = [Op(key, version, 0, "the cycles before", 0, (0, 0, 0))]

    def explain(self, key):
        return "; ".join(op.text() for op in self.ops[key]) or "never written"

    def may_be_read(self, read):
        """Strong reads: at least as new as all that was acknowledged before the read began."""
        ops = self.ops[read.key]
        if not ops:
            return read.version == DELETED
        known = [op for op in ops if op.acked is not None and op.acked < read.begin]
        return any(
            (op.version == read.version or (read.version is None and op.version != DELETED))
            and op.sent < read.end
            and not any(overrides(other, op) for other in known)
            for op in ops
        )

    def wrong_reads(self):
        """Text for each read that no order of the operations explains."""
        wrong = [
            f"{read.what} at {read.begin:.3f} to {read.end:.3f} saw version {read.version} of key"
            f" {read.key}: {self.explain(read.key)}"
            for read in self.reads
            if not self.may_be_read(read)
        ]
        self.reads.clear()
        return wrong
