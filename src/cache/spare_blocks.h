// Blocks of handles that are gone, for the next ones: a hit that is decoded would pay malloc's
// search for a large block twice.
#pragma once

#include <array>
#include <cstddef>

namespace varve::cache {

// Of the calling thread. Holds few and small ones, and gives them back when the thread ends.
namespace spare_blocks {

// So that vectors of about one size share blocks.
inline constexpr std::size_t kStep = 512;
inline constexpr std::size_t kBytesMax = std::size_t{16} << 10;

// A block of exactly `bytes`; null: there is none.
void* take(std::size_t bytes);
// True: keeps it. `free` is how to give it back later.
bool keep(void* block, std::size_t bytes, void (*free)(void*));

}  // namespace spare_blocks
}  // namespace varve::cache
