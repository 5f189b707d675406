#include "cache/policy/forecast.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "cache/policy/duels.h"
#include "cache/policy/slot_list.h"

namespace varve::cache {
namespace {

// How far the trend is drawn out. At 0 only the level counts, at 1 only the recent past.
constexpr double kTrend = 0.5;
// Uses an entry for which a pair is watched at least.
constexpr std::uint64_t kPatience = 4;

// The newest entry waits at the door until the next one comes, when it is in, or until something
// has to go. Then it is measured against the victim of the inner policy, and the loser goes; a
// victim that wins waits for the next newcomer without a place in the inner policy.
class ForecastAdmission final : public EvictionPolicy {
 public:
  explicit ForecastAdmission(std::unique_ptr<EvictionPolicy> inner)
      : inner_(std::move(inner)),
        name_(std::string(inner_->name()) + std::string(kForecastSuffix)) {}

  std::string_view name() const override { return name_; }
  std::unique_ptr<EvictionPolicy> fresh() const override {
    return std::make_unique<ForecastAdmission>(inner_->fresh());
  }
  void set_capacity(std::uint64_t capacity) override { inner_->set_capacity(capacity); }

  void insert(SlotId slot, std::uint64_t hash, std::uint64_t charge) override {
    if (slot >= entries_.size()) {
      entries_.resize(std::size_t{slot} + 1);
      forecast_.reserve(entries_.size());
    }
    entries_[slot] = {hash, charge};
    count(hash);
    let_in(door_);
    door_ = slot;
  }
  void touch(SlotId slot) override {
    count(entries_[slot].hash);
    if (slot == door_) let_in(door_);
    if (slot == victim_) let_in(victim_);
    inner_->touch(slot);
  }
  bool touch_is_concurrent() const override { return false; }
  void remove(SlotId slot) override {
    if (slot == door_) {
      door_ = kNoSlot;
    } else if (slot == victim_) {
      victim_ = kNoSlot;
    } else {
      inner_->remove(slot);
    }
  }
  SlotId evict() override {
    if (victim_ == kNoSlot && inner_->size() > 0) victim_ = inner_->evict();
    if (victim_ == kNoSlot) return std::exchange(door_, kNoSlot);
    if (door_ != kNoSlot && refused(door_)) return std::exchange(door_, kNoSlot);
    let_in(door_);
    return std::exchange(victim_, kNoSlot);
  }
  std::size_t size() const override {
    return inner_->size() + (door_ == kNoSlot ? 0 : 1) + (victim_ == kNoSlot ? 0 : 1);
  }
  std::size_t resident_bytes() const override {
    return inner_->resident_bytes() + entries_.capacity() * sizeof(Entry) +
           forecast_.resident_bytes() + sizeof(Duels);
  }

 private:
  struct Entry {
    std::uint64_t hash = 0;
    std::uint64_t charge = 0;
  };

  // Whether the victim is expected back sooner. Ties are for the newcomer: it was asked for last.
  bool refused(SlotId newcomer) {
    const std::uint64_t victim_hash = entries_[victim_].hash;
    const std::uint64_t newcomer_hash = entries_[newcomer].hash;
    if (forecast_.uses(newcomer_hash) >= forecast_.uses(victim_hash)) return false;
    // Watched whatever is done, so that lost trust can come back.
    duels_.open(victim_hash, newcomer_hash, kPatience * size());
    return duels_.trusted();
  }
  void count(std::uint64_t hash) {
    forecast_.add(hash);
    duels_.use(hash);
  }
  // Empties the place, if it is taken, into the inner policy.
  void let_in(SlotId& place) {
    if (place == kNoSlot) return;
    const SlotId slot = std::exchange(place, kNoSlot);
    inner_->insert(slot, entries_[slot].hash, entries_[slot].charge);
  }

  std::unique_ptr<EvictionPolicy> inner_;
  std::string name_;
  std::vector<Entry> entries_;
  Forecast forecast_;
  Duels duels_;
  SlotId door_ = kNoSlot;
  SlotId victim_ = kNoSlot;
};

}  // namespace

double Forecast::uses(std::uint64_t hash) const {
  const double level = static_cast<double>(slow_.estimate(hash)) / kSlowUses;
  const double recent = static_cast<double>(fast_.estimate(hash)) / kFastUses;
  return std::max(0.0, level + kTrend * (recent - level));
}

std::unique_ptr<EvictionPolicy> admit_by_forecast(std::unique_ptr<EvictionPolicy> inner) {
  return std::make_unique<ForecastAdmission>(std::move(inner));
}

}  // namespace varve::cache
