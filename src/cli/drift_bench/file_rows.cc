#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/result.h"
#include "cli/drift_bench/normal_draws.h"
#include "cli/drift_bench/turning_rows.h"
#include "cli/files/vector_file.h"

namespace varve::cli::drift_bench {
namespace {

constexpr std::uint64_t kQueriesMin = 200;  // unless fewer are asked for
constexpr std::uint64_t kLivePerQuery = 4;  // at least
constexpr std::uint64_t kSampleRows = 5000;
constexpr unsigned kPowerSteps = 30;
// Of the deviation along the way: rows that come in together are not all alike.
constexpr double kNoise = 0.1;

struct Rows {
  std::uint32_t dim = 0;
  std::vector<float> values;

  std::uint64_t count() const { return dim == 0 ? 0 : values.size() / dim; }
  std::span<const float> row(std::uint64_t number) const {
    return std::span(values).subspan(number * dim, dim);
  }
};

Result<Rows> read_all(const FileOptions& options) {
  VectorFileOptions file;
  file.rules.reject_zero = options.metric == Metric::cosine;
  if (!options.format.empty()) {
    VARVE_TRY(file.format, parse_format(options.format));
  }
  VARVE_TRY(const auto source, open_vector_file(options.path, file));
  Rows rows;
  for (VectorRecord record;;) {
    VARVE_TRY(const bool more, source->next(record));
    if (!more) return rows;
    rows.dim = static_cast<std::uint32_t>(record.vector.size());
    rows.values.insert(rows.values.end(), record.vector.begin(), record.vector.end());
  }
}

// How many rows of each window live and how many are asked for.
struct Window {
  std::uint64_t live = 0, held_out = 0;

  std::uint64_t rows() const { return live + held_out; }
  // Whether the row at this place is held out: evenly, `held_out` of all.
  bool holds_out(std::uint64_t place) const {
    return (place + 1) * held_out / rows() != place * held_out / rows();
  }
};

Result<Window> window_of(const FileOptions& options, std::uint64_t rows) {
  const std::uint64_t queries = std::max<std::uint64_t>(1, options.queries);
  const std::uint64_t needed = std::min(queries, kQueriesMin);
  const std::uint64_t share = rows / (options.turnovers + 1);
  if (share < needed * (kLivePerQuery + 1)) {
    return fail(ErrorKind::invalid,
                fmt::format("--data '{}' has {} rows, too few for {} turnovers: it takes {}",
                            options.path, rows, options.turnovers,
                            needed * (kLivePerQuery + 1) * (options.turnovers + 1)),
                "fewer with a smaller --turnover");
  }
  Window window;
  window.live = share - std::min(queries, share / (kLivePerQuery + 1));
  window.live = std::min(window.live, options.live_max.value_or(window.live));
  window.held_out = std::min(queries, window.live / kLivePerQuery);
  if (window.held_out >= needed) return window;
  return fail(ErrorKind::invalid, fmt::format("--rows {} is too few with --data: it takes {}",
                                              window.live, needed * kLivePerQuery));
}

// So many numbers of rows, even over the file.
std::vector<std::uint64_t> even_sample(std::uint64_t rows, std::uint64_t wanted) {
  std::vector<std::uint64_t> sample;
  for (std::uint64_t i = 0; i < wanted; ++i) sample.push_back(i * rows / wanted);
  return sample;
}

// Places of rows along the direction of the largest variance. With `unit` rows count by their
// direction alone.
class Way {
 public:
  Way(const Rows& rows, bool unit, std::uint64_t seed)
      : rows_(rows), unit_(unit), middle_(rows.dim), direction_(rows.dim) {
    const auto sample = even_sample(rows.count(), std::min(rows.count(), kSampleRows));
    for (const std::uint64_t number : sample) {
      add(number, scale_of(number) / static_cast<double>(sample.size()), middle_);
    }
    NormalDraws draws(seed);
    for (double& value : direction_) value = draws.next();
    for (unsigned step = 0; step < kPowerSteps; ++step) improve(sample);
  }

  double place_of(std::uint64_t number) const {
    const auto row = rows_.row(number);
    const double scale = scale_of(number);
    double place = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      place += (scale * row[i] - middle_[i]) * direction_[i];
    }
    return place;
  }

 private:
  double scale_of(std::uint64_t number) const {
    if (!unit_) return 1;
    const auto row = rows_.row(number);
    const double squares = std::inner_product(row.begin(), row.end(), row.begin(), 0.0);
    return 1 / std::sqrt(squares);
  }

  void add(std::uint64_t number, double weight, std::vector<double>& sum) const {
    const auto row = rows_.row(number);
    for (std::size_t i = 0; i < row.size(); ++i) sum[i] += weight * row[i];
  }

  // One step of power iteration on the covariance of the sample.
  void improve(std::span<const std::uint64_t> sample) {
    std::vector<double> next(rows_.dim);
    double weights = 0;
    for (const std::uint64_t number : sample) {
      const double weight = place_of(number);
      weights += weight;
      add(number, weight * scale_of(number), next);
    }
    double squares = 0;
    for (std::size_t i = 0; i < next.size(); ++i) {
      next[i] -= weights * middle_[i];
      squares += next[i] * next[i];
    }
    // Equal rows have no direction, and any will do.
    if (squares <= 0) return;
    for (std::size_t i = 0; i < next.size(); ++i) direction_[i] = next[i] / std::sqrt(squares);
  }

  const Rows& rows_;
  const bool unit_;
  std::vector<double> middle_, direction_;
};

// `numbers` by their place on the way, a little shaken.
void sort_along_way(const Rows& rows, const FileOptions& options,
                    std::vector<std::uint64_t>& numbers) {
  const Way way(rows, options.metric == Metric::cosine, seed_of(options.seed, 0));
  std::vector<std::pair<double, std::uint64_t>> placed;
  double sum = 0, squares = 0;
  for (const std::uint64_t number : numbers) {
    const double place = way.place_of(number);
    placed.emplace_back(place, number);
    sum += place;
    squares += place * place;
  }
  const auto count = static_cast<double>(numbers.size());
  const double variance = squares / count - (sum / count) * (sum / count);
  const double noise = kNoise * std::sqrt(std::max(0.0, variance));
  NormalDraws draws(seed_of(options.seed, 1));
  for (auto& [place, number] : placed) place += noise * draws.next();
  std::sort(placed.begin(), placed.end());
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = placed[i].second;
}

class FileRows final : public TurningRows {
 public:
  // `order` are numbers of rows, one window behind the other.
  FileRows(Rows rows, const Window& window, std::span<const std::uint64_t> order)
      : rows_(std::move(rows)), window_(window) {
    for (std::uint64_t i = 0; i < order.size(); ++i) {
      (window.holds_out(i % window.rows()) ? held_out_ : kept_).push_back(order[i]);
    }
  }

  std::uint32_t dim() const override { return rows_.dim; }
  std::uint64_t live() const override { return window_.live; }

  void read(std::uint64_t number, std::span<float> out) const override {
    const auto row = rows_.row(kept_[number]);
    std::copy(row.begin(), row.end(), out.begin());
  }

  std::vector<float> queries(std::uint32_t turn) const override {
    std::vector<float> values;
    for (std::uint64_t i = 0; i < window_.held_out; ++i) {
      const auto row = rows_.row(held_out_[turn * window_.held_out + i]);
      values.insert(values.end(), row.begin(), row.end());
    }
    return values;
  }

 private:
  const Rows rows_;
  const Window window_;
  std::vector<std::uint64_t> kept_, held_out_;
};

}  // namespace

Result<std::unique_ptr<TurningRows>> read_file_rows(const FileOptions& options) {
  VARVE_TRY(Rows rows, read_all(options));
  VARVE_TRY(const Window window, window_of(options, rows.count()));
  auto order = even_sample(rows.count(), window.rows() * (options.turnovers + 1));
  sort_along_way(rows, options, order);
  return std::make_unique<FileRows>(std::move(rows), window, order);
}

}  // namespace varve::cli::drift_bench
