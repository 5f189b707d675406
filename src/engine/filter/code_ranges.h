// Which codes of a column a term hits.
#pragma once

#include <vector>

#include "engine/filter/program.h"
#include "format/attributes.h"

namespace varve::engine {

// Ascending, not empty, with gaps between them; the old contents are dropped. REQUIRES: the term is
// not `exists`.
void hit_codes(const FilterTerm& term, const format::AttributeColumn& column,
               std::vector<CodeRange>& ranges);

}  // namespace varve::engine
