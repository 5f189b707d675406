// The last layer of a cache: what always has the data, or can make it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "varve/cache/handle.h"
#include "varve/cache/tier.h"
#include "varve/result.h"

namespace varve::cache {

// Loads under way. Used by one thread. Destruction cancels what is left.
class Loads {
 public:
  struct Loaded {
    std::size_t index = 0;  // of the key in the call that started the loads
    // As the source keeps it: see Handle::method. Empty handle: there is no such value.
    // `unavailable`, `cancelled`: ask again later. `corrupt`: names what is damaged.
    Result<Handle> value;
  };
  virtual ~Loads() = default;
  // The next result in the order of arrival, waiting for it; nullopt when all have been returned.
  virtual std::optional<Loaded> next() = 0;
};

// Thread-safe. Unlike a Tier it is asked for the truth: its failures are errors.
class Source {
 public:
  virtual ~Source() = default;
  virtual std::string_view name() const = 0;  // "store"

  // Starts all loads and returns without waiting for any. The keys may go away after the call.
  virtual std::unique_ptr<Loads> load(std::span<const Key> keys,
                                      std::chrono::milliseconds timeout) = 0;
  // Durable when it returns. The default is a source that cannot be written: `invalid`.
  virtual Status put_batch(std::span<const Key> keys, std::span<const Handle> values,
                           const PutOptions& options);
  // Keys that do not exist are no error. Durable when it returns.
  virtual Status remove_batch(std::span<const Key> keys);
};

// A source of what `load` returns: an empty handle if there is no such value. It is called in the
// thread that pulls results, for one key at a time, and may be called by several threads at once.
// Keys whose turn comes after the time-out are `cancelled`. Cannot be written.
std::unique_ptr<Source> make_source(std::string name,
                                    std::function<Result<Handle>(std::string_view key)> load);

}  // namespace varve::cache
