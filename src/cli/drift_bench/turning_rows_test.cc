#include "cli/drift_bench/turning_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <set>

#include "cli/scratch_folder.h"

namespace varve::cli::drift_bench {
namespace {

std::vector<float> row_of(const TurningRows& rows, std::uint64_t number) {
  std::vector<float> row(rows.dim());
  rows.read(number, row);
  return row;
}

double squared_distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = double{a[i]} - double{b[i]};
    sum += difference * difference;
  }
  return sum;
}

// Mean over the queries of the squared distance to the nearest of the rows of a window.
double nearest_distance(const TurningRows& rows, std::span<const float> queries,
                        std::uint32_t turn) {
  std::vector<double> nearest(queries.size() / rows.dim(), 1e30);
  for (std::uint64_t i = 0; i < rows.live(); ++i) {
    const auto row = row_of(rows, turn * rows.live() + i);
    for (std::size_t j = 0; j < nearest.size(); ++j) {
      const auto query = queries.subspan(j * rows.dim(), rows.dim());
      nearest[j] = std::min(nearest[j], squared_distance(query, row));
    }
  }
  return std::accumulate(nearest.begin(), nearest.end(), 0.0) / static_cast<double>(nearest.size());
}

TEST(MovingClumps, AreTheSameForTheSameSeed) {
  const ClumpOptions options{.dim = 8, .live = 50, .turnovers = 7, .queries = 5, .seed = 3};
  const auto rows = make_moving_clumps(options), again = make_moving_clumps(options);
  ClumpOptions other = options;
  other.seed = 4;
  const auto others = make_moving_clumps(other);
  std::set<std::vector<float>> different;
  for (std::uint64_t i = 50 * 8; i-- > 0;) {
    EXPECT_EQ(row_of(*rows, i), row_of(*again, i));
    EXPECT_NE(row_of(*rows, i), row_of(*others, i));
    different.insert(row_of(*rows, i));
  }
  EXPECT_EQ(different.size(), 50U * 8);
  EXPECT_EQ(rows->queries(7), again->queries(7));
  EXPECT_NE(rows->queries(7), rows->queries(6));
}

TEST(MovingClumps, LeaveWhereTheyWereAndStayAsDense) {
  const auto rows =
      make_moving_clumps({.dim = 24, .live = 3000, .turnovers = 5, .queries = 40, .seed = 1});
  const double at_first = nearest_distance(*rows, rows->queries(0), 0);
  const auto queries = rows->queries(5);
  const double at_last = nearest_distance(*rows, queries, 5);
  EXPECT_LT(std::max(at_first, at_last), 1.3 * std::min(at_first, at_last));
  EXPECT_GT(nearest_distance(*rows, queries, 0), 1.5 * at_last);
}

class FileOfRows : public testing::Test {
 protected:
  // Rows on a line, in an order that is none, with a second column that varies less.
  std::string write(std::uint64_t count) {
    const std::string path = folder_.path() + "/rows.fvecs";
    std::ofstream file(path, std::ios::binary);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto place = static_cast<float>(i * 7919 % count);
      const float values[] = {place, static_cast<float>(i % 5)};
      const std::uint32_t dim = 2;
      file.write(reinterpret_cast<const char*>(&dim), sizeof dim);
      file.write(reinterpret_cast<const char*>(values), sizeof values);
    }
    return path;
  }

  ScratchFolder folder_ = *ScratchFolder::make({});
};

TEST_F(FileOfRows, ComeInAlongTheDirectionOfLargestVariance) {
  const auto rows =
      read_file_rows({.path = write(6000), .format = {}, .turnovers = 5, .queries = 200});
  ASSERT_TRUE(rows.has_value()) << rows.error().message;
  EXPECT_EQ((*rows)->live(), 800U);
  std::set<std::vector<float>> seen;
  double last = 0;
  for (std::uint32_t turn = 0; turn <= 5; ++turn) {
    const auto queries = (*rows)->queries(turn);
    ASSERT_EQ(queries.size(), 2U * 200);
    double mean = 0;
    for (std::uint64_t i = 0; i < 800; ++i) {
      const auto row = row_of(**rows, turn * 800 + i);
      seen.insert(row);
      mean += row[0] / 800;
    }
    for (std::size_t i = 0; i < queries.size(); i += 2) {
      EXPECT_TRUE(seen.insert({queries[i], queries[i + 1]}).second) << "a query is a row";
      EXPECT_NEAR(queries[i], mean, 1500);
    }
    // Either way along the line is right.
    if (turn > 0) {
      EXPECT_NEAR(std::abs(mean - last), 1000, 150);
    }
    last = mean;
  }
  EXPECT_EQ(seen.size(), 6000U);
}

TEST_F(FileOfRows, AreThinnedOutForFewerLiveRows) {
  const auto rows = read_file_rows(
      {.path = write(20'000), .format = {}, .turnovers = 1, .queries = 10, .live_max = 100});
  ASSERT_TRUE(rows.has_value()) << rows.error().message;
  EXPECT_EQ((*rows)->live(), 100U);
  EXPECT_EQ((*rows)->queries(1).size(), 2U * 10);
  float least = 1e9F, most = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    least = std::min(least, row_of(**rows, i)[0]);
    most = std::max(most, row_of(**rows, i)[0]);
  }
  EXPECT_LT(least, 2000);
  EXPECT_GT(most, 18'000);
}

TEST_F(FileOfRows, TooFewAreRefused) {
  const FileOptions options{.path = write(5999), .format = {}, .turnovers = 5, .queries = 1000};
  const auto rows = read_file_rows(options);
  ASSERT_FALSE(rows.has_value());
  EXPECT_EQ(rows.error().kind, ErrorKind::invalid);
  EXPECT_NE(rows.error().message.find("--data"), std::string::npos);
  FileOptions few = options;
  few.turnovers = 2;
  few.live_max = 700;
  const auto thinned = read_file_rows(few);
  ASSERT_FALSE(thinned.has_value());
  EXPECT_NE(thinned.error().message.find("--rows 700"), std::string::npos);
}

}  // namespace
}  // namespace varve::cli::drift_bench
