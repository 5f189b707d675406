// Values between tiers: raw, or as one of the codecs made them.
#pragma once

#include "varve/cache/handle.h"

namespace varve::cache {

// The value itself; the same handle if it is raw already. Empty: damaged.
Handle decode_value(const Handle& value);

}  // namespace varve::cache
