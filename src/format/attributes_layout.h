// What the encoders and decoders of section E share, internal to the module.
#pragma once

#include "format/attributes.h"
#include "format/coding.h"

namespace varve::format {

// As columns and summaries hold them: finite, and 0 only without a sign.
bool is_column_number(double number);

void write_summary(Writer& writer, const AttributeSummary& summary);
AttributeSummary read_summary(Reader& reader);
// What the summary says of a column that is valid.
FieldSummary summarize(std::string_view name, std::uint32_t rows, const AttributeColumn& column);

}  // namespace varve::format
