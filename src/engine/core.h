// What the parts of one index share. Made by the facade (index.cc), used by every operation.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/sync.h"
#include "engine/env.h"
#include "engine/jobs.h"
#include "engine/names.h"
#include "engine/owner.h"
#include "engine/prefetch.h"
#include "engine/reader.h"
#include "engine/writer.h"
#include "kernels/rows.h"
#include "varve/types.h"

namespace varve::engine {

// Rows that this process wrote into clusters of one index. Thread-safe.
struct ClusterWork {
  std::atomic<std::uint64_t> rows_folded = 0;     // from the log or an import
  std::atomic<std::uint64_t> rows_rewritten = 0;  // to keep clusters in shape
  std::atomic<std::uint64_t> rows_rebuilt = 0;    // with new centroids for all

  // The recall table was fitted on a state of which half is another by now.
  bool is_fit_due(std::uint64_t live_rows) const {
    return rows_folded + rows_rewritten - written_at_fit_ > live_rows / 2;
  }
  void fitted() { written_at_fit_ = rows_folded + rows_rewritten; }

 private:
  std::atomic<std::uint64_t> written_at_fit_ = 0;
};

struct Core {
  Core(const Env& environment, const format::Uuid& uuid)
      : env(with_own_owner(environment)),
        index(uuid),
        names(uuid),
        reader(env, names, index),
        writer(env, names, index, reader),
        prefetch(env) {}

  JobContext job(std::uint64_t id) const { return {env, names, index, id}; }

  const Env env;
  const format::Uuid index;
  const Names names;
  Reader reader;
  Writer writer;
  OwnJobs own_jobs;
  ClusterWork work;
  // Behind what its job uses. Queries of const views start it.
  mutable Prefetch prefetch;
  base::Turn maintenance;  // one of fold, compact and the commit of an import at a time

 private:
  // Jobs of other cores in this process have other owners.
  static Env with_own_owner(Env env) {
    env.owner += fmt::format(":{:06x}", env.random->below(1U << 24));
    return env;
  }
};

// Unit length, as cosine compares directions. A zero row stays zero.
void normalise(float* row, std::uint32_t dim);
// Mean of rows of float32, one behind the other. REQUIRES: there is one.
std::vector<double> mean_of(std::span<const float> values, std::uint32_t dim);
// Rows as the clusters see them: float32, of unit length under cosine.
std::vector<float> rows_for_clusters(const kernels::Rows& rows, Metric metric);

}  // namespace varve::engine
