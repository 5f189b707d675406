// What tests of the section cache share: an index of some clusters, and processes with a cache.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include "engine/core.h"
#include "engine/section_cache.h"
#include "engine/section_layers.h"
#include "engine/test_env.h"

namespace varve::engine {

inline constexpr std::uint32_t kDim = 64;    // enough for codes
inline constexpr std::size_t kRows = 6'000;  // enough for several clusters

inline const IndexName kName{"test", "cached"};

class Rows final : public RowSource {
 public:
  std::uint64_t size_hint() const override { return kRows; }
  Result<bool> next(VectorRecord& record) override {
    if (next_ == kRows) return false;
    record.key.clear();
    record.vector = row(next_);
    record.metadata = fmt::format(R"({{"row": {}}})", next_++);
    return true;
  }
  static std::vector<float> row(std::size_t number) {
    base::Random random(number + 1);
    std::vector<float> values(kDim);
    for (float& value : values) value = static_cast<float>(random.unit() - 0.5);
    return values;
  }

 private:
  std::size_t next_ = 0;
};

class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "varve-cache-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A process with a cache of its own over a store that others share.
class CachedProcess {
 public:
  CachedProcess(std::shared_ptr<store::ObjectStore> store, const CacheOptions& options,
                std::uint64_t seed = 1, base::Pool* background = nullptr)
      : process_(std::move(store), seed, [&](Env& env) {
          env.background = background;
          auto made = make_section_cache(options, *env.clock, nullptr);
          EXPECT_TRUE(made) << (made ? "" : made.error().message);
          env.sections = made ? *made : nullptr;
        }) {}
  Database& database() { return process_.database(); }
  std::shared_ptr<Index> index() { return *database().open_index(kName); }
  SectionCache& sections() { return *process_.env().sections; }
  cache::LayeredCache& layers() { return sections().layers(); }
  // Of the newest version.
  std::set<std::string> live_sections() {
    std::set<std::string> names;
    Core core(process_.env(), *format::Uuid::from_hex(index()->info()->uuid));
    const View view = *core.reader.refresh();
    for (const PartView& part : view.generation->parts()) {
      for (const format::Section section : kCachedSections) {
        if (part.slot->ref.section(section).stored_bytes == 0) continue;
        const auto key = section_key(core.index, *part.slot, section);
        names.emplace(key.data(), key.size());
      }
    }
    return names;
  }

 private:
  Process process_;
};

inline std::set<std::string> sections_in(const cache::Tier& tier, bool pinned) {
  std::set<std::string> names;
  tier.each([&](std::string_view key, std::uint64_t, bool is_pinned) {
    if (is_pinned || !pinned) names.emplace(key);
    return true;
  });
  return names;
}

inline std::shared_ptr<store::ObjectStore> imported(
    Metric metric,
    std::shared_ptr<store::ObjectStore> store = store::make_memory_store(test_clock())) {
  CachedProcess writer(store, {});
  auto index = writer.database().create_index(kName, {kDim, metric}, false);
  EXPECT_TRUE(index) << (index ? "" : index.error().message);
  if (!index) std::abort();
  Rows rows;
  EXPECT_TRUE((*index)->import(rows, {}));
  return store;
}

inline void put_and_fold(Index& index, const std::string& prefix, float value) {
  std::vector<VectorRecord> records;
  for (int i = 0; i < 50; ++i) {
    records.push_back({fmt::format("{}{:02}", prefix, i), std::vector<float>(kDim, value), ""});
  }
  ASSERT_TRUE(index.put(records));
  ASSERT_EQ(*index.fold(), records.size());
}

}  // namespace varve::engine
