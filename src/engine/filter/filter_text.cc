#include <algorithm>
#include <bitset>

#include "engine/filter/filter.h"

namespace varve::engine {
namespace {

// Decides each term while the fields of one text go by.
class TextTruth : public format::JsonFieldSink {
 public:
  TextTruth(std::span<const FilterField> fields, std::span<const FilterTerm> terms)
      : fields_(fields), terms_(terms) {
    forget();
  }

  void forget() {
    for (std::size_t t = 0; t < terms_.size(); ++t) truth_[t] = is_true_of_missing(terms_[t]);
  }

  bool wants(std::string_view name) override {
    const auto is_named = [&](const FilterField& field) { return field.name == name; };
    const auto found = std::find_if(fields_.begin(), fields_.end(), is_named);
    if (found == fields_.end()) return false;
    field_ = &*found;
    return true;
  }

  void begin(format::FieldShape shape) override {
    const bool missing = shape == format::FieldShape::null;
    for (std::size_t t = field_->first; t < field_->end; ++t) {
      const FilterTerm& term = terms_[t];
      const bool before_values = (term.kind == TermKind::exists) != term.negated;
      truth_[t] = missing ? is_true_of_missing(term) : before_values;
    }
  }

  void value(const format::JsonValue& value) override {
    for (std::size_t t = field_->first; t < field_->end; ++t) {
      if (hits(terms_[t], value)) truth_[t] = !terms_[t].negated;
    }
  }

  bool operator()(std::uint32_t term) const { return truth_[term]; }

 private:
  static bool is_true_of_missing(const FilterTerm& term) {
    return term.kind == TermKind::exists && term.negated;
  }

  std::span<const FilterField> fields_;
  std::span<const FilterTerm> terms_;
  const FilterField* field_ = nullptr;
  std::bitset<kFilterTermsMax> truth_;
};

}  // namespace

bool hits(const FilterTerm& term, double number) {
  if (term.kind == TermKind::values) {
    return std::binary_search(term.numbers.begin(), term.numbers.end(), number);
  }
  if (term.kind != TermKind::interval) return false;
  const bool above = term.low_open ? number > term.low : number >= term.low;
  return above && (term.high_open ? number < term.high : number <= term.high);
}

bool hits(const FilterTerm& term, std::string_view text) {
  if (term.kind == TermKind::values) {
    return std::binary_search(term.strings.begin(), term.strings.end(), text);
  }
  return term.kind == TermKind::prefix && text.starts_with(term.strings.front());
}

bool hits(const FilterTerm& term, const format::JsonValue& value) {
  switch (value.type) {
    case format::JsonType::boolean:
      return value.boolean ? term.hits_true : term.hits_false;
    case format::JsonType::number:
      return hits(term, value.number);
    case format::JsonType::text:
      return hits(term, value.text);
    case format::JsonType::other:
      return false;
  }
  return false;
}

bool Filter::matches(std::string_view metadata) const {
  if (nodes_.empty()) return true;
  thread_local format::JsonFields reader;
  TextTruth truth(fields_, terms_);
  if (!reader.read(metadata, truth)) truth.forget();
  std::uint32_t at = 0;
  return fold<bool>(nodes_, at, truth);
}

}  // namespace varve::engine
