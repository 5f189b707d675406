#include "kernels/sign_codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/kernels_test_util.h"
#include "kernels/rotation.h"

namespace varve::kernels {
namespace {

constexpr float kAll = std::numeric_limits<float>::infinity();

double dot(const float* a, const float* b, std::size_t dim) {
  double sum = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return sum;
}

// A cluster of rows about a centroid, encoded, and a query.
struct Cluster {
  std::uint32_t dim;
  std::size_t rows;
  SignSteps steps;
  std::vector<float> differences, centroid, query;  // rotated
  std::vector<std::byte> storage;
  std::byte* blocks = nullptr;

  Cluster(std::mt19937& random, std::uint32_t padded_dim, std::size_t count,
          SignSteps sign_steps = SignSteps::one)
      : dim(padded_dim),
        rows(count),
        steps(sign_steps),
        differences(drawn_query(random, count * padded_dim)),
        centroid(drawn_query(random, padded_dim)),
        query(drawn_query(random, padded_dim)) {
    encode();
  }

  void encode() {
    const std::size_t block_bytes = sign_block_bytes(dim, steps);
    const std::size_t block_count = (rows + kSignBlockRows - 1) / kSignBlockRows;
    storage.assign(block_count * block_bytes + 64, std::byte{0});
    const auto begin = reinterpret_cast<std::uintptr_t>(storage.data());
    blocks = storage.data() + ((begin + 63) / 64 * 64 - begin);
    for (std::size_t i = 0; i < rows; ++i) {
      encode_signs(differences.data() + i * dim, centroid.data(), dim, i % kSignBlockRows,
                   blocks + i / kSignBlockRows * block_bytes, steps);
    }
  }
  // Rows of some blocks farther from the centroid than those of others.
  void scale_blocks(std::mt19937& random) {
    float scale = 1;
    for (std::size_t i = 0; i < differences.size(); ++i) {
      if (i % (kSignBlockRows * dim) == 0) scale = 0.5F + static_cast<float>(random() % 8) / 4;
      differences[i] *= scale;
    }
    encode();
  }
  Cluster in(SignSteps other) const {
    Cluster copy = *this;
    copy.steps = other;
    copy.encode();
    return copy;
  }

  double to_centroid() const {
    double sum = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      const double difference = static_cast<double>(query[j]) - static_cast<double>(centroid[j]);
      sum += difference * difference;
    }
    return sum;
  }
  double distance(std::size_t row) const {
    double sum = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      const double difference = static_cast<double>(query[j]) - static_cast<double>(centroid[j]) -
                                static_cast<double>(differences[row * dim + j]);
      sum += difference * difference;
    }
    return sum;
  }
  std::vector<SignHit> scan(float limit) const {
    SignTable table;
    table.set(query.data(), dim);
    std::vector<SignHit> hits(rows);
    hits.resize(
        scan_signs(table, blocks, rows, static_cast<float>(to_centroid()), limit, hits.data()));
    return hits;
  }
  // As that, with a limit that a row has set before; infinity: there is none.
  std::vector<SignHit> scan_within(float limit, const std::uint64_t* skip) const {
    SignTable table;
    table.set(query.data(), dim);
    UpperBounds bounds;
    bounds.reset(limit < kAll ? 1 : rows);
    bounds.add(limit);
    std::vector<SignHit> hits(rows);
    hits.resize(scan_signs(table,
                           {.blocks = blocks,
                            .rows = rows,
                            .to_centroid = static_cast<float>(to_centroid()),
                            .skip = skip,
                            .steps = steps},
                           bounds, hits.data()));
    return hits;
  }
};

// The same in double, from signs and not from blocks, without a table.
double plain_estimate(const Cluster& cluster, std::size_t row) {
  const float* difference = cluster.differences.data() + row * cluster.dim;
  double signed_query = 0, sizes = 0;
  for (std::size_t j = 0; j < cluster.dim; ++j) {
    const double residual =
        static_cast<double>(cluster.query[j]) - static_cast<double>(cluster.centroid[j]);
    signed_query += difference[j] < 0 ? -residual : residual;
    sizes += std::abs(static_cast<double>(difference[j]));
  }
  const double squares = dot(difference, difference, cluster.dim);
  return cluster.to_centroid() + squares - 2 * squares / sizes * signed_query;
}

TEST(SignCodes, EstimatesAsTheFormulaSays) {
  std::mt19937 random(kSeed);
  on_each_target([&] {
    for (const std::uint32_t dim : {64U, 128U, 192U, 832U, 1536U, 4096U}) {
      const Cluster cluster(random, dim, 75);
      const auto hits = cluster.scan(kAll);
      ASSERT_EQ(hits.size(), cluster.rows);
      for (std::size_t i = 0; i < hits.size(); ++i) {
        EXPECT_EQ(hits[i].row, i);
        // Steps of the table, and what bf16 leaves of the factor.
        const double wanted = plain_estimate(cluster, i);
        EXPECT_NEAR(static_cast<double>(hits[i].estimate), wanted,
                    0.5 * std::sqrt(dim) + 0.004 * wanted)
            << dim;
      }
    }
  });
}

TEST(SignCodes, TargetsAgree) {
  std::mt19937 random(kSeed);
  for (const std::uint32_t dim : {64U, 832U, 4096U}) {
    const Cluster cluster(random, dim, 100);
    ASSERT_TRUE(use_target(supported_targets().front()));
    const auto wanted = cluster.scan(kAll);
    SignTable table;
    table.set(cluster.query.data(), dim);
    const std::vector<std::uint8_t> entries(table.entries(), table.entries() + dim * 4);
    on_each_target([&] {
      table.set(cluster.query.data(), dim);
      EXPECT_TRUE(std::equal(entries.begin(), entries.end(), table.entries()));
      const auto found = cluster.scan(kAll);
      ASSERT_EQ(found.size(), wanted.size());
      for (std::size_t i = 0; i < found.size(); ++i) {
        // The sums are the same integers; only the last few operations may be fused.
        EXPECT_NEAR(found[i].estimate, wanted[i].estimate, 1e-5F * static_cast<float>(dim));
        EXPECT_NEAR(found[i].lower, wanted[i].lower, 1e-5F * static_cast<float>(dim));
      }
    });
  }
}

// The bytes are stored. Signs from the values themselves, factors from plain sums in double.
TEST(SignCodes, StoresTheSameBytesOnEveryTarget) {
  std::mt19937 random(kSeed);
  for (const std::uint32_t dim : {64U, 128U, 832U, 4096U}) {
    auto values = drawn_query(random, 70 * dim);
    const auto centroid = drawn_query(random, dim);
    for (std::size_t i = 0; i < values.size(); i += 97) values[i] = i % 2 == 0 ? 0.0F : -0.0F;
    std::vector<std::byte> first;
    on_each_target([&] {
      std::vector<std::byte> blocks(3 * sign_block_bytes(dim));
      encode_sign_rows(values.data(), 70, centroid.data(), dim, blocks.data());
      if (first.empty()) first = blocks;
      EXPECT_EQ(blocks, first);
    });
    for (std::size_t i = 0; i < 70; ++i) {
      const std::byte* block = first.data() + i / 32 * sign_block_bytes(dim);
      const float* row = values.data() + i * dim;
      double sizes = 0, with_centroid = 0;
      for (std::uint32_t j = 0; j < dim; ++j) {
        const std::byte byte = block[j / 4 * 16 + i % 16];
        const bool is_set =
            (byte >> (j % 4 + (i % 32 < 16 ? 0 : 4)) & std::byte{1}) != std::byte{0};
        ASSERT_EQ(is_set, !(row[j] < 0));
        sizes += std::abs(static_cast<double>(row[j]));
        with_centroid += static_cast<double>(is_set ? centroid[j] : -centroid[j]);
      }
      float add = 0;
      std::uint16_t rescale = 0;
      std::memcpy(&add, block + dim * 4 + i % 32 * 4, 4);
      std::memcpy(&rescale, block + dim * 4 + 128 + i % 32 * 2, 2);
      const float used = std::bit_cast<float>(std::uint32_t{rescale} << 16);
      const double squares = dot(row, row, dim);
      EXPECT_NEAR(static_cast<double>(used), squares / sizes, squares / sizes / 256);
      EXPECT_NEAR(static_cast<double>(add), squares + 2 * static_cast<double>(used) * with_centroid,
                  1e-5 * squares);
    }
  }
}

TEST(SignCodes, BoundsHoldButForAFew) {
  std::mt19937 random(kSeed);
  for (const std::uint32_t dim : {128U, 832U, 1536U}) {
    const Cluster cluster(random, dim, 2000);
    const auto hits = cluster.scan(kAll);
    std::size_t broken = 0, loose = 0;
    for (const SignHit& hit : hits) {
      const double distance = cluster.distance(hit.row);
      broken += static_cast<double>(hit.lower) > distance;
      loose += static_cast<double>(hit.lower) < distance * 0.5;
    }
    // One side of 1.9 spreads of a normal distribution: 2.9 %.
    EXPECT_LT(broken, hits.size() * 5 / 100) << dim;
    EXPECT_LT(loose, hits.size() / 100) << dim;
  }
}

TEST(SignCodes, GivesOnlyWhatTheLimitAllows) {
  std::mt19937 random(kSeed);
  on_each_target([&] {
    for (const std::size_t rows : {1U, 31U, 32U, 33U, 64U, 95U}) {
      const Cluster cluster(random, 128, rows);
      const auto all = cluster.scan(kAll);
      std::vector<float> lowers;
      for (const SignHit& hit : all) lowers.push_back(hit.lower);
      std::sort(lowers.begin(), lowers.end());
      for (const float limit : {lowers.front(), lowers[rows / 2], lowers.back()}) {
        std::vector<std::uint32_t> wanted, found;
        for (const SignHit& hit : all) {
          if (hit.lower <= limit) wanted.push_back(hit.row);
        }
        for (const SignHit& hit : cluster.scan(limit)) found.push_back(hit.row);
        EXPECT_EQ(found, wanted);
      }
      EXPECT_TRUE(cluster.scan(std::nextafter(lowers.front(), -kAll)).empty());
    }
  });
}

TEST(SignCodes, EstimatesOfAllAreThoseOfTheScan) {
  std::mt19937 random(kSeed);
  on_each_target([&] {
    const Cluster cluster(random, 192, 75);
    SignTable table;
    table.set(cluster.query.data(), 192);
    std::vector<float> estimates(96), lowers(96);
    estimate_signs(table, cluster.blocks, 75, static_cast<float>(cluster.to_centroid()),
                   estimates.data(), lowers.data());
    for (const SignHit& hit : cluster.scan(kAll)) {
      EXPECT_EQ(bits_of(estimates[hit.row]), bits_of(hit.estimate));
      EXPECT_EQ(bits_of(lowers[hit.row]), bits_of(hit.lower));
    }
  });
}

TEST(SignCodes, BoundsEndAtTheKthUpperBoundOfAll) {
  std::mt19937 random(kSeed);
  on_each_target([&] {
    for (const std::size_t k : {1U, 10U, 100U, 1000U}) {
      const Cluster first(random, 128, 75), second(random, 128, 200);
      const std::vector<std::uint64_t> skip = {0x8000'0001'0000'0003, random() | 0xFFFF'FFFF,
                                               ~std::uint64_t{0}, random()};
      std::vector<SignHit> all;
      for (SignHit hit : first.scan(kAll)) all.push_back(hit);
      for (SignHit hit : second.scan(kAll)) {
        if ((skip[hit.row / 64] >> (hit.row % 64) & 1) != 0) continue;
        hit.row += 75;
        all.push_back(hit);
      }
      std::vector<float> uppers;
      for (const SignHit& hit : all) uppers.push_back(hit.upper());
      std::sort(uppers.begin(), uppers.end());

      SignTable table;
      UpperBounds bounds;
      bounds.reset(k);
      std::vector<SignHit> found(275);
      // Each has its own query: only the arithmetic matters here.
      table.set(first.query.data(), 128);
      std::size_t count = scan_signs(table,
                                     {.blocks = first.blocks,
                                      .rows = 75,
                                      .to_centroid = static_cast<float>(first.to_centroid()),
                                      .next = second.blocks},
                                     bounds, found.data());
      table.set(second.query.data(), 128);
      count += scan_signs(table,
                          {.blocks = second.blocks,
                           .rows = 200,
                           .to_centroid = static_cast<float>(second.to_centroid()),
                           .first_row = 75,
                           .skip = skip.data()},
                          bounds, found.data() + count);
      found.resize(count);

      const float limit = k <= uppers.size() ? uppers[k - 1] : kAll;
      EXPECT_EQ(bounds.limit(), limit);
      EXPECT_LE(count, all.size());
      std::size_t at = 0, kept = 0;
      for (const SignHit& hit : found) {
        while (at < all.size() && all[at].row != hit.row) ++at;
        ASSERT_LT(at, all.size()) << "row " << hit.row << " is skipped or out of order";
        EXPECT_EQ(hit.lower, all[at].lower);
        EXPECT_EQ(hit.estimate, all[at].estimate);
        kept += hit.lower <= limit;
      }
      const auto wanted = std::count_if(all.begin(), all.end(),
                                        [limit](const SignHit& hit) { return hit.lower <= limit; });
      EXPECT_EQ(kept, static_cast<std::size_t>(wanted));
    }
  });
}

// The bound of a row by the dimensions of the first step, in double.
double first_lower(const Cluster& cluster, std::size_t row) {
  const float* difference = cluster.differences.data() + row * cluster.dim;
  const std::uint32_t first = sign_first_dim(cluster.dim);
  double signed_query = 0, sizes = 0;
  for (std::size_t j = 0; j < first; ++j) {
    const double residual =
        static_cast<double>(cluster.query[j]) - static_cast<double>(cluster.centroid[j]);
    signed_query += difference[j] < 0 ? -residual : residual;
    sizes += std::abs(static_cast<double>(difference[j]));
  }
  const double squares = dot(difference, difference, cluster.dim);
  const double cosine2 = sizes * sizes / (squares * first);
  const double spread = std::sqrt((1 - cosine2) / cosine2 / (cluster.dim - 1));
  return cluster.to_centroid() + squares - 2 * squares / sizes * signed_query -
         2 * 1.9 * spread * std::sqrt(squares * cluster.to_centroid());
}

TEST(SignCodes, BlocksForTwoStepsBeginAsThoseForOne) {
  std::mt19937 random(kSeed);
  for (const std::uint32_t dim : {128U, 192U, 832U, 4096U}) {
    const auto rows = drawn_query(random, 32 * dim), centroid = drawn_query(random, dim);
    std::vector<std::byte> one(sign_block_bytes(dim)), first;
    on_each_target([&] {
      std::vector<std::byte> two(sign_block_bytes(dim, SignSteps::two));
      encode_sign_rows(rows.data(), 32, centroid.data(), dim, one.data());
      for (std::size_t i = 0; i < 32; ++i) {
        encode_signs(rows.data() + i * dim, centroid.data(), dim, i, two.data(), SignSteps::two);
      }
      EXPECT_TRUE(std::equal(one.begin(), one.end(), two.begin())) << dim;
      if (first.empty()) first = two;
      EXPECT_EQ(two, first) << dim;
      std::fill(one.begin(), one.end(), std::byte{0});
    });
  }
}

// The limit stands still: that of a row seen before. A block counts if the first step leaves any
// of its rows, up to rounding.
TEST(SignCodes, TwoStepsFindWhatBothLeave) {
  std::mt19937 random(kSeed);
  std::size_t looked_at = 0, left_out = 0;
  on_each_target([&] {
    for (const std::uint32_t dim : {128U, 192U, 832U, 1536U}) {
      for (const std::size_t rows : {1U, 33U, 64U, 500U}) {
        Cluster cluster(random, dim, rows, SignSteps::two);
        // Rows nearer and farther, block by block.
        cluster.scale_blocks(random);
        const Cluster whole = cluster.in(SignSteps::one);
        float limit = kAll;
        for (const SignHit& hit : whole.scan(kAll)) limit = std::min(limit, hit.upper());
        std::vector<std::uint64_t> skip((rows + 63) / 64);
        for (std::uint64_t& word : skip) word = random() & random();
        std::vector<std::uint32_t> surely, maybe, found;
        for (std::size_t block = 0; block < rows; block += kSignBlockRows) {
          double least = std::numeric_limits<double>::infinity();
          for (std::size_t i = block; i < std::min(rows, block + kSignBlockRows); ++i) {
            if ((skip[i / 64] >> (i % 64) & 1) == 0)
              least = std::min(least, first_lower(cluster, i));
          }
          const double slack = 0.5 * std::sqrt(dim) + 0.02 * static_cast<double>(limit);
          for (const SignHit& hit : whole.scan(limit)) {
            if (hit.row / kSignBlockRows != block / kSignBlockRows) continue;
            if ((skip[hit.row / 64] >> (hit.row % 64) & 1) != 0) continue;
            if (least < static_cast<double>(limit) - slack) surely.push_back(hit.row);
            if (least < static_cast<double>(limit) + slack) maybe.push_back(hit.row);
          }
          ++looked_at;
          left_out += least > static_cast<double>(limit) + slack;
        }
        for (const SignHit& hit : cluster.scan_within(limit, skip.data())) found.push_back(hit.row);
        EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
        EXPECT_TRUE(std::includes(found.begin(), found.end(), surely.begin(), surely.end()));
        EXPECT_TRUE(std::includes(maybe.begin(), maybe.end(), found.begin(), found.end()));
      }
    }
  });
  EXPECT_GT(left_out, looked_at / 10);
  EXPECT_LT(left_out, looked_at * 9 / 10);
}

TEST(SignCodes, TwoStepsEstimateAsOneDoes) {
  std::mt19937 random(kSeed);
  on_each_target([&] {
    const Cluster cluster(random, 832, 300, SignSteps::two);
    const auto wanted = cluster.in(SignSteps::one).scan(kAll);
    // As many bounds as rows: nothing is left out.
    const auto found = cluster.scan_within(kAll, nullptr);
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].row, wanted[i].row);
      EXPECT_EQ(bits_of(found[i].estimate), bits_of(wanted[i].estimate));
      EXPECT_EQ(bits_of(found[i].lower), bits_of(wanted[i].lower));
    }
  });
}

TEST(SignCodes, ARowOnItsCentroidHasTheDistanceOfTheCentroid) {
  std::mt19937 random(kSeed);
  Cluster cluster(random, 128, 1);
  std::fill(cluster.differences.begin(), cluster.differences.end(), 0.0F);
  std::fill(cluster.storage.begin(), cluster.storage.end(), std::byte{0});
  encode_signs(cluster.differences.data(), cluster.centroid.data(), 128, 0, cluster.blocks);
  const auto hits = cluster.scan(kAll);
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_FLOAT_EQ(hits[0].estimate, static_cast<float>(cluster.to_centroid()));
  EXPECT_FLOAT_EQ(hits[0].lower, hits[0].estimate);
}

TEST(SignCodes, AQueryOfZerosIsNoSpecialCase) {
  std::mt19937 random(kSeed);
  on_each_target([&] {
    Cluster cluster(random, 64, 40);
    std::fill(cluster.query.begin(), cluster.query.end(), 0.0F);
    for (const SignHit& hit : cluster.scan(kAll)) {
      EXPECT_NEAR(static_cast<double>(hit.estimate), plain_estimate(cluster, hit.row), 2);
    }
  });
}

}  // namespace
}  // namespace varve::kernels
