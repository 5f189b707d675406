"""The cache as a user meets it: flags, `varve cache`, and answers that do not depend on it."""

import os
import shutil
import signal
import subprocess

import pytest

import command


@pytest.fixture
def filled(varve, tmp_path):
    """An index of some clusters, and the file of its vectors."""
    rows = tmp_path / "rows.jsonl"
    with open(rows, "w", encoding="utf-8") as file:
        for number in range(6000):
            values = [(number * 7919 % 1009) / 1009, (number * 104729 % 997) / 997, number % 13, 1]
            file.write(f'{{"vector":{values},"metadata":{{"n":{number}}}}}\n')
    varve.create("demo/cached", 4)
    varve.ok("import", "demo/cached", rows)
    return rows


def load(varve, rows, *flags):
    report = varve.json(*flags, "bench", "queries", "demo/cached", "--queries", rows, "--limit",
                        200, "--count", 400)
    return report["rows"][0]


def tiers(varve, *flags):
    return {tier["tier"]: tier for tier in varve.json(*flags, "cache", "status")["tiers"]}


def test_answers_do_not_depend_on_the_cache(varve, filled, tmp_path):
    expected = load(varve, filled, "--cache-ram", "0")
    assert expected["tiers"]["ram"]["reads"] == 0
    for flags in [
        ["--cache-ram", "50kB"],
        ["--cache-ram", "20kB", "--cache-compressed", "20kB", "--cache", tmp_path / "c"],
        ["--cache-ram", "1MB", "--cache-compressed", "3MB", "--cache", tmp_path / "c"],
        ["--cache-policy", "w-tinylfu", "--cache-ram", "60kB"],
        [],
    ]:
        assert load(varve, filled, *flags)["answers_hash"] == expected["answers_hash"], flags


def test_answers_are_kept_as_long_as_nothing_is_written(varve, filled):
    expected = load(varve, filled)
    assert expected["kept_answers"] == 0
    kept = load(varve, filled, "--cache-answers", "1MB")
    assert kept["answers_hash"] == expected["answers_hash"]
    # 200 queries were asked 400 times; each is searched for once.
    assert 200 < kept["kept_answers"] < 400
    status = varve.json("--cache-answers", "1MB", "cache", "status")
    assert status["answers"]["capacity_bytes"] == 1_000_000
    assert varve.json("cache", "status")["answers"] is None


def test_a_restarted_process_is_warm_from_disk(varve, filled, tmp_path):
    flags = ["--cache", tmp_path / "c"]
    assert varve.json(*flags, "cache", "warm", "demo/cached")["bytes"] > 6000 * 4
    assert load(varve, filled, *flags)["tiers"]["store"]["reads"] == 0
    answer = varve.json(*flags, "query", "demo/cached", "--vector", "[1,1,1,1]")
    reads = answer["performance"]["tier_reads"]
    assert reads["store"] == 0 and reads["disk"] > 0


def test_pins_outlive_the_process_and_evict_empties(varve, filled, tmp_path):
    flags = ["--cache", tmp_path / "c"]
    assert varve.json(*flags, "cache", "pin", "demo/cached", "--ttl", "30m")["pinned_bytes"] > 0
    assert tiers(varve, *flags)["disk"]["pinned_items"] > 0
    assert varve.json(*flags, "cache", "unpin", "demo/cached")["unpinned_sections"] > 0
    assert tiers(varve, *flags)["disk"]["pinned_items"] == 0
    assert tiers(varve, *flags)["disk"]["items"] > 0
    assert varve.json(*flags, "cache", "evict", "demo/cached")["evicted_bytes"] > 0
    assert tiers(varve, *flags)["disk"]["items"] == 0


def test_status_names_tiers_limits_and_indexes(varve, filled, tmp_path):
    flags = ["--cache-ram", "1MB", "--cache-compressed", "3MB", "--cache", tmp_path / "c"]
    varve.ok(*flags, "cache", "warm", "demo/cached")
    status = varve.json(*flags, "cache", "status")
    assert [tier["tier"] for tier in status["tiers"]] == ["ram", "ram-compressed", "disk"]
    assert [tier["capacity_bytes"] for tier in status["tiers"]] == [1_000_000, 3_000_000, 0]
    assert status["indexes"][0]["name"] == "demo/cached"
    assert status["indexes"][0]["bytes"]["disk"] > 0
    text = varve.ok(*flags, "cache", "status").out
    assert "ram-compressed" in text and "demo/cached" in text
    assert "of this process, which has just begun: 0 loads" in text
    assert status["loads"] == 0 and status["promotions"] == 0


def test_bad_flags_are_named(varve, filled):
    varve.fails(2, "--cache-ram", "many", "cache", "status", says="--cache-ram: 'many'")
    varve.fails(2, "--cache-ram", "-1", "cache", "status", says="--cache-ram")
    varve.fails(2, "--cache-policy", "mru", "cache", "status", says="cache.policy")
    varve.fails(2, "--cache-redis", "http://x", "cache", "status", says="cache.redis_url")
    varve.fails(3, "cache", "warm", "demo/none", says="demo/none")
    varve.fails(2, "cache", says="varve cache --help")
    varve.fails(2, "cache", "pin", "demo/cached", "--ttl", "", says="no time span")
    varve.fails(2, "cache", "pin", "demo/cached", "--ttl", "1w", says="12h")


def test_a_folder_in_use_is_done_without(varve, filled, tmp_path):
    flags = ["--cache", tmp_path / "c"]
    put = varve.start(*flags, "put", "demo/cached", "-", "-o", "jsonl")
    try:
        put.stdin.write(b'{"key":"a","vector":[1,2,3,4]}\n')
        put.stdin.flush()
        assert put.stdout.readline()
        answer = varve.ok(*flags, "query", "demo/cached", "--vector", "[1,1,1,1]")
        assert "another process uses the cache" in answer.err
        for verb in ["warm", "pin", "unpin", "evict"]:
            varve.fails(4, *flags, "cache", verb, "demo/cached", says="cache.disk_dir")
        varve.fails(4, *flags, "cache", "status", says="cache.disk_dir")
    finally:
        put.stdin.close()
        put.wait(timeout=command.TIMEOUT_S)


def test_a_folder_that_goes_away_costs_nothing_but_time(varve, filled, tmp_path):
    flags = ["--cache", tmp_path / "c"]
    expected = load(varve, filled, *flags)
    for damage in [lambda: shutil.rmtree(tmp_path / "c"), lambda: flip_all(tmp_path / "c")]:
        varve.ok(*flags, "cache", "warm", "demo/cached")
        damage()
        assert load(varve, filled, *flags)["answers_hash"] == expected["answers_hash"]


def flip_all(folder):
    for path in folder.iterdir():
        data = bytearray(path.read_bytes())
        for place in range(100, len(data), 997):
            data[place] ^= 0x55
        path.write_bytes(data)


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server")
def test_redis_is_a_tier_and_its_death_is_none_of_ours(varve, filled, tmp_path):
    socket = tmp_path / "redis.sock"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir",
         str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(socket)
        flags = ["--cache-ram", "30kB", "--cache-redis", f"unix://{socket}"]
        first = load(varve, filled, *flags)
        second = load(varve, filled, *flags)
        assert second["tiers"]["redis"]["reads"] > 0 and second["tiers"]["store"]["reads"] == 0
        os.kill(server.pid, signal.SIGSTOP)
        assert load(varve, filled, *flags)["answers_hash"] == first["answers_hash"]
        os.kill(server.pid, signal.SIGCONT)
    finally:
        server.kill()
        server.wait()
    assert load(varve, filled, *flags)["answers_hash"] == first["answers_hash"]
    assert not tiers(varve, *flags)["redis"]["available"]


def wait_for(socket):
    for _ in range(200):
        if subprocess.run(["redis-cli", "-s", str(socket), "ping"], capture_output=True,
                          check=False).stdout.strip() == b"PONG":
            return
    raise AssertionError("redis-server does not answer")
