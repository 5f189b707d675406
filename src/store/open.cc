#include "store/open.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <optional>

#include "store/fault.h"
#include "store/local_store.h"
#include "store/memory_store.h"

namespace varve::store {
namespace {

Result<std::string> percent_decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    const auto digits = text.substr(i + 1, 2);
    unsigned code = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2 || code == 0) {
      return fail(ErrorKind::invalid, fmt::format("file://{}: a % needs two hex digits", text));
    }
    plain += static_cast<char>(code);
    i += 2;
  }
  return plain;
}

// RFC 8089: file:///path or file://localhost/path.
Result<std::string> file_path(std::string_view after_scheme) {
  constexpr std::string_view kLocalhost = "localhost/";
  auto path = after_scheme;
  if (path.starts_with(kLocalhost)) path.remove_prefix(kLocalhost.size() - 1);
  if (!path.starts_with('/')) {
    return fail(ErrorKind::invalid,
                fmt::format("file://{}: the path is not absolute", after_scheme),
                "write file:///srv/data, or the bare path for a relative one");
  }
  return percent_decoded(path);
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

struct SeededPlan {
  std::uint64_t seed = 0;
  FaultPlan plan;
};

// One "name=value" of a plan. False if there is no such name or it cannot have this value.
bool set_fault(SeededPlan& seeded, std::string_view name, std::string_view value) {
  if (name == "seed") {
    const auto seed = parse_number<std::uint64_t>(value);
    seeded.seed = seed.value_or(0);
    return seed.has_value();
  }
  static constexpr struct {
    std::string_view name;
    double FaultPlan::*probability;
  } kFaults[] = {
      {"delay", &FaultPlan::delay},
      {"fail_before", &FaultPlan::fail_before},
      {"lose_answer", &FaultPlan::lose_answer},
      {"land_late", &FaultPlan::land_late},
      {"partial_remove", &FaultPlan::partial_remove},
      {"corrupt_read", &FaultPlan::corrupt_read},
      {"truncate_read", &FaultPlan::truncate_read},
  };
  const auto probability = parse_number<double>(value);
  if (!probability || !(*probability >= 0 && *probability <= 1)) return false;
  for (const auto& fault : kFaults) {
    if (name != fault.name) continue;
    seeded.plan.*fault.probability = *probability;
    return true;
  }
  return false;
}

// "seed=7&lose_answer=0.05".
Result<SeededPlan> parse_plan(std::string_view text) {
  SeededPlan seeded;
  while (!text.empty()) {
    const auto item = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(item.size() + 1, text.size()));
    const auto equals = std::min(item.find('='), item.size());
    const auto value = item.substr(std::min(equals + 1, item.size()));
    if (!set_fault(seeded, item.substr(0, equals), value)) {
      return fail(ErrorKind::invalid, fmt::format("fault '{}' is not known", item),
                  "seed=7, or a name of FaultPlan with a probability: lose_answer=0.05");
    }
  }
  return seeded;
}

// `rest` is "file:///srv/data?seed=7".
Result<std::shared_ptr<ObjectStore>> open_fault_store(const std::string& rest,
                                                      const OpenOptions& options) {
  const auto question = std::min(rest.rfind('?'), rest.size());
  VARVE_TRY(SeededPlan seeded,
            parse_plan(std::string_view(rest).substr(std::min(question + 1, rest.size()))));
  VARVE_TRY(auto inner, open_store(rest.substr(0, question), options));
  return std::make_shared<FaultStore>(std::move(inner), *options.clock, seeded.seed,
                                      std::move(seeded.plan));
}

std::shared_ptr<ObjectStore> named_memory_store(const std::string& name, base::Clock& clock) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<ObjectStore>> stores;
  std::lock_guard lock(mutex);
  auto& store = stores[name];
  if (!store) store = make_memory_store(clock);
  return store;
}

}  // namespace

Result<std::shared_ptr<ObjectStore>> open_store(const std::string& uri,
                                                const OpenOptions& options) {
  base::Clock& clock = *options.clock;
  const auto mark = uri.find("://");
  if (mark == std::string::npos) {
    return open_local_store(uri, base::Random::from_entropy(), clock, options.create_if_missing);
  }
  constexpr std::string_view kFault = "fault+";
  if (uri.starts_with(kFault)) return open_fault_store(uri.substr(kFault.size()), options);
  const auto scheme = uri.substr(0, mark);
  const auto rest = uri.substr(mark + 3);
  if (scheme == "file") {
    VARVE_TRY(const auto path, file_path(rest));
    return open_local_store(path, base::Random::from_entropy(), clock, options.create_if_missing);
  }
  if (scheme == "memory") {
    if (rest.empty()) return make_memory_store(clock);
    return named_memory_store(rest, clock);
  }
  return fail(ErrorKind::invalid, fmt::format("unknown scheme in store \"{}\"", uri),
              "use a path, file:///path, memory:// or memory://name");
}

}  // namespace varve::store
