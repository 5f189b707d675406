#include "engine/filter/filter.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <sstream>

#include "engine/filter/naive_filter.h"

namespace varve::engine {
namespace {

Filter parsed(std::string_view text) {
  auto filter = Filter::parse(text);
  EXPECT_TRUE(filter.has_value()) << text << ": " << filter.error().message;
  return filter ? std::move(*filter) : Filter();
}

std::string refusal(std::string_view text) {
  const auto filter = Filter::parse(text);
  EXPECT_FALSE(filter.has_value()) << text;
  if (filter) return "";
  EXPECT_EQ(filter.error().kind, ErrorKind::invalid);
  return filter.error().message;
}

bool row_matches(std::string_view filter, std::string_view metadata) {
  return parsed(filter).matches(metadata);
}

// Columns of one row, asked for that row.
bool column_matches(std::string_view filter, std::string_view metadata) {
  const base::Bytes section = format::encode_row_attributes({&metadata, 1});
  const auto columns = format::Attributes::decode(section, 1, "test");
  EXPECT_TRUE(columns.has_value()) << metadata << ": " << columns.error().message;
  RowMatches rows;
  parsed(filter).evaluate(*columns, rows);
  EXPECT_EQ(rows.unsure[0], 0U) << filter << " of " << metadata;
  const bool matches = rows.matches[0] != 0;
  EXPECT_TRUE(!matches || parsed(filter).may_match(columns->summary())) << filter << metadata;
  EXPECT_TRUE(matches || !parsed(filter).matches_all(columns->summary())) << filter << metadata;
  return matches;
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream stream(line.substr(1));
  for (std::string cell; std::getline(stream, cell, '|');) {
    cells.push_back(cell.substr(1, cell.size() - 2));
  }
  return cells;
}

// `$eq 1` as the filter that it stands for.
std::string filter_of(const std::string& heading) {
  const auto space = heading.find(' ');
  return fmt::format(R"({{"f":{{"{}":{}}}}})", heading.substr(1, space - 1),
                     heading.substr(space + 1, heading.size() - space - 2));
}

std::vector<std::string> texts_of(const std::string& cell) {
  std::vector<std::string> texts;
  std::size_t at = 0;
  while ((at = cell.find('`', at)) != std::string::npos) {
    const std::size_t end = cell.find('`', at + 1);
    texts.push_back(cell.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  if (cell.find("none") != std::string::npos) texts.emplace_back();
  return texts;
}

TEST(FilterDocs, TheTruthTableHolds) {
  std::ifstream page(std::string(VARVE_SOURCE_DIR) + "/docs/filters.md");
  std::vector<std::string> headings;
  std::size_t checked = 0;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("| metadata |", 0) == 0) headings = cells_of(line);
    if (headings.empty() || line.rfind("| `{", 0) != 0) continue;
    const auto cells = cells_of(line);
    ASSERT_EQ(cells.size(), headings.size()) << line;
    for (const std::string& text : texts_of(cells[0])) {
      for (std::size_t i = 1; i < cells.size(); ++i) {
        const std::string filter = filter_of(headings[i]);
        const bool expected = cells[i] == "yes";
        EXPECT_EQ(row_matches(filter, text), expected) << filter << " of " << text;
        EXPECT_EQ(column_matches(filter, text), expected) << filter << " of " << text;
        const auto row = text.empty() ? nlohmann::json() : nlohmann::json::parse(text);
        EXPECT_EQ(naive_matches(nlohmann::json::parse(filter), row), expected) << filter << text;
        ++checked;
      }
    }
  }
  EXPECT_EQ(checked, 13U * 8U);
}

TEST(FilterParse, NamesFieldAndOperator) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({"year":{"$gt":"x"}})", R"(filter: $gt of "year" wants a number, not a string)"},
      {R"({"year":{"$lte":true}})", R"(filter: $lte of "year" wants a number, not a boolean)"},
      {R"({"a":null})", R"(filter: $eq of "a" wants a string, a number or a boolean, not null)"},
      {R"({"a":[1]})", R"(filter: $eq of "a" wants a string, a number or a boolean, not a list)"},
      {R"({"a":{"$ne":{}}})",
       R"(filter: $ne of "a" wants a string, a number or a boolean, not an object)"},
      {R"({"a":{"$in":[]}})",
       R"(filter: $in of "a" wants a list that is not empty, not an empty list)"},
      {R"({"a":{"$nin":[1,null]}})",
       R"(filter: $nin of "a" wants strings, numbers and booleans, not null)"},
      {R"({"a":{"$in":3}})", R"(filter: $in of "a" wants a list that is not empty, not a number)"},
      {R"({"a":{"$exists":1}})", R"(filter: $exists of "a" wants a boolean, not a number)"},
      {R"({"a":{"$startsWith":1}})", R"(filter: $startsWith of "a" wants a string, not a number)"},
      {R"({"a":{"$regex":"x"}})", R"(filter: operator $regex of "a" is unknown)"},
      {R"({"a":{"b":1}})", R"(filter: operator "b" of "a" is unknown)"},
      {R"({"a":{}})", R"(filter: "a" has no operator)"},
      {R"({"$not":{"a":1}})", R"(filter: "$not" is neither a field nor $and or $or)"},
      {R"({"$gt":1})", R"(filter: "$gt" is neither a field nor $and or $or)"},
      {R"({"$and":[]})",
       "filter: $and wants a list of filters that is not empty, not an empty list"},
      {R"({"$or":{"a":1}})",
       "filter: $or wants a list of filters that is not empty, not an object"},
      {R"({"$or":[{"a":1},{}]})",
       "filter: $or wants filters that are not empty, not an empty object"},
      {R"({"$or":[1]})", "filter: $or wants filters that are not empty, not a number"},
      {R"([{"a":1}])", "filter: wants an object, not a list"},
      {R"({"a":1,"a":2})", R"(filter: "a" is given twice)"},
      {R"({"a":{"$gt":1,"$gt":2}})", R"(filter: "$gt" is given twice)"},
      {R"({"$or":[{"b":1,"b":1}]})", R"(filter: "b" is given twice)"},
      {R"({"a":1e999})", "filter: a number is too large"},
      {R"({"a":1)", "filter: not JSON at byte 7"},
      {"", "filter: not JSON at byte 1"},
      {"{\"\x01\":{}}", "filter: not JSON at byte 3"},
      {R"({"\u0007\n":{}})", R"(filter: "??" has no operator)"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(refusal(text), message) << text;
}

TEST(FilterParse, ALongNameIsCutAtACharacter) {
  std::string name(79, 'n');
  name += "\u00e9\u00e9";
  EXPECT_EQ(refusal(R"({")" + name + R"(":{}})"),
            "filter: \"" + std::string(79, 'n') + "...\" has no operator");
}

TEST(FilterParse, EachLimitIsExact) {
  const auto nested = [](std::size_t levels) {
    std::string text = R"({"a":1})";
    for (std::size_t i = 0; i < levels; ++i) text = R"({"$and":[)" + text + "]}";
    return text;
  };
  EXPECT_TRUE(Filter::parse(nested(kFilterDepthMax)).has_value());
  EXPECT_EQ(refusal(nested(kFilterDepthMax + 1)), "filter: $and is nested deeper than 16");

  const auto wide = [](std::size_t terms) {
    std::string text = R"({"$or":[{"a":1})";
    for (std::size_t i = 1; i < terms; ++i) text += fmt::format(R"(,{{"f{}":1}})", i % 7);
    return text + "]}";
  };
  EXPECT_TRUE(Filter::parse(wide(kFilterTermsMax)).has_value());
  EXPECT_EQ(refusal(wide(kFilterTermsMax + 1)), "filter: more than 100 comparisons");

  const auto listed = [](std::size_t values) {
    std::string text = R"({"a":{"$in":[1)";
    for (std::size_t i = 1; i < values; ++i) text += ",1";
    return text + "]}}";
  };
  EXPECT_TRUE(Filter::parse(listed(kFilterValuesMax)).has_value());
  EXPECT_EQ(refusal(listed(kFilterValuesMax + 1)), "filter: more than 10000 values in lists");

  EXPECT_TRUE(Filter::parse("{}" + std::string(kFilterBytesMax - 2, ' ')).has_value());
  EXPECT_EQ(refusal("{}" + std::string(kFilterBytesMax - 1, ' ')),
            "filter: 65537 bytes, at most 65536 are allowed");
  // Deep JSON that is no filter: refused without running out of stack.
  EXPECT_EQ(refusal(R"({"a":)" + std::string(30'000, '[') + std::string(30'000, ']') + "}"),
            R"(filter: $eq of "a" wants a string, a number or a boolean, not a list)");
}

TEST(FilterText, EscapesLargeNumbersAndRepeatedNames) {
  EXPECT_TRUE(row_matches(R"({"a\"b":"\u00e9\n"})", "{ \"a\\u0022b\" :\t\"\u00e9\\u000a\" }"));
  EXPECT_TRUE(row_matches(R"({"n":9007199254740993})", R"({"n":9007199254740992})"));
  EXPECT_TRUE(row_matches(R"({"n":36893488147419103232})", R"({"n":36893488147419103233})"));
  EXPECT_TRUE(row_matches(R"({"n":{"$gt":1e300}})", R"({"n":1.5e300})"));
  EXPECT_TRUE(row_matches(R"({"n":0})", R"({"n":-0.0})"));
  EXPECT_TRUE(row_matches(R"({"a":2})", R"({"a":1,"b":{"a":1},"a":2})"));
  EXPECT_FALSE(row_matches(R"({"a":1})", R"({"a":1,"a":null})"));
  EXPECT_TRUE(row_matches(R"({"a.b":1})", R"({"a":{"b":2},"a.b":1})"));
  EXPECT_TRUE(row_matches(R"({"":""})", R"({"":""})"));
  EXPECT_TRUE(row_matches("{}", ""));
}

TEST(FilterText, WhatIsNoObjectHasNoFields) {
  for (const std::string_view text :
       {"[1]", "1", "{\"a\":1", "{\"a\":1}}", "{\"a\":1,\"b\":tru}"}) {
    EXPECT_FALSE(row_matches(R"({"b":{"$exists":true}})", text)) << text;
    EXPECT_TRUE(row_matches(R"({"a":{"$exists":false},"b":{"$exists":false}})", text)) << text;
  }
}

TEST(FilterText, ATextAsDeepAsMetadataMayBeIsRead) {
  const std::string deep =
      R"({"x":)" + std::string(15'000, '[') + std::string(15'000, ']') + R"(,"a":1})";
  EXPECT_TRUE(row_matches(R"({"a":1})", deep));
  EXPECT_TRUE(row_matches(R"({"x":{"$ne":1}})", deep));
}

// As many different numbers as need codes of 4 bytes; lists in some rows.
TEST(FilterColumns, CodesOfEachWidthAreCompared) {
  for (const std::uint32_t rows : {100U, 1000U, 70'000U}) {
    format::ColumnValues column;
    column.name = "n";
    for (std::uint32_t row = 0; row < rows; ++row) {
      column.numbers.push_back(row);
      if (row % 1000 != 999) {
        column.codes.push_back(format::kCodeNumbers + row);
        continue;
      }
      column.codes.push_back(format::kCodeList);
      column.list_rows.push_back(row);
      column.elements.push_back(format::kCodeNumbers + row);
      column.elements.push_back(format::kCodeNumbers);  // 0
      column.list_ends.push_back(static_cast<std::uint32_t>(column.elements.size()));
    }
    const auto section = format::encode_attributes({&column, 1}, true);
    const auto columns = format::Attributes::decode(section, rows, "test");
    ASSERT_TRUE(columns.has_value()) << columns.error().message;
    const auto count = [&](std::string_view filter) {
      RowMatches matches;
      parsed(filter).evaluate(*columns, matches);
      std::size_t ones = 0;
      for (const std::uint64_t word : matches.matches) ones += std::popcount(word);
      return ones;
    };
    const std::uint32_t lists = rows / 1000;
    EXPECT_EQ(count(R"({"n":{"$lt":70}})"), 70 + lists) << rows;
    EXPECT_EQ(count(R"({"n":{"$gte":10}})"), rows - 10) << rows;
    EXPECT_EQ(count(R"({"n":{"$ne":0}})"), rows - 1 - lists) << rows;
    EXPECT_EQ(count(R"({"n":{"$in":[1,3,5,7,9,11]}})"), 6) << rows;
    EXPECT_EQ(count(R"({"n":{"$nin":[1,3,5,7,9,11]}})"), rows - 6) << rows;
    EXPECT_EQ(count(R"({"n":{"$exists":true}})"), rows) << rows;
    EXPECT_EQ(count("{}"), rows) << rows;
  }
}

TEST(FilterColumns, WhatColumnsDoNotHaveIsUnsure) {
  const std::string text = fmt::format(R"({{"a":"{}","b":1}})", std::string(300, 'x'));
  const std::string_view texts[] = {text, R"({"b":2})"};
  const base::Bytes section = format::encode_row_attributes(texts);
  const auto columns = format::Attributes::decode(section, 2, "test");
  ASSERT_TRUE(columns.has_value());
  const auto bits = [&](std::string_view filter) {
    RowMatches rows;
    parsed(filter).evaluate(*columns, rows);
    return fmt::format("{:02b} {:02b}", rows.matches[0], rows.unsure[0]);
  };
  EXPECT_EQ(bits(R"({"a":{"$startsWith":"x"}})"), "00 01");
  EXPECT_EQ(bits(R"({"a":{"$ne":"x"}})"), "00 01");
  EXPECT_EQ(bits(R"({"a":{"$exists":true}})"), "01 00");
  EXPECT_EQ(bits(R"({"a":{"$exists":false}})"), "10 00");
  EXPECT_EQ(bits(R"({"a":{"$ne":"x"},"b":2})"), "00 00");
  EXPECT_EQ(bits(R"({"$or":[{"a":"x"},{"b":1}]})"), "01 00");
  EXPECT_EQ(bits(R"({"$or":[{"a":"x"},{"b":2}]})"), "10 01");
}

}  // namespace
}  // namespace varve::engine
