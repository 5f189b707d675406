// Random filters and rows: a naive reading of docs/filters.md, the compiled text form and the
// columns agree on every pair, and summaries never contradict the rows.
#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <iostream>

#include "engine/filter/filter.h"
#include "engine/filter/filter_samples.h"
#include "engine/filter/naive_filter.h"

namespace varve::engine {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr std::uint64_t kPairs = 100'000;
#else
constexpr std::uint64_t kPairs = 1'000'000;
#endif

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct Part {
  std::vector<std::string> texts;
  std::vector<nlohmann::json> trees;
  base::Bytes section;
  format::Attributes columns;
};

Part make_part(FilterSampler& sampler) {
  Part part;
  sampler.begin_part();
  const std::uint64_t rows = 1 + sampler.below(sampler.below(3) == 0 ? 4 : 300);
  for (std::uint64_t n = 0; n < rows; ++n) {
    part.texts.push_back(sampler.metadata());
    const std::string& text = part.texts.back();
    part.trees.push_back(text.empty() ? nlohmann::json() : nlohmann::json::parse(text));
  }
  const std::vector<std::string_view> views(part.texts.begin(), part.texts.end());
  part.section = format::encode_row_attributes(views);
  auto columns =
      format::Attributes::decode(part.section, static_cast<std::uint32_t>(views.size()), "part");
  EXPECT_TRUE(columns.has_value()) << columns.error().message;
  if (columns) part.columns = std::move(*columns);
  return part;
}

bool bit(const std::vector<std::uint64_t>& bitmap, std::size_t row) {
  return (bitmap[row / 64] >> (row % 64) & 1U) != 0;
}

// How often each kind of answer came up: a test that never skips proves nothing about skipping.
struct Tally {
  std::uint64_t pairs = 0, matches = 0, unsure = 0, parts = 0, skipped = 0, whole = 0;
};

// False at the first row that they disagree about.
bool agree(const std::string& text, const Part& part, RowMatches& rows, Tally& tally) {
  const auto filter = Filter::parse(text);
  EXPECT_TRUE(filter.has_value()) << text << ": " << filter.error().message;
  if (!filter) return false;
  const auto tree = nlohmann::json::parse(text);
  filter->evaluate(part.columns, rows);
  const bool may = filter->may_match(part.columns.summary());
  const bool all = filter->matches_all(part.columns.summary());
  ++tally.parts;
  tally.skipped += may ? 0 : 1;
  tally.whole += all ? 1 : 0;
  const std::size_t count = part.texts.size();
  for (std::size_t row = 0; row < 64 * rows.matches.size(); ++row) {
    const bool matches = bit(rows.matches, row);
    const bool unsure = bit(rows.unsure, row);
    if (row >= count) {
      EXPECT_FALSE(matches || unsure) << "a bit behind the last row";
      continue;
    }
    const bool expected = naive_matches(tree, part.trees[row]);
    const bool agreed = filter->matches(part.texts[row]) == expected && !(matches && unsure) &&
                        (unsure || matches == expected) && (may || !expected) && (!all || expected);
    EXPECT_TRUE(agreed) << text << " of " << part.texts[row] << ": naive " << expected << ", text "
                        << filter->matches(part.texts[row]) << ", columns " << matches
                        << ", unsure " << unsure << ", may match " << may << ", all match " << all;
    if (!agreed) return false;
    ++tally.pairs;
    tally.matches += expected ? 1 : 0;
    tally.unsure += unsure ? 1 : 0;
  }
  return true;
}

TEST(FilterDifferential, NaiveTextColumnsAndSummariesAgree) {
  const std::uint64_t seed = from_environment("VARVE_FILTER_SEED", 20261124);
  const std::uint64_t pairs = from_environment("VARVE_FILTER_PAIRS", kPairs);
  std::cout << "VARVE_FILTER_SEED=" << seed << " VARVE_FILTER_PAIRS=" << pairs << "\n";
  FilterSampler sampler(seed);
  RowMatches rows;
  Tally tally;
  while (tally.pairs < pairs) {
    const Part part = make_part(sampler);
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(agree(sampler.filter(), part, rows, tally)) << "seed " << seed;
    }
  }
  std::cout << tally.pairs << " pairs, " << tally.matches << " match, " << tally.unsure
            << " unsure; " << tally.parts << " parts, " << tally.skipped << " skipped, "
            << tally.whole << " whole\n";
  EXPECT_GT(tally.matches, tally.pairs / 20);
  EXPECT_LT(tally.matches, tally.pairs / 2);
  EXPECT_GT(tally.unsure, 0U);
  EXPECT_LT(tally.unsure, tally.pairs / 10);
  EXPECT_GT(tally.skipped, tally.parts / 10);
  EXPECT_GT(tally.whole, tally.parts / 100);
}

}  // namespace
}  // namespace varve::engine
