// Object storage: the only durable state of Varve.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace varve::store {

// Names one state of one object. Compared for equality only; opaque.
struct Etag {
  std::string value;
  auto operator<=>(const Etag&) const = default;
};

struct Object {
  base::Bytes bytes;
  Etag etag;
};

// `tag` comes back with the result, so that the caller knows which request it answers.
struct ReadRequest {
  std::string key;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t tag = 0;
};

struct ReadResult {
  std::uint64_t tag = 0;
  // `not_found`: no such object. `invalid`: the range goes past the end; never a short read.
  Result<base::Bytes> bytes;
};

// Reads under way. Used by one thread. Destruction cancels what is left.
class ReadBatch {
 public:
  virtual ~ReadBatch() = default;
  // The next result in the order of arrival, waiting for it; nullopt when all have been returned.
  virtual std::optional<ReadResult> next() = 0;
};

struct ListPage {
  struct Entry {
    std::string key;
    std::uint64_t size = 0;
  };
  std::vector<Entry> entries;  // in byte order of the key
  bool more = false;           // continue with start_after = entries.back().key
};

// Objects of one bucket, directory or process memory, by key. Keys are `/`-separated, 1 to 512
// bytes, each segment 1 to 255 of [a-zA-Z0-9._-] and neither "." nor "..", the first neither ".tmp"
// nor ".locks"; anything else is `invalid`. No key is a folder of another ("a" and "a/b").
//
// Thread-safe: any method, any thread. Every call may cost a network round trip and money, so
// callers batch. Strong consistency: a successful write is seen by every read, list included,
// that starts after it.
//
// A write that answers `overloaded` (no space, too many files) or `invalid` (a bad key, no
// permission, a read-only file system) certainly did not happen.
//
// A write that answers `unavailable` or `cancelled` may have happened, may happen later, or never:
// read the key back before going on (reliability of the log rests on it; see engine/put_once.h).
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // The whole object; nullopt if there is none. A miss is a value, not an error.
  virtual Result<std::optional<Object>> get(std::string_view key, base::Deadline deadline) = 0;

  // Starts all reads and returns without waiting for any.
  virtual std::unique_ptr<ReadBatch> read(std::span<const ReadRequest> requests,
                                          base::Deadline deadline) = 0;

  // Creates the object. `conflict`: it exists, nothing was written.
  virtual Result<Etag> create(std::string_view key, base::ByteSpan bytes,
                              base::Deadline deadline) = 0;

  // Replaces the object if its etag is still `expected`. `conflict`: it is not (or the object is
  // gone), nothing was written.
  virtual Result<Etag> replace(std::string_view key, base::ByteSpan bytes, const Etag& expected,
                               base::Deadline deadline) = 0;

  // Keys that begin with `prefix` and are greater than `start_after`, at most `limit` of them.
  virtual Result<ListPage> list(std::string_view prefix, std::string_view start_after,
                                std::uint32_t limit, base::Deadline deadline) = 0;

  // Deletes; a key that does not exist is no error. On an error some may be gone.
  virtual Status remove(std::span<const std::string> keys, base::Deadline deadline) = 0;
};

}  // namespace varve::store
