// A hash of all that an index holds, as seen from outside.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "codec/checksum.h"

namespace varve::engine {

// Order-independent sum over all live keys, so that equal states give equal hashes whatever their
// layout in storage.
class StateHash {
 public:
  void add(std::string_view key, std::span<const float> vector, std::string_view metadata) {
    std::string record;
    record.append(std::to_string(key.size())).append(":").append(key);
    record.append(base::as_text(std::as_bytes(vector)));
    record.append(metadata);
    const codec::Hash128 hash = codec::hash128(base::as_bytes(record));
    high_ += hash.high;
    low_ += hash.low;
  }
  std::string hex() const { return fmt::format("{:016x}{:016x}", high_, low_); }

 private:
  std::uint64_t high_ = 0, low_ = 0;
};

}  // namespace varve::engine
