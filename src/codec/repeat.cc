// Method::repeat: the shortest period of the bytes, stored once.
#include <algorithm>
#include <cstring>

#include "codec/internal/methods.h"

namespace varve::codec {
namespace {

bool has_period(base::ByteSpan raw, std::size_t period) {
  // Most candidates differ early: a word is compared before the call.
  if (raw.size() >= period + 8) {
    std::uint64_t first = 0;
    std::uint64_t next = 0;
    std::memcpy(&first, raw.data(), 8);
    std::memcpy(&next, raw.data() + period, 8);
    if (first != next) return false;
  }
  return std::memcmp(raw.data(), raw.data() + period, raw.size() - period) == 0;
}

}  // namespace

Packed pack_repeat(base::ByteSpan raw) {
  for (std::size_t period = 1; period <= kPeriodBytesMax && period < raw.size(); ++period) {
    if (!has_period(raw, period)) continue;
    base::Buffer stored(period);
    std::memcpy(stored.data(), raw.data(), period);
    return stored;
  }
  return std::nullopt;
}

Status unpack_repeat(base::ByteSpan stored, std::span<std::byte> out) {
  if (stored.empty() || stored.size() > kPeriodBytesMax || stored.size() > out.size()) {
    return corrupt_record("repeat", "a period of impossible size");
  }
  std::memcpy(out.data(), stored.data(), stored.size());
  // What is filled is a whole number of periods until the last copy, so it can be copied itself.
  for (std::size_t filled = stored.size(); filled < out.size();) {
    const std::size_t n = std::min(filled, out.size() - filled);
    std::memcpy(out.data() + filled, out.data(), n);
    filled += n;
  }
  return {};
}

}  // namespace varve::codec
