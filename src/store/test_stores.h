// What the tests of this module share.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "store/object_store.h"

namespace varve::store {

inline const base::Deadline kNever = base::Deadline::never();

// Where a sync costs milliseconds, or nothing.
enum class Medium { disk, memory };

// A fresh directory, removed on destruction.
class TempDir {
 public:
  explicit TempDir(Medium medium = Medium::disk) {
    const std::filesystem::path memory = "/dev/shm";
    const bool fast = medium == Medium::memory && ::access(memory.c_str(), W_OK) == 0;
    const auto parent = fast ? memory : std::filesystem::temp_directory_path();
    std::string name = (parent / "varve-store-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path(const std::string& below = {}) const { return (path_ / below).string(); }

 private:
  std::filesystem::path path_;
};

inline Result<Etag> create(ObjectStore& store, std::string_view key, std::string_view text) {
  return store.create(key, base::as_bytes(text), kNever);
}

inline Result<Etag> replace(ObjectStore& store, std::string_view key, std::string_view text,
                            const Etag& expected) {
  return store.replace(key, base::as_bytes(text), expected, kNever);
}

// The content; "<none>" if there is no object, "<kind>" of the error otherwise.
inline std::string text_of(ObjectStore& store, std::string_view key) {
  const auto object = store.get(key, kNever);
  if (!object) return fmt::format("<{}>", to_string(object.error().kind));
  return *object ? std::string(base::as_text((*object)->bytes)) : "<none>";
}

inline std::string text_of(const Result<base::Bytes>& bytes) {
  if (!bytes) return fmt::format("<{}>", to_string(bytes.error().kind));
  return std::string(base::as_text(*bytes));
}

// "ok" or the kind of the error.
template <typename T>
std::string kind_of(const Result<T>& result) {
  return result ? "ok" : std::string(to_string(result.error().kind));
}

}  // namespace varve::store
