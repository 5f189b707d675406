#include "codec/lossless.h"

#include <cstring>
#include <utility>

#include "base/assert.h"
#include "codec/internal/methods.h"
#include "codec/internal/zstd_record.h"

namespace varve::codec {
namespace {

// Methods for float32, best first: one that cannot be smaller than what was found is not tried.
constexpr Method kFloatMethods[] = {Method::int8, Method::bf16, Method::f16, Method::exponent};

std::size_t smallest_possible(Method method, std::size_t raw_bytes) {
  const std::size_t values = raw_bytes / 4;
  switch (method) {
    case Method::int8:
      return kInt8HeaderBytes + values;
    case Method::bf16:
    case Method::f16:
      return 2 * values;
    case Method::exponent:
      return 3 * values + values / 8 * 3;
    case Method::raw:
    case Method::repeat:
    case Method::zstd:
    case Method::zstd_dictionary:
      break;
  }
  return 0;
}

Packed pack(Method method, base::ByteSpan raw, const EncodeOptions& options) {
  switch (method) {
    case Method::raw:
      return std::nullopt;
    case Method::repeat:
      return pack_repeat(raw);
    case Method::bf16:
      return pack_bf16(raw);
    case Method::f16:
      return pack_f16(raw);
    case Method::int8:
      return pack_int8(raw);
    case Method::exponent:
      return pack_exponent(raw);
    case Method::zstd:
      return pack_zstd(raw, options.zstd_level, nullptr);
    case Method::zstd_dictionary:
      return options.dictionary == nullptr ? std::nullopt
                                           : pack_zstd(raw, options.zstd_level, options.dictionary);
  }
  return std::nullopt;
}

struct Candidate {
  Method method = Method::raw;
  std::size_t size = 0;
  Packed packed;
};

void consider(Method method, base::ByteSpan raw, const EncodeOptions& options, Candidate& best) {
  Packed packed = pack(method, raw, options);
  if (!packed || packed->size() >= best.size) return;
  best = {method, packed->size(), std::move(packed)};
}

bool comes_back(const Candidate& candidate, base::ByteSpan raw, const EncodeOptions& options) {
  base::Buffer back(raw.size());
  return decode(candidate.method, std::as_const(*candidate.packed).span(), back.span(),
                options.dictionary)
             .has_value() &&
         std::memcmp(back.data(), raw.data(), raw.size()) == 0;
}

}  // namespace

std::string_view to_string(Method method) {
  constexpr std::string_view names[kMethods] = {"raw",  "repeat",   "bf16", "f16",
                                                "int8", "exponent", "zstd", "zstd_dictionary"};
  const auto number = static_cast<std::size_t>(method);
  return number < kMethods ? names[number] : "unknown";
}

std::optional<Method> method_of(std::uint8_t number) {
  if (number >= kMethods) return std::nullopt;
  return static_cast<Method>(number);
}

Encoded encode(base::ByteSpan raw, const EncodeOptions& options) {
  Candidate best{Method::raw, raw.size(), std::nullopt};
  consider(Method::repeat, raw, options, best);
  // Bytes of a scale are a quarter, and a frame of zstd with a period has more than eight bytes.
  const bool settled = best.packed && best.size <= 8 && best.size * 8 <= raw.size();
  if (options.floats && !settled) {
    for (const Method method : kFloatMethods) {
      if (smallest_possible(method, raw.size()) < best.size) consider(method, raw, options, best);
    }
  }
  if (options.zstd_level > 0 && !settled) {
    consider(Method::zstd, raw, options, best);
    if (options.dictionary != nullptr) consider(Method::zstd_dictionary, raw, options, best);
  }
  if (!best.packed || !comes_back(best, raw, options)) {
    return {Method::raw, base::Bytes::copy_of(raw)};
  }
  return {best.method, base::Bytes(std::move(*best.packed))};
}

std::optional<base::Bytes> encode_as(Method method, base::ByteSpan raw,
                                     const EncodeOptions& options) {
  if (method == Method::raw) return base::Bytes::copy_of(raw);
  Candidate candidate{method, raw.size(), std::nullopt};
  consider(method, raw, options, candidate);
  if (!candidate.packed || !comes_back(candidate, raw, options)) return std::nullopt;
  return base::Bytes(std::move(*candidate.packed));
}

Status decode(Method method, base::ByteSpan stored, std::span<std::byte> out,
              const Dictionary* dictionary) {
  switch (method) {
    case Method::raw:
      if (stored.size() != out.size()) return corrupt_record("raw", "not of the right size");
      if (!out.empty()) std::memcpy(out.data(), stored.data(), out.size());
      return {};
    case Method::repeat:
      return unpack_repeat(stored, out);
    case Method::bf16:
      return unpack_bf16(stored, out);
    case Method::f16:
      return unpack_f16(stored, out);
    case Method::int8:
      return unpack_int8(stored, out);
    case Method::exponent:
      return unpack_exponent(stored, out);
    case Method::zstd:
      return unpack_zstd(stored, out, nullptr);
    case Method::zstd_dictionary:
      if (dictionary == nullptr) {
        return fail(ErrorKind::invalid, "zstd_dictionary: the record needs its dictionary");
      }
      return unpack_zstd(stored, out, dictionary);
  }
  return corrupt_record("record", "of an unknown method");
}

}  // namespace varve::codec
