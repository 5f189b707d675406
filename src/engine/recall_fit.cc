#include "engine/recall_fit.h"

#include <algorithm>
#include <unordered_map>

#include "engine/core.h"

namespace varve::engine {
namespace {

constexpr std::uint32_t kHeldOutK = 100;

// A row of a generation as one number.
std::uint64_t number_of(std::uint32_t part, std::uint32_t row) {
  return std::uint64_t{part} << 32 | row;
}
std::uint32_t part_of(std::uint64_t number) { return static_cast<std::uint32_t>(number >> 32); }

// `count` different live rows, any as likely as any other, in random order.
std::vector<std::uint64_t> sample_live_rows(const Generation& generation, std::size_t count,
                                            base::Random& random) {
  std::vector<std::uint64_t> sample;
  std::uint64_t seen = 0;
  for (std::uint32_t number = 0; number < generation.parts().size(); ++number) {
    const PartView& part = generation.parts()[number];
    for (std::uint32_t row = 0; row < part.slot->ref.rows; ++row) {
      if (part.is_stale(row)) continue;
      // Reservoir sampling (Vitter, algorithm R).
      const std::uint64_t place = sample.size() < count ? seen : random.below(seen + 1);
      ++seen;
      if (sample.size() < count) {
        sample.push_back(number_of(number, row));
      } else if (place < count) {
        sample[place] = number_of(number, row);
      }
    }
  }
  for (std::size_t i = sample.size(); i > 1; --i) std::swap(sample[i - 1], sample[random.below(i)]);
  return sample;
}

Result<std::vector<float>> values_of_part(const Env& env, const Generation& generation,
                                          std::uint32_t part) {
  VARVE_TRY(const auto rows, generation.read_rows(env, part));
  return rows_for_clusters(rows->rows, generation.manifest().metric);
}

using RowValues = std::unordered_map<std::uint64_t, std::vector<float>>;

// Each part is read once, however many of its rows are wanted.
Result<RowValues> read_values(const Env& env, const Generation& generation,
                              std::vector<std::uint64_t> rows) {
  const std::uint32_t dim = generation.manifest().dim;
  std::sort(rows.begin(), rows.end());
  RowValues values;
  std::vector<float> part_values;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::uint32_t part = part_of(rows[i]);
    if (i == 0 || part_of(rows[i - 1]) != part) {
      VARVE_TRY(part_values, values_of_part(env, generation, part));
    }
    const float* row = part_values.data() + std::size_t{static_cast<std::uint32_t>(rows[i])} * dim;
    values[rows[i]].assign(row, row + dim);
  }
  return values;
}

// Lets `truth` see the live rows of all parts.
Status scan_parts(const Env& env, const Generation& generation, ann::TrueNeighbors& truth) {
  const std::uint32_t dim = generation.manifest().dim;
  for (std::uint32_t number = 0; number < generation.parts().size(); ++number) {
    const PartView& part = generation.parts()[number];
    if (part.live_rows() == 0) continue;
    VARVE_TRY(const auto values, values_of_part(env, generation, number));
    for (std::uint32_t begin = 0; begin < part.slot->ref.rows;) {
      if (part.is_stale(begin)) {
        ++begin;
        continue;
      }
      std::uint32_t end = begin + 1;
      while (end < part.slot->ref.rows && !part.is_stale(end)) ++end;
      truth.scan({values.data() + std::size_t{begin} * dim, end - begin, dim},
                 number_of(number, begin), *env.compute);
      begin = end;
    }
  }
  return {};
}

}  // namespace

ann::TrueNeighbors held_out_queries(
    std::span<const std::uint64_t> rows, std::uint32_t dim, Metric metric,
    const std::function<void(std::uint64_t row, std::vector<float>& values)>& append) {
  std::vector<float> queries;
  std::vector<std::uint64_t> self;
  for (std::size_t i = 0; i < rows.size() && i < kHeldOutRows; ++i) {
    append(rows[i], queries);
    self.push_back(rows[i]);
  }
  std::vector<float> other;
  for (std::size_t i = kHeldOutRows; i + 1 < rows.size(); i += 2) {
    append(rows[i], queries);
    other.clear();
    append(rows[i + 1], other);
    float* mix = queries.data() + queries.size() - dim;
    for (std::uint32_t j = 0; j < dim; ++j) mix[j] = 0.5F * (mix[j] + other[j]);
    if (metric == Metric::cosine) normalise(mix, dim);
    self.push_back(ann::TrueNeighbors::kNoSelf);
  }
  return {std::move(queries), std::move(self), dim, kHeldOutK};
}

std::vector<format::ProbePoint> fit_recall_table(
    ann::TrueNeighbors& truth, const ann::CentroidSet& centroids,
    std::span<const std::uint32_t> cluster_rows,
    const std::function<std::optional<std::uint32_t>(std::uint64_t row)>& cluster_of,
    base::Pool& pool) {
  std::vector<ann::HeldOut> held_out;
  for (std::size_t i = 0; i < truth.query_count(); ++i) {
    ann::HeldOut query;
    query.query.assign(truth.query(i).begin(), truth.query(i).end());
    query.mixed = !truth.is_row(i);
    for (const std::uint64_t row : truth.take(i)) {
      if (const auto cluster = cluster_of(row)) query.neighbor_clusters.push_back(*cluster);
    }
    held_out.push_back(std::move(query));
  }
  return ann::fit_probes(centroids, cluster_rows, held_out, pool);
}

Result<std::vector<format::ProbePoint>> fit_recall_table(const Env& env,
                                                         const Generation& generation) {
  const ann::CentroidSet& centroids = generation.centroids();
  if (centroids.size() < 2) return std::vector<format::ProbePoint>{};
  base::Random random(generation.manifest().seed);
  const auto rows = sample_live_rows(generation, kHeldOut, random);
  VARVE_TRY(const RowValues values, read_values(env, generation, rows));
  const format::Manifest& manifest = generation.manifest();
  ann::TrueNeighbors truth = held_out_queries(rows, manifest.dim, manifest.metric,
                                              [&](std::uint64_t row, std::vector<float>& out) {
                                                const std::vector<float>& one = values.at(row);
                                                out.insert(out.end(), one.begin(), one.end());
                                              });
  VARVE_CHECK(scan_parts(env, generation, truth));
  std::vector<std::uint32_t> cluster_of_part(generation.parts().size());
  std::vector<std::uint32_t> cluster_rows(centroids.size(), 0);
  for (std::uint32_t i = 0; i < centroids.size(); ++i) {
    for (const std::uint32_t part : generation.parts_of(i)) {
      cluster_of_part[part] = i;
      cluster_rows[i] += generation.parts()[part].live_rows();
    }
  }
  return fit_recall_table(
      truth, centroids, cluster_rows,
      [&](std::uint64_t row) { return std::optional(cluster_of_part[part_of(row)]); },
      *env.compute);
}

}  // namespace varve::engine
