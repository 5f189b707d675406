#include "format/attributes.h"
#include "format/fuzz.h"
#include "format/group.h"
#include "format/part.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::format;
  const fuzz::Input input = fuzz::make_input(data, size, Kind::group);
  const auto group = decode_group(input.object, Uuid{}, fuzz::kName);
  if (!group) return 0;
  for (const PartRef& part : group->parts) {
    const auto section = [&](Section s) {
      const SectionRef& ref = part.section(s);
      return decode_section(input.object.slice(ref.offset, ref.stored_bytes), ref, "fuzz");
    };
    if (const auto ids = section(Section::ids)) (void)RowIds::decode(*ids, part.rows, "fuzz");
    if (const auto text = section(Section::metadata)) {
      (void)RowMetadata::decode(*text, part.rows, "fuzz");
    }
    if (const auto columns = section(Section::attributes)) {
      (void)Attributes::decode(*columns, part.rows, "fuzz");
    }
    const auto codes = section(Section::codes);
    VARVE_ASSERT(codes.has_value());
    VARVE_ASSERT(
        codes->size() ==
        (part.code_kind == CodeKind::none ? 0 : codes_bytes(part.rows, 3, part.code_kind)));
    const auto extra = section(Section::extra);
    VARVE_ASSERT(extra.has_value());
    VARVE_ASSERT(extra->size() ==
                 (has_extra(part) ? extra_bytes(part.rows, extra_words_of(part)) : 0));
    const auto rows = section(Section::rows);
    VARVE_ASSERT(rows.has_value());
    (void)view_rows(*rows, part, 3, "fuzz");
  }
  return 0;
}
