#include "cli/ann_bench/contest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/ann_bench/peer_list.h"
#include "cli/ann_bench/report.h"

namespace varve::cli::ann_bench {
namespace {

using testing::HasSubstr;

// Finds as many of the two true rows as the effort says; each turn is faster than the one before.
class FakeEngine final : public Engine {
 public:
  FakeEngine(std::string name, const Truth& truth) : name_(std::move(name)), truth_(truth) {}

  const std::string& name() const override { return name_; }
  Result<Built> build() override {
    Built built;
    built.seconds = 2;
    built.threads = 1;
    built.bytes_per_vector = 8;
    built.sweep = {
        {Json{{"effort", 0}}, Json{{"effort", 1}}, Json{{"effort", 2}}, Json{{"effort", 3}}}};
    return built;
  }
  Result<Pass> run(const Json& parameters, int) override {
    ++runs;
    if (runs > runs_max) return fail(ErrorKind::unavailable, "it broke");
    const auto effort = parameters["effort"].get<std::uint32_t>();
    Pass pass;
    for (std::size_t i = 0; i < truth_.ids.size(); ++i) {
      pass.ids.push_back(i % truth_.k < effort ? static_cast<std::int64_t>(truth_.ids[i]) : -1);
    }
    pass.us.assign(truth_.query_count(), 1000.0 * (effort + 1) / runs);
    return pass;
  }

  int runs = 0;
  int runs_max = 1000;

 private:
  const std::string name_;
  const Truth& truth_;
};

class ContestTest : public testing::Test {
 protected:
  ContestTest() : set_{"line", Metric::euclidean, 1, {1, 2, 3, 4}, {1.1F, 3.9F}} {
    const auto pool = base::make_inline_pool();
    truth_ = exact_truth(set_, 2, *pool);
  }

  std::vector<Outcome> hold(std::vector<std::unique_ptr<Engine>> engines) {
    return run_contest(engines, set_, truth_, {.rounds = 3, .core = -1}, {});
  }

  AnnSet set_;
  Truth truth_;
};

TEST_F(ContestTest, ASweepEndsWhenAllIsFoundAndTheBestTurnCounts) {
  std::vector<std::unique_ptr<Engine>> engines;
  engines.push_back(std::make_unique<FakeEngine>("fake", truth_));
  const auto outcomes = hold(std::move(engines));
  ASSERT_EQ(outcomes.size(), 1U);
  const auto& points = outcomes[0].points;
  ASSERT_EQ(points.size(), 3U);  // effort 3 can find no more
  for (std::size_t i = 0; i < points.size(); ++i) {
    EXPECT_DOUBLE_EQ(points[i].recall.by_distance, static_cast<double>(i) / 2);
    EXPECT_EQ(points[i].rounds, 3U);
    // The last round is the fastest: runs 7, 8 and 9.
    EXPECT_NEAR(points[i].qps, 1000.0 * (7 + static_cast<double>(i)) / (static_cast<double>(i) + 1),
                1e-6);
  }
}

TEST_F(ContestTest, AnEngineThatFailsIsMissingWithTheReason) {
  auto broken = std::make_unique<FakeEngine>("broken", truth_);
  broken->runs_max = 5;
  std::vector<std::unique_ptr<Engine>> engines;
  engines.push_back(std::make_unique<FakeEngine>("fake", truth_));
  engines.push_back(std::move(broken));
  const auto outcomes = hold(std::move(engines));
  EXPECT_EQ(outcomes[0].missing, "");
  EXPECT_EQ(outcomes[1].missing, "it broke");
  const Json rows = rows_json(outcomes);
  EXPECT_EQ(rows.back(), (Json{{"engine", "broken"}, {"kind", "missing"}, {"reason", "it broke"}}));
  for (const bool markdown : {false, true}) {
    EXPECT_THAT(tables_text(outcomes, markdown), HasSubstr("missing: broken: it broke\n"));
  }
  EXPECT_THAT(tables_text(outcomes, true), HasSubstr("\n| --- | ---: |"));
}

TEST_F(ContestTest, RowsSayNullWhereARecallIsNotReached) {
  Outcome outcome;
  outcome.engine = "half";
  outcome.points = {{Json{{"effort", 1}}, {0.92, 0.91}, 100, 1, 2, 3}};
  const Json rows = rows_json(std::vector<Outcome>{outcome});
  ASSERT_EQ(rows.size(), 2 + kRecallTargets.size());
  EXPECT_EQ(rows[0]["kind"], "build");
  EXPECT_EQ(rows[1]["kind"], "sweep");
  EXPECT_EQ(rows[1]["recall"], 0.92);
  EXPECT_EQ(rows[2], (Json{{"engine", "half"},
                           {"kind", "at"},
                           {"recall_target", 0.9},
                           {"qps", 100.0},
                           {"qps_by_ids", 100.0}}));
  EXPECT_TRUE(rows[3]["qps"].is_null());
}

TEST_F(ContestTest, ThePictureLeavesOutWhatIsMissingAndQuotesNames) {
  Plot plot{"a < b & \"c\"", "x", {{"first", {{0.9, 100}, {0.99, 10}}}, {"<none>", {}}}};
  const std::string svg = plot_svg(plot);
  EXPECT_THAT(svg, HasSubstr("<title>a &lt; b &amp; &quot;c&quot;</title>"));
  EXPECT_THAT(svg, HasSubstr(">first</text>"));
  EXPECT_THAT(svg, testing::Not(HasSubstr("none&gt;")));
  EXPECT_THAT(svg, testing::Not(HasSubstr("nan")));
  EXPECT_THAT(plot_svg({"empty", "", {}}), HasSubstr("</svg>"));
}

TEST(PeerList, NamesWhatIsNotKnown) {
  EXPECT_EQ(parse_peers("usearch,hnswlib,usearch").value(),
            (std::vector<std::string>{"usearch", "hnswlib"}));
  EXPECT_TRUE(parse_peers("none").value().empty());
  EXPECT_GT(parse_peers("").value().size(), 5U);
  for (const char* const bad : {"fais", "hnswlib,", ",", "none,hnswlib"}) {
    const auto peers = parse_peers(bad);
    ASSERT_FALSE(peers) << bad;
    EXPECT_THAT(peers.error().hint, HasSubstr("hnswlib"));
  }
  const auto command = command_of("usearch", {.hnswlib = {}, .python = {}, .script = "x"});
  ASSERT_FALSE(command);
  EXPECT_THAT(command.error().hint, HasSubstr("tools/setup_peers"));
}

}  // namespace
}  // namespace varve::cli::ann_bench
