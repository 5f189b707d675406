#include "codec/dictionary.h"

#include <fmt/format.h>
#include <zdict.h>
#include <zstd.h>

#include <array>
#include <mutex>
#include <vector>

#include "base/assert.h"
#include "base/sync.h"

namespace varve::codec {
namespace {

constexpr int kLevels = 22;
// What the trainer of zstd needs at least.
constexpr std::size_t kSmallestDictionaryBytes = 256;

struct Free {
  void operator()(ZSTD_CDict* dictionary) const { ZSTD_freeCDict(dictionary); }
  void operator()(ZSTD_DDict* dictionary) const { ZSTD_freeDDict(dictionary); }
};

}  // namespace

struct Dictionary::Digested {
  base::Bytes bytes;
  std::uint32_t id = 0;
  std::unique_ptr<ZSTD_DDict, Free> decoding;
  mutable std::mutex mutex;
  std::array<std::unique_ptr<ZSTD_CDict, Free>, kLevels> levels VARVE_GUARDED_BY(mutex);
};

Result<Dictionary> Dictionary::train(std::span<const base::ByteSpan> samples,
                                     std::size_t bytes_max) {
  if (bytes_max < kSmallestDictionaryBytes || bytes_max > kDictionaryBytesMax) {
    return fail(ErrorKind::invalid,
                fmt::format("a dictionary of {} bytes: allowed are {} to {}", bytes_max,
                            kSmallestDictionaryBytes, kDictionaryBytesMax));
  }
  std::vector<std::byte> joined;
  std::vector<std::size_t> sizes;
  for (const base::ByteSpan sample : samples) {
    joined.insert(joined.end(), sample.begin(), sample.end());
    sizes.push_back(sample.size());
  }
  base::Buffer buffer(bytes_max);
  const std::size_t size = ZDICT_trainFromBuffer(buffer.data(), buffer.size(), joined.data(),
                                                 sizes.data(), static_cast<unsigned>(sizes.size()));
  if (ZDICT_isError(size) != 0) {
    return fail(ErrorKind::invalid,
                fmt::format("no dictionary from {} samples of {} bytes together: {}", sizes.size(),
                            joined.size(), ZDICT_getErrorName(size)),
                "more and more various samples: a hundred times the size of the dictionary");
  }
  return from_bytes(base::Bytes::copy_of(buffer.span().first(size)));
}

Result<Dictionary> Dictionary::from_bytes(base::Bytes bytes) {
  auto digested = std::make_shared<Digested>();
  digested->id = ZDICT_getDictID(bytes.data(), bytes.size());
  if (digested->id == 0 || bytes.size() > kDictionaryBytesMax) {
    return fail(ErrorKind::corrupt, "not a zstd dictionary");
  }
  digested->decoding.reset(ZSTD_createDDict(bytes.data(), bytes.size()));
  std::unique_ptr<ZSTD_CDict, Free> encoding(ZSTD_createCDict(bytes.data(), bytes.size(), 1));
  if (digested->decoding == nullptr || encoding == nullptr) {
    return fail(ErrorKind::corrupt, "a damaged zstd dictionary");
  }
  digested->bytes = std::move(bytes);
  return Dictionary(std::move(digested));
}

std::uint32_t Dictionary::id() const { return digested_->id; }

const base::Bytes& Dictionary::bytes() const { return digested_->bytes; }

std::size_t Dictionary::memory_bytes() const {
  const std::lock_guard lock(digested_->mutex);
  std::size_t bytes = digested_->bytes.size() + ZSTD_sizeof_DDict(digested_->decoding.get());
  for (const auto& level : digested_->levels) bytes += ZSTD_sizeof_CDict(level.get());
  return bytes;
}

const ZSTD_CDict* Dictionary::for_level(int level) const {
  VARVE_ASSERT(level >= 1);
  VARVE_ASSERT(level <= kLevels);
  const std::lock_guard lock(digested_->mutex);
  auto& slot = digested_->levels[static_cast<std::size_t>(level - 1)];
  if (slot == nullptr) {
    slot.reset(ZSTD_createCDict(digested_->bytes.data(), digested_->bytes.size(), level));
  }
  VARVE_ASSERT(slot != nullptr);
  return slot.get();
}

const ZSTD_DDict* Dictionary::for_decoding() const { return digested_->decoding.get(); }

}  // namespace varve::codec
