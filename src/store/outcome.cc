#include "store/outcome.h"

#include <fmt/format.h>

namespace varve::store {

Status check_deadline(const base::Clock& clock, base::Deadline deadline) {
  if (!deadline.passed(clock)) return {};
  return fail(ErrorKind::cancelled, "the deadline of the store call has passed");
}

Status check_range(const ReadRequest& request, std::uint64_t object_bytes) {
  // Subtraction, since offset + size may overflow.
  if (request.offset <= object_bytes && request.size <= object_bytes - request.offset) return {};
  return fail(ErrorKind::invalid,
              fmt::format("object {}: {} bytes at offset {} go past its end at {}", request.key,
                          request.size, request.offset, object_bytes));
}

Status check_limit(std::uint32_t limit) {
  if (limit > 0) return {};
  return fail(ErrorKind::invalid, "the limit of a list must be at least 1");
}

tl::unexpected<Error> missing_object(std::string_view key) {
  return fail(ErrorKind::not_found, fmt::format("object {} does not exist", key));
}

tl::unexpected<Error> create_conflict(std::string_view key) {
  return fail(ErrorKind::conflict, fmt::format("object {} exists already", key));
}

tl::unexpected<Error> replace_conflict(std::string_view key, Replaced why) {
  return fail(ErrorKind::conflict,
              fmt::format("object {} {}", key,
                          why == Replaced::missing ? "does not exist" : "was changed meanwhile"));
}

}  // namespace varve::store
