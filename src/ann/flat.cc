#include "ann/stored_rows.h"
#include "ann/vector_search.h"

namespace varve::ann {
namespace {

class FlatSearch final : public VectorSearch {
 public:
  FlatSearch(const kernels::Rows& rows, Metric metric) : rows_(rows, metric, {}) {}

  Result<std::vector<Neighbor>> search(std::span<const float> values, std::uint32_t k,
                                       const Effort& /*effort*/) const override {
    VARVE_TRY(const Query query, make_query(values, k, rows_));
    Contenders found(k, float_error(metric(), dim()));
    rows_.scan(query, 0, rows_.rows().count, found);
    return rows_.order(query, found.take(), k, {});
  }

  std::uint64_t size() const override { return rows_.rows().count; }
  std::uint32_t dim() const override { return rows_.rows().dim; }
  Metric metric() const override { return rows_.metric(); }
  std::size_t resident_bytes() const override { return rows_.resident_bytes(); }

 private:
  StoredRows rows_;
};

}  // namespace

std::unique_ptr<VectorSearch> make_flat(const kernels::Rows& rows, Metric metric) {
  return std::make_unique<FlatSearch>(rows, metric);
}

}  // namespace varve::ann
