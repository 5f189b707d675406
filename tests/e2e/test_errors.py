"""Bad input: an exit code, one clear line, and the index as it was."""

import json
import os
import pathlib
import shutil
import signal

import pytest

import command
from conftest import GOOD as INDEX


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


BAD_NAMES = ["../x", "demo/../x", "demo/..", "x", "a/b", "demo/Up", "demo/", "/", "", "demo/a/b"]
LONG_NAMES = ["demo/" + "n" * 300, "n" * 300 + "/good", "n" * 300]


# A NUL cannot stand in an argument of a command; in keys it is refused below.
@pytest.mark.parametrize("name", BAD_NAMES + LONG_NAMES)
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


@pytest.mark.parametrize("key", [b"a\0b", b"\0", b"k" * 1025, b"\xff"])
def test_a_bad_key_is_refused(good, key):
    good.fails(2, "delete", INDEX, "--keys-file", "-", stdin=key + b"\n", says="key")
    if b"\0" not in key:
        good.fails(2, "delete", INDEX, key.decode(errors="surrogateescape"), says="key")
        good.fails(2, "get", INDEX, key.decode(errors="surrogateescape"), says="key")


def test_a_key_that_looks_like_a_path_is_a_key(varve):
    varve.create("demo/paths", 2)
    keys = ["../x", "/etc/passwd", "n" * 300, "a/../../b", "C:\\x", "~", "-"]
    varve.put("demo/paths", [{"key": key, "vector": [1, 2]} for key in keys])
    assert varve.keys("demo/paths") == sorted(keys)
    varve.ok("delete", "demo/paths", "--", *keys)
    assert varve.keys("demo/paths") == []
    assert os.listdir(os.path.join(varve.store, "..")) == ["store"]


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


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["foo"], "unknown command 'foo'"),
        (["index", "foo", "bar"], "unknown command 'index foo'"),
        (["--foo"], "unknown option '--foo'"),
        ([], "subcommand is required"),
        (["query", INDEX, "--vector", "[1,2,3]", "--like", "k1"], "only one of --vector and --like"),
        (["query", INDEX, "--like", "k1", "-k", "10000"], "is not in 1 to 9999"),
        (["query", INDEX, "--vector", "[1,2,3]", "-k", "abc"], "no whole number from 1 to 10000"),
        (["query", INDEX, "--vector", "@/etc/passwd"], "(hint: one vector in a .json"),
        (["list", INDEX, "--limit", "-1"], "--limit: '-1' is no whole number"),
        (["recall", INDEX, "--queries", "x.npy", "--limit", "-1"], "'-1' is no whole number"),
        (["--fold-ops", "-1", "index", "ls"], "'-1' is no whole number"),
        (["ingest", "demo/text", ".", "--chunk", "-1"], "'-1' is no whole number"),
        (["ingest", "demo/text", ".", "--overlap=-1"], "'-1' is no whole number"),
    ],
)
def test_usage_errors_say_what_is_wrong(good, arguments, says):
    good.fails(2, *arguments, says=says)


@pytest.mark.parametrize("verb", ["import", "recall"])
def test_a_file_of_blank_lines_holds_no_rows(good, tmp_path, verb):
    (tmp_path / "blank.jsonl").write_text("\n \n\n")
    flags = ["--queries"] if verb == "recall" else []
    good.fails(2, verb, INDEX, *flags, tmp_path / "blank.jsonl", says="holds no rows")


def test_a_wrong_environment_is_named(good, tmp_path):
    good.fails(2, "index", "ls", VARVE_KERNELS_TARGET="typo", says="'typo'")
    assert good.run("index", "ls", VARVE_KERNELS_TARGET="scalar").code == 0
    (tmp_path / "rows.jsonl").write_text('{"key":"a","vector":[1,2,3]}\n')
    good.fails(7, "import", INDEX, tmp_path / "rows.jsonl", TMPDIR="/none/x", says="'/none/x'")


@pytest.mark.parametrize("uri", ["{}", "file://{}"])
def test_only_what_makes_an_index_makes_a_store(tmp_path, uri):
    store = command.Varve(uri.format(tmp_path / "deep" / "store"))
    for arguments in [
        ["index", "ls"],
        ["index", "info", INDEX],
        ["index", "rm", INDEX, "--yes"],
        ["put", INDEX, "-"],
        ["import", INDEX, "x.npy"],
        ["search", INDEX, "words"],
    ]:
        store.fails(3, *arguments, says="deep/store' not found")
    assert not (tmp_path / "deep").exists()
    store.create(INDEX, 3)
    assert len(store.json("index", "ls")["indexes"]) == 1


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
    for flags in [["-o", "json"], ["-ojson"], ["--output=json"], ["--output", "jsonl"]]:
        for arguments in [["query", INDEX], ["query"], ["foo"]]:
            error = json.loads(good.fails(2, *arguments, *flags).err)["error"]
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
        good.fails(2, "put", INDEX, "-", stdin=line, says="permission denied")
        assert good.ok("query", INDEX, "--vector", "[1,2,3]").code == 0
    finally:
        for folder in folders:
            folder.chmod(0o755)


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
