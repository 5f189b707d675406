"""What goes where: data on standard output, the rest on standard error."""

import json
import os
import subprocess

import command


def test_version_and_help(varve):
    assert varve.ok("version").out.startswith("varve ")
    assert varve.json("version")["name"] == "varve"
    for arguments in [["--help"], ["query", "--help"], ["index", "create", "--help"]]:
        assert "Usage" in varve.ok(*arguments).out


def test_every_mode_of_index_ls(varve):
    varve.create("demo/one", 3)
    varve.create("demo/two", 4, "cosine")
    table = varve.ok("index", "ls").out.splitlines()
    assert table[0].split()[:3] == ["name", "dim", "metric"]
    assert [line.split()[0] for line in table[1:]] == ["demo/one", "demo/two"]
    names = [entry["name"] for entry in varve.json("index", "ls")["indexes"]]
    assert names == ["demo/one", "demo/two"]
    assert [e["dim"] for e in varve.ok("index", "ls", "-o", "jsonl").lines()] == [3, 4]
    varve.ok("index", "rm", "demo/one", "--yes")
    assert len(varve.json("index", "ls")["indexes"]) == 1


def test_nothing_but_data_on_standard_output(varve):
    assert varve.ok("index", "create", "demo/xyz", "--dim", "2", "--metric", "euclidean").out == ""
    quiet = varve.ok("put", "demo/xyz", "-", "-q", stdin='{"key":"a","vector":[1,2]}\n')
    assert quiet.out == "" and quiet.err == ""
    answer = varve.ok("query", "demo/xyz", "--vector", "[1,2]")
    assert answer.out.splitlines()[0].split() == ["#", "key", "distance", "metadata"]
    assert "rows scanned" in answer.err
    assert len(varve.ok("query", "demo/xyz", "--vector", "[1,2]", "-o", "jsonl").lines()) == 1
    assert varve.json("list", "demo/xyz") == {"keys": ["a"]}
    varve.ok("delete", "demo/xyz", "a")
    assert varve.json("list", "demo/xyz") == {"keys": []}
    assert varve.json("query", "demo/xyz", "--vector", "[1,2]")["hits"] == []


def test_the_store_comes_from_the_environment(varve, tmp_path):
    environment = {**os.environ, "VARVE_STORE": varve.store}
    varve.create("demo/xyz", 2)
    done = subprocess.run(
        [command.binary(), "index", "ls", "-o", "json"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert len(json.loads(done.stdout)["indexes"]) == 1


def test_progress_is_plain_lines_off_a_terminal(varve, tmp_path):
    varve.create("demo/xyz", 2)
    rows = "".join(f'{{"key":"{i}","vector":[{i},1]}}\n' for i in range(2000))
    (tmp_path / "rows.jsonl").write_text(rows)
    arguments = [command.binary(), "--store", varve.store, "import", "demo/xyz", "rows.jsonl"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, check=True)
    errors = done.stderr.decode()
    assert "\x1b" not in errors and "\r" not in errors
    assert "imported 2,000 vectors" in errors.splitlines()[-1]
