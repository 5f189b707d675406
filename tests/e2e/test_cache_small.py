"""What the small configuration of the cache needs and holds, measured by `varve bench cache`."""

import os

import pytest

MIB = 1 << 20


def rows_of(varve, *cases):
    report = varve.json("bench", "cache", *cases)
    assert report["bench"] == "cache" and report["machine"]["cores"] > 0
    return {row["case"]: row for row in report["rows"]}


def test_all_tiers_open_need_less_than_five_megabytes(varve):
    row = rows_of(varve, "small_config_rss")["small_config_rss"]
    assert 0 < row["open_rss_bytes"] <= 5 * MIB
    assert 0 < row["hundred_rss_bytes"] <= 5 * MIB
    # 100 vectors are in the first tier as they are.
    assert row["hundred_charged_bytes"] >= 100 * 6144
    assert row["full_charged_bytes"] <= 4 * MIB


def test_a_tier_charges_what_it_uses(varve):
    row = rows_of(varve, "resident_truth")["resident_truth"]
    assert row["truth"] == pytest.approx(1, abs=0.1)


def test_hits_come_near_the_bound_and_the_store_is_left_alone(varve):
    rows = rows_of(varve, "small_config_l1_hit_ratio", "wide_l1_hit_ratio")
    small, wide = rows["small_config_l1_hit_ratio"], rows["wide_l1_hit_ratio"]
    for row in rows.values():
        assert row["hit_ratio"] <= row["hit_ratio_bound"] + 0.01
        assert row["hit_ratio"] >= row["hit_ratio_bound"] - 0.04
        assert row["ram_hit_ratio"] >= 0.95 and row["store_reads"] == 0
    # A third of the keys cannot have more than that under Zipf 1.1.
    assert small["hit_ratio_bound"] < 0.9
    assert wide["hit_ratio"] >= 0.95


def test_hits_of_each_tier_are_measured_beside_a_peer(varve):
    rows = rows_of(varve, "l1_1k", "l2_real", "l2_constant", "l3_warm")
    assert list(rows) == [
        "l1_1k", "l2_real", "l2_real_zstd", "l2_constant", "l2_constant_zstd", "l3_warm",
    ]  # fmt: skip
    for row in rows.values():
        assert 0 < row["p50_ns"] <= row["p99_ns"] and row["peer"]
        assert row["ratio"] == pytest.approx(row["peer_p50_ns"] / row["p50_ns"])
    assert rows["l2_constant"]["compression"] >= 290
    assert rows["l2_real"]["compression"] > rows["l2_real_zstd"]["compression"]
    name = rows["l2_real"]["about"]
    assert ("synthetic" in name) == ("VARVE_DATA" not in os.environ)


def test_the_demo_shows_every_tier(varve):
    shown = varve.json("demo", "cache")
    assert [row["tier"] for row in shown["hit_rates"]] == ["ram", "ram-compressed", "disk", "store"]
    assert sum(row["hit_rate"] for row in shown["hit_rates"]) == pytest.approx(1)
    assert shown["promotions"] > 0 and shown["demotions"] > 0 and shown["store_reads"] == 0
    ratios = {row["vectors"]: row["compression"] for row in shown["compression"]}
    assert ratios["constant vector"] >= 290
    text = varve.ok("demo", "cache").out
    assert "L1 memory" in text and "ram-compressed" in text and "█" in text


def test_what_is_no_case_and_no_data_is_refused(varve, tmp_path):
    varve.fails(2, "bench", "cache", "l9", says="l1_1k")
    varve.fails(3, "bench", "cache", "--data", tmp_path, says="no vectors")
