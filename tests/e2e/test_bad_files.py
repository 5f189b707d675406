"""Bad files of every format, plain and compressed: exit 2, one line that names the file and the
place, and the index as it was."""

import gzip
import json
import struct

import numpy as np
import pytest

import datasets
from conftest import GOOD

ROWS = np.arange(1, 10).reshape(3, 3)


def zstd(data):
    """A zstd frame of one block that is stored as it is (RFC 8878)."""
    assert len(data) < 128 * 1024
    header = b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data))
    return header + struct.pack("<I", 1 | len(data) << 3)[:3] + data


ENCODINGS = {"": bytes, ".gz": gzip.compress, ".zst": zstd}


def vecs(rows, value_type):
    """Each row behind its length, as in .fvecs, .bvecs and .ivecs."""
    return b"".join(
        struct.pack("<i", len(row)) + np.array(row).astype(value_type).tobytes() for row in rows
    )


def npy(rows, count=None):
    values = np.array(rows, "<f4")
    shape = (len(rows) if count is None else count, values.shape[1])
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values.tobytes()


def idx(rows, count=None, dim=None):
    values = np.array(rows, np.uint8)
    shape = (len(rows) if count is None else count, dim or values.shape[1])
    return b"\0\0\x08\x02" + struct.pack(">II", *shape) + values.tobytes()


def jsonl(rows):
    lines = ({"key": f"r{i}", "vector": [float(v) for v in row]} for i, row in enumerate(rows))
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


# What begins the name of the file or ends it, and how it is written.
FORMATS = {
    ".fvecs": lambda rows: vecs(rows, "<f4"),
    ".bvecs": lambda rows: vecs(rows, np.uint8),
    ".ivecs": lambda rows: vecs(rows, "<i4"),
    ".npy": npy,
    "-idx3-ubyte": idx,
    ".jsonl": jsonl,
}
WIDER = np.ones((2, 4), int)
ZERO_LAST = np.array([[1, 2, 3], [4, 5, 6], [0, 0, 0]])


def with_last(value):
    rows = ROWS.astype(float)
    rows[2, 1] = value
    return rows


def bad_files():
    """{(name without compression, fault): (bytes, what the line says)}."""
    bad = {}
    for name, write in FORMATS.items():
        good = write(ROWS)
        bad[name, "another dimension"] = write(WIDER), "dimension is 4, expected 3"
        bad[name, "a zero vector"] = write(ZERO_LAST), "vector is all zero"
        bad[name, "cut in the last row"] = good[:-2], "line 3" if name == ".jsonl" else "cut short"
        bad[name, "cut in the first row"] = write(ROWS)[: len(write(ROWS[:1])) - 2], ""
        bad[name, "nothing"] = b"", "is empty"
        bad[name, "text"] = b"Call me Ishmael. Some years ago, never mind how long\n", ""
        bad[name, "bytes behind the end"] = good + b"x", ""
        bad[name, "noise"] = np.random.default_rng(7).bytes(1000), ""
    for name in [".fvecs", ".npy", ".jsonl"]:
        not_a_number = "vector[1] is n" if name == ".jsonl" else "row 2: vector[1] is "
        for value in [np.nan, np.inf, -np.inf]:
            bad[name, f"{value}"] = FORMATS[name](with_last(value)), not_a_number
    for name in [".fvecs", ".bvecs", ".ivecs"]:
        write = FORMATS[name]
        for dim in [0, -1, 4097, 2**31 - 1]:
            content = write(ROWS[:1]) + struct.pack("<i", dim)
            bad[name, f"dimension {dim}"] = content, "is not in 1 to 4096"
    for name, write in [(".npy", npy), ("-idx3-ubyte", idx)]:
        bad[name, "fewer rows than said"] = write(ROWS, 4), "row 3: the file is cut short"
        bad[name, "more rows than said"] = write(ROWS, 2), "has bytes after the 2 rows"
        bad[name, "a huge count"] = write(ROWS, 2**32 - 1), "row 3: the file is cut short"
        bad[name, "header cut"] = write(ROWS)[:9], "header is cut short"
    bad["-idx3-ubyte", "a huge dimension"] = idx(ROWS, 1, 2**31), "is not in 1 to 4096"
    bad[".npy", "a count of 2^64"] = npy(ROWS, 2**64), "no number"
    bad[".npy", "a row too wide"] = npy(np.ones((1, 4097))), "dimension 4097 is not in 1 to 4096"
    bad[".jsonl", "a row too wide"] = jsonl(np.ones((1, 4097))), "more than 4096 values"
    bad[".jsonl", "1e39"] = b'{"key":"a","vector":[1,2,1e39]}\n', "too large for float32"
    bad[".jsonl", "a key with NUL"] = b'{"key":"a\\u0000b","vector":[1,2,3]}\n', "NUL"
    return bad


BAD = bad_files()


def assert_refused(good, path, says):
    for verb in ["import", "put"]:
        answer = good.fails(2, verb, GOOD, path, says=says)
        assert path.name in answer.err and answer.out == ""
    good.fails(2, "recall", GOOD, "--queries", path)


@pytest.mark.parametrize("name, fault", BAD)
def test_a_bad_file_changes_nothing(good, tmp_path, name, fault):
    content, says = BAD[name, fault]
    for ending, pack in ENCODINGS.items():
        path = tmp_path / f"rows{name}{ending}"
        path.write_bytes(pack(content))
        assert_refused(good, path, says)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_damaged_stream_changes_nothing(good, tmp_path, name, ending):
    packed = ENCODINGS[ending](FORMATS[name](ROWS))
    path = tmp_path / f"rows{name}{ending}"
    # The byte of the header that says what follows.
    stream, flags = ("gzip", 3) if ending == ".gz" else ("zstd", 4)
    for damaged, says in [
        (packed[:-1], f"{stream} stream is cut short"),
        (packed[: len(packed) // 2], f"{stream} stream is "),
        (packed + b"xx", f"{stream} stream is "),
        (packed[:flags] + b"\xff" + packed[flags + 1 :], f"{stream} stream is "),
    ]:
        path.write_bytes(damaged)
        assert_refused(good, path, says)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_plain_and_compressed(varve, tmp_path, name):
    """The same writers as above with good rows: what is refused there is refused for its fault."""
    varve.create("demo/read", 3, "cosine")
    states = set()
    for ending, pack in ENCODINGS.items():
        path = tmp_path / f"rows{name}{ending}"
        path.write_bytes(pack(FORMATS[name](ROWS)))
        for verb in ["import", "put"]:
            varve.ok(verb, "demo/read", path)
            states.add(varve.state("demo/read"))
            assert len(varve.keys("demo/read")) == 3
    assert len(states) == 1


@pytest.mark.parametrize("name", FORMATS)
def test_a_late_fault_undoes_an_import(good, tmp_path, name):
    rows = np.tile(ROWS, (700, 1))
    path = tmp_path / f"rows{name}.gz"
    path.write_bytes(gzip.compress(FORMATS[name](np.vstack([rows, np.zeros((1, 3), int)]))))
    good.fails(2, "import", GOOD, path, says="2101" if name == ".jsonl" else "row 2100")


@pytest.mark.parametrize(
    "keys, says",
    [
        (b"", "fewer keys than rows"),
        (b"a\nb\n", "fewer keys than rows"),
        (b"a\nb\nc\nd\n", "more keys than rows"),
        (b"a\n\nc\n", "line 2: a key has 1 to 1024 bytes"),
        (b"a\nb\0\nc\n", "NUL"),
        (b"a\n" + b"k" * 1025 + b"\nc\n", "1024 bytes"),
        (b"a\n\xff\nc\n", "UTF-8"),
    ],
)
def test_bad_keys_beside_a_file_change_nothing(good, tmp_path, keys, says):
    (tmp_path / "keys.txt").write_bytes(keys)
    (tmp_path / "rows.fvecs").write_bytes(datasets.to_fvecs(ROWS))
    arguments = [GOOD, tmp_path / "rows.fvecs", "--keys-from", tmp_path / "keys.txt"]
    good.fails(2, "import", *arguments, says=says)


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("rows.txt", b"word 1 2 3\nother 1 2\n", "line 2: 2 numbers, expected 3"),
        ("rows.csv", b"1,2,3\n", "no known format"),
        ("rows.gz", gzip.compress(b"1 2 3"), "no known format"),
    ],
)
def test_other_files_change_nothing(good, tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    assert_refused(good, tmp_path / name, says)
