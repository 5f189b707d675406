// Answers that every store words alike.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "store/object_store.h"

namespace varve::store {

// `cancelled` if the deadline has passed.
Status check_deadline(const base::Clock& clock, base::Deadline deadline);
// `invalid` if the range goes past the end of an object of `object_bytes`.
Status check_range(const ReadRequest& request, std::uint64_t object_bytes);
// `invalid` for zero: such a page could not be continued.
Status check_limit(std::uint32_t limit);

tl::unexpected<Error> missing_object(std::string_view key);   // `not_found`
tl::unexpected<Error> create_conflict(std::string_view key);  // `conflict`
enum class Replaced { missing, changed };
tl::unexpected<Error> replace_conflict(std::string_view key, Replaced why);  // `conflict`

}  // namespace varve::store
