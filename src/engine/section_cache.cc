#include "engine/section_cache.h"

#include <cstring>
#include <map>
#include <set>
#include <unordered_map>

#include "engine/section_reader.h"

namespace varve::engine {
namespace {

// So much of a uuid is as good as all of it, and a key fits beside its entry.
constexpr std::size_t kIndexBytes = 14;
constexpr std::size_t kArrayAlign = 16;
// Entries that are not known by then are pinned by the next process.
constexpr std::chrono::seconds kPinsTime{10};
using SectionKey = std::array<char, 24>;
std::string_view text_of(const SectionKey& key) { return {key.data(), key.size()}; }

// Makes the sections of one call from the store.
class SectionSource final : public cache::Source {
 public:
  SectionSource(const Env& env, const SectionContext& context, std::span<PartSlot* const> slots,
                format::Section section, std::span<const SectionKey> keys)
      : env_(env), context_(context), section_(section) {
    for (std::size_t i = 0; i < slots.size(); ++i) slots_.emplace(text_of(keys[i]), slots[i]);
  }

  std::string_view name() const override { return "store"; }

  std::unique_ptr<cache::Loads> load(std::span<const cache::Key> keys,
                                     std::chrono::milliseconds) override {
    std::vector<PartSlot*> slots;
    slots.reserve(keys.size());
    for (const cache::Key& key : keys) slots.push_back(slots_.at(key.bytes));
    return std::make_unique<Reads>(*this, std::move(slots));
  }

 private:
  class Reads final : public cache::Loads {
   public:
    Reads(const SectionSource& source, std::vector<PartSlot*> slots)
        : source_(source), slots_(std::move(slots)), reads_(source.env_, slots_, source.section_) {}

    std::optional<Loaded> next() override {
      auto arrived = reads_.next();
      if (!arrived) return std::nullopt;
      if (!arrived->section)
        return Loaded{arrived->index, tl::unexpected(arrived->section.error())};
      return Loaded{arrived->index, prepare_section(source_.section_, std::move(*arrived->section),
                                                    *slots_[arrived->index], source_.context_)};
    }

   private:
    const SectionSource& source_;
    const std::vector<PartSlot*> slots_;
    SectionReads reads_;
  };

  const Env& env_;
  const SectionContext& context_;
  const format::Section section_;
  std::unordered_map<std::string_view, PartSlot*> slots_;  // by key
};

}  // namespace

std::array<char, 24> section_key(const format::Uuid& index, std::uint64_t part,
                                 format::Section section) {
  SectionKey key;
  std::memcpy(key.data(), index.bytes.data(), kIndexBytes);
  std::memcpy(key.data() + kIndexBytes, &part, sizeof(part));
  key[22] = format::letter(section);
  key[23] = static_cast<char>(kSectionLayout);
  return key;
}

std::string section_key_prefix(const format::Uuid& index) {
  return std::string(reinterpret_cast<const char*>(index.bytes.data()), kIndexBytes);
}

cache::ReadCounts& section_counts() {
  thread_local cache::ReadCounts counts;
  return counts;
}

Result<std::vector<cache::Handle>> SectionCache::get(const Env& env, const SectionContext& context,
                                                     std::span<PartSlot* const> slots,
                                                     format::Section section) {
  std::vector<SectionKey> texts(slots.size());
  std::vector<cache::Key> keys;
  keys.reserve(slots.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    texts[i] = section_key(context.index, slots[i]->ref.id, section);
    keys.emplace_back(text_of(texts[i]));
  }
  std::vector<cache::Handle> handles(slots.size());
  if (cache_->find_batch(keys, handles, section_counts()) > 0) {
    VARVE_CHECK(load_missing(env, context, slots, section, texts, handles));
  }
  for (cache::Handle& handle : handles) {
    // Arrays are read where they lie.
    const auto address = reinterpret_cast<std::uintptr_t>(handle.bytes().data());
    if (address % kArrayAlign != 0) handle = cache::Handle::copy_of(handle.bytes());
  }
  return handles;
}

Status SectionCache::load_missing(const Env& env, const SectionContext& context,
                                  std::span<PartSlot* const> slots, format::Section section,
                                  std::span<const SectionKey> keys,
                                  std::vector<cache::Handle>& handles) {
  std::vector<std::string_view> missing;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (handles[i]) continue;
    missing.push_back(text_of(keys[i]));
    places.push_back(i);
  }
  SectionSource source(env, context, slots, section, keys);
  const auto gets = cache_->load_batch(missing, source);
  Status loaded;
  while (auto got = gets->next()) {
    if (!got->value) {
      loaded = tl::unexpected(std::move(got->value).error());
      break;
    }
    handles[places[got->index]] = std::move(*got->value);
  }
  // What another thread loaded came from the store as well.
  section_counts().loads += gets->counts().loads + gets->counts().loads_shared;
  return loaded;
}

Result<cache::Handle> SectionCache::get_anew(const Env& env, const SectionContext& context,
                                             PartSlot& slot, format::Section section) {
  cache_->evict(text_of(section_key(context.index, slot.ref.id, section)));
  ++section_counts().loads;
  VARVE_TRY(auto bytes, read_section(env, slot, section));
  return prepare_section(section, std::move(bytes), slot, context);
}

std::uint64_t SectionCache::bytes_of(const format::Uuid& index, std::size_t number) {
  const std::string prefix = section_key_prefix(index);
  std::uint64_t bytes = 0;
  cache_->tier(number).each([&](std::string_view key, std::uint64_t size, bool) {
    if (key.starts_with(prefix)) bytes += size;
    return true;
  });
  return bytes;
}

std::uint64_t SectionCache::forget(const format::Uuid& index) {
  const std::string prefix = section_key_prefix(index);
  std::uint64_t bytes = 0;
  for (std::size_t number = 0; number < cache_->tier_count(); ++number) {
    std::vector<std::string> keys;
    cache_->tier(number).each([&](std::string_view key, std::uint64_t size, bool) {
      if (!key.starts_with(prefix)) return true;
      keys.emplace_back(key);
      bytes += size;
      return true;
    });
    for (const std::string& key : keys) cache_->evict(key);
  }
  return bytes;
}

Result<std::uint64_t> SectionCache::warm(const Env& env, const SectionContext& context,
                                         std::span<PartSlot* const> slots, format::Section section,
                                         bool pins, std::int64_t until_ms) {
  VARVE_TRY(const auto handles, get(env, context, slots, section));
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    bytes += handles[i].bytes().size();
    if (!pins) continue;
    const SectionKey key = section_key(context.index, slots[i]->ref.id, section);
    if (disk() != nullptr) disk()->pin(cache::Key(text_of(key)), until_ms);
    // Sections never change, so none is older than another.
    const std::uint64_t version = cache_->version(text_of(key));
    if (cache_->pin_found(text_of(key), handles[i], version, until_ms)) continue;
    return fail(ErrorKind::overloaded,
                "pinned sections would take more than half of the memory tier",
                "a larger cache.ram_bytes_max, or pin less");
  }
  return bytes;
}

Status SectionCache::remember_pin(const format::Uuid& index, std::int64_t until_ms) {
  if (folder_.empty()) return {};
  std::lock_guard lock(pins_mutex_);
  pins_[index.hex()] = until_ms;
  return write_pins(folder_, pins_);
}

void SectionCache::restore_pins(std::int64_t now_ms) {
  if (disk() == nullptr) return;
  std::map<std::string, std::int64_t> by_prefix;
  {
    std::lock_guard lock(pins_mutex_);
    pins_ = read_pins(folder_, now_ms);
    for (const auto& [uuid, until_ms] : pins_) {
      by_prefix[section_key_prefix(*format::Uuid::from_hex(uuid))] = until_ms;
    }
  }
  if (by_prefix.empty()) return;
  disk()->wait_until_known(kPinsTime);
  std::vector<std::pair<std::string, std::int64_t>> keys;
  disk()->each([&](std::string_view key, std::uint64_t, bool) {
    const auto pin = by_prefix.find(std::string(key.substr(0, kIndexBytes)));
    if (pin != by_prefix.end()) keys.emplace_back(key, pin->second);
    return true;
  });
  for (const auto& [key, until_ms] : keys) disk()->pin(cache::Key(key), until_ms);
}

Result<std::uint64_t> SectionCache::unpin(const format::Uuid& index) {
  const std::string prefix = section_key_prefix(index);
  std::set<std::string> pinned;
  for (std::size_t number = 0; number < cache_->tier_count(); ++number) {
    cache::Tier& tier = cache_->tier(number);
    std::vector<std::string> keys;
    tier.each([&](std::string_view key, std::uint64_t, bool is_pinned) {
      if (is_pinned && key.starts_with(prefix)) keys.emplace_back(key);
      return true;
    });
    for (const std::string& key : keys) {
      tier.unpin(cache::Key(key));
      pinned.insert(key);
    }
  }
  std::lock_guard lock(pins_mutex_);
  if (pins_.erase(index.hex()) > 0) VARVE_CHECK(write_pins(folder_, pins_));
  return pinned.size();
}

cache::Tier* SectionCache::disk() const {
  for (std::size_t number = 0; !folder_.empty() && number < cache_->tier_count(); ++number) {
    if (cache_->tier(number).name() == "disk") return &cache_->tier(number);
  }
  return nullptr;
}

SectionCache::SectionCache(std::unique_ptr<cache::LayeredCache> cache, std::string folder)
    : cache_(std::move(cache)), folder_(std::move(folder)) {}

}  // namespace varve::engine
