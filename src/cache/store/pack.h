// A pack: records one after the other, their index behind them, and a trailer of fixed size at the
// end, so that a reader finds every record by the tail of the object. docs/formats/cache-pack.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "cache/record.h"

namespace varve::cache::packs {

inline constexpr std::size_t kTrailerBytes = 64;
inline constexpr std::size_t kIndexEntryBytes = 32;  // and the key

// One record, as the index describes it.
struct PackEntry {
  RecordKind kind = RecordKind::value;
  std::uint64_t sequence = 0;
  std::int64_t expires_ms = 0;
  std::uint64_t offset = 0;  // in the object; not stored: records follow each other
  std::uint64_t bytes = 0;   // of the record
  std::string key;
  auto operator<=>(const PackEntry&) const = default;
};

struct PackTrailer {
  std::uint32_t entries = 0;
  std::uint64_t data_bytes = 0;  // records; the index begins here
  std::uint64_t index_bytes = 0;
  std::uint32_t index_crc = 0;
};

// <20 digits: lowest sequence>-<8 digits: level>-<32 hex digits: nonce>. The level is above those
// of all packs that it was merged from: of two equal records that of the higher level counts, so
// that packs which were merged may go at any time.
struct PackName {
  std::uint64_t sequence = 0;
  std::uint32_t level = 0;
  std::string nonce;
  std::string text() const;
};
// `corrupt`: `name`, without the folder, is none.
Result<PackName> parse_pack_name(std::string_view name);

// The start of a key, for messages: keys are any bytes.
std::string printable(std::string_view key);

// Makes one pack.
class PackBuilder {
 public:
  // Appends one record. REQUIRES: the header has the sizes of key and payload.
  void add(const RecordHeader& header, std::string_view key, base::ByteSpan payload);
  std::uint64_t bytes() const { return data_.size(); }  // of the records
  bool empty() const { return entries_.empty(); }
  const std::vector<PackEntry>& entries() const { return entries_; }
  // The object. The builder is empty then.
  base::Bytes take();

 private:
  std::string data_;
  std::vector<PackEntry> entries_;
};

// The index and trailer of `entries`, whose records have `data_bytes` together.
std::string encode_footer(const std::vector<PackEntry>& entries, std::uint64_t data_bytes);

// `tail` is the end of an object of `object_bytes`. `corrupt`: names the object `name`.
Result<PackTrailer> decode_trailer(base::ByteSpan tail, std::uint64_t object_bytes,
                                   std::string_view name);
// REQUIRES: index.size() == trailer.index_bytes.
Result<std::vector<PackEntry>> decode_index(const PackTrailer& trailer, base::ByteSpan index,
                                            std::string_view name);

}  // namespace varve::cache::packs
