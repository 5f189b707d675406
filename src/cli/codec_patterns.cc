// `varve bench codec --patterns`.
#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <random>

#include "base/result.h"
#include "cli/bench_codec.h"
#include "codec/lossless.h"

namespace varve::cli {
namespace {

using codec::Method;

constexpr std::size_t kBlockValuesMax = 4096;
constexpr Method kTried[] = {Method::raw,  Method::repeat,   Method::bf16, Method::f16,
                             Method::int8, Method::exponent, Method::zstd};

// Random patterns as they are apply to no method, so most blocks keep only some of the bits: few
// exponents, halves, bytes with a scale, few different values, or a period.
class Blocks {
 public:
  explicit Blocks(std::uint64_t seed) : random_(seed) {}

  const std::vector<std::uint32_t>& next() {
    words_.resize(1 + random_() % kBlockValuesMax);
    for (std::uint32_t& word : words_) word = draw();
    switch (random_() % 8) {
      case 0:
        return words_;
      case 1:
        return keep(0xffff0000U, 0);
      case 2:
        return keep(0x83ffe000U, 0x3c000000U);
      case 3:
        return keep(0xffffffffU << random_() % 32, 0);
      case 4:
        return scale();
      case 5:
        return repeat();
      default:
        // 4 to 32 exponents, at any place.
        return keep(0x80ffffffU | 0x03000000U >> random_() % 4, draw() & 0x7c000000U);
    }
  }

 private:
  std::uint32_t draw() { return static_cast<std::uint32_t>(random_()); }

  const std::vector<std::uint32_t>& keep(std::uint32_t mask, std::uint32_t set) {
    for (std::uint32_t& word : words_) word = (word & mask) | set;
    return words_;
  }

  const std::vector<std::uint32_t>& scale() {
    const auto scale = std::bit_cast<float>(0x38000000U | (draw() & 0x07ffffffU));
    const bool is_signed = draw() % 2 == 0;
    for (std::uint32_t& word : words_) {
      const int number = static_cast<int>(word % 256) - (is_signed ? 128 : 0);
      word = std::bit_cast<std::uint32_t>(static_cast<float>(number) * scale);
    }
    return words_;
  }

  const std::vector<std::uint32_t>& repeat() {
    const std::size_t period = 1 + random_() % 70;
    for (std::size_t i = period; i < words_.size(); ++i) words_[i] = words_[i - period];
    return words_;
  }

  std::mt19937_64 random_;
  std::vector<std::uint32_t> words_;
};

Status expect_back(Method method, base::ByteSpan stored, base::ByteSpan raw,
                   PatternReport& report) {
  base::Buffer out(raw.size());
  VARVE_CHECK(codec::decode(method, stored, out.span()));
  if (std::memcmp(out.data(), raw.data(), raw.size()) != 0) {
    return fail(ErrorKind::internal, fmt::format("block {}: {} gave other bits", report.blocks,
                                                 codec::to_string(method)));
  }
  ++report.records;
  ++report.by_method[std::string(codec::to_string(method))];
  return {};
}

Status check_block(base::ByteSpan raw, PatternReport& report) {
  const codec::EncodeOptions options{true, 1, nullptr};
  for (const Method method : kTried) {
    const auto stored = codec::encode_as(method, raw, options);
    if (stored) VARVE_CHECK(expect_back(method, *stored, raw, report));
  }
  const codec::Encoded best = codec::encode(raw, options);
  return expect_back(best.method, best.bytes, raw, report);
}

}  // namespace

Result<PatternReport> check_patterns(std::uint64_t count, std::uint64_t seed,
                                     const ProgressSink& progress) {
  Blocks blocks(seed);
  PatternReport report;
  while (report.patterns < count) {
    const auto& words = blocks.next();
    // Blocks that end within a value have bytes of their own to keep.
    const base::ByteSpan bytes = std::as_bytes(std::span(words));
    VARVE_CHECK(check_block(bytes.first(bytes.size() - report.blocks % 4), report));
    report.patterns += words.size() - (report.blocks % 4 == 0 ? 0 : 1);
    ++report.blocks;
    if (progress && report.blocks % 256 == 0) {
      progress({"patterns", std::min(report.patterns, count), count, "patterns"});
    }
  }
  return report;
}

}  // namespace varve::cli
