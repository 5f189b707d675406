// Identity of an index for ever; a dropped and re-created index has a new one.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "base/random.h"
#include "base/result.h"

namespace varve::format {

struct Uuid {
  std::array<std::byte, 16> bytes{};

  auto operator<=>(const Uuid&) const = default;
  std::string hex() const;  // 32 lower-case characters
  static Uuid random(base::Random& random);
  static Result<Uuid> from_hex(std::string_view text);  // `invalid`: not 32 hex characters
};

}  // namespace varve::format
