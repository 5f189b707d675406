#include "cache/store/pack_loads.h"

#include <fmt/format.h>

#include <numeric>
#include <utility>

namespace varve::cache::packs {
PackLoads::PackLoads(PackSource& source, std::span<const Key> keys, base::Deadline deadline)
    : source_(source), deadline_(deadline) {
  keys_.reserve(keys.size());
  for (const Key& key : keys) keys_.emplace_back(key.bytes);
  std::vector<std::size_t> numbers(keys.size());
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  start(numbers);
}

void PackLoads::start(std::span<const std::size_t> numbers) {
  wanted_.clear();
  std::vector<store::ReadRequest> requests;
  const std::int64_t now_ms = source_.clock_.wall_ms();
  {
    const std::shared_lock lock(source_.index_mutex_);
    for (const std::size_t number : numbers) {
      const Place* place = source_.index_.find(keys_[number]);
      const bool none = place == nullptr || place->removed ||
                        (place->expires_ms != 0 && place->expires_ms <= now_ms);
      if (none) {
        ready_.push_back({number, Handle()});
      } else {
        wanted_.push_back({place->pack, place->offset, place->bytes, number});
      }
    }
    const StoreSourceOptions& options = source_.options_;
    ranges_ = join_ranges(wanted_, options.gap_bytes_max, options.request_bytes_max);
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
      const Range& range = ranges_[i];
      requests.push_back({source_.index_.pack(range.pack).name, range.offset, range.bytes, i});
      source_.request_bytes_ += range.bytes;
    }
  }
  source_.requests_ += requests.size();
  if (!requests.empty()) batch_ = source_.store_->read(requests, deadline_);
}

std::optional<Loads::Loaded> PackLoads::next() {
  for (;;) {
    if (!ready_.empty()) {
      Loaded loaded = std::move(ready_.front());
      ready_.pop_front();
      return loaded;
    }
    if (batch_ != nullptr) {
      const auto result = batch_->next();
      if (result) {
        take(ranges_[result->tag], *result);
        continue;
      }
      batch_.reset();
    }
    if (!start_again()) return std::nullopt;
  }
}

void PackLoads::take(const Range& range, const store::ReadResult& result) {
  const bool gone = !result.bytes && result.bytes.error().kind == ErrorKind::not_found;
  for (const Wanted& wanted : std::span(wanted_).subspan(range.first, range.count)) {
    if (gone && !again_) {
      missing_.push_back(wanted.who);
    } else if (gone) {
      ready_.push_back({wanted.who, fail(ErrorKind::unavailable,
                                         "its pack was merged while it was read, twice")});
    } else if (!result.bytes) {
      ready_.push_back({wanted.who, tl::unexpected(result.bytes.error())});
    } else {
      ready_.push_back({wanted.who, value_in(wanted, range, *result.bytes)});
    }
  }
}

Result<Handle> PackLoads::value_in(const Wanted& wanted, const Range& range, base::ByteSpan bytes) {
  const base::ByteSpan own = bytes.subspan(wanted.offset - range.offset, wanted.bytes);
  const auto record = decode_record(own);
  const std::string& key = keys_[wanted.who];
  if (!record || record->key != key || record->header.kind != RecordKind::value) {
    ++source_.corrupt_;
    const std::shared_lock lock(source_.index_mutex_);
    return fail(ErrorKind::corrupt,
                fmt::format("pack '{}': value of key '{}' at offset {} is damaged",
                            source_.index_.pack(wanted.pack).name, printable(key), wanted.offset));
  }
  Handle value = Handle::copy_of(record->payload);
  value.set_encoding(record->header.method, record->header.raw_bytes);
  value.set_expires_ms(record->header.expires_ms);
  return value;
}

bool PackLoads::start_again() {
  if (missing_.empty()) return false;
  again_ = true;
  const std::vector<std::size_t> numbers = std::exchange(missing_, {});
  const Status refreshed = source_.refresh();
  if (refreshed) {
    start(numbers);
    return true;
  }
  for (const std::size_t number : numbers) {
    ready_.push_back({number, tl::unexpected(refreshed.error())});
  }
  return true;
}

}  // namespace varve::cache::packs
