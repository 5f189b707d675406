#include "engine/section_pins.h"

namespace varve::engine {
namespace {

// A disk tier reads the indexes of a gigabyte in a tenth of a second.
constexpr std::chrono::minutes kKnownTime{1};
// How often a wait looks whether the process ends.
constexpr std::chrono::milliseconds kLook{50};

std::set<std::string> pinned_in(const cache::Tier& tier, std::string_view prefix) {
  std::set<std::string> keys;
  if (is_shared(tier)) return keys;
  tier.each([&](std::string_view key, std::uint64_t, bool is_pinned) {
    if (is_pinned && key.starts_with(prefix)) keys.emplace(key);
    return true;
  });
  return keys;
}

bool is_over(std::int64_t until_ms, std::int64_t now_ms) {
  return until_ms != 0 && until_ms <= now_ms;
}

}  // namespace

std::string section_key_prefix(const format::Uuid& index) {
  return std::string(reinterpret_cast<const char*>(index.bytes.data()), kIndexKeyBytes);
}

bool is_shared(const cache::Tier& tier) { return tier.name() == "redis"; }

SectionPins::SectionPins(cache::LayeredCache& layers, std::string folder)
    : layers_(layers), folder_(std::move(folder)) {}

SectionPins::~SectionPins() {
  is_closing_ = true;
  std::unique_lock lock(mutex_);
  while (is_posted_) restored_.wait(lock);
}

void SectionPins::restore(std::int64_t now_ms, base::Pool* pool) {
  if (disk() == nullptr) return;
  Pins pins = read_pins(folder_, now_ms);
  if (pins.empty()) return;
  const bool must_post = pool != nullptr && !disk()->wait_until_known(std::chrono::milliseconds(0));
  {
    std::lock_guard lock(mutex_);
    pins_ = std::move(pins);
    has_pins_ = must_restore_ = true;
    is_posted_ = must_post;
  }
  if (!must_post) wait_until_known();
  if (must_post && pool->post([this] { restore_when_known(); })) return;
  restore_now();
  std::lock_guard lock(mutex_);
  is_posted_ = false;
}

void SectionPins::restore_when_known() {
  while (!is_closing_ && !disk()->wait_until_known(kLook)) {
  }
  if (!is_closing_) restore_now();
  std::lock_guard lock(mutex_);
  is_posted_ = false;
  // Under the lock: once it is free, this object may be gone.
  restored_.notify_all();
}

void SectionPins::restore_now() {
  base::Turn::Held held(turn_);
  std::map<std::string, std::int64_t> by_prefix;
  {
    std::lock_guard lock(mutex_);
    if (!must_restore_) return;
    must_restore_ = false;
    for (const auto& [uuid, until_ms] : pins_) {
      by_prefix[section_key_prefix(*format::Uuid::from_hex(uuid))] = until_ms;
    }
  }
  std::vector<std::pair<std::string, std::int64_t>> keys;
  disk()->each([&](std::string_view key, std::uint64_t, bool) {
    const auto pin = by_prefix.find(std::string(key.substr(0, kIndexKeyBytes)));
    if (pin != by_prefix.end()) keys.emplace_back(key, pin->second);
    return true;
  });
  for (const auto& [key, until_ms] : keys) disk()->pin(cache::Key(key), until_ms);
}

std::optional<Pinning> SectionPins::find(const format::Uuid& index, std::int64_t now_ms) const {
  if (!has_pins_.load(std::memory_order_relaxed)) return std::nullopt;
  const std::string uuid = index.hex();
  std::lock_guard lock(mutex_);
  const auto pin = pins_.find(uuid);
  if (pin == pins_.end() || is_over(pin->second, now_ms)) return std::nullopt;
  const auto own = in_memory_.find(uuid);
  const auto keep = own != in_memory_.end() ? own->second : Pinning::Keep::on_disk;
  return Pinning{keep, pin->second};
}

Status SectionPins::remember(const format::Uuid& index, const Pinning& pinning) {
  base::Turn::Held held(turn_);
  Pins pins = copy();
  pins[index.hex()] = pinning.until_ms;
  VARVE_CHECK(write_file(pins));
  std::lock_guard lock(mutex_);
  pins_ = std::move(pins);
  in_memory_[index.hex()] = pinning.keep;
  has_pins_ = true;
  return {};
}

SectionPins::Pinned SectionPins::pinned(const format::Uuid& index) const {
  const std::string prefix = section_key_prefix(index);
  Pinned pinned;
  for (std::size_t number = 0; number < layers_.tier_count(); ++number) {
    pinned.push_back(pinned_in(layers_.tier(number), prefix));
  }
  return pinned;
}

void SectionPins::take_back(const format::Uuid& index, const Pinned& kept) {
  base::Turn::Held held(turn_);
  const Pins pins = copy();
  const auto pin = pins.find(index.hex());
  const Pinned now = pinned(index);
  for (std::size_t number = 0; number < now.size(); ++number) {
    cache::Tier& tier = layers_.tier(number);
    for (const std::string& key : now[number]) {
      if (!kept[number].contains(key)) {
        tier.unpin(cache::Key(key));
      } else if (pin != pins.end()) {
        tier.pin(cache::Key(key), pin->second);
      }
    }
  }
}

Result<std::uint64_t> SectionPins::unpin(const format::Uuid& index) {
  wait_until_known();
  // What earlier processes pinned counts too.
  restore_now();
  base::Turn::Held held(turn_);
  std::set<std::string> unpinned;
  const Pinned now = pinned(index);
  for (std::size_t number = 0; number < now.size(); ++number) {
    for (const std::string& key : now[number]) layers_.tier(number).unpin(cache::Key(key));
    unpinned.insert(now[number].begin(), now[number].end());
  }
  Pins pins = copy();
  if (pins.erase(index.hex()) == 0) return unpinned.size();
  const Status written = write_file(pins);
  std::lock_guard lock(mutex_);
  has_pins_ = !pins.empty();
  pins_ = std::move(pins);
  in_memory_.erase(index.hex());
  if (!written) return tl::unexpected(written.error());
  return unpinned.size();
}

Status SectionPins::write_file(const Pins& pins) const {
  return folder_.empty() ? Status{} : write_pins(folder_, pins);
}

Pins SectionPins::copy() const {
  std::lock_guard lock(mutex_);
  return pins_;
}

cache::Tier* SectionPins::disk() const {
  for (std::size_t number = 0; !folder_.empty() && number < layers_.tier_count(); ++number) {
    if (layers_.tier(number).name() == "disk") return &layers_.tier(number);
  }
  return nullptr;
}

void SectionPins::wait_until_known() const {
  if (disk() != nullptr) disk()->wait_until_known(kKnownTime);
}

}  // namespace varve::engine
