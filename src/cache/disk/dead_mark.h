// How a record is made void where it lies, in one write of eight bytes.
#pragma once

#include <array>
#include <optional>

#include "cache/record.h"

namespace varve::cache {

inline constexpr std::size_t kMarkBytes = 8;

// What goes over the first eight bytes of a record to make it void: another magic, and the CRC-32C
// of the rest of the header, so that the way to the next record stays known. Records stand on
// multiples of 16, so that the mark never crosses a page and a kill cannot tear it.
// REQUIRES: header.size() >= kRecordHeaderBytes.
std::array<std::byte, kMarkBytes> dead_mark(base::ByteSpan header);
// The header of a record that was made void; nullopt: it was not.
std::optional<RecordHeader> peek_dead(base::ByteSpan bytes);

}  // namespace varve::cache
