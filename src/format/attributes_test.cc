#include "format/attributes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>

#include "base/random.h"

namespace varve::format {
namespace {

using Texts = std::vector<std::string>;

base::Bytes encoded(const Texts& texts) {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  return encode_row_attributes(views);
}

Attributes decoded(const base::Bytes& section, std::size_t rows) {
  auto attributes = Attributes::decode(section, static_cast<std::uint32_t>(rows), "test");
  EXPECT_TRUE(attributes.has_value()) << attributes.error().message;
  return attributes ? std::move(*attributes) : Attributes();
}

std::string spelled(const AttributeColumn& column, std::uint32_t code) {
  static constexpr std::string_view kNames[] = {"missing", "text", "other", "list", "no", "yes"};
  if (code < kCodeNumbers) return std::string(kNames[code]);
  const std::size_t i = code - kCodeNumbers;
  if (i < column.numbers.size()) return fmt::format("{}", column.numbers[i]);
  return fmt::format("'{}'", column.string(i - column.numbers.size()));
}

// "1 'a' missing [2 'b']": the column of a field, row after row.
std::string column_text(const Attributes& attributes, std::string_view name) {
  const AttributeColumn* const column = attributes.find(name);
  if (column == nullptr) return "none";
  std::string text;
  std::size_t list = 0;
  std::uint32_t element = 0;
  for (std::uint32_t row = 0; row < attributes.rows(); ++row) {
    if (row > 0) text += ' ';
    if (column->code(row) != kCodeList) {
      text += spelled(*column, column->code(row));
      continue;
    }
    text += '[';
    for (const std::uint32_t end = column->list_ends[list++]; element < end; ++element) {
      text += fmt::format("{} ", spelled(*column, column->element(element)));
    }
    text += ']';
  }
  return text;
}

std::string column_of(const Texts& texts, std::string_view name) {
  return column_text(decoded(encoded(texts), texts.size()), name);
}

base::Bytes encoded_again(const Attributes& attributes) {
  std::vector<ColumnValues> columns;
  for (std::size_t i = 0; i < attributes.columns().size(); ++i) {
    columns.push_back(attributes.values(i));
  }
  return encode_attributes(columns, attributes.summary().complete);
}

TEST(Attributes, EachShapeOfAValueHasItsCode) {
  const Texts texts = {R"({"f":"b","g":1})",
                       R"({"f":["a",2,true,null,[1],{"a":1}]})",
                       R"({"f":{"f":1}})",
                       R"({"f":null})",
                       "",
                       R"({"f":[]})",
                       R"({"f":false})",
                       R"({"f":-0.0})",
                       R"({"f":0,"f":"b"})",
                       R"({"f":7,"f":null})"};
  EXPECT_EQ(column_of(texts, "f"),
            "'b' ['a' 2 yes other other other ] other missing missing [] no 0 'b' missing");
  EXPECT_EQ(column_of(texts, "g"),
            "1 missing missing missing missing missing missing missing missing missing");
  EXPECT_EQ(column_of(texts, "h"), "none");
}

TEST(Attributes, RowsWithoutFieldsNeedNoSection) {
  EXPECT_TRUE(encoded({"", "{}", R"({"a":null})", "[1]", "{"}).empty());
  const Attributes none = decoded({}, 5);
  EXPECT_TRUE(none.summary().complete);
  EXPECT_TRUE(none.columns().empty());
}

TEST(Attributes, AMalformedTextHasNoFields) {
  EXPECT_EQ(column_of({R"({"a":1,"b":[2)", R"({"a":3})"}, "a"), "missing 3");
}

TEST(Attributes, LongStringsAreLeftToTheText) {
  const std::string longest(kAttributeTextBytesMax, 'x');
  const Texts texts = {fmt::format(R"({{"a":"{}"}})", longest),
                       fmt::format(R"({{"a":"{}y"}})", longest),
                       fmt::format(R"({{"a":[1,"{}y"]}})", longest)};
  EXPECT_EQ(column_of(texts, "a"), fmt::format("'{}' text [1 text ]", longest));
}

TEST(Attributes, TheFieldsOfMostRowsAreListed) {
  Texts texts(3);
  for (std::string& text : texts) text = R"({"zz":1)";
  for (std::size_t i = 0; i < kAttributeFieldsMax; ++i)
    texts[0] += fmt::format(R"(,"f{:03}":1)", i);
  for (std::string& text : texts) text += '}';
  const Attributes attributes = decoded(encoded(texts), texts.size());
  EXPECT_EQ(attributes.columns().size(), kAttributeFieldsMax);
  EXPECT_FALSE(attributes.summary().complete);
  EXPECT_NE(attributes.find("zz"), nullptr);
  EXPECT_NE(attributes.find("f126"), nullptr);
  EXPECT_EQ(attributes.find("f127"), nullptr);

  const std::string name(kAttributeNameBytesMax, 'n');
  EXPECT_TRUE(decoded(encoded({fmt::format(R"({{"{}":1}})", name)}), 1).summary().complete);
  const Attributes longer = decoded(encoded({fmt::format(R"({{"{}n":1}})", name)}), 1);
  EXPECT_FALSE(longer.summary().complete);
  EXPECT_TRUE(longer.columns().empty());
}

TEST(Attributes, AColumnThatDoesNotFitSaysWhoHasTheField) {
  Texts texts;
  for (int row = 0; row < 300; ++row) {
    std::string list;
    for (int i = 0; i < 40; ++i) list += fmt::format("{}\"{}-{}\"", i == 0 ? "" : ",", row, i);
    texts.push_back(row == 7 ? R"({"n":1})" : fmt::format(R"({{"tags":[{}],"n":1}})", list));
  }
  const base::Bytes section = encoded(texts);
  EXPECT_LT(section.size(), attribute_bytes_max(300));
  const Attributes attributes = decoded(section, 300);
  const AttributeColumn& tags = *attributes.find("tags");
  for (std::uint32_t row = 0; row < 300; ++row) {
    EXPECT_EQ(tags.code(row), row == 7 ? kCodeMissing : kCodeInText);
  }
  EXPECT_EQ(attributes.summary().find("tags")->occurs, kOccursMissing | kOccursInText);
  EXPECT_EQ(attributes.summary().find("n")->occurs, kOccursNumber);
}

TEST(Attributes, ManyDifferentFieldsTakeBoundedMemory) {
  Texts texts;
  for (int row = 0; row < 20; ++row) {
    std::string text = R"({"n":1)";
    for (int i = 0; i < 1000; ++i) text += fmt::format(R"(,"{}":1)", row * 1000 + i);
    texts.push_back(fmt::format("{}}}", text));
  }
  const base::Bytes section = encoded(texts);
  EXPECT_LT(section.size(), attribute_bytes_max(20) + 128 * 20 + 10'000);
  EXPECT_FALSE(decoded(section, 20).summary().complete);
  EXPECT_NE(decoded(section, 20).find("n"), nullptr);
}

TEST(Attributes, SummariesHaveBoundsOrAllStrings) {
  Texts texts;
  for (std::size_t i = 0; i < kSummaryStringsMax; ++i) {
    texts.push_back(fmt::format(R"({{"s":"{:02}","n":{}}})", i, -0.5 * static_cast<double>(i)));
  }
  const auto field = [&](std::string_view name) {
    return *decoded(encoded(texts), texts.size()).summary().find(name);
  };
  EXPECT_TRUE(field("s").strings_complete);
  EXPECT_EQ(field("s").strings.size(), kSummaryStringsMax);
  EXPECT_EQ(field("n").number_min, -7.5);
  EXPECT_EQ(field("n").number_max, 0);
  texts.push_back(R"({"s":"99999999999999999999"})");
  EXPECT_FALSE(field("s").strings_complete);
  EXPECT_EQ(field("s").strings, (Texts{"00", "9999999999999999"}));
  EXPECT_EQ(field("n").occurs, kOccursMissing | kOccursNumber);
}

TEST(Attributes, CodesGetAsWideAsTheirValuesNeed) {
  for (const std::size_t values : {250U, 251U, 65'530U, 65'531U}) {
    ColumnValues column;
    column.name = "n";
    for (std::size_t i = 0; i < values; ++i) {
      column.numbers.push_back(static_cast<double>(i));
      column.codes.push_back(static_cast<std::uint32_t>(kCodeNumbers + i));
    }
    const base::Bytes section = encode_attributes({&column, 1}, true);
    const Attributes attributes = decoded(section, values);
    const unsigned expected = values <= 250 ? 1 : values <= 65'530 ? 2 : 4;
    EXPECT_EQ(attributes.columns()[0].code_bytes, expected) << values;
    EXPECT_EQ(attributes.columns()[0].code(values - 1), kCodeNumbers + values - 1);
    EXPECT_EQ(attributes.values(0).codes, column.codes);
  }
}

TEST(Attributes, SectionsNeedNotLieOnABoundary) {
  const Texts texts = {R"({"n":1.5})"};
  const base::Bytes section = encoded(texts);
  std::vector<std::byte> shifted(section.size() + 1);
  std::copy(section.span().begin(), section.span().end(), shifted.begin() + 1);
  const base::Bytes whole = base::Bytes::copy_of(shifted);
  EXPECT_EQ(column_text(decoded(whole.slice(1, section.size()), 1), "n"), "1.5");
}

// --- random ---

std::string random_value(base::Random& random, int depth) {
  switch (random.below(depth > 1 ? 4 : 7)) {
    case 0:
      return fmt::format("{}", random.below(random.below(2) == 0 ? 5 : 500));
    case 1:
      return fmt::format("\"s{}\"", random.below(random.below(2) == 0 ? 5 : 500));
    case 2:
      return random.below(2) == 0 ? "true" : "false";
    case 3:
      return "null";
    case 4:
      return fmt::format("{{\"a\":{}}}", random_value(random, depth + 1));
    default: {
      std::string list;
      for (std::uint64_t n = random.below(4), i = 0; i < n; ++i) {
        list += fmt::format("{}{}", i == 0 ? "" : ",", random_value(random, depth + 1));
      }
      return fmt::format("[{}]", list);
    }
  }
}

Texts random_texts(base::Random& random, std::size_t rows) {
  Texts texts;
  for (std::size_t row = 0; row < rows; ++row) {
    std::string text;
    for (int f = 0; f < 4; ++f) {
      if (random.below(4) == 0) continue;
      text += fmt::format("{}\"f{}\":{}", text.empty() ? "" : ",", f, random_value(random, 0));
    }
    texts.push_back(fmt::format("{{{}}}", text));
  }
  return texts;
}

TEST(Attributes, WhatIsDecodedIsEncodedToTheSameBytes) {
  constexpr std::uint64_t kSeed = 41;
  base::Random random(kSeed);
  for (int round = 0; round < 200; ++round) {
    const std::size_t rows = 1 + random.below(300);
    const base::Bytes section = encoded(random_texts(random, rows));
    const Attributes attributes = decoded(section, rows);
    EXPECT_EQ(base::as_text(encoded_again(attributes)), base::as_text(section)) << "seed " << kSeed;
    const base::Bytes summary = encode_summary(attributes.summary());
    EXPECT_EQ(*decode_summary(section, "test"), attributes.summary());
    EXPECT_EQ(*decode_summary(summary, "test"), attributes.summary());
    EXPECT_TRUE(base::as_text(section).starts_with(base::as_text(summary)));
  }
}

// A section has no checksum of its own: its part record has. So damage that decodes must at least
// be a section that could have been written.
TEST(Attributes, DamagedBytesAreRefusedOrAnotherValidSection) {
  constexpr std::uint64_t kSeed = 42;
  base::Random random(kSeed);
  std::size_t refused = 0;
  std::size_t valid = 0;
  for (int round = 0; round < 4; ++round) {
    const std::size_t rows = 3 + random.below(12);
    const std::string section(base::as_text(encoded(random_texts(random, rows))));
    for (std::size_t at = 0; at < 2 * section.size(); ++at) {
      std::string damaged = section;
      if (at < section.size()) {
        damaged[at] ^= static_cast<char>(1U << random.below(8));
      } else {
        damaged.resize(at - section.size());
        if (damaged.empty()) continue;
      }
      const base::Bytes bytes(damaged);
      const auto result = Attributes::decode(bytes, static_cast<std::uint32_t>(rows), "part 7");
      if (result) {
        EXPECT_EQ(base::as_text(encoded_again(*result)), damaged) << "seed " << kSeed;
        ++valid;
        continue;
      }
      EXPECT_EQ(result.error().kind, ErrorKind::corrupt);
      EXPECT_EQ(result.error().message.rfind("part 7: ", 0), 0U) << result.error().message;
      ++refused;
    }
  }
  EXPECT_GT(refused, 20 * valid);
}

TEST(Attributes, AnotherNumberOfRowsIsCorrupt) {
  const base::Bytes section = encoded({R"({"a":1})", R"({"a":2})"});
  for (const std::uint32_t rows : {0U, 1U, 3U, 7U, 0xFFFFFFFFU}) {
    EXPECT_FALSE(Attributes::decode(section, rows, "test").has_value()) << rows;
  }
}

// --- the golden file, read for ever ---

Texts golden_texts() {
  return {R"({"genre":"drama","year":1999})", R"({"genre":["drama","sf"],"year":2001.5})",
          R"({"year":null,"x":{"y":1}})"};
}

std::filesystem::path golden_path() {
  return std::filesystem::path(VARVE_SOURCE_DIR) / "tests/compat/v1/attributes.bin";
}

TEST(AttributesGolden, TheFileIsReadFieldByField) {
  if (std::getenv("VARVE_WRITE_GOLDEN") != nullptr) {
    const base::Bytes section = encoded(golden_texts());
    std::ofstream(golden_path(), std::ios::binary) << base::as_text(section);
  }
  std::ifstream in(golden_path(), std::ios::binary);
  ASSERT_TRUE(in.is_open()) << golden_path();
  const base::Bytes section(std::string(std::istreambuf_iterator<char>(in), {}));
  const Attributes attributes = decoded(section, 3);
  EXPECT_TRUE(attributes.summary().complete);
  EXPECT_EQ(column_text(attributes, "genre"), "'drama' ['drama' 'sf' ] missing");
  EXPECT_EQ(column_text(attributes, "year"), "1999 2001.5 missing");
  EXPECT_EQ(column_text(attributes, "x"), "missing missing other");
  EXPECT_EQ(attributes.columns().size(), 3U);
  EXPECT_EQ(base::as_text(section), base::as_text(encoded(golden_texts())));
}

}  // namespace
}  // namespace varve::format
