// Range reads of the local store.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "store/object_store.h"
#include "store/posix.h"

namespace varve::store {

// Results come object by object, in the order in which `requests` first name them; each object is
// opened once. A read happens when its result is pulled. `go_on` is asked before each and its
// error is the result.
std::unique_ptr<ReadBatch> make_local_batch(std::shared_ptr<const Fd> root,
                                            std::span<const ReadRequest> requests,
                                            std::function<Status()> go_on);

}  // namespace varve::store
