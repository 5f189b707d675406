#include "engine/rewrite_rows.h"

#include <algorithm>

#include "engine/cluster_shape.h"
#include "engine/core.h"

namespace varve::engine {
namespace {

constexpr std::uint64_t kKeptBytesMax = 256ULL << 20;
constexpr std::size_t kRowsAtATime = 4096;

}  // namespace

std::uint64_t ClusterRows::bytes_of(std::size_t cluster) const {
  std::uint64_t bytes = 0;
  for (const std::uint32_t number : generation_.parts_of(cluster)) {
    for (const auto& section : generation_.parts()[number].slot->ref.sections) {
      bytes += section.raw_bytes;
    }
  }
  return bytes;
}

Result<std::vector<RowData>> ClusterRows::read(std::size_t cluster) {
  if (const auto kept = kept_.find(cluster); kept != kept_.end()) {
    std::vector<RowData> rows = std::move(kept->second);
    kept_.erase(kept);
    kept_bytes_ -= bytes_of(cluster);
    return rows;
  }
  std::vector<RowData> rows;
  for (const std::uint32_t number : generation_.parts_of(cluster)) {
    VARVE_CHECK(read_part(number, rows));
  }
  return rows;
}

Result<std::vector<RowData>> ClusterRows::read_later_parts(std::size_t cluster) const {
  std::vector<RowData> rows;
  for (const std::uint32_t number :
       generation_.parts_of(cluster).subspan(base_parts_of(generation_, cluster))) {
    VARVE_CHECK(read_part(number, rows));
  }
  return rows;
}

Status ClusterRows::read_part(std::uint32_t number, std::vector<RowData>& rows) const {
  const PartView& part = generation_.parts()[number];
  if (part.live_rows() == 0) return {};
  RowData data;
  VARVE_TRY(data.rows, generation_.read_rows(env_, number));
  VARVE_TRY(data.ids, generation_.read_ids(env_, number));
  VARVE_TRY(data.metadata, generation_.read_metadata(env_, number));
  for (data.row = 0; data.row < part.slot->ref.rows; ++data.row) {
    if (!part.is_stale(data.row)) rows.push_back(data);
  }
  return {};
}

Result<std::vector<RowData>> ClusterRows::read_and_keep(std::size_t cluster) {
  VARVE_TRY(std::vector<RowData> rows, read(cluster));
  const std::uint64_t bytes = bytes_of(cluster);
  if (kept_bytes_ + bytes <= kKeptBytesMax) {
    kept_.emplace(cluster, rows);
    kept_bytes_ += bytes;
  }
  return rows;
}

void ClusterRows::drop(std::size_t cluster) {
  if (kept_.erase(cluster) > 0) kept_bytes_ -= bytes_of(cluster);
}

std::vector<std::uint32_t> ClusterRows::nearest_of(std::span<const RowData> rows,
                                                   const ann::CentroidSet& centroids,
                                                   base::Pool& pool) const {
  std::vector<std::uint32_t> nearest(rows.size());
  for (std::size_t begin = 0; begin < rows.size(); begin += kRowsAtATime) {
    const std::size_t count = std::min(kRowsAtATime, rows.size() - begin);
    const std::vector<float> values = values_of(rows.subspan(begin, count));
    centroids.assign({values.data(), count, centroids.dim()},
                     std::span(nearest).subspan(begin, count), {}, pool);
  }
  return nearest;
}

std::vector<RowData> ClusterRows::sample_of(std::span<const RowData> rows, std::size_t count_max) {
  const std::size_t count = std::min(rows.size(), count_max);
  std::vector<RowData> sample;
  for (std::size_t i = 0; i < count; ++i) sample.push_back(rows[i * rows.size() / count]);
  return sample;
}

std::vector<float> ClusterRows::values_of(std::span<const RowData> rows) const {
  const std::uint32_t dim = generation_.manifest().dim;
  std::vector<float> values(rows.size() * dim);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    kernels::widen(rows[i].rows->rows, rows[i].row, values.data() + i * dim);
    if (generation_.manifest().metric == Metric::cosine) normalise(values.data() + i * dim, dim);
  }
  return values;
}

}  // namespace varve::engine
