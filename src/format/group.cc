#include "format/group.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "codec/zstd.h"
#include "format/coding.h"
#include "format/part.h"
#include "format/sections.h"

namespace varve::format {
namespace {

constexpr std::size_t kRegionAlign = 4096;
constexpr std::size_t kSectionAlign = 64;
constexpr int kLevel = 3;
constexpr std::size_t kDirectoryHeaderBytes = 8;
// In the order of their regions.
constexpr Section kRegions[] = {Section::codes, Section::ids,  Section::attributes,
                                Section::extra, Section::rows, Section::metadata};

// Stored bytes of the sections of one part; codes, extra bits and rows are copied straight from the
// input.
struct Draft {
  base::Bytes ids;
  base::Bytes attributes;
  base::Bytes metadata;
};

base::Bytes pack(const base::Bytes& raw, SectionRef& ref) {
  VARVE_ASSERT(raw.size() <= kRawBytesMax);
  base::Bytes stored = raw;
  if (!raw.empty()) {
    const base::Bytes smaller = codec::compress(raw, kLevel);
    // A reader refuses what expands more than kRawRatioMax times.
    if (smaller.size() < raw.size() && raw.size() <= kRawRatioMax * smaller.size()) {
      stored = smaller;
      ref.encoding = SectionEncoding::zstd;
    }
  }
  ref.stored_bytes = static_cast<std::uint32_t>(stored.size());
  ref.raw_bytes = static_cast<std::uint32_t>(raw.size());
  ref.crc32c = codec::crc32c(stored);
  return stored;
}

SectionRef as_it_is(std::span<const std::byte> section) {
  const auto bytes = static_cast<std::uint32_t>(section.size());
  return {0, bytes, bytes, codec::crc32c(section), SectionEncoding::raw};
}

PartRef draft_part(const PartInput& input, Draft& draft) {
  VARVE_ASSERT(input.rows.count > 0);
  VARVE_ASSERT(input.keys.size() == input.rows.count);
  VARVE_ASSERT(input.lsns.size() == input.rows.count);
  VARVE_ASSERT(input.metadata.empty() || input.metadata.size() == input.rows.count);
  PartRef part;
  part.id = input.id;
  part.cluster = input.cluster;
  part.row_type = input.rows.type;
  part.row_stride = row_stride_bytes(input.rows.dim, input.rows.type);
  part.radius = round_radius(input.radius);
  const std::uint64_t row_bytes = std::uint64_t{input.rows.count} * part.row_stride;
  VARVE_ASSERT(row_bytes <= 0xFFFFFFFFU);
  part.rows = static_cast<std::uint32_t>(input.rows.count);
  part.section(Section::rows).stored_bytes = static_cast<std::uint32_t>(row_bytes);
  part.section(Section::rows).raw_bytes = static_cast<std::uint32_t>(row_bytes);
  VARVE_ASSERT((input.code_kind == CodeKind::none) == input.codes.empty());
  if (!input.codes.empty()) {
    VARVE_ASSERT(input.codes.size() ==
                 codes_bytes(input.rows.count, input.rows.dim, input.code_kind));
    part.code_kind = input.code_kind;
    part.section(Section::codes) = as_it_is(input.codes);
  }
  if (!input.extra.empty()) {
    VARVE_ASSERT(!input.codes.empty());
    part.section(Section::extra) = as_it_is(input.extra);
    VARVE_ASSERT(input.extra.size() == extra_bytes(part.rows, extra_words_of(part)));
  }
  draft.ids = pack(encode_row_ids(input.keys, input.lsns), part.section(Section::ids));
  if (!input.attributes.empty()) {
    draft.attributes = pack(input.attributes, part.section(Section::attributes));
  }
  const base::Bytes metadata = encode_row_metadata(input.metadata);
  if (!metadata.empty()) draft.metadata = pack(metadata, part.section(Section::metadata));
  return part;
}

std::size_t directory_bytes(std::span<const PartRef> parts) {
  std::size_t bytes = kDirectoryHeaderBytes;
  for (const PartRef& part : parts) {
    bytes += kPartBytesMin;
    for (const Section section :
         {Section::codes, Section::attributes, Section::extra, Section::metadata}) {
      if (part.section(section).stored_bytes > 0) bytes += kSectionBytes;
    }
  }
  return bytes;
}

// Gives every section the one place that it may have. Returns the size of the object.
std::uint64_t lay_out(std::vector<PartRef>& parts, std::size_t header_bytes) {
  std::uint64_t end = header_bytes + directory_bytes(parts);
  for (const Section section : kRegions) {
    bool first = true;
    for (PartRef& part : parts) {
      SectionRef& ref = part.section(section);
      if (ref.stored_bytes == 0) continue;
      ref.offset = align_up(end, first ? kRegionAlign : kSectionAlign);
      end = ref.offset + ref.stored_bytes;
      first = false;
    }
  }
  return end;
}

void copy_rows(const kernels::Rows& rows, SectionRef& ref, std::uint32_t stride,
               std::span<std::byte> object) {
  const std::span<std::byte> section = object.subspan(ref.offset, ref.stored_bytes);
  const std::size_t row_bytes = rows.dim * kernels::element_bytes(rows.type);
  for (std::size_t i = 0; i < rows.count; ++i) {
    std::memcpy(section.data() + i * stride, rows.row(i), row_bytes);
  }
  ref.crc32c = codec::crc32c(section);
}

void copy_section(base::ByteSpan stored, const SectionRef& ref, std::span<std::byte> object) {
  if (!stored.empty()) std::memcpy(object.data() + ref.offset, stored.data(), stored.size());
}

Writer write_directory(std::span<const PartRef> parts, std::uint32_t dim) {
  Writer writer;
  writer.u32(static_cast<std::uint32_t>(parts.size()));
  writer.u32(dim);
  for (const PartRef& part : parts) write_part(writer, part);
  return writer;
}

// Sections stand where `lay_out` puts them, zeros stand between them, checksums are right.
Status check_sections(std::span<const PartRef> parts, base::ByteSpan object, std::size_t end,
                      std::string_view context) {
  const auto corrupt = [&](Section section, const PartRef& part, std::string_view what) {
    return fail(ErrorKind::corrupt,
                fmt::format("{}: {}: {}", context, section_name(section, part.id), what));
  };
  std::vector<PartRef> expected(parts.begin(), parts.end());
  const std::uint64_t object_bytes = lay_out(expected, end - directory_bytes(parts));
  if (object_bytes != object.size()) {
    return fail(ErrorKind::corrupt, fmt::format("{}: sections take {} bytes of {}", context,
                                                object_bytes, object.size()));
  }
  for (const Section section : kRegions) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const SectionRef& ref = parts[i].section(section);
      if (ref.stored_bytes == 0) continue;
      if (ref.offset != expected[i].section(section).offset) {
        return corrupt(section, parts[i], "is at the wrong place");
      }
      if (!all_zero(object.subspan(end, ref.offset - end))) {
        return corrupt(section, parts[i], "bytes before it are not zero");
      }
      if (codec::crc32c(object.subspan(ref.offset, ref.stored_bytes)) != ref.crc32c) {
        return corrupt(section, parts[i], "checksum mismatch");
      }
      end = ref.offset + ref.stored_bytes;
    }
  }
  return {};
}

}  // namespace

std::uint32_t row_stride_bytes(std::uint32_t dim, kernels::RowType type) {
  const std::size_t row_bytes = dim * kernels::element_bytes(type);
  const std::size_t padded = align_up(row_bytes, base::kBufferAlign);
  const bool cheap = (padded - row_bytes) * 16 <= row_bytes;
  return static_cast<std::uint32_t>(cheap ? padded : align_up(row_bytes, sizeof(float)));
}

EncodedGroup encode_group(std::span<const PartInput> parts, const Uuid& index,
                          std::string_view name, base::Nonce nonce) {
  VARVE_ASSERT(!parts.empty());
  std::vector<Draft> drafts(parts.size());
  std::vector<PartRef> refs;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    VARVE_ASSERT(parts[i].rows.dim == parts[0].rows.dim);
    refs.push_back(draft_part(parts[i], drafts[i]));
  }
  const std::size_t header_bytes = envelope_header_bytes(name);
  base::Buffer object(lay_out(refs, header_bytes));
  std::memset(object.data(), 0, object.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    copy_section(parts[i].codes, refs[i].section(Section::codes), object.span());
    copy_section(drafts[i].ids, refs[i].section(Section::ids), object.span());
    copy_section(parts[i].extra, refs[i].section(Section::extra), object.span());
    copy_section(drafts[i].attributes, refs[i].section(Section::attributes), object.span());
    copy_rows(parts[i].rows, refs[i].section(Section::rows), refs[i].row_stride, object.span());
    copy_section(drafts[i].metadata, refs[i].section(Section::metadata), object.span());
  }
  const Writer directory = write_directory(refs, parts[0].rows.dim);
  VARVE_ASSERT(directory.size() == directory_bytes(refs));
  std::memcpy(object.data() + header_bytes, directory.span().data(), directory.size());
  std::uint16_t version = 1;
  for (const PartRef& part : refs) version = std::max(version, part_version(part));
  seal_envelope(Identity{Kind::group, index, std::string(name), nonce, version}, object.span());

  EncodedGroup group;
  group.object = base::Bytes(std::move(object));
  group.ref.blob.name = std::string(name);
  group.ref.blob.bytes = group.object.size();
  // The envelope holds it already: reading 16 bytes beats hashing the body again.
  Reader reader(group.object.span().subspan(kBodyHashOffset), "group");
  group.ref.blob.body_hash = reader.hash128("body hash");
  group.ref.parts = std::move(refs);
  return group;
}

Result<GroupRef> decode_group(const base::Bytes& object, const Uuid& index, std::string_view name) {
  VARVE_TRY(const Envelope envelope, decode_envelope(object, Kind::group, index, name));
  const std::string context = fmt::format("object {}", name);
  Reader reader(envelope.body, context);
  GroupRef group;
  group.blob = BlobRef{std::string(name), object.size(), envelope.body_hash};
  const std::size_t count = reader.u32("parts");
  const std::uint32_t dim = reader.u32("dimension");
  if (dim < 1 || dim > kDimMax) reader.fail("dimension", "out of range");
  if (count < 1 || count > reader.remaining() / kPartBytesMin) reader.fail("parts", "out of range");
  if (reader.ok()) group.parts.reserve(count);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    group.parts.push_back(read_part(reader, dim, object.size()));
  }
  if (!reader.ok()) return tl::unexpected<Error>(reader.finish().error());
  VARVE_CHECK(
      check_sections(group.parts, object, envelope.header_bytes + reader.position(), context));
  return group;
}

Result<kernels::Rows> view_rows(const base::Bytes& section, const PartRef& part, std::uint32_t dim,
                                std::string_view context) {
  if (part.row_stride < dim * kernels::element_bytes(part.row_type)) {
    return fail(ErrorKind::corrupt, fmt::format("{}: row stride {} is too small for dimension {}",
                                                context, part.row_stride, dim));
  }
  if (section.size() != std::uint64_t{part.rows} * part.row_stride) {
    return fail(ErrorKind::corrupt, fmt::format("{}: {} bytes for {} rows of {}", context,
                                                section.size(), part.rows, part.row_stride));
  }
  return kernels::Rows{section.data(), part.rows, part.row_stride, dim, part.row_type};
}

}  // namespace varve::format
