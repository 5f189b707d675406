#include "engine/index_info.h"

#include <set>

#include "engine/cluster_shape.h"
#include "format/envelope.h"

namespace varve::engine {
namespace {

void describe_storage(const Core& core, const View& view, IndexInfo& info) {
  const format::Manifest& manifest = view.generation->manifest();
  std::set<kernels::RowType> types;
  for (const auto& group : manifest.groups) {
    info.stored_bytes += group.blob.bytes;
    for (const auto& part : group.parts) types.insert(part.row_type);
  }
  for (const auto& segment : manifest.key_map) info.stored_bytes += segment.bytes;
  if (manifest.centroids) info.stored_bytes += manifest.centroids->bytes;
  if (manifest.stale) info.stored_bytes += manifest.stale->bytes;
  if (manifest.directions) info.stored_bytes += manifest.directions->bytes;
  for (const auto& batch : view.tail->batches_from(view.tail->begin())) {
    info.log_bytes +=
        format::envelope_header_bytes(core.names.log(batch->position)) + batch->bytes.size();
  }
  info.stored_bytes += info.log_bytes;
  info.row_type = types.empty()      ? "none"
                  : types.size() > 1 ? "mixed"
                                     : std::string(kernels::to_string(*types.begin()));
}

}  // namespace

IndexInfo info_of(const Core& core, const View& view) {
  const Generation& generation = *view.generation;
  IndexInfo info;
  info.uuid = core.index.hex();
  info.version = view.head_version;
  info.epoch = view.epoch;
  info.tail_ops = view.tail_count;
  info.clusters = generation.cluster_ids().size();
  info.parts = generation.parts().size();
  info.stale_rows = generation.manifest().stale_rows;
  info.cluster_rows_max = largest_cluster_rows(generation);
  info.cluster_rows_limit = bounds_of(generation).rows_max();
  info.rows_folded = core.work.rows_folded;
  info.rows_rewritten = core.work.rows_rewritten;
  info.rows_rebuilt = core.work.rows_rebuilt;
  describe_storage(core, view, info);
  return info;
}

}  // namespace varve::engine
