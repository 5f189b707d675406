// A last layer in memory for tests: loads can be stopped at a gate, and can fail.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "cache/test_tiers.h"
#include "varve/cache/source.h"

namespace varve::cache {

// Threads wait at it until it opens; others wait until they have arrived.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return is_open_; });
  }
  void wait_for(int arrived) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= arrived; });
  }
  void open() {
    std::lock_guard lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  bool is_open_ = false;
};

// Time goes on whenever somebody looks.
class RestlessClock final : public base::Clock {
 public:
  base::TimePoint now() const override { return base::TimePoint(std::chrono::milliseconds(++ms_)); }
  std::int64_t wall_ms() const override { return ms_; }
  void sleep_for(base::Duration) override {}

 private:
  mutable std::atomic<std::int64_t> ms_{1000};
};

class MapSource final : public Source {
 public:
  std::string_view name() const override { return "map"; }

  // Reads at once; results wait in next() for `before_result_`.
  std::unique_ptr<Loads> load(std::span<const Key> keys, std::chrono::milliseconds) override {
    ++load_calls;
    auto loads = std::make_unique<Reading>();
    std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const std::string key(keys[i].bytes);
      ++loads_of_[key];
      Loads::Loaded loaded{i, Handle()};
      if (loads_to_fail > 0) {
        --loads_to_fail;
        loaded.value = fail(ErrorKind::unavailable, "told to fail");
      } else if (const auto value = values_.find(key); value != values_.end()) {
        const Handle plain = handle_of_text(value->second);
        loaded.value = encode ? encode(plain) : plain;
      }
      loads->waiting.push_back({key, std::move(loaded)});
    }
    if (loads_to_forget > 0) {
      --loads_to_forget;
      loads->waiting.pop_back();
    }
    loads->before_result = before_result_;
    return loads;
  }
  Status put_batch(std::span<const Key> keys, std::span<const Handle> put_values,
                   const PutOptions&) override {
    {
      std::lock_guard lock(mutex_);
      for (std::size_t i = 0; i < keys.size(); ++i) {
        values_[std::string(keys[i].bytes)] = text_of(put_values[i]);
      }
    }
    if (after_put) after_put();
    if (!puts_fail) return {};
    return fail(ErrorKind::unavailable, "told to fail after writing");
  }
  Status remove_batch(std::span<const Key> keys) override {
    std::lock_guard lock(mutex_);
    for (const Key& key : keys) values_.erase(std::string(key.bytes));
    return {};
  }

  int loads(const std::string& key) {
    std::lock_guard lock(mutex_);
    return loads_of_[key];
  }
  void set(const std::string& key, const std::string& value) {
    std::lock_guard lock(mutex_);
    values_[key] = value;
  }
  // Calls that come later run it; null: nothing.
  void stop_results_at(std::function<void(const std::string& key)> hook) {
    std::lock_guard lock(mutex_);
    before_result_ = std::move(hook);
  }

  // The form that loads return values in; null: as they are.
  std::function<Handle(const Handle&)> encode;
  // While a put has written and has not returned; null: nothing.
  std::function<void()> after_put;
  std::atomic<int> load_calls{0};
  std::atomic<int> loads_to_fail{0};
  std::atomic<int> loads_to_forget{0};
  std::atomic<bool> puts_fail{false};

 private:
  struct Reading final : Loads {
    std::optional<Loaded> next() override {
      if (waiting.empty()) return std::nullopt;
      auto [key, loaded] = std::move(waiting.front());
      waiting.pop_front();
      if (before_result) before_result(key);
      return std::move(loaded);
    }
    std::deque<std::pair<std::string, Loaded>> waiting;
    std::function<void(const std::string&)> before_result;
  };

  std::mutex mutex_;
  std::map<std::string, std::string> values_;
  std::map<std::string, int> loads_of_;
  std::function<void(const std::string&)> before_result_;
};

}  // namespace varve::cache
