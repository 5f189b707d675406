// gzip, zstd and xz streams: several members, frames or streams in a row are one file.
#pragma once

#include <memory>
#include <string>

#include "cli/files/byte_stream.h"

namespace varve::cli {

// `invalid` from read: damaged, cut short, or other bytes after the end.
std::unique_ptr<ByteStream> gunzip(std::unique_ptr<ByteStream> packed, std::string name);
std::unique_ptr<ByteStream> unzstd(std::unique_ptr<ByteStream> packed, std::string name);
std::unique_ptr<ByteStream> unxz(std::unique_ptr<ByteStream> packed, std::string name);

}  // namespace varve::cli
