#include "cache/encoding.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "base/bytes.h"
#include "codec/lossless.h"

namespace varve::cache {
namespace {

using codec::Method;

// zstd's advice: a hundred times as many bytes of samples as of dictionary.
constexpr std::size_t kSampleShare = 100;
constexpr std::size_t kSampleBytesMax = std::size_t{16} << 10;  // of one value

// Dictionaries that were trained in this process. One belongs to each compressed(), and records
// made with it may live as long as the process.
struct Dictionaries {
  std::mutex mutex;
  std::vector<codec::Dictionary> all;
};
Dictionaries& dictionaries() {
  static auto* const known = new Dictionaries;
  return *known;
}

std::vector<codec::Dictionary> known_dictionaries() {
  Dictionaries& known = dictionaries();
  std::lock_guard lock(known.mutex);
  return known.all;
}

bool decode_with_dictionary(base::ByteSpan stored, std::span<std::byte> out) {
  for (const codec::Dictionary& dictionary : known_dictionaries()) {
    if (codec::decode(Method::zstd_dictionary, stored, out, &dictionary)) return true;
  }
  return false;
}

Handle handle_of(codec::Encoded encoded, const Handle& raw) {
  if (encoded.method == Method::raw) return raw;
  auto bytes = std::make_shared<const base::Bytes>(std::move(encoded.bytes));
  Handle handle = Handle::borrow(bytes, bytes->span());
  handle.set_encoding(static_cast<std::uint8_t>(encoded.method), raw.bytes().size());
  handle.set_expires_ms(raw.expires_ms());
  return handle;
}

// Learns from the first values that are opaque; shared by the copies of one compressed().
class Trainer {
 public:
  explicit Trainer(std::size_t dictionary_bytes) : dictionary_bytes_(dictionary_bytes) {}

  // Null: not trained yet.
  const codec::Dictionary* dictionary() const { return ready_.load(std::memory_order_acquire); }

  void learn(base::ByteSpan value) {
    if (is_done_.load(std::memory_order_relaxed)) return;
    std::lock_guard lock(mutex_);
    if (is_done_) return;
    samples_.push_back(base::Bytes::copy_of(value.first(std::min(value.size(), kSampleBytesMax))));
    bytes_ += samples_.back().size();
    if (bytes_ < kSampleShare * dictionary_bytes_) return;
    is_done_ = true;
    const std::vector<base::ByteSpan> spans(samples_.begin(), samples_.end());
    auto trained = codec::Dictionary::train(spans, dictionary_bytes_);
    samples_ = {};
    if (!trained) return;
    Dictionaries& known = dictionaries();
    std::lock_guard known_lock(known.mutex);
    known.all.push_back(*trained);
    trained_ = std::make_unique<codec::Dictionary>(std::move(*trained));
    ready_.store(trained_.get(), std::memory_order_release);
  }

 private:
  const std::size_t dictionary_bytes_;
  std::atomic<const codec::Dictionary*> ready_{nullptr};
  std::atomic<bool> is_done_{false};
  std::mutex mutex_;
  std::vector<base::Bytes> samples_;
  std::size_t bytes_ = 0;
  std::unique_ptr<codec::Dictionary> trained_;
};

}  // namespace

Handle decode_value(const Handle& value) {
  if (value.method() == 0) return value;
  const auto method = codec::method_of(value.method());
  if (!method || value.raw_bytes() > kValueBytesMax) return {};
  std::span<std::byte> out;
  Handle raw = Handle::make(value.raw_bytes(), out);
  const bool done = *method == Method::zstd_dictionary
                        ? decode_with_dictionary(value.bytes(), out)
                        : codec::decode(*method, value.bytes(), out).has_value();
  if (!done) return {};
  raw.set_expires_ms(value.expires_ms());
  return raw;
}

Handle portable_value(const Handle& value) {
  if (value.method() != static_cast<std::uint8_t>(Method::zstd_dictionary)) return value;
  const Handle raw = decode_value(value);
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

}  // namespace varve::cache
