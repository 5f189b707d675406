// For tests: a tier that does what another one does, where it is not told otherwise.
#pragma once

#include <memory>
#include <utility>

#include "varve/cache/tier.h"

namespace varve::cache {

class ForwardingTier : public Tier {
 public:
  std::string_view name() const override { return tier_->name(); }
  Handle get(const Key& key) override { return tier_->get(key); }
  bool put(const Key& key, const Handle& value, const PutOptions& options) override {
    return tier_->put(key, value, options);
  }
  bool remove(const Key& key) override { return tier_->remove(key); }
  bool may_contain(const Key& key) const override { return tier_->may_contain(key); }
  bool pin(const Key& key, std::int64_t until_ms) override { return tier_->pin(key, until_ms); }
  bool unpin(const Key& key) override { return tier_->unpin(key); }
  bool is_pinned(const Key& key) const override { return tier_->is_pinned(key); }
  void each(const Visit& take) const override { tier_->each(take); }
  void set_capacity(const Capacity& capacity) override { tier_->set_capacity(capacity); }
  Capacity capacity() const override { return tier_->capacity(); }
  TierStats stats() const override { return tier_->stats(); }
  void maintain() override { tier_->maintain(); }
  bool is_persistent() const override { return tier_->is_persistent(); }
  void set_owner(TierOwner* owner) override { tier_->set_owner(owner); }

 protected:
  explicit ForwardingTier(std::unique_ptr<Tier> tier) : tier_(std::move(tier)) {}

  // Null until a subclass that makes it itself has done so.
  std::unique_ptr<Tier> tier_;
};

}  // namespace varve::cache
