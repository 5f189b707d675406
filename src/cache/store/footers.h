// The indexes of packs, read from their tails.
#pragma once

#include <vector>

#include "base/clock.h"
#include "cache/store/pack.h"
#include "store/object_store.h"

namespace varve::cache::packs {

// All objects below `prefix`.
Result<std::vector<store::ListPage::Entry>> list_packs(store::ObjectStore& store,
                                                       std::string_view prefix,
                                                       base::Deadline deadline);

// The index of one object; `gone`: it was deleted since it was listed.
struct Footer {
  std::vector<PackEntry> entries;
  bool gone = false;
};
// In the order of `objects`. Some 64 requests are under way at a time. `corrupt` only if a second
// read says so too.
Result<std::vector<Footer>> read_footers(store::ObjectStore& store,
                                         std::span<const store::ListPage::Entry> objects,
                                         base::Deadline deadline);

}  // namespace varve::cache::packs
