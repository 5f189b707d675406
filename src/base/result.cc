#include "base/result.h"

#include <fmt/format.h>

#include "varve/types.h"

namespace varve {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid:
      return "invalid";
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::conflict:
      return "conflict";
    case ErrorKind::unavailable:
      return "unavailable";
    case ErrorKind::overloaded:
      return "overloaded";
    case ErrorKind::cancelled:
      return "cancelled";
    case ErrorKind::corrupt:
      return "corrupt";
    case ErrorKind::internal:
      return "internal";
  }
  return "internal";
}

Error Error::with_context(std::string_view context) const {
  return Error{kind, fmt::format("{}: {}", context, message), hint};
}

std::string to_string(const Lsn& lsn) {
  return fmt::format("{}.{}.{}", lsn.epoch, lsn.seq, lsn.op);
}

}  // namespace varve
