// Nanoseconds of a record of one vector (1536 float32, 6,144 bytes), decoded into the caller's
// bytes and encoded; and of checksums. `varve bench codec` measures the same on files of vectors.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <bit>
#include <random>
#include <string>
#include <vector>

#include "codec/checksum.h"
#include "codec/lossless.h"

namespace varve::codec {
namespace {

constexpr std::size_t kValues = 1536;
constexpr std::size_t kVectors = 64;

using Words = std::vector<std::uint32_t>;

// Vectors in turn, so that the branches of one are not learnt.
std::vector<Words> vectors_for(Method method) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.0255F);
  std::vector<Words> vectors(kVectors, Words(kValues));
  for (Words& vector : vectors) {
    for (std::uint32_t& word : vector) {
      const float value = normal(random);
      word = std::bit_cast<std::uint32_t>(value);
      if (method == Method::repeat) word = 0x3cd00dcd;
      if (method == Method::bf16) word &= 0xffff0000U;
      if (method == Method::f16) word &= 0xffffe000U;
      if (method == Method::f16 && value * value < 1e-8F) word = 0;
      if (method == Method::int8) {
        const float number = static_cast<float>(static_cast<int>(random() % 255) - 127);
        word = std::bit_cast<std::uint32_t>(number * 0.00123F);
      }
    }
  }
  return vectors;
}

void decode_one(benchmark::State& state, Method method, int level) {
  std::vector<base::Bytes> records;
  for (const Words& vector : vectors_for(method)) {
    const auto record =
        encode_as(method, std::as_bytes(std::span(vector)), EncodeOptions{true, level, nullptr});
    if (!record) return state.SkipWithError("the method does not apply");
    records.push_back(*record);
  }
  base::Buffer out(4 * kValues);
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode(method, records[i++ % kVectors], out.span()).has_value());
    benchmark::ClobberMemory();
  }
  state.counters["ratio"] = 4.0 * kValues / static_cast<double>(records[0].size());
}

void encode_best(benchmark::State& state, Method method, int level) {
  const auto vectors = vectors_for(method);
  std::size_t i = 0;
  for (auto _ : state) {
    const Encoded encoded = encode(std::as_bytes(std::span(vectors[i++ % kVectors])),
                                   EncodeOptions{true, level, nullptr});
    benchmark::DoNotOptimize(encoded.bytes.data());
  }
}

void checksum(benchmark::State& state) {
  const std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)), std::byte{7});
  for (auto _ : state) benchmark::DoNotOptimize(crc32c(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum)->Arg(64)->Arg(1024)->Arg(6144)->Arg(65536);

const bool kRegistered = [] {
  struct Case {
    Method method;
    int level;
  };
  for (const Case& c : {Case{Method::raw, 0}, Case{Method::repeat, 0}, Case{Method::bf16, 0},
                        Case{Method::f16, 0}, Case{Method::int8, 0}, Case{Method::exponent, 0},
                        Case{Method::zstd, 1}, Case{Method::zstd, 3}, Case{Method::zstd, 19}}) {
    std::string name(to_string(c.method));
    if (c.level > 0) name = fmt::format("{}-{}", name, c.level);
    benchmark::RegisterBenchmark(("decode/" + name).c_str(), decode_one, c.method, c.level);
    benchmark::RegisterBenchmark(("encode/" + name).c_str(), encode_best, c.method, c.level);
  }
  return true;
}();

}  // namespace
}  // namespace varve::codec
