// Turning values into fewer bytes, and back, without losing a bit.
#pragma once

#include <cstdint>
#include <functional>

#include "varve/cache/handle.h"

namespace varve::cache {

struct CompressOptions {
  // Values whose size is a multiple of four are tried as float32: repeated values, half precision
  // or bytes in disguise, exponents packed. 70 to 400 ns to decode for 6 KB.
  bool floats = true;
  // zstd as well, 1 to 22; 0: not. Best for text; some microseconds to decode for 6 KB.
  int zstd_level = 0;
  // Values that are opaque are sampled to train a dictionary of so many bytes for zstd; 0: none.
  std::size_t dictionary_bytes = 0;
};

// For MemoryOptions::encode and LayeredOptions::encode. Each value gets the smallest form that
// applies to it, decoded once to be sure. Thread-safe.
std::function<Handle(const Handle& value)> compressed(const CompressOptions& options = {});

}  // namespace varve::cache
