// What people write when they need a cache, to compare with.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace varve::cli::cache_bench {

// The textbook: a hash table of positions in a list, and a mutex around both. It returns what is
// safe to use outside of its lock, a copy of the value: all floats, or a shared pointer. Asked by
// string_view, which is faster than the textbook's key.
template <typename Value>
class TextbookLru {
 public:
  explicit TextbookLru(std::size_t items_max) : items_max_(items_max) {}

  void put(const std::string& key, Value value) {
    const std::lock_guard lock(mutex_);
    if (const auto found = places_.find(key); found != places_.end()) {
      entries_.erase(found->second);
      places_.erase(found);
    }
    entries_.emplace_front(key, std::move(value));
    places_.emplace(key, entries_.begin());
    if (entries_.size() <= items_max_) return;
    places_.erase(entries_.back().first);
    entries_.pop_back();
  }
  std::optional<Value> get(std::string_view key) {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(key);
    if (found == places_.end()) return std::nullopt;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->second;
  }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const {
      return std::hash<std::string_view>()(key);
    }
  };
  using Entries = std::list<std::pair<std::string, Value>>;

  const std::size_t items_max_;
  std::mutex mutex_;
  Entries entries_;
  std::unordered_map<std::string, typename Entries::iterator, Hash, std::equal_to<>> places_;
};

// A file for each key.
class FilePerKey {
 public:
  explicit FilePerKey(std::string folder) : folder_(std::move(folder)) {}

  std::string path_of(std::string_view key) const {
    std::string path = folder_ + "/" + std::string(key);
    for (std::size_t i = folder_.size() + 1; i < path.size(); ++i) {
      if (path[i] == '/') path[i] = '_';
    }
    return path;
  }
  bool put(std::string_view key, std::string_view bytes) const {
    const int file = ::open(path_of(key).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) return false;
    const bool written = ::write(file, bytes.data(), bytes.size()) == ssize_t(bytes.size());
    const bool synced = ::fdatasync(file) == 0;  // else it cannot leave the page cache
    ::close(file);
    return written && synced;
  }
  std::optional<std::vector<float>> get(std::string_view key, std::size_t floats) const {
    const int file = ::open(path_of(key).c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return std::nullopt;
    std::vector<float> value(floats);
    const std::size_t bytes = floats * sizeof(float);
    const bool read = ::read(file, value.data(), bytes) == ssize_t(bytes);
    ::close(file);
    if (!read) return std::nullopt;
    return value;
  }

 private:
  const std::string folder_;
};

}  // namespace varve::cli::cache_bench
