// Encoders of sections B and F, internal to the module. Before compression:
//
//   B  0  1  key encoding: 0 text, 1 decimal     F  0  4  metadata bytes in all
//      1  3  zero                                    4     length of each, varint
//      4  4  key bytes in all                              metadata, one after the other
//      8     text: length of each key, varint; keys, one after the other
//            decimal: number of each key as a column
//            epochs, seqs and ops of the rows as columns
//
// A column is the difference of each number from the one before (the first: from 0), zigzag varint.
// Decimal is for keys that are all canonical numbers below 2^64, as numbered data sets have them:
// in an import their column equals that of the ops, and zstd stores it once.
#pragma once

#include <span>
#include <string_view>

#include "base/bytes.h"
#include "varve/types.h"

namespace varve::format {

base::Bytes encode_row_ids(std::span<const std::string_view> keys, std::span<const Lsn> lsns);
base::Bytes encode_row_metadata(std::span<const std::string_view> metadata);

}  // namespace varve::format
