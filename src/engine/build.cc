#include "engine/build.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ann/kmeans.h"
#include "ann/train_directions.h"
#include "base/assert.h"
#include "engine/cluster_shape.h"
#include "engine/recall_fit.h"
#include "engine/train.h"

namespace varve::engine {
namespace {

constexpr std::uint64_t kSampleRowsPerCluster = 64;
// Of large inputs a quarter is enough, and bounds memory.
constexpr std::uint64_t kSampleRowsMin = 64UL * 1024;
constexpr std::uint64_t kSampleBytesMax = 512ULL << 20;
// At most one row in so many is held out: the others train the centroids.
constexpr std::uint64_t kRowsPerHeldOut = 8;

// Runs of fewer rows have the mean of all, those that are held out too.
constexpr std::uint64_t kRowsPerRun = 16;

constexpr std::uint32_t kDropped = ~std::uint32_t{0};
constexpr std::uint32_t kIsHeldOut = kDropped - 1;

class Build {
 public:
  Build(const JobContext& job, const Spool& spool, const BuildOptions& options)
      : job_(job), spool_(spool), options_(options), random_(options.codes.seed) {}

  Result<Built> run() {
    double seconds = now();
    drop_repeated_keys();
    hold_out_rows();
    if (options_.order == ClusterOrder::time) {
      cut_runs();
    } else {
      choose_centroids();
    }
    built_.train_seconds = now() - seconds;
    seconds = now();
    assign();
    built_.assign_seconds = now() - seconds;
    seconds = now();
    VARVE_CHECK(write());
    built_.write_seconds = now() - seconds;
    return std::move(built_);
  }

 private:
  double now() const {
    return std::chrono::duration<double>(job_.env.clock->now().time_since_epoch()).count();
  }
  void report(const char* phase, std::uint64_t done, std::uint64_t total,
              const char* unit = "vectors") const {
    if (options_.progress) options_.progress({phase, done, total, unit});
  }

  // Of several rows with one key the last counts.
  void drop_repeated_keys() {
    clusters_.assign(spool_.size(), 0);
    built_.rows = spool_.size();
    if (!spool_.has_keys()) return;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> hashes;
    hashes.reserve(spool_.size());
    std::string scratch, other;
    for (std::uint64_t row = 0; row < spool_.size(); ++row) {
      hashes.emplace_back(format::key_hash(spool_.text(row, scratch).key), row);
    }
    std::sort(hashes.begin(), hashes.end());
    for (std::size_t i = 0; i < hashes.size(); ++i) {
      const auto key = spool_.text(hashes[i].second, scratch).key;
      for (std::size_t j = i + 1; j < hashes.size() && hashes[j].first == hashes[i].first; ++j) {
        if (spool_.text(hashes[j].second, other).key != key) continue;
        clusters_[hashes[i].second] = kDropped;
        --built_.rows;
        break;
      }
    }
    spool_.release();
  }

  // No centroid is trained on rows that are held out: they would lie nearer to their centroids than
  // queries do, and the recall table would promise too much.
  void hold_out_rows() {
    if (options_.existing != nullptr) return;
    held_out_ = sample_rows(std::min<std::uint64_t>(kHeldOut, built_.rows / kRowsPerHeldOut));
    for (const std::uint64_t row : held_out_) clusters_[row] = kIsHeldOut;
  }

  // `count` different rows that were neither dropped nor held out, in order.
  std::vector<std::uint64_t> sample_rows(std::uint64_t count) {
    std::vector<std::uint64_t> rows;
    std::uint64_t left = built_.rows - held_out_.size();
    count = std::min(count, left);
    // Selection sampling (Knuth, volume 2, 3.4.2, algorithm S).
    for (std::uint64_t row = 0; row < spool_.size() && count > 0; ++row) {
      if (clusters_[row] != 0) continue;
      if (random_.below(left--) >= count) continue;
      rows.push_back(row);
      --count;
    }
    return rows;
  }

  void append_row(std::uint64_t number, std::vector<float>& values) const {
    const Spool::Row row = spool_.row(number);
    const std::size_t begin = values.size();
    values.resize(begin + options_.codes.dim);
    kernels::widen(row.rows, row.row, values.data() + begin);
    if (options_.codes.metric == Metric::cosine)
      normalise(values.data() + begin, options_.codes.dim);
  }

  // The cluster of the row that is number `place` of those that were not dropped.
  std::uint32_t run_of(std::uint64_t place) const {
    return static_cast<std::uint32_t>(place * runs_ / built_.rows);
  }

  std::uint64_t count_runs() const {
    if (options_.existing == nullptr) {
      return options_.clusters > 0 ? options_.clusters
                                   : ann::cluster_count(built_.rows, options_.codes.dim);
    }
    const std::uint64_t rows = options_.existing->live_rows() + built_.rows;
    const std::uint64_t most =
        run_rows_max(rows, options_.existing->cluster_ids().size() + 1, options_.codes.dim);
    return (built_.rows + most - 1) / most;
  }

  void cut_runs() {
    runs_ = std::clamp<std::uint64_t>(count_runs(), 1, std::max<std::uint64_t>(1, built_.rows));
    // A mean of few rows needs all of them.
    const bool skips_held_out = built_.rows >= kRowsPerRun * runs_;
    std::vector<double> sums(runs_ * options_.codes.dim, 0);
    std::vector<std::uint64_t> counts(runs_, 0);
    std::vector<float> values;
    std::uint64_t place = 0;
    for (std::uint64_t row = 0; row < spool_.size(); ++row) {
      if (clusters_[row] == kDropped) continue;
      const std::uint32_t run = run_of(place++);
      if (skips_held_out && clusters_[row] == kIsHeldOut) continue;
      values.clear();
      append_row(row, values);
      double* const sum = sums.data() + std::size_t{run} * options_.codes.dim;
      for (std::uint32_t i = 0; i < options_.codes.dim; ++i) sum[i] += double{values[i]};
      ++counts[run];
      if (row % kReleaseRows == 0) {
        spool_.release();
        report("train", row, spool_.size());
      }
    }
    spool_.release();
    format::Centroids& centroids = built_.centroids;
    centroids.dim = options_.codes.dim;
    for (std::uint32_t run = 0; run < runs_; ++run) {
      centroids.clusters.push_back(options_.first_cluster + run);
      for (std::uint32_t i = 0; i < options_.codes.dim; ++i) {
        const double sum = sums[std::size_t{run} * options_.codes.dim + i];
        const double count = static_cast<double>(std::max<std::uint64_t>(1, counts[run]));
        centroids.values.push_back(static_cast<float>(sum / count));
      }
    }
    centroids_ = ann::CentroidSet(centroids.values, options_.codes.dim);
    ids_ = centroids.clusters;
    if (options_.existing != nullptr) {
      built_.directions = options_.existing->directions();
    } else if (options_.codes.extra_words > 0) {
      built_.directions = train_directions(sample_values(ann::kDirectionRows), centroids_,
                                           options_.codes, *job_.env.compute);
    }
  }

  // At most `count` rows, as clusters see them.
  std::vector<float> sample_values(std::uint64_t count) {
    std::vector<float> values;
    const auto rows = sample_rows(count);
    values.reserve(rows.size() * options_.codes.dim);
    for (const std::uint64_t row : rows) append_row(row, values);
    spool_.release();
    return values;
  }

  void choose_centroids() {
    if (options_.existing != nullptr) {
      centroids_ = options_.existing->centroids();
      ids_ = options_.existing->cluster_ids();
      built_.directions = options_.existing->directions();
      return;
    }
    const std::uint32_t clusters = options_.clusters > 0
                                       ? options_.clusters
                                       : ann::cluster_count(built_.rows, options_.codes.dim);
    const std::uint64_t row_bytes = options_.codes.dim * sizeof(float);
    // What codes learn takes some rows however few clusters there are.
    const std::uint64_t for_codes = options_.codes.extra_words > 0 ? ann::kDirectionRows : 0;
    const std::uint64_t wanted =
        std::min({std::max(clusters * kSampleRowsPerCluster, for_codes),
                  std::max(kSampleRowsMin, built_.rows / 4), kSampleBytesMax / row_bytes});
    report("train", 0, clusters, "clusters");
    const std::vector<float> sample = sample_values(wanted);
    built_.centroids = train_centroids(sample, options_.codes.dim, clusters, options_.first_cluster,
                                       options_.codes.seed, *job_.env.compute);
    centroids_ = ann::CentroidSet(built_.centroids.values, options_.codes.dim);
    ids_ = built_.centroids.clusters;
    built_.directions = train_directions(sample, centroids_, options_.codes, *job_.env.compute);
    report("train", clusters, clusters, "clusters");
  }

  ann::TrueNeighbors make_held_out() {
    // Rows often come sorted by subject: both kinds of query are drawn from all of them.
    std::vector<std::uint64_t>& rows = held_out_;
    for (std::size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[random_.below(i)]);
    return held_out_queries(
        rows, options_.codes.dim, options_.codes.metric,
        [&](std::uint64_t row, std::vector<float>& values) { append_row(row, values); });
  }

  void assign() {
    // A single cluster is scanned whole and needs no table.
    if (centroids_.size() < 2) held_out_.clear();
    ann::TrueNeighbors truth = make_held_out();
    std::vector<std::uint32_t> nearest;
    std::uint64_t place = 0;
    for (std::size_t number = 0; number < spool_.block_count(); ++number) {
      const kernels::Rows block = spool_.block(number);
      const std::uint64_t first = spool_.block_begin(number);
      const auto values = rows_for_clusters(block, options_.codes.metric);
      const kernels::MatrixView view{values.data(), block.count, options_.codes.dim};
      nearest.resize(block.count);
      if (runs_ == 0) centroids_.assign(view, nearest, {}, *job_.env.compute);
      for (std::size_t i = 0; i < block.count; ++i) {
        std::uint32_t& cluster = clusters_[first + i];
        if (cluster != kDropped) cluster = runs_ > 0 ? run_of(place++) : nearest[i];
      }
      if (truth.query_count() > 0) truth.scan(view, first, *job_.env.compute);
      spool_.release();
      report("assign", first + block.count, spool_.size());
    }
    if (truth.query_count() > 0) fit(truth);
  }

  void fit(ann::TrueNeighbors& truth) {
    std::vector<std::uint32_t> sizes(centroids_.size());
    for (const std::uint32_t cluster : clusters_) {
      if (cluster != kDropped) ++sizes[cluster];
    }
    const auto cluster_of = [&](std::uint64_t row) {
      const std::uint32_t cluster = clusters_[row];
      return cluster == kDropped ? std::nullopt : std::optional(cluster);
    };
    built_.probe_table = fit_recall_table(truth, centroids_, sizes, cluster_of, *job_.env.compute);
  }

  Status write() {
    // Rows by cluster, in their order within it.
    std::vector<std::uint64_t> begins(centroids_.size() + 1, 0);
    for (const std::uint32_t cluster : clusters_) {
      if (cluster != kDropped) ++begins[cluster + 1];
    }
    std::partial_sum(begins.begin(), begins.end(), begins.begin());
    VARVE_ASSERT(spool_.size() <= kDropped);
    std::vector<std::uint32_t> order(built_.rows);
    std::vector<std::uint64_t> next(begins.begin(), begins.end() - 1);
    for (std::uint64_t row = 0; row < spool_.size(); ++row) {
      if (clusters_[row] != kDropped) {
        order[next[clusters_[row]]++] = static_cast<std::uint32_t>(row);
      }
    }
    clusters_ = {};
    ann::CodeConfig codes = options_.codes;
    codes.directions = built_.directions;
    GroupWriter writer(job_, ann::CodeEncoder(codes));
    std::string scratch;
    for (std::size_t cluster = 0; cluster + 1 < begins.size(); ++cluster) {
      const auto rows =
          std::span(order).subspan(begins[cluster], begins[cluster + 1] - begins[cluster]);
      VARVE_CHECK(write_cluster(cluster, rows, scratch, writer));
      report("write", begins[cluster + 1], built_.rows);
    }
    VARVE_TRY(built_.written, writer.finish());
    spool_.release();
    return {};
  }

  Status write_cluster(std::size_t cluster, std::span<const std::uint32_t> rows,
                       std::string& scratch, GroupWriter& writer) {
    if (rows.empty()) return {};
    auto type = spool_.row(rows.front()).rows.type;
    for (const std::uint32_t row : rows) {
      type = kernels::common_type(type, spool_.row(row).rows.type);
    }
    VARVE_CHECK(writer.start_cluster(ids_[cluster], centroids_.centroid(cluster), type));
    for (const std::uint32_t number : rows) {
      const Spool::Row row = spool_.row(number);
      const Spool::Text text = spool_.text(number, scratch);
      VARVE_CHECK(writer.add(row.rows, row.row, text.key, text.lsn, text.metadata));
    }
    // Scattered reads touch a page a row: give them back before they add up.
    touched_ += rows.size();
    if (touched_ > kReleaseRows) {
      spool_.release();
      touched_ = 0;
    }
    return {};
  }

  static constexpr std::size_t kReleaseRows = 8192;

  const JobContext job_;
  const Spool& spool_;
  const BuildOptions& options_;
  base::Random random_;
  ann::CentroidSet centroids_;
  std::vector<std::uint32_t> ids_;  // cluster id of each centroid
  // Centroid of each row, or kDropped; until rows are assigned 0 or kIsHeldOut.
  std::vector<std::uint32_t> clusters_;
  std::vector<std::uint64_t> held_out_;
  std::uint64_t runs_ = 0;  // clusters in the order of time; 0: by similarity
  std::size_t touched_ = 0;
  Built built_;
};

}  // namespace

Result<Built> build(const JobContext& job, const Spool& spool, const BuildOptions& options) {
  return Build(job, spool, options).run();
}

}  // namespace varve::engine
