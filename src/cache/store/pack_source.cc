#include "cache/store/pack_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cache/store/pack_loads.h"

namespace varve::cache::packs {
namespace {

constexpr std::uint64_t kValueMax = std::uint64_t{1} << 30;
constexpr int kRefreshTries = 5;

// A store that answers so has certainly not written.
bool certainly_not(const Error& error) {
  return error.kind == ErrorKind::overloaded || error.kind == ErrorKind::invalid;
}

RecordHeader header_of(std::string_view key, const Handle* value) {
  RecordHeader header;
  header.kind = value == nullptr ? RecordKind::removal : RecordKind::value;
  header.key_bytes = static_cast<std::uint16_t>(key.size());
  if (value == nullptr) return header;
  header.method = value->method();
  header.stored_bytes = static_cast<std::uint32_t>(value->bytes().size());
  header.raw_bytes = static_cast<std::uint32_t>(value->raw_bytes());
  return header;
}

}  // namespace

PackSource::PackSource(std::shared_ptr<store::ObjectStore> store, StoreSourceOptions options,
                       base::Clock& clock, std::uint64_t seed)
    : store_(std::move(store)),
      options_(std::move(options)),
      folder_(options_.prefix + "/"),
      clock_(clock),
      random_(seed),
      opened_at_(clock.now()) {}

std::unique_ptr<Loads> PackSource::load(std::span<const Key> keys,
                                        std::chrono::milliseconds timeout) {
  return std::make_unique<PackLoads>(*this, keys, base::Deadline::after(clock_, timeout));
}

Status PackSource::put_batch(std::span<const Key> keys, std::span<const Handle> values,
                             const PutOptions& options) {
  std::vector<Item> items;
  items.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::uint64_t bytes =
        std::max<std::uint64_t>(values[i].bytes().size(), values[i].raw_bytes());
    if (bytes > kValueMax) {
      return fail(ErrorKind::invalid, fmt::format("value of {} bytes is above 1 GiB", bytes));
    }
    items.push_back({keys[i].bytes, &values[i], options.expires_ms});
  }
  return write(items);
}

Status PackSource::remove_batch(std::span<const Key> keys) {
  // A value that nobody has seen yet, of this process or one before it, is to be hidden as well.
  bool may_land = clock_.now() < opened_at_ + kLateMax;
  {
    const std::lock_guard lock(sequence_mutex_);
    may_land = may_land || !unsettled_.empty();
  }
  std::vector<Item> items;
  {
    const std::shared_lock lock(index_mutex_);
    for (const Key& key : keys) {
      const Place* place = index_.find(key.bytes);
      if (may_land || (place != nullptr && !place->removed)) items.push_back({key.bytes});
    }
  }
  return write(items);
}

// The sequences of one write, unsettled from before its first object until it is known.
class PackSource::Writing {
 public:
  Writing(PackSource& source, std::size_t count) : source_(source) {
    // Time, so that a write of a process that died, which lands after this one began, is older.
    const auto hint = static_cast<std::uint64_t>(source.clock_.wall_ms()) << kSequenceBits;
    const std::lock_guard lock(source.sequence_mutex_);
    first_ = std::max(source.next_sequence_, hint);
    source.next_sequence_ = first_ + count;
    entry_ = source.unsettled_.insert(first_);
  }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;
  ~Writing() {
    if (!settled_) return;
    const std::lock_guard lock(source_.sequence_mutex_);
    source_.unsettled_.erase(entry_);
  }
  std::uint64_t first() const { return first_; }
  void settle() { settled_ = true; }

 private:
  PackSource& source_;
  std::uint64_t first_ = 0;
  std::multiset<std::uint64_t>::iterator entry_;
  bool settled_ = false;
};

Status PackSource::write(std::span<const Item> items) {
  for (const Item& item : items) {
    if (item.key.empty() || item.key.size() > kKeyBytesMax) {
      return fail(ErrorKind::invalid, fmt::format("key of {} bytes", item.key.size()));
    }
  }
  if (items.empty()) return {};
  Writing writing(*this, items.size());
  PackBuilder builder;
  std::uint64_t sequence = writing.first();
  Status written;
  for (const Item& item : items) {
    RecordHeader header = header_of(item.key, item.value);
    header.sequence = sequence++;
    header.expires_ms = item.expires_ms;
    if (!builder.empty() && builder.bytes() + header.record_bytes() > options_.pack_bytes) {
      written = write_pack(builder, 0);
      if (!written) break;
    }
    builder.add(header, item.key, item.value == nullptr ? base::ByteSpan() : item.value->bytes());
  }
  if (written) written = write_pack(builder, 0);
  if (written || certainly_not(written.error())) writing.settle();
  return written;
}

Status PackSource::write_pack(PackBuilder& builder, std::uint32_t level) {
  const std::vector<PackEntry> entries = builder.entries();
  const base::Bytes object = builder.take();
  const auto first = std::min_element(
      entries.begin(), entries.end(),
      [](const PackEntry& a, const PackEntry& b) { return a.sequence < b.sequence; });
  const PackName name{first->sequence, level, base::make_nonce(random_).hex()};
  const std::string key = folder_ + name.text();
  VARVE_CHECK(create_once(key, object, deadline()));
  const std::unique_lock lock(index_mutex_);
  index_.take(index_.add_pack(key, level, object.size()), entries);
  return {};
}

Status PackSource::create_once(std::string_view name, base::ByteSpan bytes,
                               base::Deadline deadline) {
  constexpr base::Duration kWaitMin = std::chrono::milliseconds(5);
  constexpr base::Duration kWaitMax = std::chrono::seconds(2);
  base::Duration wait = kWaitMin;
  bool unknown = false;
  for (;;) {
    const auto created = store_->create(name, bytes, deadline);
    // The nonce in the name makes what is there ours.
    if (created || created.error().kind == ErrorKind::conflict) return {};
    const Error& error = created.error();
    // An attempt before this one may still land, whatever this one met.
    if (certainly_not(error) && !unknown) return tl::unexpected(error);
    unknown = true;
    const auto jitter =
        static_cast<base::Duration::rep>(random_.below(static_cast<std::uint64_t>(wait.count())));
    if (error.kind == ErrorKind::cancelled || clock_.now() + wait >= deadline.at()) {
      return fail(ErrorKind::unavailable,
                  fmt::format("pack '{}' may be written or not: {}", name, error.message));
    }
    clock_.sleep_for(base::Duration(jitter));
    wait = std::min(wait * 2, kWaitMax);
  }
}

Status PackSource::refresh() {
  const base::Deadline until = deadline();
  for (int i = 0; i < kRefreshTries; ++i) {
    VARVE_TRY(const bool again, refresh_once(until));
    if (!again) return {};
  }
  return fail(ErrorKind::unavailable, "packs vanish faster than they can be listed");
}

Result<bool> PackSource::refresh_once(base::Deadline deadline) {
  // What is known now is listed, unless it is gone; what is written meanwhile may be or not.
  std::vector<std::string> known;
  {
    const std::shared_lock lock(index_mutex_);
    known = index_.pack_names();
  }
  VARVE_TRY(auto objects, list_packs(*store_, folder_, deadline));
  std::vector<std::string> listed;
  for (const auto& object : objects) listed.push_back(object.key);
  std::vector<std::string> gone;
  std::set_difference(known.begin(), known.end(), listed.begin(), listed.end(),
                      std::back_inserter(gone));
  {
    const std::shared_lock lock(index_mutex_);
    std::erase_if(objects, [this](const auto& object) { return index_.knows(object.key); });
  }
  std::vector<std::uint32_t> levels;
  for (const auto& object : objects) {
    VARVE_TRY(const PackName name,
              parse_pack_name(std::string_view(object.key).substr(folder_.size())));
    levels.push_back(name.level);
  }
  VARVE_TRY(const auto footers, read_footers(*store_, objects, deadline));
  bool again = false;
  std::uint64_t sequence_max = 0;
  {
    const std::unique_lock lock(index_mutex_);
    for (const std::string& name : gone) index_.mark_gone(name);
    for (std::size_t i = 0; i < objects.size(); ++i) {
      again = again || footers[i].gone;
      if (footers[i].gone) continue;
      index_.take(index_.add_pack(objects[i].key, levels[i], objects[i].size), footers[i].entries);
    }
    // While a pack is missing, what it took over is not forgotten.
    if (!again) index_.sweep();
    sequence_max = index_.sequence_max();
  }
  const std::lock_guard lock(sequence_mutex_);
  next_sequence_ = std::max(next_sequence_, sequence_max + 1);
  return again;
}

StoreSourceStats PackSource::stats() const {
  StoreSourceStats stats;
  {
    const std::shared_lock lock(index_mutex_);
    stats.packs = index_.pack_count();
    stats.pack_bytes = index_.pack_bytes();
    stats.keys = index_.key_count();
    stats.removals = index_.removed_count();
  }
  stats.requests = requests_;
  stats.request_bytes = request_bytes_;
  stats.corrupt = corrupt_;
  return stats;
}

}  // namespace varve::cache::packs
