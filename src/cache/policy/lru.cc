#include "cache/policy/policies.h"
#include "cache/policy/slot_list.h"

namespace varve::cache {
namespace {

// Least recently used, and first in first out, which differs in that a hit changes nothing.
class Recency final : public EvictionPolicy {
 public:
  explicit Recency(bool hits_count) : hits_count_(hits_count) {}

  std::string_view name() const override { return hits_count_ ? "lru" : "fifo"; }
  std::unique_ptr<EvictionPolicy> fresh() const override {
    return hits_count_ ? make_lru() : make_fifo();
  }
  void set_capacity(std::uint64_t) override {}
  void insert(SlotId slot, std::uint64_t, std::uint64_t) override {
    list_.push_back(links_, slot, 0);
  }
  void touch(SlotId slot) override {
    if (hits_count_) list_.move_to_back(links_, slot);
  }
  bool touch_is_concurrent() const override { return !hits_count_; }
  void remove(SlotId slot) override { list_.remove(links_, slot, 0); }
  SlotId evict() override {
    const SlotId slot = list_.front();
    list_.remove(links_, slot, 0);
    return slot;
  }
  std::size_t size() const override { return list_.size(); }
  std::size_t resident_bytes() const override { return links_.capacity() * sizeof(SlotLink); }

 private:
  const bool hits_count_;
  std::vector<SlotLink> links_;
  SlotList list_;
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_lru() { return std::make_unique<Recency>(true); }
std::unique_ptr<EvictionPolicy> make_fifo() { return std::make_unique<Recency>(false); }

}  // namespace varve::cache
