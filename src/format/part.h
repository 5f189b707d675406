// The record of one part, the same bytes in a manifest and in the directory of a group:
//
//   offset  bytes  field
//        0      8  part id
//        8      4  cluster
//       12      4  rows, at least 1
//       16      4  row stride in bytes
//       20      1  row type
//       21      1  sections that follow: bit 0 for A, ..., bit 5 for F
//       22      1  kind of the codes in section A, 0: there is none
//       23      1  zero
//   then 24 bytes for each section, in the order of the letters:
//        0      8  offset from the start of the group object
//        8      4  stored bytes
//       12      4  raw bytes
//       16      4  CRC-32C of the stored bytes
//       20      1  encoding
//       21      3  of D: radius, the upper three bytes of a float32, or 0 if it is not known; else
//       zero
#pragma once

#include "format/coding.h"
#include "format/manifest.h"
#include "kernels/sign_codes.h"

namespace varve::format {

inline constexpr std::size_t kSectionBytes = 24;
// With the sections that every part has: B and D.
inline constexpr std::size_t kPartBytesMin = 24 + 2 * kSectionBytes;

// Limits of what a section claims to decompress to, so that a few bytes cannot ask for a lot.
inline constexpr std::uint64_t kRawBytesMax = std::uint64_t{1} << 30;
inline constexpr std::uint64_t kRawRatioMax = 1024;

// "section B of part 7"
std::string section_name(Section section, std::uint64_t part);
// What is wrong with the sizes of a stored section; empty if nothing is.
std::string_view section_fault(const SectionRef& ref);

inline bool has_codes(const PartRef& part) { return part.code_kind != CodeKind::none; }
// How the blocks of section A are looked at, if there is one.
constexpr kernels::SignSteps sign_steps(CodeKind kind) {
  return kind == CodeKind::signs_in_two_steps ? kernels::SignSteps::two : kernels::SignSteps::one;
}
constexpr CodeKind code_kind(kernels::SignSteps steps) {
  return steps == kernels::SignSteps::two ? CodeKind::signs_in_two_steps : CodeKind::signs;
}
inline bool has_attributes(const PartRef& part) {
  return part.section(Section::attributes).stored_bytes > 0;
}
inline bool has_extra(const PartRef& part) { return part.section(Section::extra).stored_bytes > 0; }
// Words of extra bits of a row; 0: there is no section C.
std::uint32_t extra_words_of(const PartRef& part);
// The least format version that can say what the record says.
inline std::uint16_t part_version(const PartRef& part) {
  if (part.code_kind == CodeKind::signs_in_two_steps) return 6;
  if (part.radius > 0) return 5;
  if (has_extra(part)) return 4;
  if (has_attributes(part)) return 3;
  return has_codes(part) ? 2 : 1;
}

void write_part(Writer& writer, const PartRef& part);
// Checks the record in itself and against the group: its dimension and size in bytes.
PartRef read_part(Reader& reader, std::uint32_t dim, std::uint64_t group_bytes);

}  // namespace varve::format
