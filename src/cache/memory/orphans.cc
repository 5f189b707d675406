// Shards of tiers that are gone, and entries that handles kept longer than their tier did.
#include <mutex>
#include <vector>

#include "cache/memory/shard.h"
#include "cache/pinned.h"

namespace varve::cache {

void give_back_entry(Pinned& pinned) {
  auto& entry = static_cast<Entry&>(pinned);
  if (Slab::shard_of(entry).give_back(entry)) delete_orphans();
}

namespace {

// Shards of tiers that are gone, with entries that handles need. Never destroyed itself.
struct Orphans {
  std::mutex mutex;
  std::vector<Shard*> shards;
};
Orphans& orphans() {
  static auto* const all = new Orphans;
  return *all;
}

}  // namespace

void abandon(Shard* shard) {
  Orphans& all = orphans();
  {
    std::lock_guard lock(all.mutex);
    all.shards.push_back(shard);
  }
  delete_orphans();
}

void delete_orphans() {
  Orphans& all = orphans();
  std::lock_guard lock(all.mutex);
  std::erase_if(all.shards, [](Shard* shard) {
    if (!shard->close()) return false;
    delete shard;
    return true;
  });
}

}  // namespace varve::cache
