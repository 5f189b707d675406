"""The sections of stored objects, read from docs/formats without Varve."""

import struct

KINDS = "catalog head manifest log seal group centroids key_map stale retired directions".split()


class Sections:
    """A cursor over one object: named ranges that follow each other, up to its last byte."""

    def __init__(self, data):
        self.data = data
        self.at = 0
        self.ranges = []  # (name, begin, end)

    def take(self, size, name):
        begin, self.at = self.at, self.at + size
        assert self.at <= len(self.data), f"{name} goes past the end"
        if size > 0:
            self.ranges.append((name, begin, self.at))
        return self.data[begin : self.at]

    def number(self, layout, name):
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout), name))[0]

    def text(self, name):
        return self.take(self.number("H", name + " length"), name)

    def align(self, multiple, name):
        self.take(-self.at % multiple, name)

    def each(self, count, name, read):
        """Reads `count` records and keeps the ranges of the first and the last of them."""
        for i in range(count):
            kept = len(self.ranges)
            read(f"{name} {i}: ")
            if 0 < i < count - 1:
                del self.ranges[kept:]


def kind(data):
    return KINDS[struct.unpack_from("<H", data, 10)[0] - 1]


def sections(data):
    """[(name, begin, end)] of one object, as docs/formats describes it."""
    s = Sections(data)
    read_envelope(s)
    BODIES[kind(data)](s)
    assert s.at == len(data), f"{len(data) - s.at} bytes after the end of a {kind(data)}"
    return s.ranges


def read_envelope(s):
    for name, size in [("magic", 8), ("format version", 2), ("kind", 2)]:
        s.take(size, name)
    header_bytes = s.number("I", "header bytes")
    for name, size in [("uuid", 16), ("nonce", 16), ("object length", 8), ("body hash", 16)]:
        s.take(size, name)
    s.text("own name")
    s.take(header_bytes - 4 - s.at, "header padding")
    s.take(4, "header checksum")


def read_catalog(s):
    s.text("bucket")

    def entry(name):
        s.text(name + "name")
        s.take(16, name + "uuid")
        s.take(1, name + "state")

    s.each(s.number("I", "index count"), "index", entry)


def read_head(s):
    for name, size in [("state", 1), ("zeros", 7), ("version", 8), ("epoch", 8), ("owner", 16)]:
        s.take(size, name)
    for name, size in [("fold epoch", 8), ("fold seq", 8), ("next job", 8), ("manifest bytes", 8)]:
        s.take(size, name)
    s.take(32, "manifest hash")
    s.text("manifest name")
    s.each(s.number("I", "parent count"), "parent", lambda name: s.take(16, name + "nonce"))

    def job(name):
        s.take(33, name + "fields")
        s.text(name + "owner")

    def retired(name):
        s.take(16, name + "fields")
        s.text(name + "name")

    s.each(s.number("I", "job count"), "job", job)
    s.each(s.number("I", "retired count"), "retired", retired)


def read_manifest(s):
    for name, size in [("dimension", 4), ("metric", 1), ("order", 1)]:
        s.take(size, name)
    has_directions = s.number("B", "has directions")
    s.take(1, "zero")
    s.take(8, "seed")
    for name, size in [("next part", 8), ("next cluster", 4), ("words", 4), ("live rows", 8)]:
        s.take(size, name)
    s.take(8, "stale row count")
    s.take(8, "fitted rows")
    s.text("bucket")
    s.text("index")

    def blob(name):
        s.take(8, name + "bytes")
        s.take(16, name + "hash")
        s.text(name + "name")

    s.each(s.number("B", "has centroids"), "centroids", blob)
    s.each(s.number("B", "has stale rows"), "stale", blob)
    s.each(has_directions, "directions", blob)
    s.each(s.number("I", "key map count"), "key map", blob)
    s.each(s.number("I", "probe point count"), "probe point", lambda name: s.take(16, name))

    def group(name):
        blob(name)
        s.each(s.number("I", name + "part count"), name + "part", lambda part: read_part(s, part))

    s.each(s.number("I", "group count"), "group", group)


def read_part(s, name):
    """A part record; returns {letter: (offset, stored bytes)}."""
    s.take(8, name + "id")
    s.take(4, name + "cluster")
    s.take(8, name + "rows and stride")
    s.take(1, name + "row type")
    present = s.number("B", name + "section set")
    s.take(2, name + "zeros")
    places = {}
    for bit, letter in enumerate("ABCDEF"):
        if present >> bit & 1:
            record = s.take(24, f"{name}section {letter}")
            places[letter] = struct.unpack_from("<QI", record)
    return places


def read_group(s):
    count = s.number("I", "part count")
    s.take(4, "dimension")
    parts = []
    s.each(count, "part", lambda name: parts.append(read_part(s, name)))
    for letter in "ABECDF":
        read_sections(s, letter, [part[letter] for part in parts if letter in part])


def read_sections(s, letter, places):
    def section(name):
        offset, size = places.pop(0)
        s.take(offset - s.at, name + "gap before it")
        s.take(size, name + "bytes")

    s.each(len(places), f"section {letter}", section)


def read_log(s):
    for name, size in [("epoch", 8), ("seq", 8), ("previous hash", 32)]:
        s.take(size, name)
    dim = s.number("I", "dimension")
    count = s.number("I", "operation count")
    s.take(8, "zeros")

    def operation(name):
        s.take(4, name + "checksum")
        upsert = s.number("B", name + "kind") == 1
        s.take(1, name + "zero")
        key_bytes = s.number("H", name + "key length")
        metadata_bytes = s.number("I", name + "metadata length")
        s.take(4 * dim if upsert else 0, name + "vector")
        s.take(key_bytes, name + "key")
        s.take(metadata_bytes, name + "metadata")
        s.align(4, name + "padding")

    s.each(count, "operation", operation)


def read_seal(s):
    for name in ["epoch", "seq", "epoch of the sealer"]:
        s.take(8, name)


def read_centroids(s):
    dim = s.number("I", "dimension")
    count = s.number("I", "centroid count")
    s.take(4 * count, "cluster numbers")
    s.align(64, "padding")
    s.take(4 * count * dim, "centroids")


def read_directions(s):
    width = s.number("I", "rotated dimension")
    count = s.number("I", "direction count")
    s.align(64, "padding")
    s.take(2 * width * count, "directions")


def read_key_map(s):
    s.take(8, "entry count")
    blocks = s.number("I", "block count")
    s.take(4, "zeros")
    table = s.take(12 * blocks, "block table")
    offsets = [struct.unpack_from("<QI", table, 12 * i)[1] for i in range(blocks)]
    body = s.at - 16 - 12 * blocks
    ends = [*offsets[1:], len(s.data) - body]

    def block(name):
        s.take(12, name + "widths")
        s.take(body + ends.pop(0) - s.at, name + "bits")

    s.each(blocks, "block", block)


def read_stale(s):
    def part(name):
        s.take(8, name + "id")
        s.take(s.number("I", name + "length"), name + "bitmap")

    s.each(s.number("I", "part count"), "part", part)


def read_retired(s):
    s.each(s.number("I", "name count"), "object", lambda name: s.text(name + "name"))


BODIES = {
    "catalog": read_catalog,
    "head": read_head,
    "manifest": read_manifest,
    "log": read_log,
    "seal": read_seal,
    "group": read_group,
    "centroids": read_centroids,
    "key_map": read_key_map,
    "stale": read_stale,
    "retired": read_retired,
    "directions": read_directions,
}
