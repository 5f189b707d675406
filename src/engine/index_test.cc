#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "engine/names.h"
#include "engine/put_once.h"
#include "engine/test_env.h"
#include "format/envelope.h"
#include "store/fault.h"

namespace varve::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const IndexName kName{"test", "index"};

std::vector<VectorRecord> clustered(std::size_t count, std::uint32_t dim, std::uint64_t seed) {
  base::Random random(seed);
  std::vector<std::vector<float>> centers(40);
  for (auto& center : centers) center = random_vector(random, dim);
  std::vector<VectorRecord> records(count);
  for (std::size_t i = 0; i < count; ++i) {
    records[i].key = fmt::format("k{}", i);
    records[i].vector = centers[random.below(centers.size())];
    for (float& value : records[i].vector) value += static_cast<float>(random.unit() * 0.3 - 0.15);
  }
  return records;
}

std::shared_ptr<Index> create(Process& process, const IndexConfig& config) {
  return *process.database().create_index(kName, config, false);
}

double recall_of(Index& index, const std::vector<VectorRecord>& queries, double target) {
  int found = 0, wanted = 0;
  for (const auto& query : queries) {
    const auto truth = index.query(query.vector, exact_query());
    const auto answer = index.query(query.vector, recall_query(target));
    EXPECT_TRUE(truth && answer);
    for (const Hit& hit : truth->hits) {
      ++wanted;
      for (const Hit& other : answer->hits) found += other.key == hit.key;
    }
  }
  return static_cast<double>(found) / wanted;
}

TEST(Index, ReachesItsRecallTargetWithFewRows) {
  Process process(store::make_memory_store(test_clock()), 1);
  auto index = create(process, {.dim = 16, .metric = Metric::euclidean});
  VectorSource source(clustered(20'000, 16, 7));
  const auto report = index->import(source, {});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->vectors, 20'000U);
  const auto queries = clustered(100, 16, 7);
  EXPECT_GE(recall_of(*index, queries, 0.95), 0.95);
  const auto answer = index->query(queries[0].vector, {});
  ASSERT_TRUE(answer);
  EXPECT_LT(answer->performance.rows_scanned, 5'000U);
  EXPECT_EQ(answer->performance.certainty, Certainty::approximate);
}

TEST(Index, KeepsRecallAndSpaceThroughChurn) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 2);
  auto index = create(process, {.dim = 16, .metric = Metric::cosine});
  auto records = clustered(10'000, 16, 3);
  VectorSource source(records);
  ASSERT_TRUE(index->import(source, {}));
  const auto replacement = clustered(6'000, 16, 4);
  std::vector<std::string> deleted;
  for (int i = 0; i < 3'000; ++i) deleted.push_back(fmt::format("k{}", i));
  ASSERT_TRUE(index->remove(deleted));
  std::vector<VectorRecord> written;
  for (std::size_t i = 0; i < 6'000; ++i) {
    written.push_back(replacement[i]);
    written.back().key = i < 3000 ? fmt::format("k{}", 3000 + i) : fmt::format("new{}", i);
  }
  for (std::size_t i = 0; i < written.size(); i += 500) {
    ASSERT_TRUE(index->put(std::span(written).subspan(i, 500)));
  }
  ASSERT_TRUE(index->fold());
  ASSERT_TRUE(index->compact({}));
  const auto report = index->fsck({});
  ASSERT_TRUE(report);
  EXPECT_THAT(report->findings, IsEmpty());
  EXPECT_EQ(report->live_keys, 10'000U);
  EXPECT_EQ(report->orphans, 0U);

  Model model(Metric::cosine);
  for (const auto& record : records) model.records[record.key] = record;
  for (const auto& key : deleted) model.records.erase(key);
  for (const auto& record : written) model.records[record.key] = record;
  Process other(store::make_memory_store(test_clock()), 3);
  auto fresh = create(other, index->config());
  std::vector<VectorRecord> all;
  for (const auto& [key, record] : model.records) all.push_back(record);
  VectorSource again(all);
  ASSERT_TRUE(fresh->import(again, {}));
  EXPECT_EQ(report->state_hash, fresh->fsck({})->state_hash);
  const auto queries = clustered(100, 16, 5);
  EXPECT_NEAR(recall_of(*index, queries, 0.95), recall_of(*fresh, queries, 0.95), 0.01);
  EXPECT_LE(static_cast<double>(index->info()->stored_bytes),
            1.2 * static_cast<double>(fresh->info()->stored_bytes));
}

TEST(Index, SplitsAndMergesWhenASmallPartOfItChanges) {
  Process process(store::make_memory_store(test_clock()), 4);
  auto index = create(process, {.dim = 8, .metric = Metric::euclidean});
  VectorSource source(clustered(8'000, 8, 9));
  ASSERT_TRUE(index->import(source, {}));
  const auto before = index->fsck({});
  // Many rows in one place make one cluster too large.
  base::Random random(1);
  std::vector<VectorRecord> crowd(800);
  for (std::size_t i = 0; i < crowd.size(); ++i) {
    crowd[i] = {fmt::format("crowd{}", i), std::vector<float>(8, 0.5F), {}};
    for (float& value : crowd[i].vector) value += static_cast<float>(random.unit() * 0.01);
  }
  ASSERT_TRUE(index->put(crowd));
  const auto report = index->compact({});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_GE(report->splits, 1U);
  EXPECT_LT(report->clusters_rewritten, index->info()->clusters / 2);
  const auto after = index->fsck({});
  EXPECT_THAT(after->findings, IsEmpty());
  EXPECT_EQ(after->live_keys, before->live_keys + crowd.size());
  EXPECT_EQ(index->info()->parts, index->info()->clusters);
}

TEST(Index, CompactingTwiceChangesNothing) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 4);
  auto index = create(process, {.dim = 8, .metric = Metric::euclidean});
  VectorSource source(clustered(8'000, 8, 9));
  ASSERT_TRUE(index->import(source, {}));
  ASSERT_TRUE(index->compact({}));
  const auto bytes = index->info()->stored_bytes;
  const auto report = index->compact({});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->clusters_rewritten, 0U);
  EXPECT_EQ(index->info()->stored_bytes, bytes);
}

TEST(Index, OfEqualKeysInAnImportTheLastCounts) {
  Process process(store::make_memory_store(test_clock()), 5);
  auto index = create(process, {.dim = 2, .metric = Metric::euclidean});
  VectorSource source({{"a", {1, 1}, {}}, {"b", {2, 2}, {}}, {"a", {3, 3}, "{\"last\":true}"}});
  const auto report = index->import(source, {});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->vectors, 2U);
  EXPECT_EQ(report->duplicates, 1U);
  const std::vector<std::string> keys{"a"};
  const auto records = index->get(keys);
  ASSERT_TRUE(records);
  EXPECT_THAT((*records)[0]->vector, ElementsAre(3, 3));
  EXPECT_EQ((*records)[0]->metadata, "{\"last\":true}");
}

TEST(Index, EmptyKeysOfAnImportAreRowNumbers) {
  Process process(store::make_memory_store(test_clock()), 5);
  auto index = create(process, {.dim = 2, .metric = Metric::euclidean});
  VectorSource source({{"", {1, 1}, {}}, {"", {2, 2}, {}}, {"", {3, 3}, {}}});
  EXPECT_EQ(index->import(source, {})->duplicates, 0U);
  EXPECT_THAT(index->list("", 10)->keys, ElementsAre("0", "1", "2"));
}

TEST(Index, AnImportHasAllKeysOrNone) {
  Process process(store::make_memory_store(test_clock()), 5);
  auto index = create(process, {.dim = 2, .metric = Metric::euclidean});
  VectorSource late({{"", {1, 1}, {}}, {"0", {2, 2}, {}}});
  VectorSource early({{"1", {1, 1}, {}}, {"", {2, 2}, {}}});
  for (VectorSource* source : {&late, &early}) {
    const auto report = index->import(*source, {});
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().kind, ErrorKind::invalid);
    EXPECT_THAT(report.error().message, HasSubstr("row 1"));
  }
  EXPECT_TRUE(index->list("", 10)->keys.empty());
}

TEST(Index, WritesDuringAnImportAreNewerThanItsRows) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 6), other(memory, 7);
  auto index = create(process, {.dim = 2, .metric = Metric::euclidean});
  auto theirs = *other.database().open_index(kName);
  const std::vector<VectorRecord> old{{"a", {9, 9}, {}}, {"keep", {8, 8}, {}}};
  ASSERT_TRUE(theirs->put(old));
  bool meddled = false;
  VectorSource source({{"a", {1, 1}, {}}, {"b", {2, 2}, {}}, {"c", {3, 3}, {}}});
  ImportOptions options;
  options.progress = [&](const Progress& progress) {
    if (progress.phase != "assign" || meddled) return;
    meddled = true;
    const std::vector<VectorRecord> newer{{"b", {7, 7}, {}}};
    ASSERT_TRUE(theirs->put(newer));
    const std::vector<std::string> deleted{"c"};
    ASSERT_TRUE(theirs->remove(deleted));
    // The fold waits for the import, or it would forget that "c" was deleted.
    ASSERT_EQ(*theirs->fold(), 0U);
  };
  const auto report = index->import(source, options);
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_TRUE(meddled);
  const std::vector<std::string> keys{"a", "b", "keep"};
  for (Index* reader : {index.get(), theirs.get()}) {
    const auto records = reader->get(keys);
    ASSERT_TRUE(records);
    EXPECT_THAT((*records)[0]->vector, ElementsAre(1, 1));
    EXPECT_THAT((*records)[1]->vector, ElementsAre(7, 7));
    EXPECT_THAT((*records)[2]->vector, ElementsAre(8, 8));
    EXPECT_THAT(reader->list("", 10)->keys, ElementsAre("a", "b", "keep"));
    ASSERT_TRUE(reader->fold());
  }
  EXPECT_THAT(index->fsck({})->findings, IsEmpty());
}

TEST(Index, ThreadsShareLogObjects) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 8);
  auto index = create(process, {.dim = 2, .metric = Metric::euclidean});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::vector<VectorRecord> one{{fmt::format("{}-{}", t, i), {1, 2}, {}}};
        ASSERT_TRUE(index->put(one));
        ASSERT_TRUE(index->query(one[0].vector, exact_query(1)));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(index->list("", 1000)->keys.size(), 200U);
  EXPECT_THAT(index->fsck({})->findings, IsEmpty());
}

TEST(Index, AnOldSnapshotSaysSoWhenItsObjectsAreCollected) {
  Process process(store::make_memory_store(test_clock()), 9);
  auto index = create(process, {.dim = 4, .metric = Metric::euclidean});
  auto records = clustered(50, 4, 1);
  VectorSource source(records);
  ASSERT_TRUE(index->import(source, {}));
  const auto snapshot = *index->snapshot();
  ASSERT_TRUE(index->put(std::span(records).first(30)));
  ASSERT_TRUE(index->compact({}));
  const auto answer = snapshot->query(records[0].vector, exact_query());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::not_found);
  EXPECT_TRUE(index->query(records[0].vector, exact_query()));
}

TEST(Index, ADroppedIndexIsGoneForEverybodyAndItsNameIsFree) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 10), other(memory, 11);
  auto index = create(process, {.dim = 2, .metric = Metric::euclidean});
  auto theirs = *other.database().open_index(kName);
  const std::vector<VectorRecord> records{{"a", {1, 1}, {}}};
  ASSERT_TRUE(theirs->put(records));
  ASSERT_TRUE(process.database().drop_index(kName));
  EXPECT_EQ(theirs->put(records).error().kind, ErrorKind::not_found);
  EXPECT_EQ(theirs->query(records[0].vector, {}).error().kind, ErrorKind::not_found);
  EXPECT_EQ(other.database().open_index(kName).error().kind, ErrorKind::not_found);
  EXPECT_THAT(*process.database().list_indexes(), IsEmpty());
  auto again = create(process, {.dim = 3, .metric = Metric::cosine});
  EXPECT_THAT(again->list("", 10)->keys, IsEmpty());
}

TEST(Index, BadInputIsRefusedByNameAndChangesNothing) {
  Process process(store::make_memory_store(test_clock()), 12);
  auto index = create(process, {.dim = 2, .metric = Metric::cosine});
  const auto before = index->fsck({})->state_hash;
  const float nan = std::nanf("");
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::pair<VectorRecord, std::string>> bad{
      {{"", {1, 1}, {}}, "key is empty"},
      {{std::string(1025, 'x'), {1, 1}, {}}, "1025 bytes"},
      {{std::string("a\0b", 3), {1, 1}, {}}, "NUL"},
      {{"\xC3\x28", {1, 1}, {}}, "UTF-8"},
      {{"a", {1}, {}}, "must have length 2, but has length 1"},
      {{"a", {1, nan}, {}}, "vector[1] is nan"},
      {{"a", {infinity, 1}, {}}, "vector[0] is inf"},
      {{"a", {0, -0.0F}, {}}, "all zero"},
      {{"a", {1, 1}, "[1]"}, "not a JSON object"},
      {{"a", {1, 1}, "{\"a\":"}, "not a JSON object"},
      {{"a", {1, 1}, "{\"a\":\"" + std::string(50'000, 'x') + "\"}"}, "metadata has"},
  };
  for (const auto& [record, message] : bad) {
    const std::vector<VectorRecord> batch{{"good", {1, 1}, {}}, record};
    const auto ack = index->put(batch);
    ASSERT_FALSE(ack) << message;
    EXPECT_EQ(ack.error().kind, ErrorKind::invalid);
    EXPECT_THAT(ack.error().message, HasSubstr(message));
  }
  const std::vector<float> query{1, 1};
  EXPECT_FALSE(index->query(query, exact_query(0)));
  EXPECT_FALSE(index->query(query, exact_query(kTopKMax + 1)));
  EXPECT_FALSE(index->query(query, recall_query(1.5)));
  EXPECT_FALSE(index->query(std::vector<float>{1}, {}));
  EXPECT_FALSE(index->query(std::vector<float>{nan, 1}, {}));
  EXPECT_EQ(index->fsck({})->state_hash, before);
}

TEST(Names, OnlyTheDocumentedOnesAreAccepted) {
  for (const char* good : {"abc/def", "a.b-c/0-9", "demo/fashion"}) {
    EXPECT_TRUE(parse_index_name(good)) << good;
  }
  const std::string long_name(300, 'a');
  for (const std::string& bad :
       {std::string("../x"), std::string("abc"), std::string("ab/abc"), std::string("Abc/abc"),
        std::string("abc/abc/abc"), "abc/" + long_name, std::string("abc/a\0c", 7),
        std::string("-abc/abc"), std::string("abc/abc."), std::string("/")}) {
    EXPECT_EQ(parse_index_name(bad).error().kind, ErrorKind::invalid) << bad;
  }
}

// Flips one byte of each object in turn, at several places: whatever is read afterwards is the
// truth or an error that names an object.
TEST(Index, DamagedObjectsAreDetectedAndNamed) {
  auto memory = store::make_memory_store(test_clock());
  std::string state;
  const auto records = clustered(300, 4, 2);
  {
    Process process(memory, 13);
    auto index = create(process, {.dim = 4, .metric = Metric::euclidean});
    auto with_metadata = records;
    for (auto& record : with_metadata) record.metadata = "{\"key\":\"" + record.key + "\"}";
    VectorSource source(with_metadata);
    ASSERT_TRUE(index->import(source, {}));
    ASSERT_TRUE(index->put(std::span(with_metadata).first(20)));
    ASSERT_TRUE(index->fold());
    ASSERT_TRUE(index->put(std::span(with_metadata).first(3)));
    state = index->fsck({})->state_hash;
  }
  Process pristine(memory->copy(), 14);
  auto truth = *pristine.database().open_index(kName);
  const auto expected = truth->query(records[5].vector, exact_query());
  int detected = 0, tried = 0;
  for (const auto& [key, object] : memory->objects()) {
    for (std::size_t place = 0; place < 40; ++place) {
      const std::size_t offset = object.bytes.size() * place / 40;
      auto damaged = memory->copy();
      std::string bytes(base::as_text(object.bytes));
      bytes[offset] = static_cast<char>(bytes[offset] ^ 0x40);
      ASSERT_TRUE(
          damaged->replace(key, base::as_bytes(bytes), object.etag, base::Deadline::never()));
      ++tried;
      Process process(damaged, 15);
      auto index = process.database().open_index(kName);
      if (!index) {
        EXPECT_EQ(index.error().kind, ErrorKind::corrupt) << index.error().message;
        ++detected;
        continue;
      }
      const auto answer = (*index)->query(records[5].vector, exact_query());
      if (answer) {
        ASSERT_EQ(answer->hits.size(), expected->hits.size());
        for (std::size_t i = 0; i < expected->hits.size(); ++i) {
          ASSERT_EQ(answer->hits[i].key, expected->hits[i].key) << key << " at " << offset;
          ASSERT_EQ(answer->hits[i].metadata, expected->hits[i].metadata);
        }
      } else {
        EXPECT_EQ(answer.error().kind, ErrorKind::corrupt) << answer.error().message;
      }
      const auto report = (*index)->fsck({});
      const bool found = !report || !report->findings.empty();
      detected += found || !answer;
      if (report && report->findings.empty()) {
        EXPECT_EQ(report->state_hash, state) << key;
      }
    }
  }
  // What stays undetected lies in objects that nothing reads any more.
  EXPECT_GT(detected, tried / 2);
}

TEST(PutOnce, TheNonceDecidesWhateverTheStoreAnswers) {
  auto memory = store::make_memory_store(test_clock());
  for (const bool lose : {true, false}) {
    store::FaultPlan plan;
    (lose ? plan.lose_answer : plan.land_late) = 1.0;
    plan.late_requests_max = 1;
    auto fault = std::make_shared<store::FaultStore>(memory, test_clock(), 1, plan);
    Process process(fault, 16);
    const auto uuid = format::Uuid::random(*process.env().random);
    const std::string key = Names(uuid).log({lose ? 1U : 2U, 0});
    const base::Nonce mine = base::make_nonce(*process.env().random);
    const auto bytes =
        format::encode_envelope({format::Kind::log, uuid, key, mine}, base::as_bytes("body"));
    const auto outcome = put_once(process.env(), key, bytes, uuid, mine);
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->verdict, PutOutcome::Verdict::mine);
    const base::Nonce theirs = base::make_nonce(*process.env().random);
    const auto other =
        format::encode_envelope({format::Kind::log, uuid, key, theirs}, base::as_bytes("body"));
    EXPECT_EQ(put_once(process.env(), key, other, uuid, theirs)->verdict,
              PutOutcome::Verdict::lost);
  }
}

}  // namespace
}  // namespace varve::engine
