#include "cli/bench_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/result.h"

namespace varve::cli {
namespace {

// Policies that draw by chance draw the same in every run.
constexpr std::uint64_t kPolicySeed = 1;

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

template <typename T>
bool parse(std::string_view text, T& value) {
  const char* const end = text.data() + text.size();
  const auto [next, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && next == end;
}

Result<TraceSize> parse_size(const std::string& text) {
  TraceSize size{text, 0, 0};
  if (text.ends_with('%')) {
    double percent = 0;
    const bool number = parse(std::string_view(text).substr(0, text.size() - 1), percent);
    if (number && percent > 0 && percent <= 100) {
      size.share = percent / 100;
      return size;
    }
  } else if (parse(std::string_view(text), size.units) && size.units > 0) {
    return size;
  }
  return fail(ErrorKind::invalid, fmt::format("--size: '{}' is no size", text),
              "a percentage such as 5%, or a number of items or bytes");
}

Result<std::uint64_t> misses_of(const std::string& policy, const cache::Trace& trace,
                                std::uint64_t capacity) {
  if (policy == kOptimum) return cache::count_misses_of_optimum(trace, capacity);
  VARVE_TRY(const auto made, cache::make_policy(policy, kPolicySeed));
  return cache::count_misses(trace, capacity, *made);
}

}  // namespace

std::uint64_t TraceSize::capacity_of(const cache::Trace& trace) const {
  if (share == 0) return units;
  const double capacity = std::round(share * static_cast<double>(trace.total_size()));
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(capacity));
}

Result<std::vector<TraceSize>> parse_trace_sizes(const std::string& text) {
  std::vector<TraceSize> sizes;
  for (const std::string& part : split(text)) {
    VARVE_TRY(TraceSize size, parse_size(part));
    sizes.push_back(std::move(size));
  }
  if (sizes.empty()) return fail(ErrorKind::invalid, "--size names no size");
  return sizes;
}

Result<std::vector<std::string>> parse_policies(const std::string& text) {
  std::vector<std::string> policies = split(text);
  if (policies.empty()) {
    policies.assign(cache::policy_names().begin(), cache::policy_names().end());
    policies.emplace_back(kOptimum);
  }
  for (const std::string& policy : policies) {
    if (policy != kOptimum) VARVE_CHECK(cache::make_policy(policy, kPolicySeed));
  }
  return policies;
}

Result<std::vector<TraceRow>> replay_all(const std::string& name, const cache::Trace& trace,
                                         const std::vector<std::string>& policies,
                                         const std::vector<TraceSize>& sizes,
                                         const ProgressSink& progress) {
  std::vector<TraceRow> rows;
  for (const TraceSize& size : sizes) {
    for (const std::string& policy : policies) {
      if (progress) progress({"replay", rows.size(), sizes.size() * policies.size(), "replays"});
      TraceRow row{name, policy, size.text, size.capacity_of(trace), trace.size(), 0};
      VARVE_TRY(row.misses, misses_of(policy, trace, row.capacity));
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace varve::cli
