#include <algorithm>
#include <cmath>

#include "cli/drift_bench/normal_draws.h"
#include "cli/drift_bench/turning_rows.h"

namespace varve::cli::drift_bench {
namespace {

// As in bench/generate_clustered.py.
constexpr std::size_t kClumps = 400;
constexpr std::size_t kLatent = 16;
constexpr double kZipfExponent = 0.8;
constexpr double kSpread = 1.0;
constexpr double kWidthDeviation = 0.4;
constexpr double kNoise = 0.05;

// Turnovers that a clump lives. Births are even in time, so a fifth of them are new each turnover.
constexpr double kLifetime = 5;

enum class Stream : std::uint64_t { map, phases, clumps, rows, queries };

struct Clump {
  double middle[kLatent];    // in the middle of its life: all moments look alike that way
  double velocity[kLatent];  // for each turnover
  double width;
};

class MovingClumps final : public TurningRows {
 public:
  explicit MovingClumps(const ClumpOptions& options)
      : options_(options),
        lives_(static_cast<std::size_t>((options.turnovers + 1) / kLifetime) + 2) {
    make_shares();
    make_map();
    make_clumps();
  }

  std::uint32_t dim() const override { return options_.dim; }
  std::uint64_t live() const override { return options_.live; }

  void read(std::uint64_t number, std::span<float> out) const override {
    const double time = static_cast<double>(number) / static_cast<double>(options_.live);
    draw(time, seed_of(stream(Stream::rows), number), out);
  }

  std::vector<float> queries(std::uint32_t turn) const override {
    std::vector<float> values(options_.queries * options_.dim);
    const std::uint64_t seed = seed_of(stream(Stream::queries), turn);
    for (std::uint64_t i = 0; i < options_.queries; ++i) {
      draw(turn + 1, seed_of(seed, i), std::span(values).subspan(i * options_.dim, options_.dim));
    }
    return values;
  }

 private:
  std::uint64_t stream(Stream stream) const {
    return seed_of(options_.seed, static_cast<std::uint64_t>(stream));
  }

  void make_shares() {
    double sum = 0;
    for (std::size_t i = 0; i < kClumps; ++i) {
      sum += std::pow(static_cast<double>(i + 1), -kZipfExponent);
      shares_.push_back(sum);
    }
  }

  void make_map() {
    NormalDraws draws(stream(Stream::map));
    map_.resize(kLatent * options_.dim);
    const double scale = 1 / std::sqrt(static_cast<double>(kLatent));
    for (double& value : map_) value = scale * draws.next();
  }

  void make_clumps() {
    NormalDraws phases(stream(Stream::phases)), draws(stream(Stream::clumps));
    for (std::size_t i = 0; i < kClumps; ++i) phases_.push_back(phases.unit());
    clumps_.resize(lives_ * kClumps);
    for (Clump& clump : clumps_) {
      for (double& value : clump.middle) value = kSpread * draws.next();
      for (double& value : clump.velocity) value = kSpread * draws.next();
      clump.width = std::exp(kWidthDeviation * draws.next());
    }
  }

  void draw(double time, std::uint64_t seed, std::span<float> out) const {
    NormalDraws draws(seed);
    const auto share =
        std::upper_bound(shares_.begin(), shares_.end() - 1, draws.unit() * shares_.back());
    const auto place = static_cast<std::size_t>(share - shares_.begin());
    const double lives = time / kLifetime + phases_[place];
    const auto life = static_cast<std::size_t>(lives);
    const double age = (lives - static_cast<double>(life) - 0.5) * kLifetime;
    const Clump& clump = clumps_[life * kClumps + place];
    double latent[kLatent];
    for (std::size_t i = 0; i < kLatent; ++i) {
      latent[i] = clump.middle[i] + age * clump.velocity[i] + clump.width * draws.next();
    }
    for (std::size_t column = 0; column < out.size(); ++column) {
      const double* const weights = map_.data() + column * kLatent;
      double value = kNoise * draws.next();
      for (std::size_t i = 0; i < kLatent; ++i) value += latent[i] * weights[i];
      out[column] = static_cast<float>(value);
    }
  }

  const ClumpOptions options_;
  const std::size_t lives_;     // that one place sees at most
  std::vector<double> shares_;  // of the rows, by place, summed up
  std::vector<double> phases_;  // of the lives of each place
  std::vector<double> map_;     // from latent values to each column
  std::vector<Clump> clumps_;   // by life, then by place
};

}  // namespace

std::unique_ptr<TurningRows> make_moving_clumps(const ClumpOptions& options) {
  return std::make_unique<MovingClumps>(options);
}

}  // namespace varve::cli::drift_bench
