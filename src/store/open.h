// From a URI to a store.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "store/object_store.h"

namespace varve::store {

struct OpenOptions {
  base::Clock* clock = &base::system_clock();  // outlives the store
  bool create_if_missing = true;               // a directory; else it is `not_found`
};

// Opens:
//   ./data, /srv/data     the directory of a local store
//   file:///srv/data      the same; %20 stands for a space and so on
//   memory://             a new, empty memory store
//   memory://name         the memory store of that name, shared within the process for ever
//   fault+URI?PLAN        for tests: the store of URI behind a FaultStore, for example
//                         fault+file:///srv/data?seed=7&lose_answer=0.05&land_late=0.02
// PLAN is seed=N and probabilities by their names in FaultPlan. It starts at the last '?', and late
// requests that are still held when the process ends never arrive.
// `invalid`: another scheme or a malformed URI; the message names the schemes. Otherwise the errors
// of open_local_store.
Result<std::shared_ptr<ObjectStore>> open_store(const std::string& uri,
                                                const OpenOptions& options = {});

}  // namespace varve::store
