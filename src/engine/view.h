// One moment of an index: one version of HEAD and one position of the log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/generation.h"
#include "engine/resident.h"
#include "engine/tail.h"

namespace varve::engine {

// Immutable; copying shares.
struct View {
  std::shared_ptr<const Generation> generation;
  std::shared_ptr<const Tail> tail;
  std::size_t tail_count = 0;
  std::uint64_t head_version = 0;
  std::uint64_t epoch = 0;
  std::shared_ptr<const ResidentSections> resident;  // null: sections come through the cache
};

}  // namespace varve::engine
