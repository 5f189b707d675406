#include "cache/layered/batch_gets.h"

#include <algorithm>

namespace varve::cache {

BatchGets::BatchGets(StackedCache& cache, std::span<const std::string_view> texts, Source& source,
                     bool looks)
    : cache_(cache), source_(source), deadline_(cache.clock_.now() + cache.options_.timeout) {
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
  for (Wanted& wanted : own_) wanted.index = indexes[wanted.index];
  for (Wanted& wanted : shared_) wanted.index = indexes[wanted.index];
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
    Wanted wanted{i, std::string(keys[i].bytes), keys[i].hash, nullptr, 0, false, true};
    if (cache_.flights_.is_absent(keys[i].bytes, cache_.clock_.now())) {
      cache_.counts_.add(StackedCache::negative_hits);
      wanted.flight = std::make_shared<Flight>();
      wanted.flight->finish(Handle());
      wanted.is_load = false;
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
  counts_.loads += own_.size();
  cache_.counts_.add(StackedCache::loads, own_.size());
  loading_ = source_.load(keys, cache_.time_left(deadline_));
}

std::optional<Gets::Got> BatchGets::next() {
  for (;;) {
    if (!ready_.empty()) {
      Got got = std::move(ready_.front());
      ready_.pop_front();
      return got;
    }
    if (auto got = next_loaded()) return got;
    if (shared_.empty()) return std::nullopt;
    wait_for_shared();
  }
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
  cache_.land(wanted.as_key(), wanted.flight, wanted.version, deadline_, value);
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
void BatchGets::wait_for_shared() {
  const base::Clock& clock = cache_.clock_;
  if (!patience_) patience_ = clock.now() + kPatience;
  Wanted wanted = std::move(shared_.front());
  shared_.pop_front();
  const Flight::Outcome outcome = wanted.flight->wait(clock, std::min(*patience_, deadline_));
  if (outcome.value) return receive(wanted, *outcome.value);
  if (!outcome.leads && clock.now() >= deadline_) {
    ready_.push_back({wanted.index, load_is_late()});
    return;
  }
  own_.clear();
  const bool is_impatient = !outcome.leads;
  if (outcome.leads) {
    own_.push_back(std::move(wanted));
  } else {
    take_over(std::move(wanted));
  }
  take_over_rest(is_impatient);
  // Who waits for others once more is as patient as it can be.
  if (is_impatient) patience_ = base::TimePoint::max();
  start_loads();
}

// Whatever else the batch would have to load for itself is loaded together with it.
void BatchGets::take_over_rest(bool is_impatient) {
  for (std::size_t left = shared_.size(); left > 0; --left) {
    Wanted wanted = std::move(shared_.front());
    shared_.pop_front();
    const Flight::Outcome outcome = wanted.flight->wait(cache_.clock_, base::TimePoint::min());
    if (outcome.value) {
      receive(wanted, *outcome.value);
    } else if (outcome.leads) {
      own_.push_back(std::move(wanted));
    } else if (is_impatient) {
      take_over(std::move(wanted));
    } else {
      shared_.push_back(std::move(wanted));
    }
  }
}

// Who comes from now on joins the load that this batch, or the first as impatient, begins.
void BatchGets::take_over(Wanted wanted) {
  cache_.flights_.end(wanted.key, wanted.flight);
  if (Handle value = cache_.peek(wanted.key)) return receive(wanted, value);
  Flights::Ticket ticket = cache_.flights_.join(wanted.key);
  wanted.flight = std::move(ticket.flight);
  (ticket.leads ? own_ : shared_).push_back(std::move(wanted));
}

void BatchGets::receive(const Wanted& wanted, const Handle& value) {
  if (wanted.is_load) ++counts_.loads_shared;
  ready_.push_back({wanted.index, cache_.shared_value(value)});
}

}  // namespace varve::cache
