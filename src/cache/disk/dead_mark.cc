#include "cache/disk/dead_mark.h"

#include <cstring>

#include "base/assert.h"
#include "codec/checksum.h"

namespace varve::cache {
namespace {

constexpr std::array<char, 4> kLive = {'V', 'V', 'C', 'R'};
constexpr std::array<char, 4> kDead = {'V', 'V', 'C', 'X'};

}  // namespace

std::array<std::byte, kMarkBytes> dead_mark(base::ByteSpan header) {
  VARVE_ASSERT(header.size() >= kRecordHeaderBytes);
  const std::uint32_t crc =
      codec::crc32c(header.subspan(kMarkBytes, kRecordHeaderBytes - kMarkBytes));
  std::array<std::byte, kMarkBytes> mark;
  std::memcpy(mark.data(), kDead.data(), kDead.size());
  std::memcpy(mark.data() + kDead.size(), &crc, sizeof(crc));
  return mark;
}

std::optional<RecordHeader> peek_dead(base::ByteSpan bytes) {
  if (bytes.size() < kRecordHeaderBytes) return std::nullopt;
  if (std::memcmp(bytes.data(), kDead.data(), kDead.size()) != 0) return std::nullopt;
  const auto mark = dead_mark(bytes);
  if (std::memcmp(bytes.data(), mark.data(), mark.size()) != 0) return std::nullopt;
  std::array<std::byte, kRecordHeaderBytes> header;
  std::memcpy(header.data(), bytes.data(), header.size());
  std::memcpy(header.data(), kLive.data(), kLive.size());
  return peek_record(header);
}

}  // namespace varve::cache
