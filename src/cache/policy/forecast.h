// What a sketch says will be asked for again, and an admission that goes by it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "cache/policy/frequency_sketch.h"
#include "varve/cache/policy.h"

namespace varve::cache {

// Expected uses of a key in the near future, from two sketches that forget at different speeds: the
// slow one knows the level, and the difference of the fast one to it is the trend. One thread.
class Forecast {
 public:
  // Grows to `entries`; what is known stays.
  void reserve(std::size_t entries) {
    fast_.reserve(entries);
    slow_.reserve(entries);
  }
  void add(std::uint64_t hash) {
    fast_.add(hash);
    slow_.add(hash);
  }
  // Proportional to the uses expected per unit of time; at least 0.
  double uses(std::uint64_t hash) const;

  std::size_t resident_bytes() const { return fast_.resident_bytes() + slow_.resident_bytes(); }

 private:
  static constexpr std::size_t kFastUses = 3;  // an entry, from one halving to the next
  static constexpr std::size_t kSlowUses = 12;

  FrequencySketch fast_{kFastUses};
  FrequencySketch slow_{kSlowUses};
};

// What the name of a policy ends in that is wrapped so.
inline constexpr std::string_view kForecastSuffix = "+forecast";

// Keeps a newcomer only if it is expected to be asked for again sooner than the victim of `inner`.
// Counts hits, so that touch() needs the lock. About 16 bytes an entry for the sketches and 8 for
// the hash, beside what `inner` takes.
std::unique_ptr<EvictionPolicy> admit_by_forecast(std::unique_ptr<EvictionPolicy> inner);

}  // namespace varve::cache
