#include "cache/memory/entry.h"

namespace varve::cache {

void Entry::start(const Key& key, const EntryRest& its_rest, bool may_be_plain) {
  rest() = its_rest;
  const std::size_t key_bytes = key.bytes.size();
  if (key_bytes <= kInlineKeyBytes) {
    std::memcpy(inline_key_.data(), key.bytes.data(), key_bytes);
  }
  const auto address = reinterpret_cast<std::uintptr_t>(payload().data());
  const bool is_plain = may_be_plain && its_rest.method == 0 && its_rest.block->expires_ms == 0 &&
                        key_bytes >= kPlainKeyBytesMin && key_bytes <= kInlineKeyBytes &&
                        its_rest.payload_bytes >> kLengthBits == 0 &&
                        address >> (kAddressBits + kAlignBits) == 0;
  slot_and_key_ = slot();
  if (is_plain) {
    slot_and_key_ |= static_cast<SlotId>(key_bytes) << kSlotBits;
    plain_value_ = address >> kAlignBits | std::uint64_t{its_rest.payload_bytes} << kAddressBits;
  }
  std::uint32_t marks = is_plain ? kPlain : 0;
  if (its_rest.block->expires_ms != 0) marks |= kExpires;
  // Step by step: a reader that is mistaken may be counting a pin.
  unmark(kMarks);
  state.fetch_or(kLive | marks, std::memory_order_release);
}

}  // namespace varve::cache
