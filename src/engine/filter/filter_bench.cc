// What a filter costs for each row, of texts and of columns, and what columns cost to make.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <bit>

#include "base/assert.h"
#include "base/random.h"
#include "engine/filter/filter.h"

namespace varve::engine {
namespace {

constexpr std::size_t kRows = 1024;  // of one part

// About 150 bytes each: a category, a year, a price that is nearly unique, tags, a flag, a title.
std::vector<std::string> bench_rows() {
  base::Random random(7);
  std::vector<std::string> rows;
  for (std::size_t i = 0; i < kRows; ++i) {
    rows.push_back(fmt::format(
        R"({{"category":"category-{}","year":{},"price":{}.{:02},"tags":["t{}","t{}"],)"
        R"("sold":{},"title":"A title of some words, number {}"}})",
        random.below(100), 1990 + random.below(35), random.below(1000), random.below(100),
        random.below(30), random.below(30), random.below(2) == 0, i));
  }
  return rows;
}

struct Bench {
  std::vector<std::string> texts = bench_rows();
  std::vector<std::string_view> views{texts.begin(), texts.end()};
  base::Bytes section = format::encode_row_attributes(views);
  format::Attributes columns = *format::Attributes::decode(section, kRows, "bench");
};

const Bench& bench() {
  static const Bench made;
  return made;
}

constexpr std::string_view kFilters[] = {
    R"({"category":"category-7"})",
    R"({"year":{"$gte":2010}})",
    R"({"year":{"$gte":2010,"$lt":2015},"sold":true})",
    R"({"price":{"$lt":500}})",
    R"({"tags":"t3"})",
    R"({"category":{"$in":["category-1","category-3","category-5","category-7","category-9"]}})",
    R"({"$or":[{"title":{"$startsWith":"A title"}},{"category":{"$ne":"category-7"}}]})",
    R"({"absent":1})",
};

Filter filter_of(const benchmark::State& state) {
  return *Filter::parse(kFilters[static_cast<std::size_t>(state.range(0))]);
}

void set_counters(benchmark::State& state, std::size_t matches) {
  state.SetLabel(std::string(kFilters[static_cast<std::size_t>(state.range(0))]));
  state.counters["row"] =
      benchmark::Counter(static_cast<double>(kRows), benchmark::Counter::kIsIterationInvariantRate |
                                                         benchmark::Counter::kInvert);
  state.counters["matches_percent"] = 100.0 * static_cast<double>(matches) / kRows;
}

void filter_of_texts(benchmark::State& state) {
  const Filter filter = filter_of(state);
  std::size_t matches = 0;
  for (auto _ : state) {
    matches = 0;
    for (const std::string_view text : bench().views) matches += filter.matches(text) ? 1 : 0;
  }
  set_counters(state, matches);
}
BENCHMARK(filter_of_texts)->DenseRange(0, std::size(kFilters) - 1);

void filter_of_columns(benchmark::State& state) {
  const Filter filter = filter_of(state);
  RowMatches rows;
  for (auto _ : state) {
    filter.evaluate(bench().columns, rows);
    benchmark::DoNotOptimize(rows.matches.data());
  }
  std::size_t matches = 0;
  for (const std::uint64_t word : rows.matches) matches += std::popcount(word);
  for (const std::uint64_t word : rows.unsure) VARVE_ASSERT(word == 0);
  set_counters(state, matches);
}
BENCHMARK(filter_of_columns)->DenseRange(0, std::size(kFilters) - 1);

void filter_of_summary(benchmark::State& state) {
  const Filter filter = filter_of(state);
  bool may = false;
  for (auto _ : state) benchmark::DoNotOptimize(may = filter.may_match(bench().columns.summary()));
  state.SetLabel(fmt::format("{} {}", kFilters[static_cast<std::size_t>(state.range(0))],
                             may ? "may match" : "skipped"));
}
BENCHMARK(filter_of_summary)->DenseRange(0, std::size(kFilters) - 1);

void parse_filter(benchmark::State& state) {
  const std::string_view text = kFilters[static_cast<std::size_t>(state.range(0))];
  for (auto _ : state) benchmark::DoNotOptimize(Filter::parse(text));
}
BENCHMARK(parse_filter)->Arg(0)->Arg(5);

void make_columns(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(format::encode_row_attributes(bench().views));
  std::size_t text_bytes = 0;
  for (const std::string_view text : bench().views) text_bytes += text.size();
  state.counters["bytes_per_row"] = static_cast<double>(bench().section.size()) / kRows;
  state.counters["text_bytes_per_row"] = static_cast<double>(text_bytes) / kRows;
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kRows));
}
BENCHMARK(make_columns);

void read_columns(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(format::Attributes::decode(bench().section, kRows, "bench"));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kRows));
}
BENCHMARK(read_columns);

}  // namespace
}  // namespace varve::engine
