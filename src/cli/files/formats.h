// One opener per format. Each reads what stands before the first row and leaves the rest to `next`.
#pragma once

#include <cstdint>
#include <memory>

#include "cli/files/byte_stream.h"
#include "cli/files/row_rules.h"
#include "varve/database.h"

namespace varve::cli {

using RowSourceResult = Result<std::unique_ptr<RowSource>>;

enum class VecsType { f32, u8, i32 };

// `bytes_hint`: expected size of the data, 0 if unknown.
RowSourceResult open_vecs(ByteReader in, VecsType type, RowRules rules, std::uint64_t bytes_hint);
RowSourceResult open_npy(ByteReader in, RowRules rules);
RowSourceResult open_idx(ByteReader in, RowRules rules);
RowSourceResult open_jsonl(ByteReader in, RowRules rules);
RowSourceResult open_words(ByteReader in, RowRules rules);

// Longest line of a text format: kDimMax numbers of 20 characters and the largest metadata fit
// many times.
inline constexpr std::size_t kLineBytesMax = 1024UL * 1024;

}  // namespace varve::cli
