#include "engine/section_cache.h"

#include <fmt/format.h>

#include <cstring>
#include <set>

#include "engine/section_reader.h"
#include "varve/cache/compress.h"

namespace varve::engine {
namespace {

constexpr std::size_t kArrayAlign = 16;
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

std::array<char, 24> section_key(const format::Uuid& index, const PartSlot& slot,
                                 format::Section section) {
  // Parts of one object differ in their ids.
  const std::uint64_t part = cache::hash_of_key(slot.object) + slot.ref.id;
  SectionKey key;
  std::memcpy(key.data(), index.bytes.data(), kIndexKeyBytes);
  std::memcpy(key.data() + kIndexKeyBytes, &part, sizeof(part));
  key[22] = format::letter(section);
  key[23] = static_cast<char>(kSectionLayout);
  return key;
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
    texts[i] = section_key(context.index, *slots[i], section);
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
  cache_->evict(text_of(section_key(context.index, slot, section)));
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

std::unordered_map<std::string, std::uint64_t> SectionCache::bytes_by_index(std::size_t number) {
  std::unordered_map<std::string, std::uint64_t> bytes;
  if (is_shared(cache_->tier(number))) return bytes;
  cache_->tier(number).each([&](std::string_view key, std::uint64_t size, bool) {
    bytes[std::string(key.substr(0, kIndexKeyBytes))] += size;
    return true;
  });
  return bytes;
}

Result<std::uint64_t> SectionCache::forget(const format::Uuid& index) {
  const auto unpinned = pins_.unpin(index);
  const std::string prefix = section_key_prefix(index);
  std::set<std::string> keys;
  std::uint64_t bytes = 0;
  // Evicting takes a key from all tiers: they are counted first.
  for (std::size_t number = 0; number < cache_->tier_count(); ++number) {
    cache_->tier(number).each([&](std::string_view key, std::uint64_t size, bool) {
      if (!key.starts_with(prefix)) return true;
      keys.emplace(key);
      bytes += size;
      return true;
    });
  }
  for (const std::string& key : keys) cache_->evict(key);
  if (!unpinned) return tl::unexpected(unpinned.error());
  return bytes;
}

void SectionCache::drop_replaced(const Generation& before, const Generation& now) {
  for (const PartView& part : before.parts()) {
    if (now.part_by_id(part.slot->ref.id)) continue;
    for (const format::Section section : kCachedSections) {
      const SectionKey text = section_key(before.context().index, *part.slot, section);
      const cache::Key key(text_of(text));
      for (std::size_t number = 0; number < cache_->tier_count(); ++number) {
        cache::Tier& tier = cache_->tier(number);
        if (!is_shared(tier) && tier.may_contain(key)) tier.remove(key);
      }
    }
  }
}

Result<SectionCache::Warmed> SectionCache::warm(const Env& env, const SectionContext& context,
                                                std::span<PartSlot* const> slots,
                                                format::Section section, const Pinning& pinning) {
  Warmed warmed;
  std::vector<PartSlot*> absent;
  cache::Tier* const disk = pins_.disk();
  if (pinning.keep == Pinning::Keep::on_disk_alone) {
    // What is there need not pass through memory.
    for (PartSlot* const slot : slots) {
      const SectionKey key = section_key(context.index, *slot, section);
      if (disk != nullptr && disk->pin(cache::Key(text_of(key)), pinning.until_ms)) {
        warmed.bytes += slot->ref.section(section).raw_bytes;
      } else {
        absent.push_back(slot);
      }
    }
    slots = absent;
  }
  VARVE_TRY(const auto handles, get(env, context, slots, section));
  for (std::size_t i = 0; i < slots.size(); ++i) {
    warmed.bytes += handles[i].bytes().size();
    if (pinning.keep == Pinning::Keep::while_asked_for) continue;
    const SectionKey key = section_key(context.index, *slots[i], section);
    if (!pin_on_disk(text_of(key), handles[i], pinning.until_ms)) ++warmed.not_on_disk;
    if (pinning.keep < Pinning::Keep::in_memory) {
      cache_->tier(0).unpin(cache::Key(text_of(key)));
      if (pinning.keep == Pinning::Keep::on_disk_alone) leave_memory(text_of(key));
      continue;
    }
    // Sections never change, so none is older than another.
    const std::uint64_t version = cache_->version(text_of(key));
    if (cache_->pin_found(text_of(key), handles[i], version, pinning.until_ms)) continue;
    return tl::unexpected(not_pinned(env, text_of(key), handles[i], pinning.until_ms));
  }
  return warmed;
}

void SectionCache::leave_memory(std::string_view text) {
  const cache::Key key(text);
  if (pins_.disk() == nullptr || !pins_.disk()->may_contain(key)) return;
  for (std::size_t number = 0; &cache_->tier(number) != pins_.disk(); ++number) {
    cache_->tier(number).remove(key);
  }
}

bool SectionCache::pin_on_disk(std::string_view text, const cache::Handle& value,
                               std::int64_t until_ms) {
  cache::Tier* const disk = pins_.disk();
  const cache::Key key(text);
  if (disk == nullptr || disk->pin(key, until_ms)) return true;
  // Is it there, the disk has no room for more that is pinned.
  if (disk->may_contain(key)) return false;
  return disk->put(key, cache::compressed()(value), {}) && disk->pin(key, until_ms);
}

Error SectionCache::not_pinned(const Env& env, std::string_view key, const cache::Handle& value,
                               std::int64_t until_ms) {
  if (until_ms != 0 && until_ms <= env.clock->wall_ms()) {
    return {ErrorKind::cancelled, "the time of the pin was over before all sections were there",
            "a longer one"};
  }
  if (cache_->tier(0).may_contain(cache::Key(key))) {
    return {ErrorKind::overloaded, "pinned sections would take more than half of the memory tier",
            "a larger cache.ram_bytes_max, or pin less"};
  }
  return {
      ErrorKind::overloaded,
      fmt::format("a section of {} bytes does not fit into the memory tier", value.bytes().size()),
      "a larger cache.ram_bytes_max"};
}

SectionCache::SectionCache(std::unique_ptr<cache::LayeredCache> cache, std::string folder)
    : cache_(std::move(cache)), pins_(*cache_, std::move(folder)) {}

}  // namespace varve::engine
