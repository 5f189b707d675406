#include "cache/spare_blocks.h"

#include <utility>

namespace varve::cache::spare_blocks {
namespace {

// Sanitizers are to see every end of a block.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VARVE_CLANG_SANITIZES
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(VARVE_CLANG_SANITIZES)
constexpr bool kIsUsed = false;
#else
constexpr bool kIsUsed = true;
#endif

struct Spare {
  void* block = nullptr;
  std::size_t bytes = 0;
  void (*free)(void*) = nullptr;
};
struct OfThread {
  std::array<Spare, 4> spares;
  bool has_ended = false;
};
// Trivial to destroy, so that handles which end after it find it still.
constinit thread_local OfThread mine{};

// Gives back what is left when the thread ends.
struct Ending {
  ~Ending() {
    mine.has_ended = true;
    for (Spare& spare : mine.spares) {
      if (spare.block != nullptr) spare.free(std::exchange(spare.block, nullptr));
    }
  }
};

}  // namespace

void* take(std::size_t bytes) {
  for (Spare& spare : mine.spares) {
    if (spare.bytes == bytes && spare.block != nullptr) return std::exchange(spare.block, nullptr);
  }
  return nullptr;
}

bool keep(void* block, std::size_t bytes, void (*free)(void*)) {
  if (!kIsUsed || bytes > kBytesMax || mine.has_ended) return false;
  thread_local const Ending ending;
  static_cast<void>(ending);
  for (Spare& spare : mine.spares) {
    if (spare.block != nullptr) continue;
    spare = {block, bytes, free};
    return true;
  }
  // Sizes change: what was asked for last is asked for next.
  free(std::exchange(mine.spares.front().block, block));
  mine.spares.front() = {block, bytes, free};
  return true;
}

}  // namespace varve::cache::spare_blocks
