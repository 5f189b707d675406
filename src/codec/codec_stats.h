// How much the methods saved.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "codec/lossless.h"

namespace varve::codec {

struct MethodCounts {
  std::uint64_t count = 0, raw_bytes = 0, stored_bytes = 0;
};

// Thread-safe. The three numbers of a method are read one after the other: they may be of different
// moments while others record.
class CodecStats {
 public:
  void record(const Encoded& encoded, std::size_t raw_bytes) {
    Counters& counters = counters_[static_cast<std::size_t>(encoded.method)];
    counters.count.fetch_add(1, std::memory_order_relaxed);
    counters.raw_bytes.fetch_add(raw_bytes, std::memory_order_relaxed);
    counters.stored_bytes.fetch_add(encoded.bytes.size(), std::memory_order_relaxed);
  }

  MethodCounts of(Method method) const {
    const Counters& counters = counters_[static_cast<std::size_t>(method)];
    return {counters.count.load(std::memory_order_relaxed),
            counters.raw_bytes.load(std::memory_order_relaxed),
            counters.stored_bytes.load(std::memory_order_relaxed)};
  }

  MethodCounts total() const {
    MethodCounts total;
    for (std::size_t i = 0; i < kMethods; ++i) {
      const MethodCounts counts = of(static_cast<Method>(i));
      total.count += counts.count;
      total.raw_bytes += counts.raw_bytes;
      total.stored_bytes += counts.stored_bytes;
    }
    return total;
  }

 private:
  struct Counters {
    std::atomic<std::uint64_t> count = 0, raw_bytes = 0, stored_bytes = 0;
  };
  std::array<Counters, kMethods> counters_;
};

}  // namespace varve::codec
