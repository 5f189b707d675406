// The index that users hold: the public interface over the operations of this module.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "base/sync.h"
#include "engine/env.h"
#include "format/uuid.h"
#include "varve/database.h"

namespace varve::engine {

// Writes the first manifest and HEAD of a new index. Nothing refers to them yet.
Status create_index_objects(const Env& env, const format::Uuid& uuid, const IndexName& name,
                            const IndexConfig& config);

class StoredIndex;

// The indexes that a database has open. Who opens one again gets the same object: two would take
// the index over from each other at each write. Thread-safe.
class OpenIndexes {
 public:
  // `not_found`: the index was dropped. `corrupt`: HEAD or what it names is damaged or lost.
  Result<std::shared_ptr<Index>> open(const Env& env, const format::Uuid& uuid,
                                      const IndexName& name);

 private:
  std::shared_ptr<Index> find(const format::Uuid& uuid);
  std::shared_ptr<Index> add(const format::Uuid& uuid, std::shared_ptr<StoredIndex> index);

  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<StoredIndex>> indexes_ VARVE_GUARDED_BY(mutex_);  // by uuid
};

// Fences writers, marks HEAD deleted for ever and removes everything else but the seals. Can be
// repeated after a crash.
Status drop_index_objects(const Env& env, const format::Uuid& uuid);

}  // namespace varve::engine
