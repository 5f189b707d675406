// Reads sections of parts: one batch, adjacent ranges of an object joined into one request.
#pragma once

#include <functional>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/env.h"
#include "engine/generation.h"
#include "format/manifest.h"

namespace varve::engine {

// What this thread has asked of the store through the functions below; only differences matter.
struct ReadCost {
  std::uint64_t requests = 0;
  std::uint64_t bytes = 0;
};
ReadCost& read_cost();

// Calls `take` once for each slot with its verified, decompressed section, in the order of arrival.
// `not_found`: the object is gone. `corrupt`: names object, part and section.
Status read_sections(const Env& env, std::span<PartSlot* const> slots, format::Section section,
                     const std::function<Status(PartSlot&, base::Bytes)>& take);

Result<base::Bytes> read_section(const Env& env, PartSlot& slot, format::Section section);

}  // namespace varve::engine
