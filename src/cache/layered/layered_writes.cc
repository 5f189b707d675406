// How values that were loaded or written come into the tiers.
#include "base/assert.h"
#include "base/result.h"
#include "cache/encoding.h"
#include "cache/layered/batch_gets.h"
#include "cache/layered/layered_cache.h"

namespace varve::cache {
namespace {

// Of a batch, written to the last layer together.
constexpr std::size_t kKeysPerWrite = 1024;

}  // namespace

void StackedCache::land(const Key& key, const std::shared_ptr<Flight>& flight,
                        std::uint64_t version, base::TimePoint deadline, Result<Handle>& loaded) {
  if (loaded) {
    if (auto kept = keep(key, *loaded, version, deadline); !kept) {
      loaded = tl::unexpected(std::move(kept).error());
    }
  }
  if (!loaded) {
    counts_.add(load_errors);
    flights_.fail(key.bytes, flight);
    return;
  }
  flight->finish(*loaded);
  flights_.end(key.bytes, flight);
}

Status StackedCache::keep(const Key& key, const Handle& value, std::uint64_t version,
                          base::TimePoint deadline) {
  const WriteOrder::Bringing turn(order_, key.hash, version, clock_, deadline);
  if (!turn.is_held()) {
    // Writers of other keys take long: the value is good, but not kept. If it may be that of a
    // write under way, the tiers can still answer with the one before.
    if (turn.is_current() && !WriteOrder::is_under_way(version)) return {};
    return fail(ErrorKind::cancelled, "a write of the value by another thread takes too long");
  }
  if (!turn.is_current()) {
    counts_.add(stale_dropped);
  } else if (value) {
    fill(std::span(&key, 1), std::span(&value, 1), value.expires_ms());
  } else if (options_.negative_ttl.count() > 0) {
    flights_.note_absent(key.bytes, clock_.now() + options_.negative_ttl);
  }
  return {};
}

void StackedCache::fill(std::span<const Key> keys, std::span<const Handle> values,
                        std::int64_t expires_ms) {
  fill_below(keys, values, {expires_ms});
  fill_first(keys, values, {expires_ms});
}

void StackedCache::fill_below(std::span<const Key> keys, std::span<const Handle> values,
                              const PutOptions& put_options) {
  std::vector<Handle> encoded;
  for (std::size_t i = tiers_.size(); i-- > 1;) {
    Tier& tier = *tiers_[i];
    if (!tier.is_persistent()) {
      // Gets its entries from the tier above when they have to leave it.
      for (const Key& key : keys) tier.remove(key);
      continue;
    }
    for (std::size_t k = encoded.size(); k < values.size(); ++k) {
      encoded.push_back(portable_value(encoded_value(values[k])));
    }
    tier.put_batch(keys, encoded, put_options);
  }
}

void StackedCache::fill_first(std::span<const Key> keys, std::span<const Handle> values,
                              const PutOptions& put_options) {
  if (first_ == nullptr) return;
  if (!first_->knows_its_keys()) {
    first_->put_batch(keys, values, put_options);
    return;
  }
  for (std::size_t k = 0; k < keys.size(); ++k) {
    if (!first_->put(keys[k], values[k], put_options)) fill_next(keys[k], values[k], put_options);
  }
}

// Too large for the first tier: the next one in memory takes it.
void StackedCache::fill_next(const Key& key, const Handle& value, const PutOptions& put_options) {
  Handle encoded;
  for (std::size_t i = 1; i < tiers_.size(); ++i) {
    if (tiers_[i]->is_persistent()) continue;
    if (!encoded) encoded = encoded_value(value);
    if (tiers_[i]->put(key, encoded, put_options)) return;
  }
}

Handle StackedCache::encoded_value(const Handle& value) const {
  return options_.encode ? options_.encode(value) : value;
}

Status StackedCache::put(std::string_view key, std::span<const std::byte> value,
                         const PutOptions& options) {
  const Handle copy = Handle::copy_of(value);
  return put_batch(std::span(&key, 1), std::span(&copy, 1), options);
}

Status StackedCache::put_batch(std::span<const std::string_view> texts,
                               std::span<const Handle> values, const PutOptions& options) {
  VARVE_ASSERT(texts.size() == values.size());
  for (const std::string_view text : texts) {
    if (auto checked = check_key(text); !checked) return checked;
  }
  std::vector<Key> keys;
  std::vector<Handle> plain;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    keys.emplace_back(texts[i]);
    plain.push_back(decode_value(values[i]));
    if (!plain.back()) return fail(ErrorKind::corrupt, "the value cannot be decoded");
  }
  Status result;
  // So few at a time that other writers get their turns in between.
  for (std::size_t i = 0; i < keys.size() && result; i += kKeysPerWrite) {
    const std::size_t count = std::min(kKeysPerWrite, keys.size() - i);
    result = write(std::span(keys).subspan(i, count), std::span(plain).subspan(i, count), options);
  }
  moves_.run_unless_pool();
  return result;
}

// One object of the last layer, if it likes.
Status StackedCache::write(std::span<const Key> keys, std::span<const Handle> values,
                           const PutOptions& options) {
  const WriteOrder::WritingAll turns(order_, keys);
  Status written = source_->put_batch(keys, values, options);
  for (const Key& key : keys) flights_.detach(key.bytes);
  if (!written) {
    // It is not known which value the last layer has.
    for (const Key& key : keys) drop_from_tiers(key);
    return written;
  }
  std::vector<Key> others;
  std::vector<Handle> values_of_others;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (tiers_.size() > 1 && first_->is_pinned(keys[i])) {
      replace_pinned(keys[i], values[i], options);
      continue;
    }
    drop_above_persistent(keys[i]);
    others.push_back(keys[i]);
    values_of_others.push_back(values[i]);
  }
  fill(others, values_of_others, options.expires_ms);
  return written;
}

// In place, so that the pin stays. The tiers below lose what they have before the new value can be
// seen in the first: who has seen it must not find an older one there.
void StackedCache::replace_pinned(const Key& key, const Handle& value, const PutOptions& options) {
  for (std::size_t i = tiers_.size(); i-- > 1;) tiers_[i]->remove(key);
  const bool is_kept = first_->put(key, value, options);
  fill_below(std::span(&key, 1), std::span(&value, 1), options);
  if (!is_kept) fill_next(key, value, options);
}

void StackedCache::drop_from_tiers(const Key& key) {
  for (std::size_t i = tiers_.size(); i-- > 0;) tiers_[i]->remove(key);
}

void StackedCache::drop_above_persistent(const Key& key) {
  std::size_t last = tiers_.size();
  while (last > 0 && !tiers_[last - 1]->is_persistent()) --last;
  for (std::size_t i = 0; i + 1 < last; ++i) tiers_[i]->remove(key);
}

Status StackedCache::remove(std::string_view text) {
  if (auto checked = check_key(text); !checked) return checked;
  const Key key(text);
  const WriteOrder::Writing turn(order_, key.hash);
  Status removed = source_->remove_batch(std::span(&key, 1));
  flights_.detach(key.bytes);
  drop_from_tiers(key);
  return removed;
}

void StackedCache::evict(std::string_view text) {
  if (!check_key(text)) return;
  const Key key(text);
  const WriteOrder::Writing turn(order_, key.hash);
  flights_.detach(key.bytes);
  drop_from_tiers(key);
}

}  // namespace varve::cache
