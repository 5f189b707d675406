// Recorded cache accesses in the formats that research publishes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cache/replay.h"
#include "varve/result.h"

namespace varve::cli {

// arc     text, `first_block blocks ignored ignored`: each line stands for a run of keys
// keys    text, one key a line; lines that are no number are marks
// sized   text, `time key size`
// csv     text with the header `version,time,op,size,lbn`
// int32   binary, big-endian keys of 4 bytes
// int64   binary, big-endian keys of 8 bytes
// oracle  binary, little-endian records of 24 bytes: u32 time, u64 key, u32 size, i64 next access
//         (oracleGeneral of libCacheSim)
enum class TraceFormat { guess, arc, keys, sized, csv, int32, int64, oracle };

// "" is `guess`. `invalid`: there is no such format.
Result<TraceFormat> trace_format(std::string_view name);

// Reads the file, compressed or not. `guess` goes by the name and the first bytes. `invalid`: a
// line or record that the format does not know, with its number; no access at all.
Result<std::vector<cache::Access>> read_trace(const std::string& path, TraceFormat format);

}  // namespace varve::cli
