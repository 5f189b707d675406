#include "engine/filter/value_directory.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "engine/filter/filter.h"
#include "engine/filter/filter_samples.h"

namespace varve::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::size_t kAny = ValueDirectory::kEveryPart - 1;

format::Attributes columns_of(const std::vector<std::string>& rows) {
  const std::vector<std::string_view> views(rows.begin(), rows.end());
  auto columns = format::Attributes::decode(format::encode_row_attributes(views),
                                            static_cast<std::uint32_t>(rows.size()), "part");
  EXPECT_TRUE(columns) << columns.error().message;
  return columns ? std::move(*columns) : format::Attributes();
}

class Parts {
 public:
  explicit Parts(const std::vector<std::vector<std::string>>& parts) {
    for (std::uint32_t i = 0; i < parts.size(); ++i) directory_.add(i, columns_of(parts[i]));
    directory_.sort();
  }

  // nullopt: not few.
  std::optional<std::vector<std::uint32_t>> found(std::string_view filter,
                                                  std::size_t count_max = kAny) const {
    PartMatches matches;
    const bool few = Filter::parse(filter)->find_parts(directory_, count_max, matches);
    return few ? std::optional(matches.parts) : std::nullopt;
  }
  const ValueDirectory& directory() const { return directory_; }

 private:
  ValueDirectory directory_;
};

TEST(ValueDirectory, FindsThePartsOfAValue) {
  const Parts parts({
      {R"({"n":1,"s":"a"})", R"({"n":2,"s":"b"})"},
      {R"({"n":3,"s":"a","b":true})", R"({"n":[4,"c"]})"},
      {R"({"n":-5.5,"b":false})", R"({"n":2.0,"s":""})"},
  });
  EXPECT_THAT(*parts.found(R"({"n":2})"), ElementsAre(0, 2));
  EXPECT_THAT(*parts.found(R"({"n":"2"})"), IsEmpty());
  EXPECT_THAT(*parts.found(R"({"n":4})"), ElementsAre(1));
  EXPECT_THAT(*parts.found(R"({"n":{"$in":[1,-5.5,"c"]}})"), ElementsAre(0, 1, 2));
  EXPECT_THAT(*parts.found(R"({"s":"a"})"), ElementsAre(0, 1));
  EXPECT_THAT(*parts.found(R"({"s":""})"), ElementsAre(2));
  EXPECT_THAT(*parts.found(R"({"b":true})"), ElementsAre(1));
  EXPECT_THAT(*parts.found(R"({"b":false})"), ElementsAre(2));
  EXPECT_THAT(*parts.found(R"({"n":{"$lt":0}})"), ElementsAre(2));
  EXPECT_THAT(*parts.found(R"({"n":{"$gt":2.5}})"), ElementsAre(1));
  EXPECT_THAT(*parts.found(R"({"unknown":1})"), IsEmpty());
}

TEST(ValueDirectory, OfWhatHasNoEntryItKnowsTheField) {
  const Parts parts({{R"({"s":"abc"})"}, {R"({"n":1})"}, {R"({"s":"x","n":2})"}});
  EXPECT_THAT(*parts.found(R"({"s":{"$startsWith":"q"}})"), ElementsAre(0, 2));
  EXPECT_THAT(*parts.found(R"({"s":{"$ne":"abc"}})"), ElementsAre(0, 2));
  EXPECT_THAT(*parts.found(R"({"n":{"$exists":true}})"), ElementsAre(1, 2));
  EXPECT_FALSE(parts.found(R"({"n":{"$exists":false}})"));
}

TEST(ValueDirectory, OfSeveralConditionsTheRarestDecides) {
  const Parts parts({{R"({"a":1,"b":1})"}, {R"({"a":1,"b":2})"}, {R"({"a":2,"b":3})"}});
  EXPECT_THAT(*parts.found(R"({"a":1,"b":2})"), ElementsAre(1));
  EXPECT_THAT(*parts.found(R"({"$or":[{"a":2},{"b":1}]})"), ElementsAre(0, 2));
  EXPECT_THAT(*parts.found(R"({"b":3,"a":{"$exists":false}})"), ElementsAre(2));
  EXPECT_FALSE(parts.found(R"({"$or":[{"b":3},{"a":{"$exists":false}}]})"));
  EXPECT_THAT(*parts.found(R"({"$and":[{"$or":[{"b":1},{"b":2}]},{"b":2}]})"), ElementsAre(1));
}

TEST(ValueDirectory, BoundsOfOneFieldAreOneInterval) {
  const Parts parts({{R"({"n":1})"}, {R"({"n":5})"}, {R"({"n":[1,9]})"}, {R"({"n":9})"}});
  EXPECT_THAT(*parts.found(R"({"n":{"$gte":4,"$lt":6}})"), ElementsAre(1, 2))
      << "one element of a list is above, another below";
  EXPECT_THAT(*parts.found(R"({"$and":[{"n":{"$gte":4}},{"n":{"$lt":6}}]})"), ElementsAre(1, 2));
  EXPECT_THAT(*parts.found(R"({"n":{"$gte":6,"$lt":4}})"), ElementsAre(2));
  EXPECT_THAT(*parts.found(R"({"n":{"$gte":5,"$lt":9}})"), ElementsAre(1, 2));
  EXPECT_THAT(*parts.found(R"({"n":{"$lt":1}})"), IsEmpty());
}

TEST(ValueDirectory, CountsNoMoreThanItIsAllowedTo) {
  const Parts parts({{R"({"n":1})"}, {R"({"n":1})"}, {R"({"n":2})"}});
  EXPECT_TRUE(parts.found(R"({"n":1})", 2));
  EXPECT_FALSE(parts.found(R"({"n":1})", 1));
  EXPECT_TRUE(parts.found(R"({"n":7})", 0));
  EXPECT_FALSE(parts.found("{}", 2)) << "every row";
  EXPECT_FALSE(Parts({}).found(R"({"n":{"$exists":false}})"));
  EXPECT_THAT(*Parts({}).found(R"({"n":1})"), IsEmpty());
}

TEST(ValueDirectory, APartThatOnlyTextsDescribeIsAlwaysAsked) {
  ValueDirectory directory;
  directory.add(0, columns_of({R"({"n":1})"}));
  directory.add_unknown(1);
  std::string many = R"({"n":2)";
  for (std::size_t i = 0; i < format::kAttributeFieldsMax; ++i) {
    many += fmt::format(R"(,"f{}":1)", i);
  }
  directory.add(2, columns_of({many + "}"}));
  const std::string long_text(format::kAttributeTextBytesMax + 1, 'x');
  directory.add(3, columns_of({fmt::format(R"({{"n":"{}"}})", long_text)}));
  directory.sort();
  PartMatches matches;
  ASSERT_TRUE(Filter::parse(R"({"n":1})")->find_parts(directory, kAny, matches));
  EXPECT_THAT(matches.parts, ElementsAre(0, 1, 2, 3));
  ASSERT_TRUE(Filter::parse(R"({"g":1})")->find_parts(directory, kAny, matches));
  EXPECT_THAT(matches.parts, ElementsAre(1, 2));
}

// Whatever the columns of a part let through, the part is found.
TEST(ValueDirectory, NoPartWithARowThatMayMatchIsMissed) {
  constexpr std::uint64_t kSeed = 20261129;
  std::cout << "seed " << kSeed << '\n';
  FilterSampler sampler(kSeed);
  std::size_t found = 0, left_out = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<format::Attributes> columns;
    ValueDirectory directory;
    for (std::uint32_t part = 0; part < 20; ++part) {
      sampler.begin_part();
      std::vector<std::string> rows(1 + sampler.below(12));
      std::generate(rows.begin(), rows.end(), [&] { return sampler.metadata(); });
      columns.push_back(columns_of(rows));
      directory.add(part, columns.back());
    }
    directory.sort();
    for (int i = 0; i < 100; ++i) {
      const std::string text = sampler.filter();
      const Filter filter = Filter::parse(text).value();
      PartMatches matches;
      if (!filter.find_parts(directory, kAny, matches)) continue;
      RowMatches rows;
      for (std::uint32_t part = 0; part < columns.size(); ++part) {
        filter.evaluate(columns[part], rows);
        const auto any = [](const auto& words) {
          return std::any_of(words.begin(), words.end(), [](std::uint64_t w) { return w != 0; });
        };
        const bool is_found = std::binary_search(matches.parts.begin(), matches.parts.end(), part);
        if (any(rows.matches) || any(rows.unsure)) {
          ASSERT_TRUE(is_found) << text << " part " << part;
        }
        ++(is_found ? found : left_out);
      }
    }
  }
  EXPECT_GT(found, 1000U);
  EXPECT_GT(left_out, 1000U);
}

}  // namespace
}  // namespace varve::engine
