// zstd dictionaries: what small texts of one kind have in common. They gain nothing on vectors.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

using ZSTD_CDict = struct ZSTD_CDict_s;
using ZSTD_DDict = struct ZSTD_DDict_s;

namespace varve::codec {

inline constexpr std::size_t kDictionaryBytesMax = std::size_t{1} << 20;

// Immutable, thread-safe and cheap to copy: copies share what was digested.
class Dictionary {
 public:
  // At most `bytes_max` bytes of what the samples share; a hundred times as many bytes of samples
  // are a good number. `invalid`: too few or too small samples, or a bad size.
  static Result<Dictionary> train(std::span<const base::ByteSpan> samples,
                                  std::size_t bytes_max = std::size_t{16} << 10);
  // What bytes() gave. `corrupt`: not a zstd dictionary.
  static Result<Dictionary> from_bytes(base::Bytes bytes);

  // Never 0. Stands in every record made with it.
  std::uint32_t id() const;
  const base::Bytes& bytes() const;
  // Of the dictionary and of what was digested so far.
  std::size_t memory_bytes() const;

  // Digested at the first use of a level; valid while a copy of this lives. REQUIRES: 1 to 22.
  const ZSTD_CDict* for_level(int level) const;
  const ZSTD_DDict* for_decoding() const;

 private:
  struct Digested;
  explicit Dictionary(std::shared_ptr<Digested> digested) : digested_(std::move(digested)) {}

  std::shared_ptr<Digested> digested_;
};

}  // namespace varve::codec
