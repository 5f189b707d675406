#include "cache/encoding.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/sync.h"
#include "codec/lossless.h"
#include "codec/zstd.h"

namespace varve::cache {
namespace {

using codec::Method;

// zstd's advice: a hundred times as many bytes of samples as of dictionary.
constexpr std::size_t kSampleShare = 100;
constexpr std::size_t kSampleBytesMax = std::size_t{16} << 10;  // of one value

// Dictionaries that were trained in this process, by their ids. One belongs to each compressed(),
// and records made with it may live as long as the process: none is ever taken out.
class Dictionaries {
 public:
  // Null: another one has the id.
  const codec::Dictionary* add(codec::Dictionary dictionary) {
    std::unique_lock lock(mutex_);
    const std::uint32_t id = dictionary.id();
    const auto [at, is_new] = all_.emplace(id, std::move(dictionary));
    return is_new ? &at->second : nullptr;
  }
  const codec::Dictionary* find(std::uint32_t id) const {
    std::shared_lock lock(mutex_);
    const auto found = all_.find(id);
    return found == all_.end() ? nullptr : &found->second;
  }
  std::uint64_t memory_bytes() const {
    std::shared_lock lock(mutex_);
    std::uint64_t bytes = 0;
    for (const auto& [id, dictionary] : all_) bytes += dictionary.memory_bytes();
    return bytes;
  }

 private:
  mutable std::shared_mutex mutex_;
  std::map<std::uint32_t, codec::Dictionary> all_ VARVE_GUARDED_BY(mutex_);  // its nodes stay
};
Dictionaries& dictionaries() {
  static auto* const known = new Dictionaries;
  return *known;
}

bool decode_with_dictionary(base::ByteSpan stored, std::span<std::byte> out) {
  const codec::Dictionary* dictionary = dictionaries().find(codec::dictionary_id(stored));
  return dictionary != nullptr &&
         codec::decode(Method::zstd_dictionary, stored, out, dictionary).has_value();
}

// Empty: there is no memory for it.
Handle make_or_none(std::size_t bytes, std::span<std::byte>& to_fill) {
  try {
    return Handle::make(bytes, to_fill);
  } catch (const std::bad_alloc&) {
    return {};
  }
}

Handle handle_of(codec::Encoded encoded, const Handle& raw) {
  if (encoded.method == Method::raw) return raw;
  auto bytes = std::make_shared<const base::Bytes>(std::move(encoded.bytes));
  Handle handle = Handle::borrow(bytes, bytes->span());
  handle.set_encoding(static_cast<std::uint8_t>(encoded.method), raw.bytes().size());
  handle.set_expires_ms(raw.expires_ms());
  return handle;
}

// That wait for a dictionary, in all trainers.
std::atomic<std::uint64_t> sample_bytes{0};

// Learns from the first values that are opaque; shared by the copies of one compressed().
class Trainer {
 public:
  explicit Trainer(std::size_t dictionary_bytes) : dictionary_bytes_(dictionary_bytes) {}
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;
  ~Trainer() { sample_bytes -= bytes_; }

  // Null: not trained yet.
  const codec::Dictionary* dictionary() const { return ready_.load(std::memory_order_acquire); }

  // Nobody waits: not for one who adds a sample, nor for the one who trains.
  void learn(base::ByteSpan value) {
    if (is_done_.load(std::memory_order_relaxed)) return;
    std::vector<base::Bytes> samples;
    if (add_sample(value, samples)) train(samples);
  }

 private:
  // True: they are enough, and are handed over.
  bool add_sample(base::ByteSpan value, std::vector<base::Bytes>& enough) {
    std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || is_done_) return false;
    samples_.push_back(base::Bytes::copy_of(value.first(std::min(value.size(), kSampleBytesMax))));
    bytes_ += samples_.back().size();
    sample_bytes += samples_.back().size();
    if (bytes_ < kSampleShare * dictionary_bytes_) return false;
    is_done_ = true;
    enough = std::exchange(samples_, {});
    sample_bytes -= std::exchange(bytes_, 0);
    return true;
  }
  void train(const std::vector<base::Bytes>& samples) {
    const std::vector<base::ByteSpan> spans(samples.begin(), samples.end());
    auto trained = codec::Dictionary::train(spans, dictionary_bytes_);
    if (!trained) return;
    ready_.store(dictionaries().add(std::move(*trained)), std::memory_order_release);
  }

  const std::size_t dictionary_bytes_;
  std::atomic<const codec::Dictionary*> ready_{nullptr};
  std::atomic<bool> is_done_{false};
  std::mutex mutex_;
  std::vector<base::Bytes> samples_ VARVE_GUARDED_BY(mutex_);
  std::size_t bytes_ VARVE_GUARDED_BY(mutex_) = 0;
};

}  // namespace

Handle decode_value(const Handle& value) {
  if (value.method() == 0) return value;
  const auto method = codec::method_of(value.method());
  if (!method || value.raw_bytes() > kValueBytesMax) return {};
  std::span<std::byte> out;
  Handle raw = make_or_none(value.raw_bytes(), out);
  if (!raw) return {};
  const bool done = *method == Method::zstd_dictionary
                        ? decode_with_dictionary(value.bytes(), out)
                        : codec::decode(*method, value.bytes(), out).has_value();
  if (!done) return {};
  raw.set_expires_ms(value.expires_ms());
  return raw;
}

Handle portable_value(const Handle& value) {
  if (value.method() != static_cast<std::uint8_t>(Method::zstd_dictionary)) return value;
  Handle raw = decode_value(value);
  if (!raw) return raw;
  constexpr int kLevel = 3;
  return handle_of(codec::encode(raw.bytes(), {.floats = false, .zstd_level = kLevel}), raw);
}

std::function<Handle(const Handle&)> compressed(const CompressOptions& options) {
  const bool trains = options.zstd_level > 0 && options.dictionary_bytes > 0;
  auto trainer = trains ? std::make_shared<Trainer>(options.dictionary_bytes) : nullptr;
  return [options, trainer](const Handle& value) {
    const std::span<const std::byte> raw = value.bytes();
    if (value.method() != 0 || raw.empty()) return value;
    codec::EncodeOptions encode{.floats = options.floats && raw.size() % sizeof(float) == 0,
                                .zstd_level = options.zstd_level};
    if (trainer != nullptr) encode.dictionary = trainer->dictionary();
    codec::Encoded encoded = codec::encode(raw, encode);
    const bool is_opaque = encoded.method == Method::raw || encoded.method == Method::zstd;
    if (trainer != nullptr && is_opaque) trainer->learn(raw);
    return handle_of(std::move(encoded), value);
  };
}

std::uint64_t encoding_bytes() {
  return codec::zstd_context_bytes() + dictionaries().memory_bytes() + sample_bytes;
}

}  // namespace varve::cache
