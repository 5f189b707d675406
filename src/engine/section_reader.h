// Reads sections of parts: one batch, adjacent ranges of an object joined into one request.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/env.h"
#include "engine/generation.h"
#include "format/manifest.h"

namespace varve::engine {

// What this thread has asked of the store through the functions below; only differences matter.
struct ReadCost {
  std::uint64_t requests = 0;
  std::uint64_t bytes = 0;
};
ReadCost& read_cost();

// Sections under way: all requests are sent by the constructor. Used by one thread.
class SectionReads {
 public:
  struct Arrived {
    std::size_t index = 0;  // in `slots`
    // Verified and decompressed. `not_found`: the object is gone. `corrupt`: names object, part and
    // section.
    Result<base::Bytes> section;
  };

  SectionReads(const Env& env, std::span<PartSlot* const> slots, format::Section section);
  // In the order of arrival; nullopt when all have been returned.
  std::optional<Arrived> next();

 private:
  // One request that covers the sections of [first, last) of order_.
  struct Run {
    std::size_t first = 0;
    std::size_t last = 0;
  };
  const format::SectionRef& ref(std::size_t place) const {
    return slots_[order_[place]]->ref.section(section_);
  }
  void join();
  void send();
  void take_run(const Run& run, const Result<base::Bytes>& bytes);

  const Env& env_;
  const std::vector<PartSlot*> slots_;
  const format::Section section_;
  std::vector<std::size_t> order_;  // of slots_, by object and offset
  std::vector<Run> runs_;
  std::unique_ptr<store::ReadBatch> batch_;
  std::deque<Arrived> ready_;
};

// Calls `take` once for each slot with its section, in the order of arrival. The first error ends
// it.
Status read_sections(const Env& env, std::span<PartSlot* const> slots, format::Section section,
                     const std::function<Status(PartSlot&, base::Bytes)>& take);

Result<base::Bytes> read_section(const Env& env, PartSlot& slot, format::Section section);

}  // namespace varve::engine
