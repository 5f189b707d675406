// Which keys a store accepts: one rule for all implementations, so that a test on one holds for
// all.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace varve::store {

inline constexpr std::size_t kKeyBytesMax = 512;
// The longest file name of the common file systems.
inline constexpr std::size_t kSegmentBytesMax = 255;

// Folders of the local store that hold no objects; reserved in every store.
inline constexpr std::string_view kTempFolder = ".tmp";
inline constexpr std::string_view kLockFolder = ".locks";

// True for 1 to 255 bytes of [a-zA-Z0-9._-] other than "." and "..".
bool is_segment(std::string_view segment);

// `invalid` unless `key` follows the rule at ObjectStore.
Status check_key(std::string_view key);

}  // namespace varve::store
