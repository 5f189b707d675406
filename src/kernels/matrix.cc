#include "kernels/distance.h"

namespace varve::kernels {

void inner_product_matrix(MatrixView a, MatrixView b, std::uint32_t dim, float* out,
                          std::size_t out_stride) {
  const Rows rows{reinterpret_cast<const std::byte*>(b.data), b.count, b.stride * sizeof(float),
                  dim, RowType::f32};
  for (std::size_t i = 0; i < a.count; ++i) {
    inner_product(a.data + i * a.stride, rows, out + i * out_stride);
  }
}

}  // namespace varve::kernels
