#include <algorithm>
#include <map>
#include <memory>

#include "format/attributes.h"
#include "format/json_fields.h"

namespace varve::format {
namespace {

// Of the rows of a part together; the columns are chosen among them.
constexpr std::size_t kDraftFieldsMax = 4096;

// The values of one field as they come, row after row.
class FieldDraft {
 public:
  std::size_t cells() const { return cells_.size(); }

  void forget(std::uint32_t row) {
    if (cells_.empty() || cells_.back().row != row) return;
    values_.resize(cells_.back().first);
    cells_.pop_back();
  }

  void begin(std::uint32_t row, FieldShape shape) {
    forget(row);  // the last one of a name counts
    if (shape == FieldShape::null) return;
    cells_.push_back({row, static_cast<std::uint32_t>(values_.size()), shape == FieldShape::list});
  }

  void add(const JsonValue& value) {
    switch (value.type) {
      case JsonType::boolean:
        values_.push_back({value.boolean ? kCodeTrue : kCodeFalse, 0, 0});
        return;
      case JsonType::number:
        // 0 and -0 are one number.
        values_.push_back({kNumber, value.number == 0 ? 0.0 : value.number, 0});
        return;
      case JsonType::text:
        values_.push_back(value.text.size() > kAttributeTextBytesMax
                              ? Value{kCodeInText, 0, 0}
                              : Value{kText, 0, intern(value.text)});
        return;
      case JsonType::other:
        values_.push_back({kCodeOther, 0, 0});
        return;
    }
  }

  ColumnValues finish(std::string_view name, std::size_t rows) const {
    ColumnValues column;
    column.name = name;
    column.codes.assign(rows, kCodeMissing);
    const std::vector<std::uint32_t> ranks = collect(column);
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      const Cell& cell = cells_[i];
      const std::size_t end = i + 1 < cells_.size() ? cells_[i + 1].first : values_.size();
      if (!cell.list) {
        column.codes[cell.row] = code(values_[cell.first], column, ranks);
        continue;
      }
      column.codes[cell.row] = kCodeList;
      column.list_rows.push_back(cell.row);
      for (std::size_t v = cell.first; v < end; ++v) {
        column.elements.push_back(code(values_[v], column, ranks));
      }
      column.list_ends.push_back(static_cast<std::uint32_t>(column.elements.size()));
    }
    return column;
  }

 private:
  // In place of the codes of numbers and strings, which are known at the end only.
  static constexpr std::uint32_t kNumber = kCodeNumbers, kText = kCodeNumbers + 1;

  struct Cell {
    std::uint32_t row = 0;
    std::uint32_t first = 0;  // its values
    bool list = false;
  };
  struct Value {
    std::uint32_t code = kCodeOther;
    double number = 0;
    std::uint32_t text = 0;
  };

  std::uint32_t intern(std::string_view text) {
    const auto known = texts_.find(text);
    if (known != texts_.end()) return known->second;
    const auto id = static_cast<std::uint32_t>(texts_.size());
    texts_.emplace(text, id);
    return id;
  }

  // Fills in numbers and strings that are in use; gives the place of each interned text.
  std::vector<std::uint32_t> collect(ColumnValues& column) const {
    std::vector<bool> used(texts_.size());
    for (const Value& value : values_) {
      if (value.code == kNumber) column.numbers.push_back(value.number);
      if (value.code == kText) used[value.text] = true;
    }
    std::sort(column.numbers.begin(), column.numbers.end());
    column.numbers.erase(std::unique(column.numbers.begin(), column.numbers.end()),
                         column.numbers.end());
    std::vector<std::uint32_t> ranks(texts_.size());
    for (const auto& [text, id] : texts_) {
      if (!used[id]) continue;
      ranks[id] = static_cast<std::uint32_t>(column.strings.size());
      column.strings.push_back(text);
    }
    return ranks;
  }

  static std::uint32_t code(const Value& value, const ColumnValues& column,
                            std::span<const std::uint32_t> ranks) {
    if (value.code < kCodeNumbers) return value.code;
    const auto numbers = static_cast<std::uint32_t>(column.numbers.size());
    if (value.code == kText) return kCodeNumbers + numbers + ranks[value.text];
    const auto at = std::lower_bound(column.numbers.begin(), column.numbers.end(), value.number);
    return kCodeNumbers + static_cast<std::uint32_t>(at - column.numbers.begin());
  }

  std::vector<Cell> cells_;
  std::vector<Value> values_;
  std::map<std::string, std::uint32_t, std::less<>> texts_;
};

class PartDraft : public JsonFieldSink {
 public:
  void add_row(std::string_view metadata) {
    touched_.clear();
    if (!fields_.read(metadata, *this)) {
      for (FieldDraft* field : touched_) field->forget(row_);
    }
    ++row_;
  }

  bool wants(std::string_view name) override {
    auto found = drafts_.find(name);
    if (found == drafts_.end()) {
      if (name.size() > kAttributeNameBytesMax || drafts_.size() == kDraftFieldsMax) {
        complete_ = false;
        return false;
      }
      found = drafts_.emplace(name, FieldDraft()).first;
    }
    touched_.push_back(&found->second);
    return true;
  }
  void begin(FieldShape shape) override { touched_.back()->begin(row_, shape); }
  void value(const JsonValue& value) override { touched_.back()->add(value); }

  AttributeDraft finish() const;

 private:
  JsonFields fields_;
  std::map<std::string, FieldDraft, std::less<>> drafts_;
  std::vector<FieldDraft*> touched_;  // by the row under way
  std::uint32_t row_ = 0;
  bool complete_ = true;
};

std::size_t bytes_of(const ColumnValues& column) {
  std::size_t bytes = column.numbers.size() * sizeof(double) +
                      (column.strings.size() + 2 * column.list_rows.size() + column.codes.size() +
                       column.elements.size()) *
                          sizeof(std::uint32_t);
  for (const std::string& text : column.strings) bytes += text.size();
  return bytes;
}

// All that is left is which rows have the field.
ColumnValues presence_of(ColumnValues column) {
  for (std::uint32_t& code : column.codes) code = code == kCodeMissing ? code : kCodeInText;
  return {std::move(column.name), {}, {}, std::move(column.codes), {}, {}, {}};
}

// The fields that most rows have come first: filters ask for them, and nothing else is known here.
AttributeDraft PartDraft::finish() const {
  std::vector<decltype(drafts_)::const_pointer> order;
  for (const auto& draft : drafts_) {
    if (draft.second.cells() > 0) order.push_back(&draft);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return a->second.cells() > b->second.cells();
  });
  AttributeDraft result{complete_ && order.size() <= kAttributeFieldsMax, {}};
  order.resize(std::min(order.size(), kAttributeFieldsMax));
  std::size_t left = attribute_bytes_max(row_);
  for (const auto* draft : order) {
    ColumnValues column = draft->second.finish(draft->first, row_);
    const std::size_t bytes = bytes_of(column);
    const bool fits = bytes <= left;
    if (fits) left -= bytes;
    result.columns.push_back(fits ? std::move(column) : presence_of(std::move(column)));
  }
  std::sort(result.columns.begin(), result.columns.end(),
            [](const ColumnValues& a, const ColumnValues& b) { return a.name < b.name; });
  return result;
}

}  // namespace

AttributeDraft draft_attributes(std::span<const std::string_view> metadata) {
  PartDraft draft;
  for (const std::string_view text : metadata) draft.add_row(text);
  return draft.finish();
}

base::Bytes encode_row_attributes(std::span<const std::string_view> metadata) {
  const AttributeDraft draft = draft_attributes(metadata);
  return encode_attributes(draft.columns, draft.complete);
}

}  // namespace varve::format
