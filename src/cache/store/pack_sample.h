// The pack of the golden file: two values, one of them encoded and one that expires, a removal.
#pragma once

#include "cache/store/pack.h"

namespace varve::cache::packs {

inline PackBuilder sample_pack() {
  PackBuilder builder;
  const auto add = [&](RecordHeader header, std::string_view key, std::string_view payload) {
    header.key_bytes = static_cast<std::uint16_t>(key.size());
    header.stored_bytes = static_cast<std::uint32_t>(payload.size());
    builder.add(header, key, base::as_bytes(payload));
  };
  add({.method = 0, .raw_bytes = 5, .sequence = 7}, "a", "alpha");
  add({.method = 3, .raw_bytes = 900, .sequence = 9, .expires_ms = 1'700'000'000'000},
      std::string_view("b\0\xff", 3), "a frame of some codec");
  add({.kind = RecordKind::removal, .sequence = 8}, "gone", "");
  return builder;
}

// What a reader finds by the tail of an object.
inline Result<std::vector<PackEntry>> read_pack(base::ByteSpan object, std::string_view name) {
  VARVE_TRY(const PackTrailer trailer, decode_trailer(object, object.size(), name));
  return decode_index(trailer,
                      object.subspan(static_cast<std::size_t>(trailer.data_bytes),
                                     static_cast<std::size_t>(trailer.index_bytes)),
                      name);
}

}  // namespace varve::cache::packs
