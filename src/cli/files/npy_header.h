// The text header of a .npy file, a Python dictionary of three known keys
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). Read strictly, never
// evaluated.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "varve/result.h"

namespace varve::cli {

struct NpyHeader {
  std::string descr;  // "<f4"
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;
};

// `invalid`: not a dictionary with exactly these keys. The message has no file name.
Result<NpyHeader> parse_npy_header(std::string_view text);

}  // namespace varve::cli
