#include "cli/byte_size.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <string_view>
#include <utility>

namespace varve::cli {
namespace {

constexpr double kBytesMax = 1ULL << 60;
constexpr std::array<std::pair<std::string_view, double>, 14> kUnits{{{"", 1},
                                                                      {"b", 1},
                                                                      {"k", 1e3},
                                                                      {"kb", 1e3},
                                                                      {"kib", 1024.0},
                                                                      {"m", 1e6},
                                                                      {"mb", 1e6},
                                                                      {"mib", 1024.0 * 1024},
                                                                      {"g", 1e9},
                                                                      {"gb", 1e9},
                                                                      {"gib", 1024.0 * 1024 * 1024},
                                                                      {"t", 1e12},
                                                                      {"tb", 1e12},
                                                                      {"tib", 1099511627776.0}}};

}  // namespace

Result<std::uint64_t> parse_bytes(const std::string& flag, const std::string& text) {
  double amount = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, amount);
  std::string unit(rest, static_cast<std::size_t>(end - rest));
  std::transform(unit.begin(), unit.end(), unit.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto known = std::find_if(kUnits.begin(), kUnits.end(),
                                  [&](const auto& each) { return each.first == unit; });
  const bool good = code == std::errc() && known != kUnits.end() && amount >= 0 &&
                    amount * known->second <= kBytesMax;
  if (!good) {
    return fail(ErrorKind::invalid, fmt::format("{}: '{}' is no amount of bytes", flag, text),
                "such as 64MB, 1.5GiB or 1048576");
  }
  return static_cast<std::uint64_t>(amount * known->second);
}

}  // namespace varve::cli
