#include "cache/store/compaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace varve::cache::packs {

Status PackSource::compact() {
  const base::Turn::Held turn(compacting_);
  VARVE_CHECK(refresh());
  return Compaction(*this).run();
}

Status Compaction::run() {
  now_ms_ = source_.clock_.wall_ms();
  // Writes of processes that died may land later than ours.
  const std::int64_t late_ms = std::chrono::milliseconds(kLateMax).count();
  settled_below_ = static_cast<std::uint64_t>(std::max<std::int64_t>(0, now_ms_ - late_ms))
                   << kSequenceBits;
  {
    // Before the list: a write that is not unsettled now is listed, or gets a higher sequence.
    const std::lock_guard lock(source_.sequence_mutex_);
    if (!source_.unsettled_.empty()) {
      settled_below_ = std::min(settled_below_, *source_.unsettled_.begin());
    }
  }
  VARVE_CHECK(read_inputs());
  survey();
  if (!choose()) return {};
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (inputs_[i].chosen) VARVE_CHECK(rewrite(inputs_[i], i));
  }
  if (!builder_.empty()) VARVE_CHECK(source_.write_pack(builder_, level_));
  return delete_chosen();
}

Status Compaction::read_inputs() {
  const base::Deadline deadline = source_.deadline();
  VARVE_TRY(const auto objects, list_packs(*source_.store_, source_.folder_, deadline));
  VARVE_TRY(auto footers, read_footers(*source_.store_, objects, deadline));
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (footers[i].gone) {
      return fail(ErrorKind::conflict,
                  fmt::format("pack '{}' was deleted by another process", objects[i].key));
    }
    VARVE_TRY(const PackName name,
              parse_pack_name(std::string_view(objects[i].key).substr(source_.folder_.size())));
    inputs_.push_back({objects[i], name.level, std::move(footers[i].entries)});
  }
  return {};
}

void Compaction::survey() {
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const Input& mine = inputs_[i];
    for (const PackEntry& entry : mine.entries) {
      const auto [found, added] = newest_.try_emplace(entry.key);
      Newest& newest = found->second;
      if (entry.kind == RecordKind::value) {
        newest.oldest_value = std::min(newest.oldest_value, entry.sequence);
      }
      const Input& other = inputs_[newest.input];
      // As PackIndex::take decides.
      if (added || std::tie(entry.sequence, mine.level, mine.object.key) >
                       std::tie(newest.sequence, other.level, other.object.key)) {
        newest.sequence = entry.sequence;
        newest.input = i;
      }
    }
  }
}

Compaction::Fate Compaction::fate_of(const PackEntry& entry, std::size_t input) const {
  const Newest& newest = newest_.find(entry.key)->second;
  if (newest.sequence != entry.sequence || newest.input != input) return Fate::drop;
  const bool expired = entry.expires_ms != 0 && entry.expires_ms <= now_ms_;
  if (entry.kind == RecordKind::value && !expired) return Fate::keep;
  const bool hides = newest.oldest_value < entry.sequence || settled_below_ < entry.sequence;
  return hides ? Fate::make_removal : Fate::drop;
}

bool Compaction::choose() {
  std::size_t small = 0;
  bool some_dead = false;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    Input& input = inputs_[i];
    std::uint64_t all_bytes = 0;
    for (const PackEntry& entry : input.entries) {
      all_bytes += entry.bytes;
      if (fate_of(entry, i) != Fate::drop) input.kept_bytes += entry.bytes;
    }
    const bool is_small = all_bytes < source_.options_.pack_bytes / 2;
    const bool is_dead = input.kept_bytes < all_bytes - all_bytes / 2;
    input.chosen = is_small || is_dead;
    small += is_small ? 1 : 0;
    some_dead = some_dead || (input.chosen && input.kept_bytes < all_bytes);
    if (input.chosen) level_ = std::max(level_, input.level + 1);
  }
  return small > 1 || some_dead;
}

Status Compaction::rewrite(const Input& input, std::size_t number) {
  std::vector<Wanted> wanted;
  for (std::size_t i = 0; i < input.entries.size(); ++i) {
    const PackEntry& entry = input.entries[i];
    const Fate fate = fate_of(entry, number);
    if (fate == Fate::keep) wanted.push_back({0, entry.offset, entry.bytes, i});
    if (fate != Fate::make_removal) continue;
    RecordHeader header;
    header.kind = RecordKind::removal;
    header.key_bytes = static_cast<std::uint16_t>(entry.key.size());
    header.sequence = entry.sequence;
    VARVE_CHECK(add(header, entry.key, {}));
  }
  return copy(input, wanted);
}

Status Compaction::copy(const Input& input, std::vector<Wanted>& wanted) {
  const StoreSourceOptions& options = source_.options_;
  const auto ranges = join_ranges(wanted, options.gap_bytes_max, options.request_bytes_max);
  std::vector<store::ReadRequest> requests;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    requests.push_back({input.object.key, ranges[i].offset, ranges[i].bytes, i});
  }
  if (requests.empty()) return {};
  const auto batch = source_.store_->read(requests, source_.deadline());
  while (auto result = batch->next()) {
    if (!result->bytes) return tl::unexpected(result->bytes.error());
    const Range& range = ranges[result->tag];
    for (const Wanted& one : std::span(wanted).subspan(range.first, range.count)) {
      const PackEntry& entry = input.entries[one.who];
      const auto record =
          decode_record(result->bytes->span().subspan(one.offset - range.offset, one.bytes));
      if (!record || record->key != entry.key || record->header.kind != RecordKind::value ||
          record->header.sequence != entry.sequence) {
        ++source_.corrupt_;
        return fail(ErrorKind::corrupt,
                    fmt::format("pack '{}': value of key '{}' at offset {} is damaged",
                                input.object.key, printable(entry.key), entry.offset));
      }
      VARVE_CHECK(add(record->header, record->key, record->payload));
    }
  }
  return {};
}

Status Compaction::add(const RecordHeader& header, std::string_view key, base::ByteSpan payload) {
  if (!builder_.empty() && builder_.bytes() + header.record_bytes() > source_.options_.pack_bytes) {
    VARVE_CHECK(source_.write_pack(builder_, level_));
  }
  builder_.add(header, key, payload);
  return {};
}

Status Compaction::delete_chosen() {
  std::vector<std::string> names;
  for (const Input& input : inputs_) {
    if (input.chosen) names.push_back(input.object.key);
  }
  {
    const std::unique_lock lock(source_.index_mutex_);
    for (const std::string& name : names) source_.index_.mark_gone(name);
    source_.index_.sweep();
  }
  return source_.store_->remove(names, source_.deadline());
}

}  // namespace varve::cache::packs
