// Rows of clusters as a rewrite reads them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ann/kmeans.h"
#include "base/pool.h"
#include "base/result.h"
#include "engine/env.h"
#include "engine/generation.h"

namespace varve::engine {

// One live row, read. Holds the sections of its whole part.
struct RowData {
  std::shared_ptr<const PartRows> rows;
  std::shared_ptr<const format::RowIds> ids;
  std::shared_ptr<const format::RowMetadata> metadata;
  std::uint32_t row = 0;

  std::string_view key() const { return ids->key(row); }
  std::string_view text() const {
    return metadata == nullptr ? std::string_view{} : metadata->at(row);
  }
};

// Clusters of one generation, which it borrows. A rewrite looks at some twice: those are kept as
// long as there is room, and read again otherwise.
class ClusterRows {
 public:
  ClusterRows(const Env& env, const Generation& generation) : env_(env), generation_(generation) {}

  // Live rows in the order of their parts, which is always the same.
  Result<std::vector<RowData>> read(std::size_t cluster);
  // Those of its parts behind the base.
  Result<std::vector<RowData>> read_later_parts(std::size_t cluster) const;
  // All, and keeps them for one more read.
  Result<std::vector<RowData>> read_and_keep(std::size_t cluster);
  // The cluster will not be read again.
  void drop(std::size_t cluster);
  // Of each row, the nearest centroid. Some rows at a time.
  std::vector<std::uint32_t> nearest_of(std::span<const RowData> rows,
                                        const ann::CentroidSet& centroids, base::Pool& pool) const;
  // At most so many of the rows, at even distances.
  static std::vector<RowData> sample_of(std::span<const RowData> rows, std::size_t count_max);
  // Of all its sections, decompressed.
  std::uint64_t bytes_of(std::size_t cluster) const;
  // Row by row float32, of unit length under cosine.
  std::vector<float> values_of(std::span<const RowData> rows) const;

 private:
  Status read_part(std::uint32_t number, std::vector<RowData>& rows) const;

  const Env& env_;
  const Generation& generation_;
  std::unordered_map<std::size_t, std::vector<RowData>> kept_;
  std::uint64_t kept_bytes_ = 0;
};

}  // namespace varve::engine
