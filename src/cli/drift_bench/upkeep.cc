#include "cli/drift_bench/upkeep.h"

#include <fmt/format.h>

#include <tuple>

#include "base/result.h"

namespace varve::cli::drift_bench {
namespace {

using namespace std::chrono_literals;

constexpr base::Duration kPoll = 100ms;
constexpr base::Duration kQuiet = 1s;
// A tail that became large enough while a fold was under way waits for the next write. If it is
// being folded after all, the fold that is asked for next waits for that one.
constexpr base::Duration kIdle = 3s;
constexpr base::Duration kWaitMax = 120s;

// Calls again while the answer is `overloaded`.
template <typename Write>
Status write_when_possible(Write write) {
  base::Clock& clock = base::system_clock();
  const auto deadline = base::Deadline::after(clock, kWaitMax);
  for (;;) {
    const auto written = write();
    if (written) return {};
    const bool retry = written.error().kind == ErrorKind::overloaded;
    if (!retry || deadline.passed(clock)) return tl::unexpected(written.error());
    clock.sleep_for(kPoll);
  }
}

auto progress_of(const IndexInfo& info) {
  return std::tuple(info.version, info.tail_ops,
                    info.rows_folded + info.rows_rewritten + info.rows_rebuilt);
}

}  // namespace

Status replace_rows(Index& index, std::span<const VectorRecord> rows,
                    std::span<const std::string> keys) {
  VARVE_CHECK(write_when_possible([&] { return index.put(rows); }));
  return write_when_possible([&] { return index.remove(keys); });
}

Result<Quiet> wait_until_quiet(Index& index, std::uint64_t fold_ops_min) {
  base::Clock& clock = base::system_clock();
  const auto deadline = base::Deadline::after(clock, kWaitMax);
  Quiet quiet{{}, clock.now()};
  VARVE_TRY(quiet.info, index.info());
  for (;;) {
    clock.sleep_for(kPoll);
    VARVE_TRY(const IndexInfo info, index.info());
    if (!info.background_error.empty()) {
      return fail(ErrorKind::internal, fmt::format("background work: {}", info.background_error));
    }
    const auto now = clock.now();
    if (progress_of(info) != progress_of(quiet.info)) quiet = {info, now};
    const bool is_due = fold_ops_min > 0 && info.tail_ops >= fold_ops_min;
    if (now - quiet.since >= (is_due ? kIdle : kQuiet)) return quiet;
    if (deadline.passed(clock)) {
      return fail(ErrorKind::cancelled, "background work does not come to an end");
    }
  }
}

}  // namespace varve::cli::drift_bench
