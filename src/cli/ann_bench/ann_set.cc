#include "cli/ann_bench/ann_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/assert.h"
#include "base/result.h"
#include "cli/files/vector_file.h"
#include "kernels/distance.h"
#include "kernels/top_k.h"

namespace varve::cli::ann_bench {
namespace {

// Beside the k nearest by float32: rounding moves no row further than over its near equals.
constexpr std::size_t kSpare = 64;
// A block of rows stays in the second-level cache while a group of queries passes over it.
constexpr std::size_t kBlockBytes = std::size_t{256} << 10;
constexpr std::size_t kQueriesPerTask = 64;
// Two scans of the same bits give the same distance; this is for bits that differ by a factor.
constexpr double kTieTolerance = 1e-9;

struct FileRows {
  std::uint32_t dim = 0;
  std::vector<float> values;
};
Result<FileRows> read_rows(const std::string& path, const std::string& format, RowRules rules,
                           std::uint64_t rows_max) {
  VectorFileOptions options;
  options.rules = rules;
  if (!format.empty()) {
    VARVE_TRY(options.format, parse_format(format));
  }
  VARVE_TRY(const auto source, open_vector_file(path, options));
  FileRows read;
  VectorRecord record;
  for (std::uint64_t row = 0; rows_max == 0 || row < rows_max; ++row) {
    VARVE_TRY(const bool more, source->next(record));
    if (!more) break;
    read.dim = static_cast<std::uint32_t>(record.vector.size());
    read.values.insert(read.values.end(), record.vector.begin(), record.vector.end());
  }
  if (read.values.empty()) {
    return fail(ErrorKind::invalid, fmt::format("file '{}' holds no rows", path));
  }
  return read;
}

kernels::Rows rows_of(const AnnSet& set) {
  return kernels::rows_of(set.rows.data(), set.row_count(), set.dim);
}

// In double: squared Euclidean, or 1 - cosine.
double distance_of(const AnnSet& set, std::size_t query, std::size_t row) {
  const kernels::Rows rows = rows_of(set);
  const float* values = set.query(query).data();
  if (set.metric == Metric::euclidean) return kernels::squared_l2_exact(values, rows, row);
  const double norms =
      kernels::squared_norm_exact(values, set.dim) * kernels::squared_norm_exact(rows, row);
  return 1 - kernels::inner_product_exact(values, rows, row) / std::sqrt(norms);
}

// What float32 ranks rows by: distances of blocks of rows.
class Ranking {
 public:
  explicit Ranking(const AnnSet& set) : set_(set) {
    if (set.metric != Metric::cosine) return;
    inverse_norms_.resize(set.row_count());
    kernels::squared_norm(rows_of(set), inverse_norms_.data());
    for (float& value : inverse_norms_) value = 1 / std::sqrt(value);
  }
  void distances(std::size_t query, std::size_t first, std::span<float> out) const {
    const kernels::Rows rows = rows_of(set_).sub(first, out.size());
    const float* values = set_.query(query).data();
    if (set_.metric == Metric::euclidean) {
      kernels::squared_l2(values, rows, out.data());
      return;
    }
    kernels::inner_product(values, rows, out.data());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] *= -inverse_norms_[first + i];
  }

 private:
  const AnnSet& set_;
  std::vector<float> inverse_norms_;
};

void settle(const AnnSet& set, std::size_t query, kernels::TopK& nearest, Truth& truth) {
  std::vector<std::pair<double, std::uint32_t>> exact;
  for (const kernels::Scored& scored : nearest.take()) {
    exact.emplace_back(distance_of(set, query, scored.id), static_cast<std::uint32_t>(scored.id));
  }
  std::sort(exact.begin(), exact.end());
  for (std::uint32_t i = 0; i < truth.k; ++i) truth.ids[query * truth.k + i] = exact[i].second;
  truth.distance_max[query] = exact[truth.k - 1].first;
}

void find_nearest(const AnnSet& set, const Ranking& ranking, std::size_t first, std::size_t count,
                  Truth& truth) {
  const std::size_t rows = set.row_count();
  const std::size_t block = std::max<std::size_t>(1, kBlockBytes / (set.dim * sizeof(float)));
  std::vector<kernels::TopK> nearest(count, kernels::TopK(std::min(rows, truth.k + kSpare)));
  std::vector<float> distances(block);
  for (std::size_t begin = 0; begin < rows; begin += block) {
    const std::span<float> part(distances.data(), std::min(block, rows - begin));
    for (std::size_t i = 0; i < count; ++i) {
      ranking.distances(first + i, begin, part);
      nearest[i].add_block(part.data(), part.size(), begin, nullptr);
    }
  }
  for (std::size_t i = 0; i < count; ++i) settle(set, first + i, nearest[i], truth);
}

}  // namespace

Result<AnnSet> read_ann_set(const AnnFiles& files) {
  AnnSet set;
  set.name = std::filesystem::path(files.data).filename().string();
  set.metric = files.metric;
  RowRules rules{.dim = 0, .reject_zero = files.metric == Metric::cosine};
  VARVE_TRY(FileRows rows, read_rows(files.data, files.format, rules, 0));
  set.dim = rules.dim = rows.dim;
  set.rows = std::move(rows.values);
  VARVE_TRY(FileRows queries, read_rows(files.queries, files.format, rules, files.queries_max));
  set.queries = std::move(queries.values);
  return set;
}

Truth exact_truth(const AnnSet& set, std::uint32_t k, base::Pool& pool) {
  VARVE_ASSERT(k > 0 && set.row_count() >= k);
  const std::size_t queries = set.query_count();
  Truth truth{k, std::vector<std::uint32_t>(queries * k), std::vector<double>(queries)};
  const Ranking ranking(set);
  pool.parallel_for((queries + kQueriesPerTask - 1) / kQueriesPerTask, [&](std::size_t task) {
    const std::size_t first = task * kQueriesPerTask;
    find_nearest(set, ranking, first, std::min(kQueriesPerTask, queries - first), truth);
  });
  return truth;
}

Recall recall_of(const AnnSet& set, const Truth& truth, std::span<const std::int64_t> ids) {
  VARVE_ASSERT(ids.size() == truth.ids.size());
  std::size_t near = 0, same = 0;
  std::vector<std::int64_t> found;
  for (std::size_t query = 0; query < truth.query_count(); ++query) {
    const auto answer = ids.subspan(query * truth.k, truth.k);
    found.assign(answer.begin(), answer.end());
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    const auto* const true_ids = truth.ids.data() + query * truth.k;
    const double limit = truth.distance_max[query];
    const double tolerance = kTieTolerance * std::abs(limit);
    for (const std::int64_t id : found) {
      if (id < 0 || static_cast<std::size_t>(id) >= set.row_count()) continue;
      const bool is_true = std::find(true_ids, true_ids + truth.k,
                                     static_cast<std::uint32_t>(id)) != true_ids + truth.k;
      same += is_true ? 1 : 0;
      const auto row = static_cast<std::size_t>(id);
      near += is_true || distance_of(set, query, row) <= limit + tolerance ? 1 : 0;
    }
  }
  const auto all = static_cast<double>(std::max<std::size_t>(truth.ids.size(), 1));
  return {static_cast<double>(near) / all, static_cast<double>(same) / all};
}

}  // namespace varve::cli::ann_bench
