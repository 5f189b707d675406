// Places of values in an array, by size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace varve::kernels {

// The place of the least value, the first of equals; 0 if there is none or none is a number.
std::size_t place_of_least(std::span<const float> values);

// Ascending places of the values that are not above the limit, so also of NaN. Returns how many;
// `places` has room for one more than there are values.
std::size_t places_within(std::span<const float> values, float limit, std::uint32_t* places);

// At least the k-th least of the values, and seldom beyond one of the next few, or for k above 40
// of the next k / 16: as exact as a limit has to be that leaves k or a few more, at a tenth of the
// cost. Infinity if there are fewer than k numbers. The same on every target. `k`: at least 1.
float about_kth_least(std::span<const float> values, std::size_t k);

}  // namespace varve::kernels
