// What the tests of sources share.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/manual_clock.h"
#include "cache/store/pack_source.h"
#include "varve/cache/store_source.h"

namespace varve::cache::packs {

inline constexpr std::chrono::milliseconds kLong{60'000};
inline constexpr base::Duration kStart = std::chrono::hours(24 * 365 * 50);

inline std::unique_ptr<StoreSource> open_origin(std::shared_ptr<store::ObjectStore> store,
                                                base::Clock& clock,
                                                StoreSourceOptions options = {}) {
  options.clock = &clock;
  auto source = open_store_source(std::move(store), std::move(options));
  EXPECT_TRUE(source) << source.error().message;
  return source ? std::move(*source) : nullptr;
}

// "<none>", or the kind of an error.
inline std::string text_of(const Result<Handle>& value) {
  if (!value) return "<" + std::string(to_string(value.error().kind)) + ">";
  return *value ? std::string(base::as_text(value->bytes())) : "<none>";
}

inline std::string load_one(Source& source, std::string_view key) {
  const Key one(key);
  const auto loads = source.load({&one, 1}, kLong);
  auto loaded = loads->next();
  EXPECT_TRUE(loaded);
  EXPECT_FALSE(loads->next());
  return text_of(loaded->value);
}

// Loads the keys of `values`.
inline std::map<std::string, std::string> load_all(
    Source& source, const std::map<std::string, std::string>& values) {
  std::vector<Key> keys;
  for (const auto& [key, value] : values) keys.emplace_back(key);
  std::map<std::string, std::string> loaded;
  const auto loads = source.load(keys, kLong);
  while (auto one = loads->next()) {
    EXPECT_TRUE(loaded.emplace(keys[one->index].bytes, text_of(one->value)).second);
  }
  EXPECT_EQ(loaded.size(), keys.size());
  return loaded;
}

inline Status put_all(Source& source, const std::map<std::string, std::string>& values) {
  std::vector<Key> keys;
  std::vector<Handle> handles;
  for (const auto& [key, value] : values) {
    keys.emplace_back(key);
    handles.push_back(Handle::copy_of(base::as_bytes(value)));
  }
  return source.put_batch(keys, handles, {});
}
inline Status put_one(Source& source, const std::string& key, const std::string& value) {
  return put_all(source, {{key, value}});
}
inline Status remove_one(Source& source, std::string_view key) {
  const Key one(key);
  return source.remove_batch({&one, 1});
}

}  // namespace varve::cache::packs
