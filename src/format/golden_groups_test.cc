// The groups behind the golden files.
#include <numeric>

#include "format/attributes.h"
#include "format/golden_samples.h"
#include "format/part.h"

namespace varve::format::golden {
namespace {

// Rows, keys, positions and metadata of one part of the golden groups.
struct GroupRows {
  std::vector<float> values;
  std::vector<std::string> keys, metadata;
  std::vector<Lsn> lsns;
};

GroupRows group_rows(std::size_t count, bool numbered) {
  GroupRows rows;
  rows.values.resize(count * kDim);
  std::iota(rows.values.begin(), rows.values.end(), 0.5F);
  for (std::size_t i = 0; i < count; ++i) {
    rows.keys.push_back((numbered ? "" : "key-\u00e9-") + std::to_string(i * i));
    rows.metadata.push_back(i % 3 == 0 ? "" : R"({"i":)" + std::to_string(i) + "}");
    rows.lsns.push_back(Lsn{2, 3 + i / 2, i % 2});
  }
  return rows;
}

Result<bool> holds(const base::Bytes& object, const PartRef& part, const GroupRows& rows) {
  const auto section = [&](Section s) {
    const SectionRef& ref = part.section(s);
    return decode_section(object.slice(ref.offset, ref.stored_bytes), ref, "golden group");
  };
  VARVE_TRY(const base::Bytes ids_bytes, section(Section::ids));
  VARVE_TRY(const base::Bytes rows_bytes, section(Section::rows));
  VARVE_TRY(const base::Bytes metadata_bytes, section(Section::metadata));
  VARVE_TRY(const RowIds ids, RowIds::decode(ids_bytes, part.rows, "golden group"));
  VARVE_TRY(const RowMetadata metadata,
            RowMetadata::decode(metadata_bytes, part.rows, "golden group"));
  VARVE_TRY(const kernels::Rows view, view_rows(rows_bytes, part, kDim, "golden group"));
  bool equal = view.count == rows.keys.size() && ids.size() == rows.keys.size();
  for (std::size_t i = 0; equal && i < rows.keys.size(); ++i) {
    const std::span<const float> row = std::span(rows.values).subspan(i * kDim, kDim);
    equal = ids.key(i) == rows.keys[i] && ids.lsn(i) == rows.lsns[i] &&
            metadata.at(i) == rows.metadata[i] &&
            same(base::ByteSpan(view.row(i), sizeof(float) * kDim), std::as_bytes(row));
  }
  return equal;
}

std::vector<std::byte> pattern(std::size_t size, std::size_t step, std::size_t first) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * step + first);
  return bytes;
}

// The second part of groups of two: the first row of the other.
PartInput second_part(const kernels::Rows& values, std::span<const std::string_view> keys,
                      const GroupRows& rows) {
  return {7, 1, values.sub(0, 1), keys.first(1), std::span(rows.lsns).first(1), {}};
}

}  // namespace

SampleObject sample_group(std::string file, std::size_t count, bool numbered, bool exact) {
  const GroupRows rows = group_rows(count, numbered);
  const std::vector<std::string_view> keys(rows.keys.begin(), rows.keys.end());
  const std::vector<std::string_view> metadata(rows.metadata.begin(), rows.metadata.end());
  const kernels::Rows values = kernels::rows_of(rows.values.data(), count, kDim);
  const PartInput inputs[] = {{6, 2, values, keys, rows.lsns, metadata},
                              second_part(values, keys, rows)};
  const std::string name = name_of("d/00000000000000000012/0000000000000000000000000000" + file);
  SampleObject object = sample(
      std::move(file), Kind::group, name, encode_group(inputs, sample_uuid(), name, nonce()).object,
      [rows](const base::Bytes& bytes, const Uuid& index, std::string_view own) -> Result<bool> {
        VARVE_TRY(const GroupRef group, decode_group(bytes, index, own));
        if (group.parts.size() != 2 || group.parts[0].id != 6 || group.parts[0].cluster != 2 ||
            group.parts[1].id != 7 || group.parts[1].rows != 1) {
          return false;
        }
        return holds(bytes, group.parts[0], rows);
      });
  object.exact = exact;
  return object;
}

SampleObject sample_coded_group() {
  constexpr std::size_t kCount = 40;
  const GroupRows rows = group_rows(kCount, false);
  const std::vector<std::string_view> keys(rows.keys.begin(), rows.keys.end());
  const std::vector<std::string_view> metadata(rows.metadata.begin(), rows.metadata.end());
  const kernels::Rows values = kernels::rows_of(rows.values.data(), kCount, kDim);
  const auto codes = pattern(codes_bytes(kCount, kDim, CodeKind::signs), 7, 1);
  const PartInput inputs[] = {{6, 2, values, keys, rows.lsns, metadata, CodeKind::signs, codes},
                              second_part(values, keys, rows)};
  const std::string name =
      name_of("d/00000000000000000012/0000000000000000000000000000group_codes");
  return sample("group_codes", Kind::group, name,
                encode_group(inputs, sample_uuid(), name, nonce()).object,
                [rows, codes](const base::Bytes& bytes, const Uuid& index,
                              std::string_view own) -> Result<bool> {
                  VARVE_TRY(const GroupRef group, decode_group(bytes, index, own));
                  if (group.parts.size() != 2 || group.parts[1].code_kind != CodeKind::none)
                    return false;
                  const PartRef& coded = group.parts[0];
                  const SectionRef& ref = coded.section(Section::codes);
                  if (coded.code_kind != CodeKind::signs) return false;
                  if (!same(bytes.slice(ref.offset, ref.stored_bytes), codes)) return false;
                  return holds(bytes, coded, rows);
                });
}

SampleObject sample_stepped_group() {
  constexpr std::size_t kCount = 3;
  constexpr std::uint32_t kWide = 128;
  std::vector<float> values(kCount * kWide);
  std::iota(values.begin(), values.end(), 0.5F);
  const GroupRows rows = group_rows(kCount, false);
  const std::vector<std::string_view> keys(rows.keys.begin(), rows.keys.end());
  const auto codes = pattern(codes_bytes(kCount, kWide, CodeKind::signs_in_two_steps), 7, 1);
  const PartInput input{6,
                        2,
                        kernels::rows_of(values.data(), kCount, kWide),
                        keys,
                        rows.lsns,
                        {},
                        CodeKind::signs_in_two_steps,
                        codes};
  const std::string name =
      name_of("d/00000000000000000012/0000000000000000000000000000group_steps");
  return sample(
      "group_steps", Kind::group, name,
      encode_group({&input, 1}, sample_uuid(), name, nonce()).object,
      [codes](const base::Bytes& bytes, const Uuid& index, std::string_view own) -> Result<bool> {
        VARVE_TRY(const GroupRef group, decode_group(bytes, index, own));
        if (group.parts.size() != 1) return false;
        const SectionRef& ref = group.parts[0].section(Section::codes);
        return group.parts[0].code_kind == CodeKind::signs_in_two_steps &&
               same(bytes.slice(ref.offset, ref.stored_bytes), codes);
      });
}

SampleObject sample_extra_group() {
  constexpr std::size_t kCount = 40;
  const GroupRows rows = group_rows(kCount, false);
  const std::vector<std::string_view> keys(rows.keys.begin(), rows.keys.end());
  const kernels::Rows values = kernels::rows_of(rows.values.data(), kCount, kDim);
  const auto codes = pattern(codes_bytes(kCount, kDim, CodeKind::signs), 7, 1);
  const auto extra = pattern(extra_bytes(kCount, kExtraWords), 5, 3);
  const PartInput inputs[] = {{6, 2, values, keys, rows.lsns, {}, CodeKind::signs, codes, extra},
                              second_part(values, keys, rows)};
  const std::string name =
      name_of("d/00000000000000000012/0000000000000000000000000000group_extra");
  return sample("group_extra", Kind::group, name,
                encode_group(inputs, sample_uuid(), name, nonce()).object,
                [codes, extra](const base::Bytes& bytes, const Uuid& index,
                               std::string_view own) -> Result<bool> {
                  VARVE_TRY(const GroupRef group, decode_group(bytes, index, own));
                  if (group.parts.size() != 2 || has_extra(group.parts[1])) return false;
                  const auto has = [&](Section section, base::ByteSpan wanted) {
                    const SectionRef& ref = group.parts[0].section(section);
                    return same(bytes.slice(ref.offset, ref.stored_bytes), wanted);
                  };
                  return extra_words_of(group.parts[0]) == kExtraWords &&
                         has(Section::codes, codes) && has(Section::extra, extra);
                });
}

SampleObject sample_attributed_group() {
  constexpr std::size_t kCount = 40;
  const GroupRows rows = group_rows(kCount, false);
  const std::vector<std::string_view> keys(rows.keys.begin(), rows.keys.end());
  const std::vector<std::string_view> metadata(rows.metadata.begin(), rows.metadata.end());
  const kernels::Rows values = kernels::rows_of(rows.values.data(), kCount, kDim);
  PartInput inputs[] = {{6, 2, values, keys, rows.lsns, metadata}, second_part(values, keys, rows)};
  const base::Bytes columns = encode_row_attributes(metadata);
  inputs[0].attributes = columns;
  const std::string name =
      name_of("d/00000000000000000012/0000000000000000000000000group_attributes");
  return sample("group_attributes", Kind::group, name,
                encode_group(inputs, sample_uuid(), name, nonce()).object,
                [rows, columns](const base::Bytes& bytes, const Uuid& index,
                                std::string_view own) -> Result<bool> {
                  VARVE_TRY(const GroupRef group, decode_group(bytes, index, own));
                  if (group.parts.size() != 2 || has_attributes(group.parts[1])) return false;
                  const SectionRef& ref = group.parts[0].section(Section::attributes);
                  VARVE_TRY(const base::Bytes section,
                            decode_section(bytes.slice(ref.offset, ref.stored_bytes), ref, own));
                  VARVE_TRY(const Attributes found, Attributes::decode(section, kCount, own));
                  if (found.columns().size() != 1 || !same(section, columns)) return false;
                  return holds(bytes, group.parts[0], rows);
                });
}

}  // namespace varve::format::golden
