// What was asked of an index and what it answered, and whether the answers can be true.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "varve/types.h"

namespace varve::sim {

// The content of a key is a function of key and version, so every record that comes back proves
// itself. Versions are unique in a run.
struct Content {
  std::uint32_t dim = 4;
  bool fractions = false;  // float32 values instead of small integers

  std::string key(std::uint32_t number) const;
  // nullopt: not a key of ours.
  std::optional<std::uint32_t> number_of(const std::string& key) const;
  VectorRecord record(std::uint32_t key_number, std::uint64_t version) const;
  // The version in the metadata; nullopt if it is none.
  std::optional<std::uint64_t> version_of(std::uint32_t key_number, const std::string& text) const;
};

enum class Outcome { pending, ok, failed, unknown };

// One operation on one key. Times are steps of the scheduler.
struct Write {
  std::uint32_t key = 0;
  std::optional<std::uint64_t> version;  // nullopt: a delete
  std::uint64_t start = 0;
  std::uint64_t end = std::numeric_limits<std::uint64_t>::max();
  Outcome outcome = Outcome::pending;
  std::optional<Lsn> lsn;  // known for acknowledged puts and deletes
};

// One key of one answer.
struct Seen {
  std::uint32_t key = 0;
  std::optional<std::uint64_t> version;  // nullopt: there was no such key
};

struct Read {
  std::string what;
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  // Keys that it asked for; all of one moment. A listing knows no versions: `keys_only`.
  std::vector<Seen> seen;
  bool keys_only = false;
};

// Judges the history of a run when it is over (invariants I1, I7 to I10). Not thread-safe.
class Oracle {
 public:
  // A batch that starts now; the index of its first write. Several writes of one batch follow.
  std::size_t begin(std::vector<Write> batch);
  // `last`: LSN of the last operation, if it is known.
  void end(std::size_t first, std::size_t count, std::uint64_t step, Outcome outcome,
           std::optional<Lsn> last);
  void add(Read read) { reads_.push_back(std::move(read)); }
  void violation(std::string text);

  void judge();
  const std::vector<std::string>& violations() const { return violations_; }
  std::size_t writes() const { return writes_.size(); }
  std::size_t reads() const { return reads_.size(); }

 private:
  void judge_order_of_acks();
  void judge_values(const Read& read);
  void judge_snapshot(const Read& read);
  void judge_register(std::uint32_t key);

  bool explains(const Write& write, const Read& read, const Seen& seen) const;
  // An acknowledged write is in between for certain.
  const Write* superseded(const Write& write, const Read& read) const;
  std::string describe(const Read& read, const Seen& seen) const;
  static std::string describe(const Write& write);

  std::vector<Write> writes_;
  std::vector<Read> reads_;
  std::vector<std::string> violations_;
};

}  // namespace varve::sim
