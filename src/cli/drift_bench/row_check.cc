#include "cli/drift_bench/row_check.h"

#include <fmt/format.h>

#include "base/result.h"

namespace varve::cli::drift_bench {
namespace {

constexpr std::size_t kSampleRows = 200;

// Looks at rows from `first` on, `count` of them.
Status check_sample(Index& index, const TurningRows& rows, std::uint64_t first, std::uint64_t count,
                    bool are_live, base::Random& random) {
  std::vector<std::uint64_t> numbers;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < kSampleRows; ++i) {
    numbers.push_back(first + random.below(count));
    keys.push_back(key_of(numbers.back()));
  }
  VARVE_TRY(const auto found, index.get(keys));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found[i].has_value() != are_live) {
      return fail(ErrorKind::internal,
                  fmt::format("the index {} row '{}', which is {}", are_live ? "lacks" : "has",
                              keys[i], are_live ? "alive" : "deleted"));
    }
    if (are_live && found[i]->vector != record_of(rows, numbers[i]).vector) {
      return fail(ErrorKind::internal, fmt::format("row '{}' is another than was put", keys[i]));
    }
  }
  return {};
}

}  // namespace

std::string key_of(std::uint64_t number) { return std::to_string(number); }

VectorRecord record_of(const TurningRows& rows, std::uint64_t number) {
  VectorRecord record{key_of(number), std::vector<float>(rows.dim()), {}};
  rows.read(number, record.vector);
  return record;
}

Status check_rows(Index& index, const Snapshot& snapshot, const TurningRows& rows,
                  std::uint32_t turn, base::Random& random) {
  VARVE_TRY(const std::uint64_t vectors, snapshot.vectors());
  if (vectors != rows.live()) {
    return fail(ErrorKind::internal,
                fmt::format("the index has {} rows instead of {}", vectors, rows.live()));
  }
  const std::uint64_t first = turn * rows.live();
  VARVE_CHECK(check_sample(index, rows, first, rows.live(), true, random));
  return check_sample(index, rows, 0, first, false, random);
}

}  // namespace varve::cli::drift_bench
