// Object storage as the last layer: many small values in few objects.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "varve/cache/source.h"

namespace varve::base {
class Clock;
}
namespace varve::store {
class ObjectStore;
}

namespace varve::cache {

struct StoreSourceOptions {
  // Names of its objects begin with it and '/': segments of [a-zA-Z0-9._-], at most 256 bytes.
  std::string prefix = "cache";
  // A batch is written as objects of about so many bytes, which are what compact() makes too.
  std::uint64_t pack_bytes = std::uint64_t{8} << 20;
  // Values in one object with at most so many bytes between them come by one request...
  std::uint64_t gap_bytes_max = std::uint64_t{64} << 10;
  // ...which asks for at most so many, unless one value has more.
  std::uint64_t request_bytes_max = std::uint64_t{4} << 20;
  // Longest that a write, refresh() or a part of compact() takes.
  std::chrono::milliseconds timeout{60'000};
  // Judges time-outs and expiry; outlives the source. Null: the real one.
  base::Clock* clock = nullptr;
};

struct StoreSourceStats {
  std::uint64_t packs = 0, pack_bytes = 0;  // objects and their bytes
  std::uint64_t keys = 0;                   // with a value
  std::uint64_t removals = 0;               // remembered until compact() may drop them
  std::uint64_t requests = 0;               // reads of ranges, for values
  std::uint64_t request_bytes = 0;
  std::uint64_t corrupt = 0;  // values that failed a check
};

// One process writes, any number reads: what another process wrote is seen after refresh(). Two
// writers lose no pack, but which of two values of one key is the newer one is not defined then.
// Loads are destroyed before the source.
class StoreSource : public Source {
 public:
  // Takes in what other processes wrote. `corrupt` names the object.
  virtual Status refresh() = 0;
  // Merges small packs and drops what is not the newest of its key, or expired. May be stopped at
  // any point: values stay. `corrupt`: names a value that it cannot move; overwrite or remove it.
  virtual Status compact() = 0;
  virtual StoreSourceStats stats() const = 0;
};

// A batch is durable when put_batch or remove_batch returns; one that fails may be there in part,
// and may become visible later, until the next write of its keys. Values above 1 GiB are `invalid`.
// The index of all keys is in memory. `invalid`: an option is wrong; otherwise the errors of the
// store, and `corrupt` for an object that is no pack.
Result<std::unique_ptr<StoreSource>> open_store_source(std::shared_ptr<store::ObjectStore> store,
                                                       StoreSourceOptions options = {});
// The same for the URI of a store (file://, memory://name, a directory), with retries of what may
// be repeated.
Result<std::unique_ptr<StoreSource>> open_store_source(const std::string& uri,
                                                       StoreSourceOptions options = {});

}  // namespace varve::cache
