#include "sim/oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace varve::sim {
namespace {

std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 31)) * 0x7fb5d329728ea185;
  value = (value ^ (value >> 27)) * 0x81dadef4bc2dd44d;
  return value ^ (value >> 33);
}

// A stretch of time in which a value must have been there (forward), or one moment of which it was
// written (not forward): Gibbons and Korach, "Testing shared memories", 1997.
struct Zone {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool forward = false;
  std::string name;
};

Zone zone_of(std::uint64_t first_end, std::uint64_t last_start, std::string name) {
  return {std::min(first_end, last_start), std::max(first_end, last_start), first_end < last_start,
          std::move(name)};
}

bool clash(const Zone& a, const Zone& b) {
  if (a.forward && b.forward) return a.low < b.high && b.low < a.high;
  if (a.forward) return a.low < b.low && b.high < a.high;
  return false;
}

}  // namespace

std::string Content::key(std::uint32_t number) const { return fmt::format("key-{:03}", number); }

std::optional<std::uint32_t> Content::number_of(const std::string& key) const {
  for (std::uint32_t number = 0; number < 1000; ++number) {
    if (this->key(number) == key) return number;
  }
  return std::nullopt;
}

VectorRecord Content::record(std::uint32_t key_number, std::uint64_t version) const {
  VectorRecord record;
  record.key = key(key_number);
  std::uint64_t state = mix(version * 1000 + key_number + 1);
  for (std::uint32_t i = 0; i < dim; ++i) {
    state = mix(state + i + 1);
    const auto small = static_cast<float>(state % 200 + 1);
    record.vector.push_back(fractions ? small / 7.0F : small);
  }
  record.metadata = fmt::format(R"({{"key":{},"version":{}}})", key_number, version);
  return record;
}

std::optional<std::uint64_t> Content::version_of(std::uint32_t key_number,
                                                 const std::string& text) const {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  const std::uint64_t version = std::strtoull(text.c_str() + colon + 1, nullptr, 10);
  if (record(key_number, version).metadata != text) return std::nullopt;
  return version;
}

std::size_t Oracle::begin(std::vector<Write> batch) {
  const std::size_t first = writes_.size();
  writes_.insert(writes_.end(), batch.begin(), batch.end());
  return first;
}

void Oracle::end(std::size_t first, std::size_t count, std::uint64_t step, Outcome outcome,
                 std::optional<Lsn> last) {
  for (std::size_t i = 0; i < count; ++i) {
    Write& write = writes_[first + i];
    write.end = step;
    write.outcome = outcome;
    if (last) write.lsn = Lsn{last->epoch, last->seq, last->op - (count - 1 - i)};
  }
}

void Oracle::violation(std::string text) {
  constexpr std::size_t kViolationsMax = 20;
  if (violations_.size() < kViolationsMax) violations_.push_back(std::move(text));
}

std::string Oracle::describe(const Write& write) {
  const char* const names[] = {"pending", "ok", "failed", "unknown"};
  return fmt::format("{} of steps {} to {} ({}{})",
                     write.version ? fmt::format("version {}", *write.version) : "delete",
                     write.start, write.end, names[static_cast<int>(write.outcome)],
                     write.lsn ? ", lsn " + to_string(*write.lsn) : "");
}

std::string Oracle::describe(const Read& read, const Seen& seen) const {
  return fmt::format("{} of steps {} to {}: key {} is {}", read.what, read.start, read.end,
                     seen.key,
                     read.keys_only ? (seen.version ? "there" : "absent")
                     : seen.version ? fmt::format("version {}", *seen.version)
                                    : "absent");
}

bool Oracle::explains(const Write& write, const Read& read, const Seen& seen) const {
  if (write.key != seen.key || write.outcome == Outcome::failed || write.start > read.end) {
    return false;
  }
  if (read.keys_only) return write.version.has_value() == seen.version.has_value();
  return write.version == seen.version;
}

const Write* Oracle::superseded(const Write& write, const Read& read) const {
  for (const Write& other : writes_) {
    if (other.key != write.key || other.outcome != Outcome::ok || other.end >= read.start) continue;
    if (write.end < other.start) return &other;
    if (write.lsn && other.lsn && *write.lsn < *other.lsn) return &other;
  }
  return nullptr;
}

void Oracle::judge_values(const Read& read) {
  for (const Seen& seen : read.seen) {
    const Write* newer = nullptr;
    bool explained = false;
    Write never_written{seen.key, std::nullopt, 0, 0, Outcome::ok, Lsn{}};
    if (explains(never_written, read, seen)) {
      newer = superseded(never_written, read);
      explained = newer == nullptr;
    }
    for (const Write& write : writes_) {
      if (explained || !explains(write, read, seen)) continue;
      const Write* between = superseded(write, read);
      explained = between == nullptr;
      if (between != nullptr) newer = between;
    }
    if (explained) continue;
    violation(fmt::format("I8, I10: {}{}", describe(read, seen),
                          newer == nullptr ? ", which nobody wrote"
                                           : ", but this was acknowledged: " + describe(*newer)));
  }
}

// One answer, one moment: what it shows of the newest write it knows of bounds what it may show of
// the others.
void Oracle::judge_snapshot(const Read& read) {
  if (read.keys_only) return;
  const auto find = [&](const Seen& seen) -> const Write* {
    for (const Write& write : writes_) {
      if (write.key == seen.key && write.version && write.version == seen.version) return &write;
    }
    return nullptr;
  };
  std::optional<Lsn> moment;
  for (const Seen& seen : read.seen) {
    const Write* write = find(seen);
    if (write != nullptr && write->lsn) moment = std::max(moment.value_or(Lsn{}), *write->lsn);
  }
  if (!moment) return;
  for (const Seen& seen : read.seen) {
    const Write* last = nullptr;
    bool loose = false;  // a delete whose place in the order is not known
    for (const Write& write : writes_) {
      if (write.key != seen.key || write.outcome == Outcome::failed) continue;
      if (!write.version && (!write.lsn || *write.lsn > *moment)) loose = true;
      if (!write.lsn || *write.lsn > *moment) continue;
      if (last == nullptr || *write.lsn > *last->lsn) last = &write;
    }
    if (last == nullptr || last->version == seen.version) continue;
    const Write* shown = find(seen);
    const bool may_be_newer = shown == nullptr ? loose : (!shown->lsn || *shown->lsn > *last->lsn);
    if (may_be_newer) continue;
    violation(fmt::format("I9: {}, but the answer shows lsn {} and so must show {}",
                          describe(read, seen), to_string(*moment), describe(*last)));
  }
}

void Oracle::judge_order_of_acks() {
  std::set<Lsn> known;
  for (const Write& write : writes_) {
    if (!write.lsn) continue;
    if (!known.insert(*write.lsn).second) {
      violation("I3: one position was acknowledged twice: " + describe(write));
    }
    for (const Write& later : writes_) {
      if (!later.lsn || later.start <= write.end || *later.lsn > *write.lsn) continue;
      violation(fmt::format("I10: {} was acknowledged before {} began", describe(write),
                            describe(later)));
    }
  }
}

// The key as one register: is there an order of its operations that agrees with their times?
void Oracle::judge_register(std::uint32_t key) {
  std::vector<Zone> zones;
  for (const Write& write : writes_) {
    if (write.key != key || write.outcome == Outcome::failed) continue;
    const bool ok = write.outcome == Outcome::ok;
    std::uint64_t first_end = ok ? write.end : std::numeric_limits<std::uint64_t>::max();
    std::uint64_t last_start = write.start;
    bool observed = ok;
    for (const Read& read : reads_) {
      if (read.keys_only || !write.version) continue;
      for (const Seen& seen : read.seen) {
        if (seen.key != key || seen.version != write.version) continue;
        observed = true;
        first_end = std::min(first_end, read.end);
        last_start = std::max(last_start, read.start);
      }
    }
    if (observed) zones.push_back(zone_of(first_end, last_start, describe(write)));
  }
  for (std::size_t a = 0; a < zones.size(); ++a) {
    for (std::size_t b = 0; b < zones.size(); ++b) {
      if (a == b || (zones[b].forward && b < a) || !clash(zones[a], zones[b])) continue;
      violation(fmt::format("I7, I8: key {} held {} from step {} to {}, but {} took effect then",
                            key, zones[a].name, zones[a].low, zones[a].high, zones[b].name));
    }
  }
}

void Oracle::judge() {
  judge_order_of_acks();
  std::set<std::uint32_t> keys;
  for (const Write& write : writes_) keys.insert(write.key);
  for (const Read& read : reads_) {
    judge_values(read);
    judge_snapshot(read);
  }
  for (const std::uint32_t key : keys) judge_register(key);
}

}  // namespace varve::sim
