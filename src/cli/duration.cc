#include "cli/duration.h"

#include <fmt/format.h>

#include <charconv>

namespace varve::cli {

Result<std::chrono::milliseconds> parse_duration(const std::string& text) {
  constexpr double kHourMs = 3600 * 1000.0, kDayMs = 24 * kHourMs, kMaxMs = 1000 * kDayMs;
  double amount = 0;
  const char* end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, amount);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  const double factor = unit == "ms"                  ? 1
                        : unit == "s" || unit.empty() ? 1000
                        : unit == "m"                 ? 60'000
                        : unit == "h"                 ? kHourMs
                        : unit == "d"                 ? kDayMs
                                                      : 0;
  const double ms = amount * factor;
  if (code != std::errc() || !(ms >= 1 && ms <= kMaxMs)) {
    return fail(ErrorKind::invalid, fmt::format("'{}' is no time span", text),
                "such as 500ms, 30s, 2m, 12h or 7d");
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(ms));
}

}  // namespace varve::cli
