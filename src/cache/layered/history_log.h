// What happened to each key, to judge whether what a get returned can be explained (after the
// consistency checker of CacheLib's cachebench).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "base/manual_clock.h"
#include "base/random.h"
#include "cache/test_tiers.h"
#include "varve/cache/source.h"

namespace varve::cache {

// A value names its key and its number among the values made for it, and all its bytes follow from
// these.
struct NamedValue {
  std::uint64_t key = 0;
  std::uint64_t number = 0;

  static constexpr std::size_t kBytesMin = sizeof(std::uint64_t) * 2;

  Handle make(std::size_t bytes) const {
    std::span<std::byte> out;
    Handle handle = Handle::make(std::max(bytes, kBytesMin), out);
    for (std::size_t i = 0; i < out.size(); i += sizeof(std::uint64_t)) {
      const std::uint64_t word = word_at(i);
      std::memcpy(out.data() + i, &word, std::min(sizeof(word), out.size() - i));
    }
    return handle;
  }
  // False: these are no bytes that make() returned.
  static bool read(std::span<const std::byte> bytes, NamedValue& named) {
    if (bytes.size() < kBytesMin) return false;
    std::memcpy(&named, bytes.data(), kBytesMin);
    for (std::size_t i = 0; i < bytes.size(); i += sizeof(std::uint64_t)) {
      const std::uint64_t word = named.word_at(i);
      if (std::memcmp(bytes.data() + i, &word, std::min(sizeof(word), bytes.size() - i)) != 0) {
        return false;
      }
    }
    return true;
  }

 private:
  // Every other value can be compressed.
  std::uint64_t word_at(std::size_t offset) const {
    if (offset == 0) return key;
    if (offset == sizeof(std::uint64_t)) return number;
    const std::uint64_t mixed = (key << 32 ^ number) * 0x9E3779B97F4A7C15;
    return number % 2 == 0 ? mixed : mixed + offset * 0xD6E8FEB86659FD93;
  }
};

// All states that the last layer had of one key, in order. Thread-safe.
class KeyHistory {
 public:
  // What the last layer has now. `number` 0: nothing.
  struct State {
    std::uint64_t number = 0;
    std::int64_t expires_ms = 0;
    std::size_t bytes = 0;
    bool is_over(std::int64_t now_ms) const { return expires_ms != 0 && expires_ms <= now_ms; }
    bool is_absent(std::int64_t now_ms) const { return number == 0 || is_over(now_ms); }
  };

  // A number for a value that is going to be written.
  std::uint64_t next_number() { return ++numbers_; }

  // For the last layer.
  void write(const State& state) {
    std::lock_guard lock(mutex_);
    places_.resize(std::max<std::size_t>(places_.size(), state.number + 1));
    if (state.number != 0) places_[state.number] = states_.size();
    states_.push_back(state);
  }
  State newest() const {
    std::lock_guard lock(mutex_);
    return states_.back();
  }

  // The oldest state that a call which begins now may still see.
  std::size_t floor() const { return floor_.load(std::memory_order_seq_cst); }
  // The write of value `number` was acknowledged.
  void acknowledge(std::uint64_t number) {
    std::size_t place = 0;
    {
      std::lock_guard lock(mutex_);
      place = places_[number];
    }
    raise(place);
  }
  // A removal was acknowledged that began when `begun` states were there.
  void acknowledge_removal(std::size_t begun) {
    std::size_t place = begun;
    {
      std::lock_guard lock(mutex_);
      while (place < states_.size() && states_[place].number != 0) ++place;
      if (place == states_.size()) return;
    }
    raise(place);
  }
  std::size_t count() const {
    std::lock_guard lock(mutex_);
    return states_.size();
  }

  // Whether value `number` can be seen by a call that began at `floor` and `began_ms`. Null: yes.
  const char* fault_of(std::uint64_t number, std::size_t floor, std::int64_t began_ms) {
    std::size_t place = 0;
    {
      std::lock_guard lock(mutex_);
      if (number != 0 && number < places_.size()) place = places_[number];
      if (place == 0) return "was never written";
      if (states_[place].is_over(began_ms)) return "had expired";
      if (place < floor) return "is older than what was known";
    }
    raise(place);
    return nullptr;
  }
  // Whether a call that began at `floor` can have found nothing by now.
  bool explains_absence(std::size_t floor, std::int64_t now_ms) {
    std::size_t place = floor;
    {
      std::lock_guard lock(mutex_);
      while (place < states_.size() && !states_[place].is_absent(now_ms)) ++place;
      if (place == states_.size()) return false;
    }
    raise(place);
    return true;
  }

 private:
  void raise(std::size_t place) {
    std::size_t seen = floor_.load();
    while (seen < place && !floor_.compare_exchange_weak(seen, place)) {
    }
  }

  std::atomic<std::uint64_t> numbers_{0};
  std::atomic<std::size_t> floor_{0};
  mutable std::mutex mutex_;
  std::vector<State> states_ = std::vector<State>(1);
  std::vector<std::size_t> places_ = std::vector<std::size_t>(1);  // by number; 0: not written
};

class Histories {
 public:
  static constexpr std::size_t kKeys = 512;

  static std::string key_text(std::uint64_t key) {
    // Some keys are longer than what stands in an entry.
    return "key " + std::to_string(key) + std::string(key % 5 == 0 ? 40 : 0, 'k');
  }
  static std::uint64_t key_number(std::string_view text) {
    return std::stoull(std::string(text.substr(4)));
  }
  KeyHistory& of(std::uint64_t key) { return keys_[key]; }
  KeyHistory& of(std::string_view text) { return of(key_number(text)); }

  std::int64_t now_ms() const { return clock_.wall_ms(); }
  base::ManualClock& clock() { return clock_; }

 private:
  std::vector<KeyHistory> keys_ = std::vector<KeyHistory>(kKeys);
  // Later than any moment of the real clock: who waits is woken, not timed out.
  base::ManualClock clock_{std::chrono::hours(24 * 365 * 50)};
};

// The last layer: writes to the histories, dawdles and fails now and then.
class HistorySource final : public Source {
 public:
  HistorySource(Histories& histories, std::uint64_t seed) : histories_(histories), random_(seed) {}

  std::string_view name() const override { return "history"; }

  std::unique_ptr<Loads> load(std::span<const Key> keys, std::chrono::milliseconds) override {
    auto reading = std::make_unique<Reading>(*this);
    for (const Key& key : keys) {
      dawdle();
      const std::uint64_t number = Histories::key_number(key.bytes);
      reading->waiting.push_back({number, draw(2) == 0 ? read(number) : std::nullopt});
    }
    return reading;
  }
  Status put_batch(std::span<const Key> keys, std::span<const Handle> values,
                   const PutOptions& options) override {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      NamedValue named;
      const bool is_whole = NamedValue::read(values[i].bytes(), named);
      EXPECT_TRUE(is_whole) << "the last layer gets damaged bytes";
      if (!is_whole) return fail(ErrorKind::corrupt, "damaged");
      if (auto done = write(keys[i], {named.number, options.expires_ms, values[i].bytes().size()});
          !done) {
        return done;
      }
    }
    return {};
  }
  Status remove_batch(std::span<const Key> keys) override {
    for (const Key& key : keys) {
      if (auto done = write(key, {}); !done) return done;
    }
    return {};
  }

  // Nothing fails any more.
  void calm_down() { is_calm_ = true; }

 private:
  static constexpr std::uint64_t kOneFailsOf = 100;

  struct Reading final : Loads {
    explicit Reading(HistorySource& from) : source(from) {}
    std::optional<Loaded> next() override {
      if (done == waiting.size()) return std::nullopt;
      auto& [key, value] = waiting[done];
      source.dawdle();
      if (!value) value = source.read(key);
      source.dawdle();
      if (source.is_failing()) return Loaded{done++, fail(ErrorKind::unavailable, "by chance")};
      return Loaded{done++, std::move(*value)};
    }
    HistorySource& source;
    std::size_t done = 0;
    std::vector<std::pair<std::uint64_t, std::optional<Handle>>> waiting;
  };

  std::optional<Handle> read(std::uint64_t key) {
    const KeyHistory::State state = histories_.of(key).newest();
    if (state.is_absent(histories_.now_ms())) return Handle();
    Handle value = NamedValue{key, state.number}.make(state.bytes);
    value.set_expires_ms(state.expires_ms);
    return value;
  }
  Status write(const Key& key, const KeyHistory::State& state) {
    dawdle();
    const bool fails = is_failing();
    // It is not known what a failed write did.
    if (!fails || draw(2) == 0) histories_.of(key.bytes).write(state);
    dawdle();
    if (fails) return fail(ErrorKind::unavailable, "by chance");
    return {};
  }
  std::uint64_t draw(std::uint64_t bound) { return random_.below(bound); }
  bool is_failing() { return draw(kOneFailsOf) == 0 && !is_calm_; }
  void dawdle() {
    for (std::uint64_t n = draw(8); n > 5; --n) std::this_thread::yield();
  }

  Histories& histories_;
  base::Random random_;
  std::atomic<bool> is_calm_{false};
};

}  // namespace varve::cache
