// Doubly linked lists of slots by number. Several lists share one array of links, since a slot is
// in one list at a time.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "varve/cache/policy.h"

namespace varve::cache {

inline constexpr SlotId kNoSlot = std::numeric_limits<SlotId>::max();

struct SlotLink {
  SlotId previous = kNoSlot;  // towards the front
  SlotId next = kNoSlot;      // towards the back
};

// The front is the oldest end in queues and the coldest in recency lists. Counts slots and their
// charge. Links grow on demand.
class SlotList {
 public:
  void push_back(std::vector<SlotLink>& links, SlotId slot, std::uint64_t charge) {
    if (slot >= links.size()) links.resize(std::size_t{slot} + 1);
    links[slot] = {back_, kNoSlot};
    (back_ == kNoSlot ? front_ : links[back_].next) = slot;
    back_ = slot;
    ++size_;
    charge_ += charge;
  }

  void remove(std::vector<SlotLink>& links, SlotId slot, std::uint64_t charge) {
    const SlotLink link = links[slot];
    (link.previous == kNoSlot ? front_ : links[link.previous].next) = link.next;
    (link.next == kNoSlot ? back_ : links[link.next].previous) = link.previous;
    --size_;
    charge_ -= charge;
  }

  void move_to_back(std::vector<SlotLink>& links, SlotId slot) {
    if (slot == back_) return;
    remove(links, slot, 0);
    push_back(links, slot, 0);
  }

  // Appends all of `other`, which is empty afterwards.
  void splice_back(std::vector<SlotLink>& links, SlotList& other) {
    if (other.size_ == 0) return;
    if (size_ == 0) {
      *this = other;
    } else {
      links[back_].next = other.front_;
      links[other.front_].previous = back_;
      back_ = other.back_;
      size_ += other.size_;
      charge_ += other.charge_;
    }
    other = SlotList{};
  }

  SlotId front() const { return front_; }
  SlotId back() const { return back_; }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  std::uint64_t charge() const { return charge_; }

 private:
  SlotId front_ = kNoSlot;
  SlotId back_ = kNoSlot;
  std::size_t size_ = 0;
  std::uint64_t charge_ = 0;
};

}  // namespace varve::cache
