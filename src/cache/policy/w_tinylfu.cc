#include <algorithm>
#include <cmath>

#include "cache/policy/frequency_sketch.h"
#include "cache/policy/policies.h"
#include "cache/policy/slot_list.h"

namespace varve::cache {
namespace {

constexpr double kWindowShare = 0.01;    // to begin with
constexpr double kProtectedShare = 0.8;  // of the main part
// Hill climbing: after so many uses an entry the window moves one step; the step turns when the hit
// ratio fell, fades, and starts anew when the hit ratio jumps.
constexpr std::uint64_t kUsesPerStep = 10;
constexpr double kFirstStep = 0.0625;  // of the capacity
constexpr double kStepDecay = 0.98;
constexpr double kJump = 0.05;

enum class Part : std::uint8_t { window, probation, protect };

// Newcomers live in a window ordered by recency. What falls out of it stays only if it was asked
// for more often than the coldest of the main part, which is a segmented LRU.
class WTinyLfu final : public EvictionPolicy {
 public:
  std::string_view name() const override { return "w-tinylfu"; }
  std::unique_ptr<EvictionPolicy> fresh() const override { return make_w_tinylfu(); }
  void set_capacity(std::uint64_t capacity) override {
    capacity_ = static_cast<double>(capacity);
    window_max_ = capacity_ * kWindowShare;
    step_ = capacity_ * kFirstStep;
  }

  void insert(SlotId slot, std::uint64_t hash, std::uint64_t charge) override {
    if (slot >= entries_.size()) {
      entries_.resize(std::size_t{slot} + 1);
      sketch_.reserve(entries_.size());
    }
    entries_[slot] = {hash, charge, Part::window};
    window_.push_back(links_, slot, charge);
    shrink_window();
    sketch_.add(hash);
    ++misses_;
    climb();
  }
  void touch(SlotId slot) override {
    Entry& entry = entries_[slot];
    sketch_.add(entry.hash);
    if (entry.part == Part::probation) {
      move(slot, Part::protect);
      shrink_protected();
    } else {
      list(entry.part).move_to_back(links_, slot);
    }
    ++hits_;
    climb();
  }
  bool touch_is_concurrent() const override { return false; }
  void remove(SlotId slot) override {
    if (slot == candidate_) candidate_ = kNoSlot;
    list(entries_[slot].part).remove(links_, slot, entries_[slot].charge);
  }
  SlotId evict() override {
    const SlotId slot = probation_.empty() ? coldest_elsewhere() : loser();
    remove(slot);
    return slot;
  }
  std::size_t size() const override {
    return window_.size() + probation_.size() + protected_.size();
  }
  std::size_t resident_bytes() const override {
    return links_.capacity() * sizeof(SlotLink) + entries_.capacity() * sizeof(Entry) +
           sketch_.resident_bytes();
  }

 private:
  struct Entry {
    std::uint64_t hash = 0;
    std::uint64_t charge = 0;
    Part part = Part::window;
  };

  SlotList& list(Part part) {
    if (part == Part::window) return window_;
    return part == Part::probation ? probation_ : protected_;
  }
  void move(SlotId slot, Part part) {
    Entry& entry = entries_[slot];
    list(entry.part).remove(links_, slot, entry.charge);
    if (slot == candidate_ && part != Part::probation) candidate_ = kNoSlot;
    entry.part = part;
    list(part).push_back(links_, slot, entry.charge);
  }
  SlotId coldest_elsewhere() const {
    return protected_.empty() ? window_.front() : protected_.front();
  }
  // Of the newest that fell out of the window and the coldest the one that was asked for less.
  SlotId loser() const {
    const SlotId victim = probation_.front();
    if (candidate_ == kNoSlot || candidate_ == victim) return victim;
    const unsigned wanted = sketch_.estimate(entries_[candidate_].hash);
    return wanted > sketch_.estimate(entries_[victim].hash) ? victim : candidate_;
  }
  void shrink_window() {
    while (static_cast<double>(window_.charge()) > window_max_ && window_.size() > 1) {
      candidate_ = window_.front();
      move(candidate_, Part::probation);
    }
  }
  void shrink_protected() {
    const double most = (capacity_ - window_max_) * kProtectedShare;
    while (static_cast<double>(protected_.charge()) > most) {
      move(protected_.front(), Part::probation);
    }
  }

  void climb() {
    const std::uint64_t uses = hits_ + misses_;
    if (uses < kUsesPerStep * std::max<std::size_t>(size(), 16)) return;
    const double ratio = static_cast<double>(hits_) / static_cast<double>(uses);
    const double change = ratio - last_ratio_;
    if (std::abs(change) >= kJump) {
      step_ = std::copysign(capacity_ * kFirstStep, step_);
    } else {
      step_ *= kStepDecay;
    }
    if (change < 0) step_ = -step_;
    window_max_ = std::clamp(window_max_ + step_, 1.0, std::max(1.0, capacity_ * 0.8));
    last_ratio_ = ratio;
    hits_ = misses_ = 0;
    adjust();
  }
  // Fills a window that grew from probation; one that shrank empties as entries come in.
  void adjust() {
    shrink_protected();
    while (!probation_.empty()) {
      const SlotId slot = probation_.front();
      const double filled = static_cast<double>(window_.charge() + entries_[slot].charge);
      if (filled > window_max_) return;
      move(slot, Part::window);
    }
  }

  double capacity_ = 0;
  double window_max_ = 0;
  double step_ = 0;
  double last_ratio_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
  std::vector<SlotLink> links_;
  std::vector<Entry> entries_;
  SlotList window_;
  SlotList probation_;
  SlotList protected_;
  SlotId candidate_ = kNoSlot;  // fell out of the window last; in probation
  FrequencySketch sketch_;
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_w_tinylfu() { return std::make_unique<WTinyLfu>(); }

}  // namespace varve::cache
