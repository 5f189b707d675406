"""What goes where: data on standard output, the rest on standard error."""

import json
import os
import signal
import subprocess

import pytest

import command


def test_version_and_help(varve):
    assert varve.ok("version").out.startswith("varve ")
    assert varve.json("version")["name"] == "varve"
    for arguments in [["--help"], ["query", "--help"], ["index", "create", "--help"]]:
        assert "Usage" in varve.ok(*arguments).out


def test_version_is_a_flag_too(varve):
    assert varve.ok("--version").out == varve.ok("version").out


def test_bench_says_what_it_ran_on(varve):
    machine = varve.json("bench", "machine")
    assert machine["cpu"] and machine["cores"] > 0 and machine["memory_bytes"] > 2**20
    assert machine["compiler"] and machine["kernels"] and machine["commit"]
    report = varve.json("bench", "kernels")
    assert report["bench"] == "kernels" and report["machine"] == machine
    cases = [row["case"].split()[:2] for row in report["rows"]]
    for metric in ["euclidean", "cosine"]:
        for kind in ["f32", "f16", "bf16", "u8", "i8"]:
            assert [metric, kind] in cases
    for row in report["rows"]:
        assert 0 < row["p50_ns"] <= row["p99_ns"] and row["peer"] == "scalar"
        assert row["ratio"] == pytest.approx(row["peer_p50_ns"] / row["p50_ns"])
        assert row["vectors_per_second"] > 0


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "<&-", "2>&-", ">&- 2>&-"])
def test_closed_descriptors_are_not_taken_by_files(varve, tmp_path, closed):
    """Else progress is written into the spool, or rows are read from the folder of the store."""
    varve.create("demo/fdv", 2)
    os.mkfifo(tmp_path / "fifo")
    command_line = varve.arguments("import", "demo/fdv", tmp_path / "fifo", "--format", "jsonl")
    process = subprocess.Popen(["sh", "-c", f'exec "$@" {closed}', "sh", *command_line])
    with open(tmp_path / "fifo", "w", encoding="utf-8") as fifo:
        fifo.write('{"vector":[1,2]}\n')
        for number, mark in enumerate(["<&-", ">&-", "2>&-"]):
            if mark in closed.split():
                assert os.readlink(f"/proc/{process.pid}/fd/{number}") == "/dev/null"
    assert process.wait(timeout=command.TIMEOUT_S) == 0
    assert varve.json("get", "demo/fdv", "0")["vectors"][0]["vector"] == [1, 2]
    assert varve.shell(f'"$@" put demo/fdv - {closed}').code == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_put_stops_when_nobody_gets_its_acknowledgements(varve, tmp_path):
    varve.create("demo/xyz", 2)
    rows = "".join(f'{{"key":"{i}","vector":[{i},1]}}\n' for i in range(5000))
    (tmp_path / "rows.jsonl").write_text(rows)
    for verb in [f"put demo/xyz {tmp_path}/rows.jsonl", "list demo/xyz"]:
        answer = varve.shell(f'"$@" {verb} -o jsonl > /dev/full')
        assert answer.code == (5 if verb.startswith("put") else 1)
        assert answer.err.count("cannot write to standard output") == 1
    assert len(varve.keys("demo/xyz")) == 500


def test_a_closed_pipe_ends_the_command(varve):
    varve.create("demo/xyz", 2)
    varve.put("demo/xyz", [{"key": "a", "vector": [1, 2]}])
    process = varve.start("put", "demo/xyz", "-o", "jsonl")
    process.stdout.close()
    process.stdin.write(b'{"key":"a","vector":[1,2]}\n')
    process.stdin.close()
    assert process.wait(timeout=command.TIMEOUT_S) == -signal.SIGPIPE
    process.stderr.close()


def test_control_characters_never_reach_a_terminal(varve):
    varve.create("demo/xyz", 2)
    varve.put("demo/xyz", [{"key": "a\x1b[31mb\n", "vector": [1, 2]}])
    assert varve.ok("list", "demo/xyz").out == "a\\x1b[31mb\\x0a\n"
    assert "a\\x1b[31mb" in varve.ok("query", "demo/xyz", "--vector", "[1,2]").out


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
