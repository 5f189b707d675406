// Memory for large values, in whole pages that go back to the kernel the moment they are free.
#pragma once

#include <cstddef>

namespace varve::cache {

// malloc keeps what is freed between blocks of other sizes; with values of up to a megabyte the
// holes add up to a third of a cache. These runs of pages leave no holes but in address space. They
// lie in few large mappings, since the kernel counts mappings. What is locked into memory
// (mlockall) stays backed, and is used again as it is. Thread-safe.

// Smaller blocks would waste too much of their last page.
inline constexpr std::size_t kPageRunBytesMin = std::size_t{32} << 10;

// At least `bytes`; the real size is returned in `taken`. Null: the kernel gives no address space,
// or a sanitizer wants to see every block.
void* take_pages(std::size_t bytes, std::size_t& taken);
// REQUIRES: what take_pages returned, with its real size.
void give_pages(void* begin, std::size_t taken);

}  // namespace varve::cache
