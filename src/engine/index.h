// The index that users hold: the public interface over the operations of this module.
#pragma once

#include <memory>

#include "base/result.h"
#include "engine/env.h"
#include "format/uuid.h"
#include "varve/database.h"

namespace varve::engine {

// Writes the first manifest and HEAD of a new index. Nothing refers to them yet.
Status create_index_objects(const Env& env, const format::Uuid& uuid, const IndexName& name,
                            const IndexConfig& config);

// `not_found`: the index was dropped. `corrupt`: HEAD or what it names is damaged or lost.
Result<std::shared_ptr<Index>> open_index(const Env& env, const format::Uuid& uuid,
                                          const IndexName& name);

// Fences writers, marks HEAD deleted for ever and removes everything else but the seals. Can be
// repeated after a crash.
Status drop_index_objects(const Env& env, const format::Uuid& uuid);

}  // namespace varve::engine
