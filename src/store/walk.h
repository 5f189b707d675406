// Lists the objects below a folder in the byte order of their keys.
#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"
#include "store/object_store.h"

namespace varve::store {

struct WalkRange {
  std::string_view prefix;       // only keys that begin with it
  std::string_view start_after;  // only keys greater than it
  std::uint32_t limit = 1;       // at most so many
};

// Reads only folders that can hold a key of the range. `root` is a descriptor of the root folder.
// `go_on` is asked before each folder; its error ends the walk.
Result<ListPage> walk(int root, const WalkRange& range, const std::function<Status()>& go_on);

}  // namespace varve::store
