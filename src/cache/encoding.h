// Values between tiers: raw, or as one of the codecs made them.
#pragma once

#include "varve/cache/compress.h"
#include "varve/cache/handle.h"
#include "varve/cache/tier.h"

namespace varve::cache {

// The value itself; the same handle if it is raw already. Empty: damaged.
Handle decode_value(const Handle& value);

// The same value in a form that can be decoded by another process: not with a dictionary that lives
// in this one.
Handle portable_value(const Handle& value);

// Memory that encoding and decoding take now in the whole process: contexts of zstd, dictionaries
// and samples for them.
std::uint64_t encoding_bytes();

}  // namespace varve::cache
