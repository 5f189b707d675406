#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cache/store/pack_source.h"

namespace varve::cache::packs {

// One run of compact(): writes new packs, then deletes those that they replace, so that a stop at
// any point leaves each newest record in at least one pack.
//
// A removal goes only when no pack at all has an older value of its key, those that are about to be
// deleted included, since a deletion may be cut short; and no write is under way that may still
// bring one.
class Compaction {
 public:
  explicit Compaction(PackSource& source) : source_(source) {}
  Status run();

 private:
  struct Input {
    store::ListPage::Entry object;
    std::uint32_t level = 0;
    std::vector<PackEntry> entries;
    std::uint64_t kept_bytes = 0;
    bool chosen = false;
  };
  // Of one key, over all packs.
  struct Newest {
    std::uint64_t sequence = 0;
    std::size_t input = 0;
    std::uint64_t oldest_value = ~std::uint64_t{0};  // sequence
  };
  enum class Fate { drop, keep, make_removal };

  Status read_inputs();
  void survey();
  Fate fate_of(const PackEntry& entry, std::size_t input) const;
  // False: it would gain nothing.
  bool choose();
  Status rewrite(const Input& input, std::size_t number);
  Status copy(const Input& input, std::vector<Wanted>& wanted);
  Status add(const RecordHeader& header, std::string_view key, base::ByteSpan payload);
  Status delete_chosen();

  PackSource& source_;
  std::vector<Input> inputs_;
  std::unordered_map<std::string_view, Newest> newest_;
  std::uint64_t settled_below_ = 0;
  std::int64_t now_ms_ = 0;
  std::uint32_t level_ = 0;
  PackBuilder builder_;
};

}  // namespace varve::cache::packs
