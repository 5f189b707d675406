// Which indexes a bucket holds: one mutable object a bucket, changed by compare-and-swap.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/env.h"
#include "format/blobs.h"
#include "varve/types.h"

namespace varve::engine {

// nullopt: no such index.
Result<std::optional<format::CatalogEntry>> find_index(const Env& env, const IndexName& name);

// Adds the entry. `conflict`: there is one of this name. `conflict`, `overloaded`, `invalid`: it
// was certainly not added, nor will be; others: that is not known.
Status add_index(const Env& env, const IndexName& name, const format::Uuid& uuid);

// Marks the entry as being deleted, so that a crash leaves a deletion that can be finished.
Status mark_deleting(const Env& env, const IndexName& name, const format::Uuid& uuid);

// Removes the entry if it still stands for `uuid`.
Status remove_index(const Env& env, const IndexName& name, const format::Uuid& uuid);

Result<std::vector<IndexName>> list_indexes(const Env& env);

}  // namespace varve::engine
