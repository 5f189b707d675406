// A cache tier that tests look into: what it keeps can be altered, what it lends is counted.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "engine/section_cache.h"
#include "varve/cache/tier.h"

namespace varve::engine {

// Keeps everything. For one thread.
class OpenTier final : public cache::Tier {
 public:
  // Bytes of the handles that are out.
  struct Lent {
    std::uint64_t now = 0, most = 0;
  };
  Lent& lent() { return *lent_; }

  // Rewrites what it keeps of one kind of section: wrong bytes that no checksum gives away.
  void alter(format::Section section, const std::function<void(std::string&)>& change) {
    for (auto& [key, value] : values_) {
      if (key.at(22) != format::letter(section)) continue;
      std::string text(base::as_text(value));
      change(text);
      value = base::Bytes::copy_of(base::as_bytes(text));
    }
  }

  // From now on it removes nothing.
  void keep_all() { keeps_all_ = true; }

  std::string_view name() const override { return "ram-open"; }
  cache::Handle get(const cache::Key& key) override {
    const auto entry = values_.find(key.bytes);
    if (entry == values_.end()) return {};
    auto lease = std::make_shared<const Lease>(entry->second, lent_);
    return cache::Handle::borrow(lease, lease->bytes);
  }
  bool put(const cache::Key& key, const cache::Handle& value, const cache::PutOptions&) override {
    values_.insert_or_assign(std::string(key.bytes), base::Bytes::copy_of(value.bytes()));
    return true;
  }
  bool remove(const cache::Key& key) override { return values_.erase(std::string(key.bytes)) > 0; }
  bool may_contain(const cache::Key& key) const override { return values_.contains(key.bytes); }
  bool pin(const cache::Key&, std::int64_t) override { return false; }
  bool unpin(const cache::Key&) override { return false; }
  void each(const Visit& take) const override {
    for (const auto& [key, value] : values_) {
      if (!take(key, value.size(), false)) return;
    }
  }
  void set_capacity(const cache::Capacity&) override {}
  cache::Capacity capacity() const override { return {}; }
  cache::TierStats stats() const override { return {}; }
  void maintain() override {}
  void set_owner(cache::TierOwner*) override {}

 private:
  // A handle may outlive the tier.
  struct Lease {
    Lease(base::Bytes of, std::shared_ptr<Lent> in) : bytes(std::move(of)), lent(std::move(in)) {
      lent->now += bytes.size();
      lent->most = std::max(lent->most, lent->now);
    }
    ~Lease() { lent->now -= bytes.size(); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    const base::Bytes bytes;
    const std::shared_ptr<Lent> lent;
  };

  std::map<std::string, base::Bytes, std::less<>> values_;
  bool keeps_all_ = false;
  const std::shared_ptr<Lent> lent_ = std::make_shared<Lent>();
};

// The only tier of the sections of `env`, which owns it.
inline OpenTier& use_open_tier(Env& env) {
  auto made = std::make_unique<OpenTier>();
  OpenTier& tier = *made;
  std::vector<std::unique_ptr<cache::Tier>> tiers;
  tiers.push_back(std::move(made));
  cache::LayeredOptions options;
  options.negative_ttl = std::chrono::milliseconds(0);
  options.clock = env.clock;
  env.sections = std::make_shared<SectionCache>(
      cache::make_layered_cache(std::move(tiers), nullptr, std::move(options)), "");
  return tier;
}

}  // namespace varve::engine
