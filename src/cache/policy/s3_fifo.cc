#include <algorithm>

#include "cache/policy/ghost.h"
#include "cache/policy/marks.h"
#include "cache/policy/policies.h"
#include "cache/policy/queue_balance.h"
#include "cache/policy/slot_list.h"

namespace varve::cache {
namespace {

constexpr std::size_t kGhostMin = 16;  // hashes
constexpr std::uint8_t kHitsMax = 3;
// Hits in the small queue that make an entry worth keeping.
constexpr std::uint8_t kHitsToStay = 2;

// Differs from the paper in three ways: the small queue's share adapts (QueueBalance); the hashes
// of what the main queue let go are remembered too; and as long as nothing had to go newcomers fill
// the main queue, so that a part of a loop larger than the cache stays.
class S3Fifo final : public EvictionPolicy {
 public:
  std::string_view name() const override { return "s3-fifo"; }
  std::unique_ptr<EvictionPolicy> fresh() const override { return make_s3_fifo(); }
  void set_capacity(std::uint64_t capacity) override {
    balance_.set_capacity(capacity);
    filling_ = true;
  }

  void insert(SlotId slot, std::uint64_t hash, std::uint64_t charge) override {
    if (slot >= entries_.size()) entries_.resize(std::size_t{slot} + 1);
    entries_[slot] = {charge, static_cast<std::uint32_t>(hash), belongs_in_main(hash, charge)};
    hits_.insert(slot, 0);
    queue_of(slot).push_back(links_, slot, charge);
  }
  void touch(SlotId slot) override { hits_.raise(slot, kHitsMax); }
  bool touch_is_concurrent() const override { return true; }
  HitMarks hit_marks() override { return {&hits_, kHitsMax}; }
  void remove(SlotId slot) override { queue_of(slot).remove(links_, slot, entries_[slot].charge); }
  SlotId evict() override {
    filling_ = false;
    // Each turn moves an entry out of the small queue or takes a hit from one of the main queue.
    // Bounded, since other threads may be adding hits.
    for (std::size_t left = (kHitsMax + 1) * size();; left -= left > 0 ? 1 : 0) {
      const bool small_is_full = static_cast<double>(small_.charge()) >= balance_.small_max();
      const bool from_small = !small_.empty() && (small_is_full || main_.empty());
      const SlotId slot = from_small ? judge_small() : judge_main(left > 0);
      if (slot != kNoSlot) return slot;
    }
  }
  std::size_t size() const override { return small_.size() + main_.size(); }
  std::size_t resident_bytes() const override {
    return links_.capacity() * sizeof(SlotLink) + entries_.capacity() * sizeof(Entry) +
           hits_.resident_bytes() + ghost_.resident_bytes();
  }

 private:
  struct Entry {
    std::uint64_t charge = 0;
    std::uint32_t hash = 0;
    bool in_main = false;
  };

  SlotList& queue_of(SlotId slot) { return entries_[slot].in_main ? main_ : small_; }

  bool belongs_in_main(std::uint64_t hash, std::uint64_t charge) {
    if (const auto note = ghost_.take(hash)) {
      balance_.regret(*note, charge);
      // What the main queue let go has to prove itself anew.
      return !note->from_main;
    }
    return filling_ && static_cast<double>(main_.charge() + charge) <= balance_.main_max();
  }
  void remember(const Entry& entry) {
    ghost_.set_capacity(std::max(kGhostMin, size() + size() / 2));
    ghost_.add(entry.hash, balance_.lose(entry.in_main, entry.charge));
  }

  SlotId judge_small() {
    const SlotId slot = small_.front();
    Entry& entry = entries_[slot];
    small_.remove(links_, slot, entry.charge);
    if (hits_.get(slot) >= kHitsToStay) {
      hits_.set(slot, 0);
      entry.in_main = true;
      main_.push_back(links_, slot, entry.charge);
      return kNoSlot;
    }
    remember(entry);
    return slot;
  }
  SlotId judge_main(bool may_stay) {
    const SlotId slot = main_.front();
    if (const std::uint8_t hits = hits_.get(slot); may_stay && hits > 0) {
      hits_.set(slot, static_cast<std::uint8_t>(hits - 1));
      main_.move_to_back(links_, slot);
      return kNoSlot;
    }
    main_.remove(links_, slot, entries_[slot].charge);
    remember(entries_[slot]);
    return slot;
  }

  bool filling_ = true;
  QueueBalance balance_;
  std::vector<SlotLink> links_;
  std::vector<Entry> entries_;
  Marks hits_;
  SlotList small_;
  SlotList main_;
  Ghost ghost_;
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_s3_fifo() { return std::make_unique<S3Fifo>(); }

}  // namespace varve::cache
