#include "cache/memory/shard.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "base/assert.h"
#include "cache/pinned.h"
#include "cache/policy/marks.h"
#include "cache/policy/slot_list.h"

namespace varve::cache {
namespace {

// So much may wait to be freed, so that many entries share the price of looking at all threads.
constexpr std::size_t kWaitingMax = 64;
constexpr std::uint64_t kWaitingBytesMax = std::uint64_t{512} << 10;
constexpr std::uint64_t kWaitingShare = 32;  // of the capacity, one in so many

}  // namespace

Shard::Shard(std::shared_ptr<MemoryShared> shared, std::unique_ptr<EvictionPolicy> policy)
    : shared_(std::move(shared)),
      slab_(*this),
      table_(slab_),
      policy_(std::move(policy)),
      touch_is_concurrent_(policy_->touch_is_concurrent()),
      hit_marks_(policy_->hit_marks()),
      wheel_(shared_->now_ms()) {}

Shard::~Shard() = default;

inline bool Shard::is_live(const Entry& entry, const Key& key) {
  return (entry.state.load(std::memory_order_seq_cst) & Pinned::kLive) != 0 &&
         entry.hash() == key.hash && entry.key() == key.bytes;
}

Entry* Shard::announce(std::atomic<Pinned*>& word, const Key& key) const {
  Entry* found = nullptr;
  table_.search(key.hash, [&](Entry& entry) {
    hazard::announce(word, &entry);
    if (!is_live(entry, key)) return false;
    found = &entry;
    return true;
  });
  if (found == nullptr) word.store(nullptr, std::memory_order_release);
  return found;
}

// For threads whose words are all in use. A pin on anything but the live entry of this key is taken
// back.
Entry* Shard::pin_counted(const Key& key) const {
  Entry* found = nullptr;
  table_.search(key.hash, [&](Entry& entry) {
    entry.count_pin(std::memory_order_acquire);
    if (is_live(entry, key)) {
      found = &entry;
      return true;
    }
    entry.unpin();
    return false;
  });
  return found;
}

inline Handle Shard::handle_of(Entry& entry, std::atomic<Pinned*>* word) {
  const EntryRest& rest = entry.rest();
  std::uint64_t raw = rest.payload_bytes;
  if (rest.method != 0) raw = rest.block->raw_bytes;
  std::int64_t expires_ms = 0;
  if (entry.is_marked(Entry::kExpires)) [[unlikely]] {
    expires_ms = rest.block->expires_ms;
  }
  return Handle(&entry, entry.payload(), rest.method, raw, word, expires_ms);
}

void Shard::note_hit(const ThreadRecord& me, Entry& entry) {
  shared_->counts.add(me, MemoryShared::hits);
  if (hit_marks_.marks != nullptr) {
    hit_marks_.marks->raise(entry.slot(), hit_marks_.most);
  } else if (touch_is_concurrent_) {
    policy_->touch(entry.slot());
  } else {
    touch_locked(entry, entry.slot());
  }
}

Handle Shard::take_hit(const ThreadRecord& me, Entry& entry, std::atomic<Pinned*>* word) {
  Handle handle = handle_of(entry, word);
  if (entry.is_marked(Entry::kExpires) && handle.expires_ms() <= shared_->now_ms()) {
    shared_->counts.add(me, MemoryShared::misses);
    return {};
  }
  if (!entry.is_marked(Entry::kHit)) entry.mark(Entry::kHit);
  note_hit(me, entry);
  return handle;
}

// Under contention some hits go unnoticed rather than make each other wait. REQUIRES: a handle
// keeps the entry.
void Shard::touch_locked(Entry& entry, SlotId slot) {
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  const bool live = (entry.state.load(std::memory_order_relaxed) & Pinned::kLive) != 0;
  if (live && !entry.is_marked(Entry::kUserPinned)) policy_->touch(slot);
}

// What nearly every hit is, and nothing else: a straight run of instructions without a call, so
// that it saves no registers; all else goes on in search(). No guard of the stack: there is no
// array.
__attribute__((no_stack_protector)) Handle Shard::get(const Key& key) {
  ThreadRecord* const me = known_record;
  if (me == nullptr) [[unlikely]] {
    return first_get(key);
  }
  std::atomic<Pinned*>* const word = me->free_word();
  Entry* const entry = table_.likely(key.hash);
  if (word == nullptr || entry == nullptr) [[unlikely]] {
    return search(*me, key, word);
  }
  hazard::announce(*word, entry);
  if (!entry->is_usual_hit(key.bytes)) [[unlikely]] {
    return search(*me, key, word);
  }
  shared_->counts.add(*me, MemoryShared::hits);
  hit_marks_.marks->raise(entry->slot(), hit_marks_.most);
  const std::span<const std::byte> payload = entry->plain_payload();
  return Handle(entry, payload, 0, payload.size(), word);
}

// Of this thread.
Handle Shard::first_get(const Key& key) {
  ThreadRecord& me = this_thread_record();
  return search(me, key, me.free_word());
}

// `word` is of no use to anybody else; null: all are.
Handle Shard::search(ThreadRecord& me, const Key& key, std::atomic<Pinned*>* word) {
  const std::uint32_t changes = table_.changes();
  Entry* const found = word != nullptr ? announce(*word, key) : pin_counted(key);
  if (found != nullptr) return take_hit(me, *found, word);
  // It may have moved past the search.
  const bool is_miss = changes % 2 == 0 && changes == table_.changes();
  if (!is_miss) return get_locked(key);
  shared_->counts.add(me, MemoryShared::misses);
  return {};
}

Handle Shard::get_locked(const Key& key) {
  Entry* found = nullptr;
  {
    std::lock_guard lock(mutex_);
    found = find(key);
    if (found != nullptr) found->pin_again();
  }
  if (found != nullptr) return take_hit(this_thread_record(), *found, nullptr);
  shared_->counts.add(MemoryShared::misses);
  return {};
}

Entry* Shard::find(const Key& key) const {
  Entry* found = nullptr;
  table_.search(key.hash, [&](Entry& entry) {
    if (entry.hash() != key.hash || entry.key() != key.bytes) return false;
    found = &entry;
    return true;
  });
  return found;
}

bool Shard::contains(const Key& key) const {
  std::lock_guard lock(mutex_);
  const Entry* entry = find(key);
  if (entry == nullptr) return false;
  return !has_expired(*entry);
}

bool Shard::has_expired(const Entry& entry) const {
  return entry.is_marked(Entry::kExpires) && entry.block()->expires_ms <= shared_->now_ms();
}

std::uint64_t Shard::overhead_bytes() const {
  return sizeof(Shard) + slab_.resident_bytes() + table_.resident_bytes() +
         policy_->resident_bytes() + wheel_.resident_bytes() - sizeof(wheel_);
}

bool Shard::is_over() const {
  if (capacity_.items > 0 && items_ > capacity_.items) return true;
  return capacity_.bytes > 0 && charged_ + overhead_bytes() + waiting_bytes_max() > capacity_.bytes;
}

std::uint64_t Shard::waiting_bytes_max() const {
  if (capacity_.bytes == 0) return kWaitingBytesMax;
  return std::min(kWaitingBytesMax, capacity_.bytes / kWaitingShare);
}

std::uint64_t Shard::policy_charge(const Entry& entry) const {
  return capacity_.bytes > 0 || capacity_.items == 0 ? entry.block()->charge : 1;
}

// The live entry of a value; not in the table yet. Takes the block over. Null: there is no slot.
Entry* Shard::fill(const Key& key, const Handle& value, Block* block) {
  Entry* entry = slab_.take();
  if (entry == nullptr) return nullptr;
  const EntryRest rest{key.hash,
                       block,
                       payload_offset(block, key.bytes.size(), value.bytes().size()),
                       static_cast<std::uint32_t>(value.bytes().size()),
                       static_cast<std::uint16_t>(key.bytes.size()),
                       value.method()};
  entry->start(key, rest, hit_marks_.marks != nullptr);
  return entry;
}

// One that can stay only in place of everything that is not pinned may come.
bool Shard::fits(const Block* block, const Entry* old) const {
  if (block == nullptr) return false;
  if (capacity_.bytes == 0) return true;
  const std::uint64_t freed = pin_of(old) ? old->block()->charge : 0;
  return block->charge + pinned_bytes_ - freed + overhead_bytes() + waiting_bytes_max() <=
         capacity_.bytes;
}

Entry* Shard::bring_in(const Key& key, const Handle& value, Block* block, Departures& left) {
  Entry* const old = find(key);
  Entry* const entry = fits(block, old) ? fill(key, value, block) : nullptr;
  if (entry == nullptr) {
    free_block(block);
    ++rejected_;
    if (old != nullptr) take_out(*old, Cause::replaced, true, left);
    return nullptr;
  }
  if (old != nullptr) {
    table_.replace(*old, *entry);
    take_out(*old, Cause::replaced, false, left);
  } else {
    table_.insert(*entry);
  }
  if (block->expires_ms != 0) wheel_.insert(entry->slot(), block->expires_ms);
  charged_ += block->charge;
  value_bytes_ += value.bytes().size();
  raw_bytes_ += value.raw_bytes();
  ++items_;
  ++insertions_;
  return entry;
}

void Shard::care_for(Entry& entry, const std::optional<Pin>& had,
                     std::optional<std::int64_t> pin_until_ms) {
  const std::uint64_t bytes = entry.block()->charge;
  if (had) {
    shared_->pinned_bytes += bytes;
    start_pin(entry, pin_until_ms.value_or(had->until_ms));
  } else if (pin_until_ms && make_room_for_pin(bytes)) {
    start_pin(entry, *pin_until_ms);
  } else {
    policy_->insert(entry.slot(), entry.hash(), policy_charge(entry));
  }
}

bool Shard::put(const Key& key, const Handle& value, std::int64_t expires_ms,
                std::optional<std::int64_t> pin_until_ms, Departures& left) {
  const bool is_sound =
      value && value.bytes().size() <= kValueBytesMax && value.raw_bytes() <= kValueBytesMax;
  Block* block = is_sound ? make_block(key, value, expires_ms) : nullptr;
  std::lock_guard lock(mutex_);
  const std::optional<Pin> had = pin_of(find(key));
  Entry* const entry = bring_in(key, value, block, left);
  if (entry == nullptr) {
    collect_if_many();
    return false;
  }
  care_for(*entry, had, pin_until_ms);
  evict_over(items_, left);
  // A policy may find that the newcomer itself is the one to go.
  return find(key) == entry && (!pin_until_ms || entry->is_marked(Entry::kUserPinned));
}

void Shard::expire_key(const Key& key, Departures& left) {
  std::lock_guard lock(mutex_);
  Entry* entry = find(key);
  if (entry == nullptr || !has_expired(*entry)) return;
  take_out(*entry, Cause::expired, true, left);
  collect_if_many();
}

bool Shard::remove(const Key& key, Departures& left) {
  std::lock_guard lock(mutex_);
  Entry* entry = find(key);
  if (entry == nullptr) return false;
  take_out(*entry, Cause::removed, true, left);
  collect_if_many();
  return true;
}

// `in_table`: its cell still stands there. REQUIRES: live; out of the policy if it was evicted.
void Shard::take_out(Entry& entry, Cause cause, bool in_table, Departures& left) {
  if (in_table) {
    table_.remove(entry);
  }
  if (entry.is_marked(Entry::kUserPinned)) {
    forget_pin(entry);
  } else if (cause != Cause::evicted) {
    policy_->remove(entry.slot());
  }
  if (entry.is_marked(Entry::kExpires) && wheel_.holds(entry.slot())) {
    wheel_.remove(entry.slot());
  }
  const EntryRest& rest = entry.rest();
  charged_ -= rest.block->charge;
  value_bytes_ -= rest.payload_bytes;
  raw_bytes_ -= rest.method == 0 ? rest.payload_bytes : rest.block->raw_bytes;
  --items_;
  held_ += rest.block->charge;
  ++held_items_;
  ++left_[static_cast<std::size_t>(cause)];
  if (shared_->has_listener()) {
    entry.pin_again();
    Removal removal{entry.key(),
                    entry.hash(),
                    handle_of(entry, nullptr),
                    cause,
                    entry.is_marked(Entry::kHit),
                    0};
    if (shared_->owner != nullptr) removal.version = shared_->owner->version(entry.hash());
    left.push_back(std::move(removal));
  }
  // From here on no search takes it for a hit.
  entry.state.fetch_and(~Pinned::kLive, std::memory_order_seq_cst);
  retired_.push_back(&entry);
  ++waiting_;
  waiting_bytes_ += rest.block->charge;
}

void Shard::collect_if_many() {
  if (waiting_ >= kWaitingMax || waiting_bytes_ > waiting_bytes_max()) collect();
}

void Shard::collect() {
  if (retired_.empty()) return;
  const auto needed = hazard::announced();
  if (!needed) return;
  std::size_t kept = 0;
  waiting_ = 0;
  waiting_bytes_ = 0;
  for (Entry* entry : retired_) {
    if (std::binary_search(needed->begin(), needed->end(), static_cast<const Pinned*>(entry))) {
      retired_[kept++] = entry;
      continue;
    }
    // Counted handles may need it still: then the last of them gives it back.
    if (entry->start_dying()) free_entry(*entry);
  }
  retired_.resize(kept);
}

void Shard::free_entry(Entry& entry) {
  held_ -= entry.block()->charge;
  --held_items_;
  free_block(entry.block());
  entry.rest().block = nullptr;
  slab_.give_back(entry);
}

bool Shard::give_back(Entry& entry) {
  std::lock_guard lock(mutex_);
  free_entry(entry);
  return closed_;
}

bool Shard::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  Departures none;
  while (!pins_.empty()) {
    take_out(*pins_.back().entry, Cause::removed, true, none);
  }
  while (policy_->size() > 0) {
    take_out(slab_.at(policy_->evict()), Cause::evicted, true, none);
  }
  collect();
  return held_items_ == 0;
}

void Shard::evict_over(std::size_t limit, Departures& left) {
  // What nobody gets any more goes first.
  if (is_over()) expire_due(shared_->now_ms(), left);
  for (std::size_t i = 0; i < limit && is_over() && policy_->size() > 0; ++i) {
    take_out(slab_.at(policy_->evict()), Cause::evicted, true, left);
  }
  collect_if_many();
}

void Shard::expire_due(std::int64_t now_ms, Departures& left) {
  wheel_.advance(now_ms,
                 [&](SlotId slot) { take_out(slab_.at(slot), Cause::expired, true, left); });
}

bool Shard::shrink(Departures& left) {
  const std::int64_t now_ms = shared_->now_ms();
  std::lock_guard lock(mutex_);
  expire_due(now_ms, left);
  evict_over(kEntriesPerStep, left);
  const bool more = is_over() && policy_->size() > 0;
  if (!more) collect();
  return more;
}

void Shard::set_capacity(const Capacity& capacity) {
  std::lock_guard lock(mutex_);
  capacity_ = capacity;
  const std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  policy_->set_capacity(capacity.bytes > 0 ? capacity.bytes
                                           : (capacity.items > 0 ? capacity.items : most));
}

}  // namespace varve::cache
