// What the tests of the disk tier share.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/manual_clock.h"
#include "base/pool.h"
#include "base/random.h"
#include "cache/disk/disk_tier.h"
#include "cache/disk/memory_files.h"
#include "varve/cache/disk.h"
#include "varve/cache/policy.h"

namespace varve::cache::disk_test {

// Runs what was posted when it is told to.
class HeldPool final : public base::Pool {
 public:
  void parallel_for(std::size_t count, const std::function<void(std::size_t)>& task) override {
    for (std::size_t i = 0; i < count; ++i) task(i);
  }
  bool post(std::function<void()> task) override {
    tasks_.push_back(std::move(task));
    return true;
  }
  std::size_t width() const override { return 1; }
  void run() {
    for (const auto& task : std::exchange(tasks_, {})) task();
  }

 private:
  std::vector<std::function<void()>> tasks_;
};

// A folder in memory and the tier over it.
struct Bed {
  MemoryFiles files;
  base::ManualClock clock{std::chrono::hours(24 * 365)};
  std::unique_ptr<base::Pool> inline_pool = base::make_inline_pool();
  HeldPool held_pool;
  DiskOptions options;
  std::string policy = "fifo";
  std::size_t segments_max = kSegmentsMax;
  std::unique_ptr<Tier> tier;

  Bed() {
    options.folder.assign(1, 'f');  // = "f" is a false warning of GCC 12
    options.segment_bytes = 4096;
    options.files = &files;
    options.clock = &clock;
    options.background = inline_pool.get();
  }

  Tier& open() {
    tier.reset();
    auto opened = open_disk_tier(options, *make_policy(policy, 1), segments_max);
    if (!opened) ADD_FAILURE() << opened.error().message;
    tier = std::move(*opened);
    return *tier;
  }
  // As after kill -9: what was written is there, nothing is closed.
  Tier& reopen_after_kill() {
    const auto contents = files.contents();
    tier.reset();
    files.set_contents(contents);
    return open();
  }
  // As after a power failure that took all writes since `contents`.
  Tier& reopen_after_power_failure(const std::map<std::string, std::string>& contents) {
    tier.reset();
    files.set_contents(contents);
    files.set_boot("second");
    return open();
  }
  // Of the files of segments.
  std::map<std::string, std::string> segments() const {
    auto all = files.contents();
    std::erase_if(all, [](const auto& file) { return !file.first.ends_with(".seg"); });
    return all;
  }
  std::string path_of_newest() const { return segments().rbegin()->first; }
};

inline Handle value_of(std::string_view text) { return Handle::copy_of(base::as_bytes(text)); }

inline std::string text_of(const Handle& handle) {
  return handle ? std::string(base::as_text(handle.bytes())) : std::string("(miss)");
}

inline bool put(Tier& tier, std::string_view key, std::string_view value,
                std::int64_t expires_ms = 0) {
  return tier.put(Key(key), value_of(value), {expires_ms});
}

inline std::string get(Tier& tier, std::string_view key) { return text_of(tier.get(Key(key))); }

inline std::string long_value(int number, std::size_t bytes = 200) {
  std::string text = fmt::format("value {} ", number);
  text.resize(bytes, static_cast<char>('a' + number % 26));
  return text;
}

}  // namespace varve::cache::disk_test
