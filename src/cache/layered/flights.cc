#include "cache/layered/flights.h"

namespace varve::cache {

Flight::Outcome Flight::wait(const base::Clock& clock, base::TimePoint until) {
  std::unique_lock lock(mutex_);
  ++waiting_;
  while (!value_ && has_leader_ && clock.now() < until) changed_.wait_until(lock, until);
  --waiting_;
  if (value_) return {value_, false};
  if (has_leader_) return {};
  has_leader_ = true;
  return {std::nullopt, true};
}

void Flight::finish(const Handle& value) {
  std::lock_guard lock(mutex_);
  value_ = value;
  changed_.notify_all();
}

bool Flight::fail() {
  std::lock_guard lock(mutex_);
  has_leader_ = false;
  changed_.notify_all();
  // Each of them looks for a leader before it leaves.
  return waiting_ > 0;
}

Flights::Ticket Flights::join(std::string_view key) {
  Shard& shard = this->shard(key);
  std::lock_guard lock(shard.mutex);
  if (const auto entry = shard.flights.find(key); entry != shard.flights.end()) {
    return {entry->second, false};
  }
  auto flight = std::make_shared<Flight>();
  shard.flights.emplace(std::string(key), flight);
  return {std::move(flight), true};
}

void Flights::end(std::string_view key, const std::shared_ptr<Flight>& flight) {
  Shard& shard = this->shard(key);
  std::lock_guard lock(shard.mutex);
  const auto entry = shard.flights.find(key);
  // A write may have detached it, and another flight may be under way.
  if (entry != shard.flights.end() && entry->second == flight) shard.flights.erase(entry);
}

void Flights::fail(std::string_view key, const std::shared_ptr<Flight>& flight) {
  if (!flight->fail()) end(key, flight);
}

void Flights::detach(std::string_view key) {
  Shard& shard = this->shard(key);
  std::lock_guard lock(shard.mutex);
  if (const auto entry = shard.flights.find(key); entry != shard.flights.end()) {
    shard.flights.erase(entry);
  }
  if (const auto entry = shard.absent.find(key); entry != shard.absent.end()) {
    shard.absent.erase(entry);
    --absent_count_;
  }
}

void Flights::note_absent(std::string_view key, base::TimePoint until) {
  Shard& shard = this->shard(key);
  std::lock_guard lock(shard.mutex);
  if (shard.absent.size() >= kAbsentMax) {
    absent_count_ -= shard.absent.size();
    shard.absent.clear();
  }
  if (shard.absent.insert_or_assign(std::string(key), until).second) ++absent_count_;
}

bool Flights::is_absent(std::string_view key, base::TimePoint now) {
  if (absent_count_.load(std::memory_order_relaxed) == 0) return false;
  Shard& shard = this->shard(key);
  std::lock_guard lock(shard.mutex);
  const auto entry = shard.absent.find(key);
  if (entry == shard.absent.end()) return false;
  if (entry->second > now) return true;
  shard.absent.erase(entry);
  --absent_count_;
  return false;
}

}  // namespace varve::cache
