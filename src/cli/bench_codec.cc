#include "cli/bench_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>

#include "base/result.h"
#include "cli/recall.h"
#include "codec/lossless.h"

namespace varve::cli {
namespace {

using codec::Encoded;
using codec::EncodeOptions;
using codec::Method;
using SteadyClock = std::chrono::steady_clock;

// Decoding is faster than reading the clock: a sample is the mean of some calls in a row.
constexpr std::size_t kCallsPerSample = 8;
constexpr std::size_t kSamples = 400;

struct Coder {
  std::string name;
  std::function<Encoded(base::ByteSpan)> encode;
  std::function<Status(const Encoded&, std::span<std::byte>)> decode;
};

Encoded or_raw(Method method, std::optional<base::Bytes> bytes, base::ByteSpan raw) {
  if (bytes) return {method, std::move(*bytes)};
  return {Method::raw, base::Bytes::copy_of(raw)};
}

Status plain_decode(const Encoded& encoded, std::span<std::byte> out) {
  return codec::decode(encoded.method, encoded.bytes, out);
}

Coder by_method(std::string name, Method method, int level) {
  return {std::move(name),
          [=](base::ByteSpan raw) {
            const EncodeOptions options{true, level, nullptr};
            return or_raw(method, codec::encode_as(method, raw, options), raw);
          },
          plain_decode};
}

// First bytes of all values, then second ones and so on, by plain code.
void shuffle(base::ByteSpan raw, std::span<std::byte> out) {
  const std::size_t values = raw.size() / 4;
  for (std::size_t part = 0; part < 4; ++part) {
    for (std::size_t i = 0; i < values; ++i) out[part * values + i] = raw[4 * i + part];
  }
}
void unshuffle(base::ByteSpan shuffled, std::span<std::byte> out) {
  const std::size_t values = out.size() / 4;
  const std::byte* from = shuffled.data();
  std::byte* to = out.data();
  for (std::size_t i = 0; i < values; ++i, to += 4) {
    for (std::size_t part = 0; part < 4; ++part) to[part] = from[part * values + i];
  }
}

Coder shuffled(std::string name, int level) {
  return {std::move(name),
          [=](base::ByteSpan raw) {
            base::Buffer planes(raw.size());
            shuffle(raw, planes.span());
            const EncodeOptions options{false, level, nullptr};
            const base::ByteSpan bytes = planes.span();
            return or_raw(Method::zstd, codec::encode_as(Method::zstd, bytes, options), bytes);
          },
          [](const Encoded& encoded, std::span<std::byte> out) -> Status {
            base::Buffer planes(out.size());
            VARVE_CHECK(plain_decode(encoded, planes.span()));
            unshuffle(planes.span(), out);
            return {};
          }};
}

std::vector<Coder> coders() {
  std::vector<Coder> all;
  for (const int level : {1, 3, 19}) {
    all.push_back(by_method(fmt::format("zstd-{}", level), Method::zstd, level));
  }
  all.push_back(shuffled("zstd-3-shuffled", 3));
  all.push_back(shuffled("zstd-19-shuffled", 19));
  all.push_back(by_method("exponent", Method::exponent, 0));
  all.push_back({"best", [](base::ByteSpan raw) { return codec::encode(raw, {}); }, plain_decode});
  return all;
}

double nanoseconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double, std::nano>(SteadyClock::now() - start).count();
}

Result<CodecRow> measure(const CodecSet& set, const Coder& coder) {
  CodecRow row;
  row.set = set.name;
  row.method = coder.name;
  row.vectors = set.count();
  row.vector_bytes = set.vector_bytes;
  std::vector<Encoded> records;
  std::vector<double> times;
  base::Buffer out(set.vector_bytes);
  for (std::size_t i = 0; i < set.count(); ++i) {
    const auto start = SteadyClock::now();
    records.push_back(coder.encode(set.vector(i)));
    times.push_back(nanoseconds_since(start));
    VARVE_CHECK(coder.decode(records.back(), out.span()));
    if (std::memcmp(out.data(), set.vector(i).data(), out.size()) != 0) {
      return fail(ErrorKind::internal,
                  fmt::format("{}, vector {}: {} gave other bits", set.name, i, coder.name));
    }
    row.stored_bytes += records.back().bytes.size();
    ++row.chosen[std::string(codec::to_string(records.back().method))];
  }
  std::sort(times.begin(), times.end());
  row.encode_ns = percentile(times, 0.5);

  times.clear();
  std::size_t next = 0;
  for (std::size_t i = 0; i < kSamples; ++i) {
    const auto start = SteadyClock::now();
    for (std::size_t k = 0; k < kCallsPerSample; ++k) {
      VARVE_CHECK(coder.decode(records[next], out.span()));
      next = next + 1 < records.size() ? next + 1 : 0;
    }
    times.push_back(nanoseconds_since(start) / kCallsPerSample);
  }
  std::sort(times.begin(), times.end());
  row.p50_ns = percentile(times, 0.50);
  row.p99_ns = percentile(times, 0.99);
  return row;
}

}  // namespace

Result<std::vector<CodecRow>> measure_codec(const CodecSet& set) {
  std::vector<CodecRow> rows;
  double peer_p50_ns = 0;
  for (const Coder& coder : coders()) {
    VARVE_TRY(CodecRow row, measure(set, coder));
    if (row.method == kCodecPeer) peer_p50_ns = row.p50_ns;
    rows.push_back(std::move(row));
  }
  for (CodecRow& row : rows) row.peer_p50_ns = peer_p50_ns;
  return rows;
}

}  // namespace varve::cli
