// Sections that stay in memory: what a query of a pinned index reads without asking the cache.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/env.h"
#include "engine/filter/value_directory.h"
#include "engine/section_views.h"

namespace varve::engine {

class Generation;

// By number of the part; an empty view where a part has no such section. Of an index of which codes
// alone are pinned there is nothing else. Immutable; its bytes live as long as it does.
struct ResidentSections {
  std::vector<CodesView> codes;
  std::vector<ExtraView> extra;
  std::vector<RowsView> rows;
  std::vector<IdsView> ids;
  std::vector<AttributesView> attributes;
  std::vector<MetadataView> metadata;
  ValueDirectory values;  // of attributes

  // Beside the bytes, which are in the cache: what was made of attributes.
  std::size_t decoded_bytes() const;

  // All sections are here.
  bool is_complete = false;

  template <typename View>
  bool has() const {
    return !of<View>().empty();
  }
  template <typename View>
  const std::vector<View>& of() const {
    if constexpr (View::kSection == format::Section::codes) return codes;
    if constexpr (View::kSection == format::Section::extra) return extra;
    if constexpr (View::kSection == format::Section::rows) return rows;
    if constexpr (View::kSection == format::Section::ids) return ids;
    if constexpr (View::kSection == format::Section::attributes) return attributes;
    if constexpr (View::kSection == format::Section::metadata) return metadata;
  }
};

// Takes hold of the sections of the generation, all or the codes, which are pinned in memory: what
// is not, is held beside the cache. Errors of the store.
Result<std::shared_ptr<const ResidentSections>> hold_resident(const Env& env,
                                                              const Generation& generation,
                                                              bool codes_only);

}  // namespace varve::engine
