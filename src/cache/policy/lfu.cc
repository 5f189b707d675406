#include <algorithm>
#include <array>

#include "base/random.h"
#include "cache/policy/policies.h"
#include "cache/policy/slot_list.h"

namespace varve::cache {
namespace {

constexpr std::uint32_t kLevels = 256;
// A newcomer starts above the floor, or it would go before it can be hit.
constexpr std::uint32_t kFirstLevel = 5;
// A hit at level n above the first raises it with probability 1 / (n * kGrowth + 1).
constexpr std::uint64_t kGrowth = 10;
// All levels fall by one each time so many hits and inserts an entry have passed.
constexpr std::uint64_t kUsesPerDecay = 16;

// One list of slots a level, oldest first; decay moves the lists, not the slots: level 1 joins
// level 0, all others shift. The level of a slot is kept relative to the number of shifts.
class Lfu final : public EvictionPolicy {
 public:
  explicit Lfu(std::uint64_t seed) : seed_(seed), random_(seed) {}

  std::string_view name() const override { return "lfu"; }
  std::unique_ptr<EvictionPolicy> fresh() const override { return make_lfu(seed_ + 1); }
  void set_capacity(std::uint64_t) override {}

  void insert(SlotId slot, std::uint64_t, std::uint64_t) override {
    if (slot >= stamps_.size()) stamps_.resize(std::size_t{slot} + 1);
    place(slot, kFirstLevel);
    ++size_;
    pass_time();
  }
  void touch(SlotId slot) override {
    const std::uint32_t level = level_of(slot);
    list(level).remove(links_, slot, 0);
    place(slot, raised(level));
    pass_time();
  }
  bool touch_is_concurrent() const override { return false; }
  void remove(SlotId slot) override {
    list(level_of(slot)).remove(links_, slot, 0);
    --size_;
  }
  SlotId evict() override {
    std::uint32_t level = 0;
    while (list(level).empty()) ++level;
    const SlotId slot = list(level).front();
    list(level).remove(links_, slot, 0);
    --size_;
    return slot;
  }
  std::size_t size() const override { return size_; }
  std::size_t resident_bytes() const override {
    return links_.capacity() * sizeof(SlotLink) + stamps_.capacity() * sizeof(std::uint64_t);
  }

 private:
  SlotList& list(std::uint32_t level) { return lists_[(level + shifts_) % kLevels]; }
  std::uint32_t level_of(SlotId slot) const {
    return static_cast<std::uint32_t>(std::max(stamps_[slot], shifts_) - shifts_);
  }
  void place(SlotId slot, std::uint32_t level) {
    stamps_[slot] = shifts_ + level;
    list(level).push_back(links_, slot, 0);
  }
  std::uint32_t raised(std::uint32_t level) {
    const std::uint64_t above = level > kFirstLevel ? level - kFirstLevel : 0;
    const bool up = level < kLevels - 1 && random_.below(above * kGrowth + 1) == 0;
    return up ? level + 1 : level;
  }
  void pass_time() {
    if (++uses_ < kUsesPerDecay * size_) return;
    uses_ = 0;
    // What is at level 0 is older than what falls on it.
    SlotList floor = list(0);
    list(0) = SlotList{};
    ++shifts_;
    floor.splice_back(links_, list(0));
    list(0) = floor;
  }

  const std::uint64_t seed_;
  base::Random random_;
  std::vector<SlotLink> links_;
  std::vector<std::uint64_t> stamps_;  // level + number of shifts when it was set
  std::array<SlotList, kLevels> lists_;
  std::uint64_t shifts_ = 0;
  std::uint64_t uses_ = 0;
  std::size_t size_ = 0;
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_lfu(std::uint64_t seed) { return std::make_unique<Lfu>(seed); }

}  // namespace varve::cache
