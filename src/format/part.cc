#include "format/part.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "format/group.h"
#include "kernels/extra_codes.h"
#include "kernels/rotation.h"
#include "kernels/short_floats.h"
#include "kernels/sign_codes.h"

namespace varve::format {
namespace {

constexpr unsigned bit(Section section) { return 1U << static_cast<unsigned>(section); }
constexpr unsigned kRequired = bit(Section::ids) | bit(Section::rows);
constexpr unsigned kAllowed = kRequired | bit(Section::codes) | bit(Section::extra) |
                              bit(Section::attributes) | bit(Section::metadata);

SectionRef read_section(Reader& reader, Section section, const PartRef& part,
                        std::uint64_t group_bytes) {
  constexpr std::string_view kField = "section of a part";
  SectionRef ref;
  ref.offset = reader.u64(kField);
  ref.stored_bytes = reader.u32(kField);
  ref.raw_bytes = reader.u32(kField);
  ref.crc32c = reader.u32(kField);
  ref.encoding = static_cast<SectionEncoding>(reader.choice(0, 1, kField));
  if (section != Section::rows) reader.zeros(3, kField);
  // Names are made for errors only: a manifest has tens of thousands of sections.
  const auto refuse = [&](std::string_view what) {
    reader.fail(section_name(section, part.id), what);
  };
  if (ref.stored_bytes == 0) refuse("is listed but empty");
  if (ref.offset > group_bytes || ref.stored_bytes > group_bytes - ref.offset) {
    refuse("reaches beyond its group");
  }
  if (const auto fault = section_fault(ref); !fault.empty()) refuse(fault);
  return ref;
}

float read_radius(Reader& reader, const PartRef& part) {
  const std::uint32_t low = reader.u16("radius");
  const float radius =
      kernels::float_of_f24(low | static_cast<std::uint32_t>(reader.u8("radius")) << 16);
  if (!std::isfinite(radius) || std::signbit(radius)) {
    reader.fail(fmt::format("part {}", part.id), "its radius is no distance");
  }
  return radius;
}

void check_rows(Reader& reader, const PartRef& part, std::uint32_t dim) {
  const auto refuse = [&](std::string_view what) {
    reader.fail(fmt::format("part {}", part.id), what);
  };
  const std::size_t element = kernels::element_bytes(part.row_type);
  if (part.rows == 0) refuse("has no rows");
  if (part.row_stride < dim * element || part.row_stride % element != 0) {
    refuse("row stride does not fit the dimension");
  }
  const SectionRef& rows = part.section(Section::rows);
  if (rows.encoding != SectionEncoding::raw) refuse("rows are compressed");
  if (rows.raw_bytes != std::uint64_t{part.rows} * part.row_stride) {
    refuse("size of the rows is not their number times their stride");
  }
}

void check_codes(Reader& reader, const PartRef& part, std::uint32_t dim) {
  const auto refuse = [&](std::string_view what) {
    reader.fail(section_name(Section::codes, part.id), what);
  };
  const SectionRef& codes = part.section(Section::codes);
  if (has_codes(part) != (codes.stored_bytes > 0))
    refuse("is listed without a kind, or not listed");
  if (!has_codes(part)) return;
  if (codes.encoding != SectionEncoding::raw) refuse("is compressed");
  if (sign_steps(part.code_kind) == kernels::SignSteps::two &&
      kernels::sign_first_dim(kernels::rotated_dim(dim)) == 0) {
    refuse("is for two steps, and the dimension too low");
  }
  if (codes.raw_bytes != codes_bytes(part.rows, dim, part.code_kind))
    refuse("size does not fit the rows");
}

void check_extra(Reader& reader, const PartRef& part, std::uint32_t dim) {
  if (!has_extra(part)) return;
  const auto refuse = [&](std::string_view what) {
    reader.fail(section_name(Section::extra, part.id), what);
  };
  const SectionRef& extra = part.section(Section::extra);
  if (!has_codes(part)) refuse("is listed without section A");
  if (extra.encoding != SectionEncoding::raw) refuse("is compressed");
  const std::uint32_t words = extra_words_of(part);
  const std::uint32_t words_a_bit = kernels::rotated_dim(dim) / 64;
  const bool fits = words >= words_a_bit && words <= 7 * words_a_bit &&
                    extra.raw_bytes == extra_bytes(part.rows, words);
  if (!fits) refuse("size does not fit the rows");
}

}  // namespace

std::uint32_t extra_words_of(const PartRef& part) {
  const std::uint32_t row_bytes = part.section(Section::extra).raw_bytes / part.rows;
  const auto factors = static_cast<std::uint32_t>(kernels::kExtraFactorBytes);
  return row_bytes < factors ? 0 : (row_bytes - factors) / 8;
}

std::uint64_t extra_bytes(std::uint64_t rows, std::uint32_t words) {
  return rows * (std::uint64_t{words} * 8 + kernels::kExtraFactorBytes);
}

std::uint64_t codes_bytes(std::uint64_t rows, std::uint32_t dim, CodeKind kind) {
  const std::uint64_t blocks = (rows + kernels::kSignBlockRows - 1) / kernels::kSignBlockRows;
  return blocks * kernels::sign_block_bytes(kernels::rotated_dim(dim), sign_steps(kind));
}

float round_radius(float radius) {
  const auto bits = std::bit_cast<std::uint32_t>(radius);
  const float above = kernels::float_of_f24((bits + 0xFF) >> 8);
  return radius > 0 && std::isfinite(above) ? above : 0;
}

char letter(Section section) { return static_cast<char>('A' + static_cast<int>(section)); }

std::string section_name(Section section, std::uint64_t part) {
  return fmt::format("section {} of part {}", letter(section), part);
}

std::string_view section_fault(const SectionRef& ref) {
  if (ref.encoding == SectionEncoding::raw) {
    return ref.raw_bytes == ref.stored_bytes ? "" : "two sizes, though it is not compressed";
  }
  if (ref.raw_bytes > kRawBytesMax || ref.raw_bytes > kRawRatioMax * ref.stored_bytes) {
    return "claims an impossible size";
  }
  return "";
}

void write_part(Writer& writer, const PartRef& part) {
  unsigned present = 0;
  for (std::size_t s = 0; s < kSectionCount; ++s) {
    if (part.sections[s].stored_bytes > 0) present |= 1U << s;
  }
  writer.u64(part.id);
  writer.u32(part.cluster);
  writer.u32(part.rows);
  writer.u32(part.row_stride);
  writer.u8(static_cast<std::uint8_t>(part.row_type));
  writer.u8(static_cast<std::uint8_t>(present));
  writer.u8(static_cast<std::uint8_t>(part.code_kind));
  writer.zeros(1);
  for (const SectionRef& ref : part.sections) {
    if (ref.stored_bytes == 0) continue;
    writer.u64(ref.offset);
    writer.u32(ref.stored_bytes);
    writer.u32(ref.raw_bytes);
    writer.u32(ref.crc32c);
    writer.u8(static_cast<std::uint8_t>(ref.encoding));
    const std::uint32_t bits = &ref == &part.section(Section::rows)
                                   ? kernels::f24_of(static_cast<double>(part.radius))
                                   : 0;
    writer.u16(static_cast<std::uint16_t>(bits));
    writer.u8(static_cast<std::uint8_t>(bits >> 16));
  }
}

PartRef read_part(Reader& reader, std::uint32_t dim, std::uint64_t group_bytes) {
  PartRef part;
  part.id = reader.u64("part id");
  part.cluster = reader.u32("cluster");
  part.rows = reader.u32("rows");
  part.row_stride = reader.u32("row stride");
  part.row_type = static_cast<kernels::RowType>(reader.choice(1, 5, "row type"));
  const unsigned present = reader.u8("sections");
  part.code_kind = static_cast<CodeKind>(reader.choice(0, 2, "kind of codes"));
  reader.zeros(1, "reserved");
  if ((present & kRequired) != kRequired || (present & ~kAllowed) != 0) {
    reader.fail(fmt::format("part {}", part.id),
                "its list of sections is not B, D and maybe A, C, E and F");
  }
  // Of rows that they are not sure of, the text decides.
  if ((present & bit(Section::attributes)) != 0 && (present & bit(Section::metadata)) == 0) {
    reader.fail(section_name(Section::attributes, part.id), "is listed without section F");
  }
  for (unsigned s = 0; s < kSectionCount && reader.ok(); ++s) {
    if ((present & (1U << s)) == 0) continue;
    part.sections[s] = read_section(reader, static_cast<Section>(s), part, group_bytes);
    if (static_cast<Section>(s) == Section::rows) part.radius = read_radius(reader, part);
  }
  if (reader.ok()) check_rows(reader, part, dim);
  if (reader.ok()) check_codes(reader, part, dim);
  if (reader.ok()) check_extra(reader, part, dim);
  return part;
}

}  // namespace varve::format
