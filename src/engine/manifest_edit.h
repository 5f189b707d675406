// Steps that every job takes when it derives the next manifest from the current one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/generation.h"
#include "engine/group_writer.h"
#include "engine/jobs.h"
#include "format/blobs.h"
#include "format/manifest.h"

namespace varve::engine {

// The next manifest in the making, and what it replaces.
struct ManifestEdit {
  format::Manifest manifest;
  std::vector<std::string> replaced;
};

inline ann::CodeConfig code_config_of(const format::Manifest& manifest,
                                      std::shared_ptr<const kernels::Directions> directions) {
  return {manifest.dim, manifest.metric, manifest.seed, manifest.extra_words,
          std::move(directions)};
}

// Adds a key map segment for `locations`. Segments at the end that are not much larger are merged
// into it, so their number grows like the logarithm of the keys; entries that are dead (their part
// gone from `edit.manifest` or their row in `stale`) are dropped on the way.
Status add_key_map(const JobContext& job, const Generation& base, const format::StaleRows& stale,
                   std::vector<format::KeyLocation> locations, ManifestEdit& edit);

// Replaces the bitmap of stale rows; parts that are not in the manifest any more are dropped.
Status set_stale(const JobContext& job, format::StaleRows stale, ManifestEdit& edit);

// Replaces the centroids.
Status set_centroids(const JobContext& job, const format::Centroids& centroids, ManifestEdit& edit);

// Replaces the directions; empty ones leave none. REQUIRES: no part is left that was coded with
// others.
Status set_directions(const JobContext& job, const kernels::Directions& directions,
                      ManifestEdit& edit);

// For `after` clusters instead of `before`: pieces of a cluster that was split are visited instead
// of it, as many more as there are now. Rounded up or down by chance: always up would add a cluster
// in each of many small rewrites, and always to the nearest never one. The table is fitted anew
// when more has changed.
void scale_probe_table(format::Manifest& manifest, std::uint64_t before, std::uint64_t after);

// Recounts live and stale rows from the parts and the bitmap, and moves next_part past all of them.
void count_rows(const format::StaleRows& stale, format::Manifest& manifest);

}  // namespace varve::engine
