// Where the newest record of each key is.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cache/store/pack.h"

namespace varve::cache::packs {

struct Place {
  std::uint32_t pack = 0;
  bool removed = false;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t sequence = 0;
  std::int64_t expires_ms = 0;
};

struct Pack {
  std::string name;
  std::uint32_t level = 0;
  std::uint64_t bytes = 0;
  bool gone = false;  // no such object any more; numbers are not used again
};

// Not thread-safe.
class PackIndex {
 public:
  // Its number. A name that is known keeps its own.
  std::uint32_t add_pack(std::string_view name, std::uint32_t level, std::uint64_t bytes);
  bool knows(std::string_view name) const { return numbers_.contains(std::string(name)); }
  // Takes in what is newer than what it has, or as new as what lies in a pack that is gone.
  void take(std::uint32_t pack, std::span<const PackEntry> entries);
  void mark_gone(std::string_view name);
  // Forgets what lies in packs that are gone.
  void sweep();

  // Null: never heard of it.
  const Place* find(std::string_view key) const;
  const Pack& pack(std::uint32_t number) const { return packs_[number]; }
  std::vector<std::string> pack_names() const;  // of those that are there
  std::uint64_t sequence_max() const { return sequence_max_; }

  std::uint64_t pack_count() const { return numbers_.size(); }
  std::uint64_t pack_bytes() const { return pack_bytes_; }
  std::uint64_t key_count() const { return places_.size() - removed_count_; }
  std::uint64_t removed_count() const { return removed_count_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const;
  };
  std::vector<Pack> packs_;
  std::unordered_map<std::string, std::uint32_t> numbers_;  // of packs that are there
  std::unordered_map<std::string, Place, Hash, std::equal_to<>> places_;
  std::uint64_t pack_bytes_ = 0;
  std::uint64_t removed_count_ = 0;
  std::uint64_t sequence_max_ = 0;
  bool some_gone_ = false;
};

}  // namespace varve::cache::packs
