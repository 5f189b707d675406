// Objects as files of a directory: the store of one host.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "store/object_store.h"

namespace varve::store {

// Opens the store in `directory`, which is created if it is missing and `create_if_missing` is set.
// Any number of processes of one host may open it; a directory on a network file system is used by
// one host only.
//
// The file of object `a/b` is `directory`/a/b, so no key may be the folder of another (`invalid`).
// `.tmp` and `.locks` appear with the first write; a directory that cannot be written can be read.
// Files and folders that are not objects are never touched, nor do they make a call fail.
//
// An acknowledged write survives a kill and a power cut: file and folder were synced. When a folder
// cannot be synced after its file became visible, the store answers `unavailable` to every later
// call, since a read-back would take for durable what may not be.
//
// `invalid`: the path is not a directory, or no access. `not_found`: it does not exist. `clock`
// judges deadlines and outlives the store.
Result<std::shared_ptr<ObjectStore>> open_local_store(const std::string& directory,
                                                      base::Random random,
                                                      base::Clock& clock = base::system_clock(),
                                                      bool create_if_missing = true);

}  // namespace varve::store
