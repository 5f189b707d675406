#include "sim/world.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "sim/oracle.h"
#include "sim/process.h"
#include "sim/watch.h"
#include "store/memory_store.h"

namespace varve::sim {
namespace {

using Milliseconds = std::chrono::milliseconds;

// What the seed decides about a whole run.
struct Plan {
  std::uint32_t keys = 0;
  std::uint32_t ops = 0;  // of each thread
  double crashes = 0;
  double suspects = 0;
  double stay = 0;
  Metric metric = Metric::euclidean;
  Content content;
  store::FaultPlan faults;

  explicit Plan(base::Random& random) {
    keys = 4 + static_cast<std::uint32_t>(random.below(20));
    ops = 6 + static_cast<std::uint32_t>(random.below(14));
    crashes = random.below(3) == 0 ? 0 : random.unit();
    suspects = random.below(3) == 0 ? random.unit() : 0;
    stay = random.unit() * 0.8;
    metric = random.below(3) == 0 ? Metric::cosine : Metric::euclidean;
    content.dim = 4 + static_cast<std::uint32_t>(random.below(5));
    if (content.dim == 8) content.dim = 64;  // with codes
    content.fractions = random.below(2) == 0;
    // Most runs have few faults of each kind: a run in which nothing works shows nothing.
    const auto rare = [&](double most) { return most * std::pow(random.unit(), 3); };
    faults.delay = rare(0.5);
    faults.fail_before = rare(0.1);
    faults.lose_answer = rare(0.3);
    faults.land_late = rare(0.3);
    faults.partial_remove = rare(0.6);
    faults.corrupt_read = rare(0.05);
    faults.truncate_read = rare(0.05);
    faults.delay_max = Milliseconds(1 + random.below(100));
    faults.late_requests_max = static_cast<std::uint32_t>(1 + random.below(200));
  }
};

bool is_unknown(const Error& error) {
  return error.kind == ErrorKind::unavailable || error.kind == ErrorKind::cancelled;
}

class Rows final : public RowSource {
 public:
  explicit Rows(std::vector<VectorRecord> records) : records_(std::move(records)) {}
  std::uint64_t size_hint() const override { return records_.size(); }
  Result<bool> next(VectorRecord& record) override {
    if (next_ == records_.size()) return false;
    record = records_[next_++];
    return true;
  }

 private:
  std::vector<VectorRecord> records_;
  std::size_t next_ = 0;
};

class World {
 public:
  World(std::uint64_t seed, bool verbose)
      : seed_(seed),
        random_(seed),
        plan_(random_),
        scheduler_(random_.next(), plan_.stay),
        clock_(scheduler_),
        memory_(store::make_memory_store(clock_)),
        watch_(std::make_shared<WatchStore>(
            memory_, [this](std::string text) { oracle_.violation(std::move(text)); })),
        faults_(std::make_shared<store::FaultStore>(watch_, clock_, random_.next(),
                                                    store::FaultPlan{})) {
    if (verbose) scheduler_.set_verbose();
  }

  RunResult run() {
    phase({[this] { create(); }});
    faults_->set_plan(plan_.faults);
    const char* const names[] = {"writer-a", "writer-b", "reader", "collector"};
    for (const char* name : names) {
      processes_.push_back(std::make_unique<Process>(
          scheduler_, clock_, faults_,
          ProcessOptions{name, plan_.crashes, plan_.suspects, random_.next()}));
    }
    std::vector<std::function<void()>> threads;
    for (const std::size_t number : {0, 0, 1, 1, 2, 2, 3}) {
      threads.push_back([this, number, seed = random_.next()] { act(number, seed); });
    }
    phase(std::move(threads));
    for (const auto& process : processes_) {
      counts_.crashes += process->crashes();
      counts_.owners_given_up += process->owners_given_up();
    }
    processes_.clear();
    faults_->set_plan({});
    faults_->flush_late();
    phase({[this] { settle(); }});
    oracle_.judge();
    counts_.faults = faults_->counts();
    return {scheduler_.trace_hash(), scheduler_.step(), counts_, oracle_.violations()};
  }

 private:
  void phase(std::vector<std::function<void()>> threads) {
    for (auto& thread : threads) scheduler_.spawn(std::move(thread));
    scheduler_.run([this] {
      std::fprintf(stderr, "violation: seed %llu: threads wait for each other for ever\n",
                   static_cast<unsigned long long>(seed_));
      _exit(1);
    });
  }

  std::unique_ptr<Process> calm_process(const char* name) {
    return std::make_unique<Process>(scheduler_, clock_, faults_,
                                     ProcessOptions{name, 0, 0, random_.next()});
  }

  void create() {
    const auto creator = calm_process("creator")->make();
    const IndexConfig config{plan_.content.dim, plan_.metric};
    const auto index = creator->database->create_index(kIndexName, config, false);
    if (!index) return oracle_.violation("the index could not be created");
    const auto info = (*index)->info();
    if (!info) return oracle_.violation("the index could not be read");
    watch_->watch(format::Uuid::from_hex(info->uuid).value());
  }

  // --- actors ---

  void act(std::size_t number, std::uint64_t seed) {
    base::Random random(seed);
    Process& process = *processes_[number];
    for (std::uint32_t i = 0; i < plan_.ops; ++i) {
      const auto instance = process.alive();
      // Faults may be that dense; whether the index is sound is judged without them.
      if (instance == nullptr) return;
      Index& index = *instance->index;
      if (number < 2) {
        write_something(index, random);
      } else if (number == 2) {
        read_something(index, random);
      } else {
        compact(index);
        clock_.sleep_for(Milliseconds(random.below(50)));
      }
      clock_.sleep_for(std::chrono::microseconds(random.below(20'000)));
    }
  }

  void write_something(Index& index, base::Random& random) {
    const std::uint64_t dice = random.below(100);
    if (dice < 50) return put(index, random);
    if (dice < 70) return remove(index, random);
    if (dice < 82) return fold(index);
    if (dice < 88) return import(index, random);
    if (dice < 91) return compact(index);
    read_something(index, random);
  }

  void read_something(Index& index, base::Random& random) {
    const std::uint64_t dice = random.below(10);
    if (dice < 5) return query(index, random);
    if (dice < 8) return get(index, random);
    list(index);
  }

  // Some keys, each once.
  std::vector<std::uint32_t> choose_keys(base::Random& random) const {
    std::vector<std::uint32_t> all(plan_.keys);
    for (std::uint32_t i = 0; i < plan_.keys; ++i) all[i] = i;
    const std::size_t count = 1 + random.below(std::min<std::uint32_t>(plan_.keys, 5));
    for (std::size_t i = 0; i < count; ++i) {
      std::swap(all[i], all[i + random.below(all.size() - i)]);
    }
    all.resize(count);
    return all;
  }

  // Enters the batch into the history, runs it and enters how it ended.
  template <typename Operation>
  bool write(const std::vector<std::uint32_t>& keys, const std::vector<std::uint64_t>& versions,
             const Operation& operation) {
    std::vector<Write> batch;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      Write one;
      one.key = keys[i];
      if (!versions.empty()) one.version = versions[i];
      one.start = tick();
      batch.push_back(one);
    }
    const std::size_t first = oracle_.begin(batch);
    const Result<std::optional<Lsn>> done = operation();
    if (done && *done) watch_->check_acked(**done);
    const Outcome outcome = done                       ? Outcome::ok
                            : is_unknown(done.error()) ? Outcome::unknown
                                                       : Outcome::failed;
    oracle_.end(first, keys.size(), tick(), outcome, done.value_or(std::nullopt));
    counts_.unknown_writes += outcome == Outcome::unknown;
    note("write", done ? std::nullopt : std::optional(done.error()));
    return done.has_value();
  }

  void put(Index& index, base::Random& random) {
    const auto keys = choose_keys(random);
    std::vector<std::uint64_t> versions;
    std::vector<VectorRecord> records;
    for (const std::uint32_t key : keys) {
      versions.push_back(++versions_);
      records.push_back(plan_.content.record(key, versions.back()));
    }
    counts_.acked_puts += write(keys, versions, [&]() -> Result<std::optional<Lsn>> {
      return index.put(records).map([](const PutAck& ack) { return std::optional(ack.lsn); });
    });
  }

  void remove(Index& index, base::Random& random) {
    const auto keys = choose_keys(random);
    std::vector<std::string> names;
    for (const std::uint32_t key : keys) names.push_back(plan_.content.key(key));
    counts_.acked_deletes += write(keys, {}, [&]() -> Result<std::optional<Lsn>> {
      return index.remove(names).map([](const PutAck& ack) { return std::optional(ack.lsn); });
    });
  }

  void import(Index& index, base::Random& random) {
    const auto keys = choose_keys(random);
    std::vector<std::uint64_t> versions;
    std::vector<VectorRecord> records;
    for (const std::uint32_t key : keys) {
      versions.push_back(++versions_);
      records.push_back(plan_.content.record(key, versions.back()));
    }
    counts_.imports += write(keys, versions, [&]() -> Result<std::optional<Lsn>> {
      Rows rows(records);
      // What failed half-way is known to have failed only where the interface says so; here any
      // failure counts as unknown.
      auto done = index.import(rows, {});
      if (!done) return fail(ErrorKind::unavailable, done.error().message);
      return std::optional<Lsn>();
    });
  }

  void fold(Index& index) {
    const auto done = index.fold();
    counts_.folds += done.has_value();
    note("fold", done ? std::nullopt : std::optional(done.error()));
  }

  void compact(Index& index) {
    const auto done = index.compact({});
    counts_.compacts += done.has_value();
    note("compact", done ? std::nullopt : std::optional(done.error()));
  }

  // --- reads ---

  std::optional<Seen> seen_record(std::uint32_t key, const VectorRecord& record) {
    const auto version = plan_.content.version_of(key, record.metadata);
    if (version) {
      const VectorRecord expected = plan_.content.record(key, *version);
      if (expected.vector == record.vector && expected.key == record.key) {
        return Seen{key, version};
      }
    }
    oracle_.violation(
        fmt::format("torn value: key '{}' with metadata '{}'", record.key, record.metadata));
    return std::nullopt;
  }

  void get(Index& index, base::Random& random) {
    const auto keys = choose_keys(random);
    std::vector<std::string> names;
    for (const std::uint32_t key : keys) names.push_back(plan_.content.key(key));
    Read read{"get", tick(), 0, {}, false};
    const auto found = index.get(names);
    read.end = tick();
    note("get", found ? std::nullopt : std::optional(found.error()));
    if (!found) return failed_read(found.error());
    ++counts_.gets;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto seen =
          (*found)[i] ? seen_record(keys[i], *(*found)[i]) : Seen{keys[i], std::nullopt};
      if (seen) read.seen.push_back(*seen);
    }
    oracle_.add(std::move(read));
  }

  void list(Index& index) {
    Read read{"list", tick(), 0, {}, true};
    const auto page = index.list("", 1000);
    read.end = tick();
    note("list", page ? std::nullopt : std::optional(page.error()));
    if (!page) return failed_read(page.error());
    ++counts_.lists;
    for (std::uint32_t key = 0; key < plan_.keys; ++key) {
      const bool there =
          std::binary_search(page->keys.begin(), page->keys.end(), plan_.content.key(key));
      read.seen.push_back({key, there ? std::optional<std::uint64_t>(0) : std::nullopt});
    }
    if (std::adjacent_find(page->keys.begin(), page->keys.end(), std::greater_equal<>()) !=
        page->keys.end()) {
      oracle_.violation("I6: a listing is out of order or has a key twice");
    }
    oracle_.add(std::move(read));
  }

  double distance(const std::vector<float>& a, const std::vector<float>& b) const {
    double product = 0, norm_a = 0, norm_b = 0, squares = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double x = a[i], y = b[i];
      product += x * y;
      norm_a += x * x;
      norm_b += y * y;
      squares += (x - y) * (x - y);
    }
    return plan_.metric == Metric::euclidean ? squares : 1 - product / std::sqrt(norm_a * norm_b);
  }

  void query(Index& index, base::Random& random) {
    QueryOptions options;
    options.k = 100;
    options.exact = random.below(4) != 0;
    const auto vector =
        plan_.content.record(static_cast<std::uint32_t>(random.below(plan_.keys)), random.below(50))
            .vector;
    Read read{options.exact ? "exact query" : "query", tick(), 0, {}, false};
    const auto answer = index.query(vector, options);
    read.end = tick();
    note("query", answer ? std::nullopt : std::optional(answer.error()));
    if (!answer) return failed_read(answer.error());
    ++counts_.queries;
    std::vector<bool> met(plan_.keys);
    double last = -1;
    for (const Hit& hit : answer->hits) {
      const auto key = plan_.content.number_of(hit.key);
      const auto version =
          key ? plan_.content.version_of(*key, hit.metadata) : std::optional<std::uint64_t>();
      if (!version || *key >= plan_.keys || met[*key]) {
        oracle_.violation(fmt::format("torn or repeated hit: '{}' '{}'", hit.key, hit.metadata));
        continue;
      }
      met[*key] = true;
      read.seen.push_back({*key, version});
      const double expected = distance(vector, plan_.content.record(*key, *version).vector);
      if (std::abs(expected - hit.distance) > 1e-6 * (1 + expected) || hit.distance < last) {
        oracle_.violation(fmt::format("torn hit: '{}' version {}: distance {} instead of {}",
                                      hit.key, *version, hit.distance, expected));
      }
      last = hit.distance;
    }
    for (std::uint32_t key = 0; options.exact && key < plan_.keys; ++key) {
      if (!met[key]) read.seen.push_back({key, std::nullopt});
    }
    oracle_.add(std::move(read));
  }

  void failed_read(const Error& error) {
    ++counts_.failed_reads;
    // Faults are temporary, so an index that reports a loss or a defect is broken. Bytes that were
    // damaged on the way are `corrupt` too.
    const bool lost = error.message.find("which HEAD needs") != std::string::npos ||
                      error.message.find("is missing") != std::string::npos;
    if (error.kind == ErrorKind::internal || error.kind == ErrorKind::not_found || lost) {
      oracle_.violation("a read failed: " + error.message);
    }
  }

  // --- the end ---

  // No faults any more: whatever the run left behind must be sound, and stay the same.
  void settle() {
    const auto first = calm_process("first")->alive();
    if (first == nullptr) return oracle_.violation("the index cannot be opened after the run");
    const std::string state = check(*first->index, "after the run");
    read_all(*first->index);
    const auto second = calm_process("second")->alive();
    if (second == nullptr) return oracle_.violation("the index cannot be opened a second time");
    if (check(*second->index, "in a second process") != state) {
      oracle_.violation("I15: two processes replay to different states");
    }
    // Long enough for the jobs of crashed processes to count as abandoned.
    clock_.sleep_for(std::chrono::hours(25));
    const auto compacted = second->index->compact({});
    if (!compacted) oracle_.violation("the last compact failed: " + compacted.error().message);
    if (check(*first->index, "after the last compact") != state) {
      oracle_.violation("I11: compact changed the state");
    }
    const auto report = second->index->fsck({});
    if (report && report->orphans > 0) {
      oracle_.violation(fmt::format("{} orphans are left by the last compact", report->orphans));
    }
    read_all(*first->index);
    read_all(*second->index);
  }

  // The state hash.
  std::string check(Index& index, const char* when) {
    const auto report = index.fsck({});
    if (!report) {
      oracle_.violation(fmt::format("fsck {}: {}", when, report.error().message));
      return {};
    }
    for (const auto& finding : report->findings) {
      oracle_.violation(fmt::format("fsck {}: {} {}: {}", when, finding.invariant, finding.object,
                                    finding.message));
    }
    return report->state_hash;
  }

  void read_all(Index& index) {
    base::Random random(seed_);
    const auto before = counts_.failed_reads;
    query(index, random);
    list(index);
    for (int i = 0; i < 8; ++i) get(index, random);
    if (counts_.failed_reads != before) oracle_.violation("a read failed without any fault");
  }

  // Each event has its own step.
  std::uint64_t tick() { return ++ticks_; }

  void note(const char* what, const std::optional<Error>& error) {
    scheduler_.tell(what, "", error ? error->message : "ok");
  }

  const std::uint64_t seed_;
  base::Random random_;
  const Plan plan_;
  Scheduler scheduler_;
  SimClock clock_;
  std::shared_ptr<store::MemoryStore> memory_;
  std::shared_ptr<WatchStore> watch_;
  std::shared_ptr<store::FaultStore> faults_;
  std::vector<std::unique_ptr<Process>> processes_;
  Oracle oracle_;
  Counts counts_;
  std::uint64_t versions_ = 0;
  std::uint64_t ticks_ = 0;
};

}  // namespace

RunResult run_seed(std::uint64_t seed, bool verbose) { return World(seed, verbose).run(); }

}  // namespace varve::sim
