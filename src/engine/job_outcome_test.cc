#include "engine/jobs.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/test_env.h"
#include "store/fault.h"

namespace varve::engine {
namespace {

using ::testing::IsEmpty;

// The answer to a commit is lost and HEAD cannot be read until the writer gives up: the job fails,
// and is off the list because it committed.
class LostCommit {
 public:
  LostCommit(const Names& names, std::chrono::milliseconds resolve_timeout)
      : names_(names), resolve_timeout_(resolve_timeout) {}

  store::FaultPlan plan() {
    store::FaultPlan plan;
    plan.lose_answer = 1.0;
    plan.truncate_read = 1.0;
    plan.applies_to = [this](std::string_view key) { return hits(key); };
    return plan;
  }

  bool over() const { return late_requests_ > kLastAttempt; }

 private:
  // One replace and one read, after which the writer sees that its time is over.
  static constexpr unsigned kLastAttempt = 2;

  bool hits(std::string_view key) {
    const auto now = test_clock().now();
    if (key.starts_with(names_.manifest_prefix()) && !give_up_) give_up_ = now + resolve_timeout_;
    if (key != names_.head() || !give_up_) return false;
    return now < *give_up_ || ++late_requests_ <= kLastAttempt;
  }

  const Names names_;
  const std::chrono::milliseconds resolve_timeout_;
  std::optional<base::TimePoint> give_up_;
  unsigned late_requests_ = 0;
};

TEST(Jobs, AFailedJobThatCommittedKeepsItsObjects) {
  auto memory = store::make_memory_store(test_clock());
  auto fault = std::make_shared<store::FaultStore>(memory, test_clock(), 1, store::FaultPlan{});
  Process faulty(fault, 1), other(memory, 2);
  const auto index =
      *faulty.database().create_index({"test", "jobs"}, {4, Metric::euclidean}, false);
  base::Random random(3);
  std::vector<VectorRecord> records(20);
  for (std::size_t i = 0; i < records.size(); ++i) {
    records[i].key = fmt::format("k{}", i);
    records[i].vector = random_vector(random, 4);
  }
  ASSERT_TRUE(index->put(records));
  LostCommit lost(Names(*format::Uuid::from_hex(index->info()->uuid)),
                  faulty.env().resolve_timeout);
  fault->set_plan(lost.plan());
  const auto folded = index->fold();
  ASSERT_FALSE(folded);
  EXPECT_EQ(folded.error().kind, ErrorKind::unavailable);
  EXPECT_TRUE(lost.over());
  fault->set_plan({});

  const auto opened = other.database().open_index({"test", "jobs"});
  ASSERT_TRUE(opened) << opened.error().message;
  const auto report = (*opened)->fsck({});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(report->findings, IsEmpty());
  EXPECT_EQ((*opened)->info()->tail_ops, 0) << "the fold did not commit, so this shows nothing";
}

TEST(Jobs, AJobThatWasTakenOffTheListDoesNotCommit) {
  auto memory = store::make_memory_store(test_clock());
  Process process(memory, 1);
  const auto index =
      *process.database().create_index({"test", "jobs"}, {4, Metric::euclidean}, false);
  const auto uuid = *format::Uuid::from_hex(index->info()->uuid);
  const Names names(uuid);
  const auto job = register_job(process.env(), names, uuid, format::JobKind::compact, 0);
  ASSERT_TRUE(job) << job.error().message;
  const auto aborted = abort_job(process.env(), names, uuid, job->id);
  ASSERT_TRUE(aborted && *aborted);
  const auto before = read_head(process.env(), names, uuid);
  ASSERT_TRUE(before);
  JobCommit commit;
  commit.manifest.dim = 4;
  commit.base_manifest = before->head.manifest_name;
  commit.epoch = before->head.epoch;
  const auto committed = commit_job({process.env(), names, uuid, job->id}, commit);
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().kind, ErrorKind::conflict);
  EXPECT_EQ(read_head(process.env(), names, uuid)->head.version, before->head.version);
}

}  // namespace
}  // namespace varve::engine
