#include "cache/policy/marks.h"
#include "cache/policy/policies.h"
#include "cache/policy/slot_list.h"

namespace varve::cache {
namespace {

// New entries join at the back; the hand moves from the front (oldest) to the back and wraps. It
// clears the mark of what was hit and takes the first that was not. Nothing is ever relinked, so
// that survivors stay where they are and newcomers are judged soon.
class Sieve final : public EvictionPolicy {
 public:
  std::string_view name() const override { return "sieve"; }
  std::unique_ptr<EvictionPolicy> fresh() const override { return make_sieve(); }
  void set_capacity(std::uint64_t) override {}

  void insert(SlotId slot, std::uint64_t, std::uint64_t) override {
    list_.push_back(links_, slot, 0);
    visited_.insert(slot, 0);
  }
  void touch(SlotId slot) override { visited_.raise(slot, 1); }
  bool touch_is_concurrent() const override { return true; }
  HitMarks hit_marks() override { return {&visited_, 1}; }
  void remove(SlotId slot) override {
    if (slot == hand_) hand_ = links_[slot].next;
    list_.remove(links_, slot, 0);
  }
  SlotId evict() override {
    SlotId slot = hand_ == kNoSlot ? list_.front() : hand_;
    // Each step clears a mark. Bounded, since other threads may be setting them again.
    for (std::size_t left = size(); visited_.get(slot) != 0 && left > 0; --left) {
      visited_.set(slot, 0);
      slot = links_[slot].next == kNoSlot ? list_.front() : links_[slot].next;
    }
    hand_ = links_[slot].next;
    list_.remove(links_, slot, 0);
    return slot;
  }
  std::size_t size() const override { return list_.size(); }
  std::size_t resident_bytes() const override {
    return links_.capacity() * sizeof(SlotLink) + visited_.resident_bytes();
  }

 private:
  std::vector<SlotLink> links_;
  Marks visited_;
  SlotList list_;
  SlotId hand_ = kNoSlot;  // next to be judged; kNoSlot: the front
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_sieve() { return std::make_unique<Sieve>(); }

}  // namespace varve::cache
