// Randomness, handed in so that a seed replays a run.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>

namespace varve::base {

// xoshiro256** (Blackman and Vigna), seeded by splitmix64. Thread-safe: one mutex, since callers
// draw nonces and jitter, not streams of samples.
class Random {
 public:
  explicit Random(std::uint64_t seed);
  // Seeded by the operating system.
  static Random from_entropy();
  Random(Random&& other) noexcept : state_(other.state_) {}

  std::uint64_t next();
  // Uniform in [0, bound). REQUIRES: bound > 0.
  std::uint64_t below(std::uint64_t bound);
  // Uniform in [0, 1).
  double unit();

 private:
  std::mutex mutex_;
  std::array<std::uint64_t, 4> state_;
};

// 128 random bits that make the bytes of an object unlike any other's.
struct Nonce {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  auto operator<=>(const Nonce&) const = default;
  std::string hex() const;  // 32 characters
};
Nonce make_nonce(Random& random);

}  // namespace varve::base
