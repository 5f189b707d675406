#include "engine/prefetch.h"

#include <algorithm>

#include "engine/generation.h"
#include "engine/section_cache.h"

namespace varve::engine {
namespace {

// More may push out what queries still need.
constexpr std::size_t kClustersAhead = 2;

// The newest cluster with one of `parts`, which are in order; the number of clusters if there is
// none.
std::size_t newest_of(const Generation& generation, std::span<const std::uint32_t> parts) {
  const std::size_t count = generation.cluster_ids().size();
  for (std::size_t cluster = count; cluster-- > 0;) {
    for (const std::uint32_t part : generation.parts_of(cluster)) {
      if (std::binary_search(parts.begin(), parts.end(), part)) return cluster;
    }
  }
  return count;
}

template <typename View>
void load_views(const Env& env, const Generation& generation,
                std::span<const std::uint32_t> parts) {
  for (auto rest = parts; !rest.empty();) {
    const auto some =
        rest.first(generation.count_within(rest, {View::kSection}, env.held_bytes_max));
    // What cannot be read now is read, and reported, by the query that needs it.
    if (!generation.views<View>(env, some)) return;
    rest = rest.subspan(some.size());
  }
}

}  // namespace

Prefetch::~Prefetch() {
  std::unique_lock lock(mutex_);
  while (running_) finished_.wait(lock);
}

void Prefetch::after(const View& view, std::span<const std::uint32_t> parts,
                     std::span<const format::Section> sections, bool has_missed) {
  const Generation& generation = *view.generation;
  if (env_.background == nullptr || view.resident != nullptr || parts.empty()) return;
  if (generation.manifest().order != ClusterOrder::time) return;
  std::vector<std::uint32_t> sorted(parts.begin(), parts.end());
  std::sort(sorted.begin(), sorted.end());
  const std::size_t newest = newest_of(generation, sorted);
  const auto& ids = generation.cluster_ids();
  if (newest + 1 >= ids.size()) return;
  std::vector<std::uint32_t> clusters;
  {
    std::lock_guard lock(mutex_);
    const bool has_arrived = std::find(ahead_.begin(), ahead_.end(), ids[newest]) != ahead_.end();
    if (running_ || (!has_missed && !has_arrived)) return;
    const std::size_t end = std::min(ids.size(), newest + 1 + kClustersAhead);
    std::vector<std::uint32_t> next;
    for (std::size_t i = newest + 1; i < end; ++i) {
      next.push_back(ids[i]);
      if (std::find(ahead_.begin(), ahead_.end(), ids[i]) == ahead_.end()) {
        clusters.push_back(static_cast<std::uint32_t>(i));
      }
    }
    if (has_missed && clusters.empty()) {
      // They may have left the cache since.
      for (std::size_t i = newest + 1; i < end; ++i) {
        clusters.push_back(static_cast<std::uint32_t>(i));
      }
    }
    if (clusters.empty()) return;
    ahead_ = std::move(next);
    running_ = true;
  }
  const auto finish = [this] {
    std::lock_guard lock(mutex_);
    running_ = false;
    // Under the lock: once it is free, the destructor may return.
    finished_.notify_all();
  };
  // The destructor waits for the job, so `this` lives as long.
  const bool posted = env_.background->post(
      [this, finish, view, clusters, wanted = std::vector(sections.begin(), sections.end())] {
        load(view, clusters, wanted);
        finish();
      });
  if (!posted) finish();
}

void Prefetch::load(const View& view, std::span<const std::uint32_t> clusters,
                    std::span<const format::Section> sections) {
  const Generation& generation = *view.generation;
  std::vector<std::uint32_t> parts;
  for (const std::uint32_t cluster : clusters) {
    const auto more = generation.parts_of(cluster);
    parts.insert(parts.end(), more.begin(), more.end());
  }
  if (parts.empty()) return;
  for (const format::Section section : sections) {
    switch (section) {
      case format::Section::codes:
        load_views<CodesView>(env_, generation, parts);
        break;
      case format::Section::extra:
        load_views<ExtraView>(env_, generation, parts);
        break;
      case format::Section::rows:
        load_views<RowsView>(env_, generation, parts);
        break;
      case format::Section::ids:
        load_views<IdsView>(env_, generation, parts);
        break;
      case format::Section::attributes:
        load_views<AttributesView>(env_, generation, parts);
        break;
      case format::Section::metadata:
        load_views<MetadataView>(env_, generation, parts);
        break;
    }
  }
  env_.sections->count_prefetched(clusters.size());
}

}  // namespace varve::engine
