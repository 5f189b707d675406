// Group: sibling clusters in one object. All A sections first, then B, E, C, D and F, so that
// neighbouring probes are one range read. The region of each kind begins on a 4 KiB boundary, each
// section on a 64-byte boundary.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "format/manifest.h"
#include "format/uuid.h"
#include "varve/types.h"

namespace varve::format {

// Bytes from one row to the next: the next multiple of 64 if that wastes at most 1/16, else the
// next multiple of the element size of 4 bytes (decision 0004).
std::uint32_t row_stride_bytes(std::uint32_t dim, kernels::RowType type);

// Input of one part; all borrowed. `keys`, `lsns` and `metadata` have `rows.count` entries;
// `metadata` may be empty for none. Row bytes are copied at row_stride_bytes, padding zero.
// `codes`: empty for none, else codes_bytes() of `code_kind`. `extra`: empty for none, else
// extra_bytes(); only beside codes. `attributes`: empty for none, else
// section E before compression, as encode_row_attributes() makes it of `metadata`.
struct PartInput {
  std::uint64_t id = 0;
  std::uint32_t cluster = 0;
  kernels::Rows rows;
  std::span<const std::string_view> keys;
  std::span<const Lsn> lsns;
  std::span<const std::string_view> metadata;
  CodeKind code_kind = CodeKind::none;
  std::span<const std::byte> codes = {};
  std::span<const std::byte> extra = {};
  base::Bytes attributes = {};
  float radius = 0;  // as PartRef::radius, rounded up when it is stored
};

// Bytes of section A for so many rows, which are at least 1: whole blocks of 32.
std::uint64_t codes_bytes(std::uint64_t rows, std::uint32_t dim, CodeKind kind);
// Bytes of section C for so many rows of so many words of extra bits.
std::uint64_t extra_bytes(std::uint64_t rows, std::uint32_t words);

struct EncodedGroup {
  base::Bytes object;
  GroupRef ref;  // what the manifest records
};
// REQUIRES: at least one part; every part has at least one row.
EncodedGroup encode_group(std::span<const PartInput> parts, const Uuid& index,
                          std::string_view name, base::Nonce nonce);

// The parts as the object itself lists them (name, bytes and hash of the ref filled too): lets fsck
// compare the object with the manifest. Verifies the whole object.
Result<GroupRef> decode_group(const base::Bytes& object, const Uuid& index, std::string_view name);

// Checks the CRC of stored section bytes and decompresses them if needed; raw sections are returned
// as they are, not copied. `context` names object and part in errors.
Result<base::Bytes> decode_section(const base::Bytes& stored, const SectionRef& ref,
                                   std::string_view context);

// Section B, decoded.
class RowIds {
 public:
  static Result<RowIds> decode(const base::Bytes& section, std::uint32_t rows,
                               std::string_view context);
  std::size_t size() const { return lsns_.size(); }
  std::string_view key(std::size_t row) const;
  const Lsn& lsn(std::size_t row) const { return lsns_[row]; }
  std::size_t resident_bytes() const;

 private:
  base::Bytes bytes_;
  std::vector<std::uint32_t> key_ends_;
  std::size_t keys_offset_ = 0;
  std::vector<Lsn> lsns_;
};

// Section F, decoded.
class RowMetadata {
 public:
  static Result<RowMetadata> decode(const base::Bytes& section, std::uint32_t rows,
                                    std::string_view context);
  std::string_view at(std::size_t row) const;

 private:
  base::Bytes bytes_;
  std::vector<std::uint32_t> ends_;
  std::size_t text_offset_ = 0;
};

// Section D as rows. `corrupt`: its size is not part.rows * part.row_stride, or the stride is too
// small for `dim`.
Result<kernels::Rows> view_rows(const base::Bytes& section, const PartRef& part, std::uint32_t dim,
                                std::string_view context);

}  // namespace varve::format
