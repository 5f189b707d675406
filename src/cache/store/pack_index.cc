#include "cache/store/pack_index.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "varve/cache/tier.h"

namespace varve::cache::packs {

std::size_t PackIndex::Hash::operator()(std::string_view key) const { return hash_of_key(key); }

std::uint32_t PackIndex::add_pack(std::string_view name, std::uint32_t level, std::uint64_t bytes) {
  const auto number = static_cast<std::uint32_t>(packs_.size());
  const auto [entry, added] = numbers_.try_emplace(std::string(name), number);
  if (added) {
    packs_.push_back({std::string(name), level, bytes, false});
    pack_bytes_ += bytes;
  }
  return entry->second;
}

void PackIndex::take(std::uint32_t pack, std::span<const PackEntry> entries) {
  for (const PackEntry& entry : entries) {
    sequence_max_ = std::max(sequence_max_, entry.sequence);
    const auto [found, added] = places_.try_emplace(entry.key);
    Place& place = found->second;
    const Pack& mine = packs_[pack];
    const Pack& other = packs_[place.pack];
    const bool newer =
        added || entry.sequence > place.sequence ||
        (entry.sequence == place.sequence &&
         (other.gone || std::tie(mine.level, mine.name) > std::tie(other.level, other.name)));
    if (!newer) continue;
    const bool removed = entry.kind == RecordKind::removal;
    if (!added && place.removed) --removed_count_;
    if (removed) ++removed_count_;
    place = {pack, removed, entry.offset, entry.bytes, entry.sequence, entry.expires_ms};
  }
}

void PackIndex::mark_gone(std::string_view name) {
  const auto found = numbers_.find(std::string(name));
  if (found == numbers_.end()) return;
  Pack& pack = packs_[found->second];
  pack.gone = true;
  some_gone_ = true;
  pack_bytes_ -= pack.bytes;
  numbers_.erase(found);
}

void PackIndex::sweep() {
  if (!std::exchange(some_gone_, false)) return;
  std::erase_if(places_, [this](const auto& entry) {
    const Place& place = entry.second;
    if (!packs_[place.pack].gone) return false;
    if (place.removed) --removed_count_;
    return true;
  });
}

const Place* PackIndex::find(std::string_view key) const {
  const auto found = places_.find(key);
  return found == places_.end() ? nullptr : &found->second;
}

std::vector<std::string> PackIndex::pack_names() const {
  std::vector<std::string> names;
  names.reserve(numbers_.size());
  for (const auto& [name, number] : numbers_) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace varve::cache::packs
