#include "engine/section_views.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "kernels/distance.h"

namespace varve::engine {
namespace {

std::size_t aligned(std::size_t bytes, std::size_t align) {
  return (bytes + align - 1) / align * align;
}

template <typename T>
std::span<const T> array_at(std::span<const std::byte> bytes, std::size_t offset,
                            std::size_t count) {
  return {reinterpret_cast<const T*>(bytes.data() + offset), count};
}

template <typename T>
void copy_to(std::span<std::byte> out, std::size_t offset, std::span<const T> values) {
  if (!values.empty()) std::memcpy(out.data() + offset, values.data(), values.size_bytes());
}

// Whether each text ends where the next begins, and the last with them all. A branch for each would
// cost more than the comparisons.
bool are_ends(std::span<const std::uint32_t> ends, std::size_t text_bytes) {
  std::uint32_t descends = 0;
  for (std::size_t i = 1; i < ends.size(); ++i) descends |= ends[i - 1] > ends[i] ? 1U : 0U;
  return descends == 0 && (ends.empty() || ends.back() == text_bytes);
}

std::size_t rows_bytes(const format::PartRef& part) {
  return std::size_t{part.rows} * part.row_stride;
}

// The bytes as they are.
cache::Handle borrowed(base::Bytes section) {
  auto owner = std::make_shared<const base::Bytes>(std::move(section));
  return cache::Handle::borrow(owner, owner->span());
}

// Rows; under cosine, on the next cache line: inverse norms, how many are extreme, and which.
Result<cache::Handle> prepare_rows(base::Bytes section, const PartSlot& slot,
                                   const SectionContext& context) {
  VARVE_TRY(const PartRows part, make_part_rows(std::move(section), slot, context));
  if (context.metric != Metric::cosine) return borrowed(part.section);
  const std::size_t norms = aligned(part.section.size(), base::kBufferAlign);
  const std::size_t count = norms + part.inverse_norms.size() * sizeof(float);
  const auto extreme = static_cast<std::uint32_t>(part.extreme.size());
  std::span<std::byte> out;
  cache::Handle made = cache::Handle::make(
      count + sizeof(extreme) + part.extreme.size() * sizeof(std::uint32_t), out);
  std::memset(out.data(), 0, norms);
  std::memcpy(out.data(), part.section.data(), part.section.size());
  copy_to(out, norms, std::span(part.inverse_norms));
  copy_to(out, count, std::span(&extreme, 1));
  copy_to(out, count + sizeof(extreme), std::span(part.extreme));
  return made;
}

// LSNs of a part: each is a head with the low half of `op` beside it.
struct PackedLsns {
  std::vector<Lsn> heads;
  std::vector<std::uint32_t> low_ops, head_of;
};

Lsn head_of(Lsn lsn) {
  lsn.op &= ~std::uint64_t{0xFFFFFFFF};
  return lsn;
}

PackedLsns pack_lsns(const format::RowIds& ids) {
  PackedLsns packed;
  for (std::uint32_t row = 0; row < ids.size(); ++row)
    packed.heads.push_back(head_of(ids.lsn(row)));
  std::sort(packed.heads.begin(), packed.heads.end());
  packed.heads.erase(std::unique(packed.heads.begin(), packed.heads.end()), packed.heads.end());
  for (std::uint32_t row = 0; row < ids.size(); ++row) {
    packed.low_ops.push_back(static_cast<std::uint32_t>(ids.lsn(row).op));
    if (packed.heads.size() == 1) continue;
    const auto head =
        std::lower_bound(packed.heads.begin(), packed.heads.end(), head_of(ids.lsn(row)));
    packed.head_of.push_back(static_cast<std::uint32_t>(head - packed.heads.begin()));
  }
  return packed;
}

// Where the arrays of section B lie: how many heads, the heads, ends of the keys, low halves, which
// head if there are several, the keys.
struct IdsLayout {
  IdsLayout(std::size_t rows, std::size_t heads)
      : ends_at(sizeof(std::uint64_t) + heads * sizeof(Lsn)),
        ops_at(ends_at + rows * sizeof(std::uint32_t)),
        head_of_at(ops_at + rows * sizeof(std::uint32_t)),
        text_at(head_of_at + (heads > 1 ? rows * sizeof(std::uint32_t) : 0)) {}

  static constexpr std::size_t kHeadsAt = sizeof(std::uint64_t);
  std::size_t ends_at, ops_at, head_of_at, text_at;
};

Result<cache::Handle> prepare_ids(const base::Bytes& section, const PartSlot& slot) {
  const std::uint32_t rows = slot.ref.rows;
  VARVE_TRY(const auto ids, format::RowIds::decode(section, rows, slot.context()));
  std::vector<std::uint32_t> ends(rows);
  std::uint32_t end = 0;
  for (std::uint32_t row = 0; row < rows; ++row) {
    end += static_cast<std::uint32_t>(ids.key(row).size());
    ends[row] = end;
  }
  const PackedLsns packed = pack_lsns(ids);
  const IdsLayout at(rows, packed.heads.size());
  std::span<std::byte> out;
  cache::Handle made = cache::Handle::make(at.text_at + end, out);
  const std::uint64_t heads = packed.heads.size();
  copy_to(out, 0, std::span(&heads, 1));
  copy_to(out, IdsLayout::kHeadsAt, std::span<const Lsn>(packed.heads));
  copy_to(out, at.ends_at, std::span<const std::uint32_t>(ends));
  copy_to(out, at.ops_at, std::span<const std::uint32_t>(packed.low_ops));
  copy_to(out, at.head_of_at, std::span<const std::uint32_t>(packed.head_of));
  for (std::uint32_t row = 0; row < rows; ++row) {
    const std::string_view key = ids.key(row);
    std::memcpy(out.data() + at.text_at + ends[row] - key.size(), key.data(), key.size());
  }
  return made;
}

// The bytes as they are, aligned: numbers are read where they lie.
Result<cache::Handle> prepare_attributes(const base::Bytes& section, const PartSlot& slot) {
  VARVE_CHECK(format::Attributes::decode(section, slot.ref.rows, slot.context()));
  std::span<std::byte> out;
  cache::Handle made = cache::Handle::make(section.size(), out);
  std::memcpy(out.data(), section.data(), section.size());
  return made;
}

// Ends of the texts, then the texts.
Result<cache::Handle> prepare_metadata(const base::Bytes& section, const PartSlot& slot) {
  const std::uint32_t rows = slot.ref.rows;
  VARVE_TRY(const auto metadata, format::RowMetadata::decode(section, rows, slot.context()));
  std::vector<std::uint32_t> ends(rows);
  std::uint32_t end = 0;
  for (std::uint32_t row = 0; row < rows; ++row) {
    end += static_cast<std::uint32_t>(metadata.at(row).size());
    ends[row] = end;
  }
  const std::size_t text_at = rows * sizeof(std::uint32_t);
  std::span<std::byte> out;
  cache::Handle made = cache::Handle::make(text_at + end, out);
  copy_to(out, 0, std::span<const std::uint32_t>(ends));
  for (std::uint32_t row = 0; row < rows; ++row) {
    const std::string_view text = metadata.at(row);
    if (!text.empty()) {
      std::memcpy(out.data() + text_at + ends[row] - text.size(), text.data(), text.size());
    }
  }
  return made;
}

}  // namespace

Result<cache::Handle> prepare_section(format::Section section, base::Bytes bytes,
                                      const PartSlot& slot, const SectionContext& context) {
  if (is_of_codes(section)) return borrowed(std::move(bytes));
  if (section == format::Section::rows) return prepare_rows(std::move(bytes), slot, context);
  if (section == format::Section::ids) return prepare_ids(bytes, slot);
  if (section == format::Section::attributes) return prepare_attributes(bytes, slot);
  return prepare_metadata(bytes, slot);
}

std::uint64_t prepared_bytes_max(format::Section section, const format::PartRef& part) {
  const format::SectionRef& ref = part.section(section);
  if (ref.stored_bytes == 0) return 0;
  // Of the arrays beside the bytes as they are.
  std::uint64_t row_bytes = 0;
  if (section == format::Section::metadata) row_bytes = sizeof(std::uint32_t);
  if (section == format::Section::rows) row_bytes = sizeof(float) + sizeof(std::uint32_t);
  // With a head for each row at worst.
  if (section == format::Section::ids) row_bytes = 3 * sizeof(std::uint32_t) + sizeof(Lsn);
  return ref.raw_bytes + part.rows * row_bytes + 2 * base::kBufferAlign;
}

bool CodesView::open(cache::Handle prepared, const PartSlot& slot, const SectionContext&) {
  bytes = std::move(prepared);
  return bytes.bytes().size() == slot.ref.section(format::Section::codes).raw_bytes;
}

bool ExtraView::open(cache::Handle prepared, const PartSlot& slot, const SectionContext&) {
  bytes = std::move(prepared);
  row_bytes = slot.ref.section(format::Section::extra).raw_bytes / slot.ref.rows;
  return bytes.bytes().size() == row_bytes * slot.ref.rows;
}

bool AttributesView::open(cache::Handle prepared, const PartSlot& slot, const SectionContext&) {
  bytes = std::move(prepared);
  if (bytes.bytes().size() != slot.ref.section(format::Section::attributes).raw_bytes) return false;
  auto made = format::Attributes::borrow(bytes.bytes(), slot.ref.rows, "a cached section");
  if (!made) return false;
  columns = std::move(*made);
  return true;
}

void AttributesView::fetch() const {
  // Of more than a few fields, most are not asked.
  constexpr std::size_t kBytesMax = 1024;
  const auto all = bytes.bytes();
  for (std::size_t at = 0; at < std::min(all.size(), kBytesMax); at += 64) {
    __builtin_prefetch(all.data() + at);
  }
  __builtin_prefetch(columns.columns().data());
  __builtin_prefetch(columns.summary().fields.data());
}

bool RowsView::open(cache::Handle prepared, const PartSlot& slot, const SectionContext& context) {
  const auto all = prepared.bytes();
  const std::size_t size = rows_bytes(slot.ref);
  rows = {all.data(), slot.ref.rows, slot.ref.row_stride, context.dim, slot.ref.row_type};
  if (context.metric != Metric::cosine) {
    bytes = std::move(prepared);
    return all.size() == size;
  }
  const std::size_t norms = aligned(size, base::kBufferAlign);
  const std::size_t count = norms + slot.ref.rows * sizeof(float);
  if (all.size() < count + sizeof(std::uint32_t)) return false;
  inverse_norms = array_at<float>(all, norms, slot.ref.rows).data();
  const std::uint32_t extremes = array_at<std::uint32_t>(all, count, 1)[0];
  extreme = array_at<std::uint32_t>(all, count + sizeof(std::uint32_t), extremes);
  bytes = std::move(prepared);
  if (all.size() != count + sizeof(std::uint32_t) + extreme.size_bytes()) return false;
  return std::all_of(extreme.begin(), extreme.end(),
                     [&](std::uint32_t row) { return row < slot.ref.rows; });
}

bool IdsView::open(cache::Handle prepared, const PartSlot& slot, const SectionContext&) {
  const auto all = prepared.bytes();
  const std::size_t rows = slot.ref.rows;
  if (all.size() < sizeof(std::uint64_t)) return false;
  const std::uint64_t head_count = array_at<std::uint64_t>(all, 0, 1)[0];
  if (head_count == 0 || head_count > rows) return false;
  const IdsLayout at(rows, head_count);
  if (all.size() < at.text_at) return false;
  heads = array_at<Lsn>(all, IdsLayout::kHeadsAt, head_count);
  ends = array_at<std::uint32_t>(all, at.ends_at, rows);
  low_ops = array_at<std::uint32_t>(all, at.ops_at, rows);
  head_of = array_at<std::uint32_t>(all, at.head_of_at, head_count > 1 ? rows : 0);
  text = base::as_text(all.subspan(at.text_at));
  bytes = std::move(prepared);
  const bool are_heads = std::all_of(head_of.begin(), head_of.end(),
                                     [&](std::uint32_t head) { return head < head_count; });
  return are_heads && are_ends(ends, text.size());
}

bool MetadataView::open(cache::Handle prepared, const PartSlot& slot, const SectionContext&) {
  const auto all = prepared.bytes();
  const std::size_t text_at = slot.ref.rows * sizeof(std::uint32_t);
  if (all.size() < text_at) return false;
  ends = array_at<std::uint32_t>(all, 0, slot.ref.rows);
  text = base::as_text(all.subspan(text_at));
  bytes = std::move(prepared);
  return are_ends(ends, text.size());
}

}  // namespace varve::engine
