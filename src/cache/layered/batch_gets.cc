#include "cache/layered/batch_gets.h"

#include <algorithm>

namespace varve::cache {

BatchGets::BatchGets(StackedCache& cache, std::span<const std::string_view> texts, Source& source,
                     bool looks)
    : cache_(cache), source_(source) {
  std::vector<Key> keys;
  std::vector<std::size_t> indexes;
  keys.reserve(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (const auto checked = check_key(texts[i]); !checked) {
      ready_.push_back({i, tl::unexpected(checked.error())});
      continue;
    }
    keys.emplace_back(texts[i]);
    indexes.push_back(i);
  }
  std::vector<Handle> found(keys.size());
  if (looks) cache_.find_batch(keys, found, counts_);
  join_flights(keys, found);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found[i]) ready_.push_back({indexes[i], std::move(found[i])});
  }
  for (auto* list : {&own_, &shared_}) {
    for (Wanted& wanted : *list) wanted.index = indexes[wanted.index];
  }
  start_loads();
  cache_.moves_.run_unless_pool();
}

BatchGets::~BatchGets() {
  for (const Wanted& wanted : own_) {
    if (wanted.is_done) continue;
    cache_.flights_.fail(wanted.key, wanted.flight);
  }
}

// `index` of what is wanted counts in `keys` here.
void BatchGets::join_flights(std::span<const Key> keys, const std::vector<Handle>& found) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found[i]) continue;
    Wanted wanted{i, std::string(keys[i].bytes), keys[i].hash, nullptr, 0, false};
    if (cache_.flights_.is_absent(keys[i].bytes, cache_.clock_.now())) {
      cache_.counts_.add(StackedCache::negative_hits);
      wanted.flight = std::make_shared<Flight>();
      wanted.flight->finish(Handle());
      shared_.push_back(std::move(wanted));
      continue;
    }
    Flights::Ticket ticket = cache_.flights_.join(keys[i].bytes);
    wanted.flight = std::move(ticket.flight);
    if (!ticket.leads) cache_.counts_.add(StackedCache::loads_shared);
    (ticket.leads ? own_ : shared_).push_back(std::move(wanted));
  }
}

void BatchGets::start_loads() {
  if (own_.empty()) return;
  std::vector<Key> keys;
  keys.reserve(own_.size());
  for (Wanted& wanted : own_) {
    wanted.version = cache_.order_.version(wanted.hash);
    keys.push_back(wanted.as_key());
  }
  counts_.loads = own_.size();
  cache_.counts_.add(StackedCache::loads, own_.size());
  loading_ = source_.load(keys, cache_.options_.timeout);
}

std::optional<Gets::Got> BatchGets::next() {
  if (!ready_.empty()) {
    Got got = std::move(ready_.front());
    ready_.pop_front();
    return got;
  }
  if (auto got = next_loaded()) return got;
  return next_shared();
}

std::optional<Gets::Got> BatchGets::next_loaded() {
  if (loading_ == nullptr) return std::nullopt;
  auto loaded = loading_->next();
  if (!loaded) {
    loaded = missing_result();
    if (!loaded) {
      loading_.reset();
      return std::nullopt;
    }
  }
  Wanted& wanted = own_[loaded->index];
  wanted.is_done = true;
  Result<Handle> value = decode_loaded(std::move(loaded->value));
  cache_.land(wanted.as_key(), wanted.flight, wanted.version, value);
  cache_.moves_.run_unless_pool();
  return Got{wanted.index, std::move(value)};
}

// For a load that the last layer forgot. nullopt: there is none.
std::optional<Loads::Loaded> BatchGets::missing_result() const {
  const auto wanted =
      std::find_if(own_.begin(), own_.end(), [](const Wanted& each) { return !each.is_done; });
  if (wanted == own_.end()) return std::nullopt;
  return Loads::Loaded{static_cast<std::size_t>(wanted - own_.begin()),
                       fail(ErrorKind::internal, "a load ended without its result")};
}

// Own loads are over by now, so that two batches that wait for each other both get on.
std::optional<Gets::Got> BatchGets::next_shared() {
  if (next_shared_ == shared_.size()) return std::nullopt;
  const Wanted& wanted = shared_[next_shared_++];
  return Got{wanted.index, cache_.wait_for(wanted.as_key(), wanted.flight, source_)};
}

}  // namespace varve::cache
