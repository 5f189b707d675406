// Turns a spool of rows into clusters: trains centroids on a sample, assigns every row, writes
// groups, fits the recall table. By time, clusters are runs of rows as they come in the spool,
// which is then in the order of their LSNs. Shared by import and by the rebuild of a whole index.
#pragma once

#include <cstdint>
#include <vector>

#include "ann/code_encoder.h"
#include "base/result.h"
#include "engine/core.h"
#include "engine/group_writer.h"
#include "engine/spool.h"
#include "format/blobs.h"
#include "format/manifest.h"
#include "varve/database.h"

namespace varve::engine {

struct BuildOptions {
  ann::CodeConfig codes;            // of the manifest, without directions
  std::uint32_t clusters = 0;       // 0: from the number of rows
  std::uint32_t first_cluster = 0;  // id of the first cluster that is trained
  ClusterOrder order = ClusterOrder::similarity;
  // Assign to its clusters, and encode along its directions, instead of training new ones; by time,
  // clusters that follow them.
  const Generation* existing = nullptr;
  ProgressSink progress;
};

struct Built {
  WrittenGroups written;
  format::Centroids centroids;  // new ones; empty if the existing ones were used
  // Those that the rows are coded with.
  std::shared_ptr<const kernels::Directions> directions =
      std::make_shared<const kernels::Directions>();
  std::vector<format::ProbePoint> probe_table;
  std::uint64_t rows = 0;  // without those that a later row of the same key replaced
  double train_seconds = 0, assign_seconds = 0, write_seconds = 0;
};

// Memory: a sample of at most 64 rows a cluster (of large inputs a quarter of the rows and at most
// 512 MiB), until it ends; then at most 44 bytes a row, and a few blocks.
Result<Built> build(const JobContext& job, const Spool& spool, const BuildOptions& options);

}  // namespace varve::engine
