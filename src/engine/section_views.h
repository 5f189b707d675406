// Sections as the cache keeps them: laid out so that using one costs no decoding. The layouts live
// in caches only; kSectionLayout changes with them and with the names of sections.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/generation.h"
#include "format/attributes.h"
#include "format/manifest.h"
#include "varve/cache/handle.h"
#include "varve/types.h"

namespace varve::engine {

inline constexpr std::uint8_t kSectionLayout = 3;
inline constexpr format::Section kCachedSections[] = {
    format::Section::codes, format::Section::extra,      format::Section::rows,
    format::Section::ids,   format::Section::attributes, format::Section::metadata};

inline bool is_of_codes(format::Section section) {
  return section == format::Section::codes || section == format::Section::extra;
}

// Makes the bytes to cache from a verified section. `corrupt`: the section is malformed.
Result<cache::Handle> prepare_section(format::Section section, base::Bytes bytes,
                                      const PartSlot& slot, const SectionContext& context);

// At least the bytes that prepare_section makes.
std::uint64_t prepared_bytes_max(format::Section section, const format::PartRef& part);

// Codes as they are stored.
struct CodesView {
  static constexpr format::Section kSection = format::Section::codes;

  cache::Handle bytes;

  // As of RowsView.
  bool open(cache::Handle prepared, const PartSlot& slot, const SectionContext& context);
  const std::byte* blocks() const { return bytes.bytes().data(); }
};

// Extra bits as they are stored.
struct ExtraView {
  static constexpr format::Section kSection = format::Section::extra;

  cache::Handle bytes;
  std::size_t row_bytes = 0;

  bool open(cache::Handle prepared, const PartSlot& slot, const SectionContext& context);
  const std::byte* row(std::size_t number) const {
    return bytes.bytes().data() + number * row_bytes;
  }
  // Asks for what an estimate will look at soon.
  void fetch(std::size_t number) const {
    for (std::size_t at = 0; at < row_bytes; at += 64) __builtin_prefetch(row(number) + at);
  }
};

// Rows of one part with what scoring needs. Views keep the bytes alive. An empty view: not loaded.
struct RowsView {
  static constexpr format::Section kSection = format::Section::rows;

  cache::Handle bytes;
  kernels::Rows rows;
  const float* inverse_norms = nullptr;    // cosine only; 1 / |row|, 0 if extreme
  std::span<const std::uint32_t> extreme;  // cosine only; see PartRows::extreme

  // False: `prepared` is no section of this part, or one that would be read out of bounds. The same
  // of the other views.
  bool open(cache::Handle prepared, const PartSlot& slot, const SectionContext& context);
};

// Rows of one batch share all of their LSN but the low half of `op`, and a cluster has rows of few
// batches: 4 bytes a row instead of 24.
struct IdsView {
  static constexpr format::Section kSection = format::Section::ids;

  cache::Handle bytes;
  std::span<const std::uint32_t> ends;
  std::span<const std::uint32_t> low_ops;
  std::span<const Lsn> heads;              // LSNs with the low half of `op` 0
  std::span<const std::uint32_t> head_of;  // of each row; empty if there is but one head
  std::string_view text;

  bool open(cache::Handle prepared, const PartSlot& slot, const SectionContext& context);
  // Asks for what key() looks at first.
  void fetch(std::size_t row) const { __builtin_prefetch(ends.data() + row); }
  std::string_view key(std::size_t row) const {
    const std::size_t begin = row == 0 ? 0 : ends[row - 1];
    return text.substr(begin, ends[row] - begin);
  }
  Lsn lsn(std::size_t row) const {
    Lsn lsn = heads[head_of.empty() ? 0 : head_of[row]];
    lsn.op |= low_ops[row];
    return lsn;
  }
};

// Columns of the metadata. The bytes are kept as they are decompressed; what is made of them to use
// them is small.
struct AttributesView {
  static constexpr format::Section kSection = format::Section::attributes;

  cache::Handle bytes;
  format::Attributes columns;  // borrows `bytes`

  bool open(cache::Handle prepared, const PartSlot& slot, const SectionContext& context);
  // Asks for what a filter will look at soon.
  void fetch() const;
};

struct MetadataView {
  static constexpr format::Section kSection = format::Section::metadata;

  cache::Handle bytes;
  std::span<const std::uint32_t> ends;
  std::string_view text;

  bool open(cache::Handle prepared, const PartSlot& slot, const SectionContext& context);
  // Empty if there is none, also in a view that is empty because the part has no metadata.
  std::string_view at(std::size_t row) const {
    if (ends.empty()) return {};
    const std::size_t begin = row == 0 ? 0 : ends[row - 1];
    return text.substr(begin, ends[row] - begin);
  }
};

}  // namespace varve::engine
