// What the structures behind the golden files share, and those of groups. Never change one: the
// files are read for ever.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "format/samples.h"

namespace varve::format::golden {

inline constexpr std::uint32_t kDim = 3;
inline constexpr std::uint32_t kExtraWords = 2;

inline Uuid sample_uuid() { return Uuid::from_hex("00112233445566778899aabbccddeeff").value(); }

inline base::Sha256 sample_hash(unsigned first) {
  base::Sha256 hash;
  for (std::size_t i = 0; i < hash.size(); ++i) hash[i] = static_cast<std::byte>(first + i);
  return hash;
}

inline std::string name_of(std::string_view tail) {
  return "v1/i/00/" + sample_uuid().hex() + "/" + std::string(tail);
}

inline base::Nonce nonce() { return base::Nonce{0x1122334455667788, 0x99AABBCCDDEEFF00}; }

// Wraps a decoder and a comparison. `F` gives Result<bool>.
template <typename F>
SampleObject sample(std::string file, Kind kind, std::string name, base::Bytes object, F decode) {
  return SampleObject{std::move(file),
                      "v1",
                      kind,
                      kind == Kind::catalog ? Uuid{} : sample_uuid(),
                      std::move(name),
                      std::move(object),
                      true,
                      std::move(decode)};
}

// Two parts, of `count` rows and one; keys are numbers or texts. `exact`: nothing in it is
// compressed.
SampleObject sample_group(std::string file, std::size_t count, bool numbered, bool exact);
// Two parts, one with sign codes.
SampleObject sample_coded_group();
// A part whose codes are looked at in two steps.
SampleObject sample_stepped_group();
// Two parts, one with extra bits beside its codes.
SampleObject sample_extra_group();
// Two parts, one with attributes.
SampleObject sample_attributed_group();

}  // namespace varve::format::golden
