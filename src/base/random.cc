#include "base/random.h"

#include <fmt/format.h>

#include <bit>
#include <random>

#include "base/assert.h"

namespace varve::base {
namespace {

std::uint64_t splitmix64(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(std::uint64_t seed) {
  for (auto& word : state_) word = splitmix64(seed);
}

Random Random::from_entropy() {
  std::random_device device;
  Random random(0);
  for (auto& word : random.state_) word = (std::uint64_t{device()} << 32) | device();
  return random;
}

std::uint64_t Random::next() {
  std::lock_guard lock(mutex_);
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Random::below(std::uint64_t bound) {
  VARVE_ASSERT(bound > 0);
  // Rejection keeps it uniform; the loop ends since less than half of the draws are rejected.
  const std::uint64_t limit = (0 - bound) % bound;
  std::uint64_t draw = next();
  while (draw < limit) draw = next();
  return draw % bound;
}

double Random::unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

std::string Nonce::hex() const { return fmt::format("{:016x}{:016x}", high, low); }

Nonce make_nonce(Random& random) {
  const std::uint64_t high = random.next();
  return Nonce{high, random.next()};
}

}  // namespace varve::base
