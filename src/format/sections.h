// Encoders of sections B and F, internal to the module. Before compression:
//
//   B  0   1  key encoding, 0: as they are      F  0  4  metadata bytes in all
//      1   3  zero                                 4     length of each, varint
//      4   4  key bytes in all                           metadata, one after the other
//      8      length of each key, varint
//             keys, one after the other
//             epoch of each row, then seq of each row, then op of each row: difference from the
//             row before (the first: from 0), zigzag varint
#pragma once

#include <span>
#include <string_view>

#include "base/bytes.h"
#include "varve/types.h"

namespace varve::format {

base::Bytes encode_row_ids(std::span<const std::string_view> keys, std::span<const Lsn> lsns);
base::Bytes encode_row_metadata(std::span<const std::string_view> metadata);

}  // namespace varve::format
