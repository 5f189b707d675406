"""Bad input: an exit code, one clear line, and the index as it was."""

import gzip
import json
import os
import pathlib
import shutil
import signal
import struct

import numpy as np
import pytest

import datasets

INDEX = "demo/good"


@pytest.fixture
def good(varve):
    """A store with one index of three rows, and a check that nothing changes in it."""
    varve.create(INDEX, 3, "cosine")
    varve.put(INDEX, [{"key": f"k{i}", "vector": [1, i, 2]} for i in range(3)])
    before = varve.state(INDEX)
    yield varve
    assert varve.state(INDEX) == before


def npy(text, values=b""):
    header = text.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values


NPY_2X3 = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"
ROWS = np.arange(1, 7, dtype="<f4").reshape(2, 3)
NAN_ROWS = np.array([[1, 2, 3], [1, np.nan, 3]], "<f4")

BAD_FILES = {
    "wrong-dimension.fvecs": (datasets.to_fvecs(np.ones((2, 4))), "dimension is 4, expected 3"),
    "nan.fvecs": (datasets.to_fvecs(NAN_ROWS), "row 1: vector[1] is NaN"),
    "infinite.fvecs": (datasets.to_fvecs(np.full((1, 3), np.inf)), "vector[0] is infinite"),
    "zero.fvecs": (datasets.to_fvecs(np.zeros((1, 3))), "all zero"),
    "cut.fvecs": (datasets.to_fvecs(ROWS)[:-1], "row 1: the file is cut short"),
    "long.fvecs": (datasets.to_fvecs(ROWS) + b"x", "row 2: the file is cut short or has bytes"),
    "cut.bvecs": (b"\3\0\0\0\1\2", "row 0: the file is cut short"),
    "cut.ivecs": (b"\3\0\0\0\1\0\0\0", "row 0: the file is cut short"),
    "huge.ivecs": (b"\xff\xff\xff\x7f", "dimension 2147483647 is not in 1 to 4096"),
    "cut.npy": (npy(NPY_2X3, ROWS.tobytes()[:-1]), "row 1: the file is cut short"),
    "long.npy": (npy(NPY_2X3, ROWS.tobytes() + b"x"), "has bytes after the 2 rows"),
    "header.npy": (npy(NPY_2X3)[:20], "npy header is cut short"),
    "hostile.npy": (npy(NPY_2X3.replace("(2,", "(99999999999999,")), "row 0: the file is cut short"),
    "text.npy": (b"1.0 2.0 3.0\n", "not a npy file"),
    "cut-idx3-ubyte": (b"\0\0\x08\x02\0\0\0\2\0\0\0\3abcde", "row 1: the file is cut short"),
    "long-idx3-ubyte": (b"\0\0\x08\x02\0\0\0\1\0\0\0\3abcd", "has bytes after the 1 rows"),
    "text-idx3-ubyte": (b"hello", "not an IDX file"),
    "bad.jsonl": (b'{"key":"a","vector":[1,2,3]}\n{"key":"b","vector":[1,2}\n', "line 2"),
    "nan.jsonl": (b'{"key":"a","vector":[1,2,NaN]}\n', "line 1: vector[2] is no number"),
    "nul.jsonl": (b'{"key":"a\\u0000","vector":[1,2,3]}\n', "NUL"),
    "cut.txt": (b"word 1 2 3\nother 1 2\n", "line 2: 2 numbers, expected 3"),
    "cut.fvecs.gz": (gzip.compress(datasets.to_fvecs(ROWS))[:-4], "gzip stream is cut short"),
    "bad.fvecs.gz": (gzip.compress(datasets.to_fvecs(ROWS)) + b"xx", "gzip stream is damaged"),
    "empty.fvecs": (b"", "is empty"),
    "empty.jsonl.gz": (gzip.compress(b""), "is empty"),
    "vectors.csv": (b"1,2,3\n", "no known format"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_changes_nothing(good, tmp_path, name):
    content, says = BAD_FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    for verb in ["import", "put"]:
        answer = good.fails(2, verb, INDEX, path, says=says)
        assert name in answer.err and answer.out == ""
    good.fails(2, "recall", INDEX, "--queries", path)


@pytest.mark.parametrize(
    "line, says",
    [
        ('{"key":"a","vector":[1,2]}', "dimension is 2, expected 3"),
        ('{"key":"a","vector":[0,0,0]}', "all zero"),
        ('{"key":"a","vector":[1,2,1e39]}', "too large for float32"),
        ('{"vector":[1,2,3]}', "'key' is missing"),
        ('{"key":"","vector":[1,2,3]}', "key is empty"),
        ('{"key":"' + "k" * 1025 + '","vector":[1,2,3]}', "longer than 1024 bytes"),
        ('{"key":"a\\u0000b","vector":[1,2,3]}', "NUL"),
        ('{"key":"a","vector":[1,2,3],"metadata":[]}', "metadata is no object"),
        ('{"key":"a","vector":[1,2,3],"metadata":{"x":"' + "m" * 41000 + '"}}', "metadata"),
        ('{"key":"a","vector":[1,2,3],"extra":1}', "'extra' is unknown"),
        ("no json", "line 1"),
    ],
)
def test_a_bad_row_changes_nothing(good, line, says):
    answer = good.fails(2, "put", INDEX, "-", "-o", "jsonl", stdin=line + "\n", says=says)
    assert answer.out == ""


@pytest.mark.parametrize(
    "name", ["../x", "demo/../x", "x", "a/b", "demo/" + "n" * 300, "demo/Up", "demo/", "/", "", "demo/a/b"]
)
def test_a_bad_name_is_refused(good, name):
    for arguments in [
        ["index", "create", name, "--dim", "3", "--metric", "cosine"],
        ["query", name, "--vector", "[1,2,3]"],
        ["put", name, "-"],
        ["ingest", name, "."],
        ["index", "rm", name, "--yes"],
    ]:
        answer = good.run(*arguments)
        assert answer.code == 2, (arguments, answer.err)
        assert len(answer.err.splitlines()) == 1 and len(answer.err) < 400
    assert not os.path.exists(os.path.join(good.store, "..", "x"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["index", "info", "demo/none"],
        ["index", "rm", "demo/none", "--yes"],
        ["index", "compact", "demo/none"],
        ["fsck", "demo/none"],
        ["put", "demo/none", "-"],
        ["get", "demo/none", "k"],
        ["list", "demo/none"],
        ["delete", "demo/none", "k"],
        ["query", "demo/none", "--vector", "[1,2,3]"],
        ["search", "demo/none", "words"],
        ["import", "demo/none", "x.fvecs"],
        ["get", INDEX, "no such key"],
        ["query", INDEX, "--like", "no such key"],
        ["import", INDEX, "no-such-file.fvecs"],
        ["ingest", "demo/text", "no-such-folder"],
    ],
)
def test_what_does_not_exist_exits_3(good, arguments):
    good.fails(3, *arguments, says="not found")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["query", INDEX],
        ["query", INDEX, "--vector", "[1,2,3]", "--like", "k1"],
        ["query", INDEX, "--vector", "[1,2]"],
        ["query", INDEX, "--vector", "[1,2,x]"],
        ["query", INDEX, "--vector", "[0,0,0]"],
        ["query", INDEX, "--vector", "[1,2,3]", "-k", "0"],
        ["query", INDEX, "--vector", "[1,2,3]", "-k", "10001"],
        ["query", INDEX, "--vector", "[1,2,3]", "-k", "x"],
        ["query", INDEX, "--vector", "[1,2,3]", "--recall", "1.5"],
        ["query", INDEX, "--vector", "[1,2,3]", "--recall", "nan"],
        ["query", INDEX, "--vector", "[1,2,3]", "--exact", "--nprobe", "3"],
        ["query", INDEX, "--vector", "[1,2,3]", "-o", "xml"],
        ["query", INDEX, "--vector", "[1,2,3]", "--timeout", "soon"],
        ["index", "create", "demo/new", "--dim", "0", "--metric", "cosine"],
        ["index", "create", "demo/new", "--dim", "4097", "--metric", "cosine"],
        ["index", "create", "demo/new", "--dim", "-1", "--metric", "cosine"],
        ["index", "create", "demo/new", "--dim", "3", "--metric", "manhattan"],
        ["index", "create", "demo/new", "--dim", "3"],
        ["index", "rm", INDEX],
        ["delete", INDEX],
        ["search", INDEX, "words"],
        ["--store", "ftp://host/x", "index", "ls"],
    ],
)
def test_wrong_usage_exits_2(good, arguments):
    good.fails(2, *arguments)


def test_another_configuration_conflicts(good):
    good.fails(4, "index", "create", INDEX, "--dim", "3", "--metric", "cosine")
    good.fails(4, "index", "create", INDEX, "--dim", "4", "--metric", "cosine", "--exist-ok")
    good.ok("index", "create", INDEX, "--dim", "3", "--metric", "cosine", "--exist-ok")
    good.fails(4, "ingest", INDEX, __file__)


def test_errors_are_json_when_asked(good):
    for mode in ["json", "jsonl"]:
        answer = good.fails(3, "index", "info", "demo/none", "-o", mode)
        error = json.loads(answer.err)["error"]
        assert error["code"] == "not_found" and "demo/none" in error["message"]
        assert "hint" in error and answer.out == ""
    error = json.loads(good.fails(2, "query", INDEX, "-o", "json").err)["error"]
    assert error["code"] == "invalid"


def test_a_signal_ends_with_its_code(good):
    for number in [signal.SIGINT, signal.SIGTERM]:
        writer = good.start("put", INDEX, "-o", "jsonl")
        line = json.dumps({"key": "k1", "vector": [1, 1, 2]}) + "\n"
        writer.stdin.write(line.encode())
        writer.stdin.flush()
        assert json.loads(writer.stdout.readline())["keys"] == ["k1"]
        writer.send_signal(number)
        writer.communicate()
        assert writer.returncode == 128 + number


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders")
def test_a_read_only_store_is_named(good):
    store = pathlib.Path(good.store)
    folders = [path for path in [store, *store.rglob("*")] if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        line = '{"key":"a","vector":[1,2,3]}\n'
        answer = good.run("put", INDEX, "-", stdin=line)
        assert answer.code in (1, 7) and len(answer.err.splitlines()) == 1
        assert good.ok("query", INDEX, "--vector", "[1,2,3]").code == 0
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_a_flipped_byte_is_found_and_never_answered(varve, data):
    """One byte in each part of each object: reads give the true answer or say `corrupt`."""
    varve.create("demo/flip", 128)
    varve.ok("import", "demo/flip", data / "sift-bigann10k/base.bvecs.gz")
    varve.put("demo/flip", [{"key": "tail", "vector": [1] * 128}])
    query = ["query", "demo/flip", "--vector", json.dumps([20] * 128), "--exact"]
    truth = varve.json(*query)["hits"]
    store = pathlib.Path(varve.store)
    files = [path for path in store.rglob("*") if path.is_file() and path.stat().st_size > 0]
    assert files
    largest = sorted(files, key=lambda path: -path.stat().st_size)
    small = [path for path in files if path not in largest[:4]]
    for path in largest[:4] + small[:12]:
        original = path.read_bytes()
        for share in [0.0, 0.3, 0.6, 0.999]:
            damaged = bytearray(original)
            damaged[int(len(damaged) * share)] ^= 0x40
            path.write_bytes(damaged)
            answer = varve.run(*query, "-o", "json")
            assert answer.code in (0, 1, 2, 3, 7), answer.err
            if answer.code == 0:
                assert answer.json()["hits"] == truth, path
            checked = varve.run("fsck", "demo/flip", "-o", "json")
            assert checked.code >= 0, f"crashed on {path}"
            found = checked.code != 0 or (answer.code == 0 and checked.json()["findings"] == [])
            assert found, path
            path.write_bytes(original)
    varve.state("demo/flip")


def test_a_lost_object_is_found(varve):
    varve.create("demo/lost", 2)
    varve.put("demo/lost", [{"key": f"k{i}", "vector": [i, 1]} for i in range(600)])
    varve.ok("index", "compact", "demo/lost")
    copy = varve.store + ".copy"
    shutil.copytree(varve.store, copy)
    largest = max(
        (path for path in pathlib.Path(varve.store).rglob("*") if path.is_file()),
        key=lambda path: path.stat().st_size,
    )
    largest.unlink()
    checked = varve.run("fsck", "demo/lost", "-o", "json")
    assert checked.code == 1
