#include "store/local_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/manual_clock.h"
#include "store/test_stores.h"

namespace varve::store {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::shared_ptr<ObjectStore> open(const std::string& path, std::uint64_t seed = 1) {
  auto store = open_local_store(path, base::Random(seed));
  EXPECT_TRUE(store) << store.error().message;
  return *store;
}

std::vector<std::string> keys(ObjectStore& store) {
  std::vector<std::string> found;
  const auto page = store.list("", "", 100'000, kNever);
  for (const auto& entry : page->entries) found.push_back(entry.key);
  return found;
}

std::size_t files_in(const std::string& path) {
  std::error_code missing;
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(path, missing)) count += entry.is_regular_file();
  return count;
}

// Runs `body` in a child process, whose exit status is what `body` returns.
pid_t in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::_exit(body());
  }
  return child;
}

int exit_status(pid_t child) {
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A text of `size` bytes that proves itself complete.
std::string whole(std::uint64_t number, std::size_t size) {
  std::string text = fmt::format("{:020}", number);
  text.append(size - 2 * text.size(), static_cast<char>('a' + number % 26));
  return text + text.substr(0, 20);
}

bool is_whole(std::string_view text) {
  return text.size() >= 40 && text.substr(0, 20) == text.substr(text.size() - 20) &&
         text.substr(20, text.size() - 40).find_first_not_of(text[20]) == std::string_view::npos;
}

TEST(LocalStore, ObjectsSurviveReopening) {
  TempDir dir;
  const auto etag = *create(*open(dir.path("new/store")), "a/b", "hello");
  const auto store = open(dir.path("new/store/"));
  EXPECT_EQ((*store->get("a/b", kNever))->etag, etag);
  EXPECT_EQ(text_of(*store, "a/b"), "hello");
}

TEST(LocalStore, AKeyIsAPathBelowTheDirectory) {
  TempDir dir;
  ASSERT_TRUE(create(*open(dir.path()), "a/b", "hello"));
  std::ifstream file(dir.path("a/b"));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "hello");
}

TEST(LocalStore, NoTemporaryFileStays) {
  TempDir dir;
  const auto store = open(dir.path());
  const auto etag = *create(*store, "a", "1");
  EXPECT_FALSE(create(*store, "a", "2"));
  EXPECT_TRUE(replace(*store, "a", "3", etag));
  EXPECT_FALSE(replace(*store, "a", "4", etag));
  EXPECT_TRUE(fs::is_directory(dir.path(".tmp")));
  EXPECT_EQ(files_in(dir.path(".tmp")), 0U);
}

TEST(LocalStore, RemoveTakesEmptyFoldersButNeverTheRoot) {
  TempDir dir;
  const auto store = open(dir.path("root"));
  ASSERT_TRUE(create(*store, "a/b/c", "1"));
  ASSERT_TRUE(create(*store, "a/d", "1"));
  ASSERT_TRUE(store->remove(std::vector<std::string>{"a/b/c"}, kNever));
  EXPECT_FALSE(fs::exists(dir.path("root/a/b")));
  EXPECT_TRUE(fs::exists(dir.path("root/a/d")));
  ASSERT_TRUE(store->remove(std::vector<std::string>{"a/d"}, kNever));
  EXPECT_FALSE(fs::exists(dir.path("root/a")));
  EXPECT_TRUE(fs::exists(dir.path("root")));
}

TEST(LocalStore, StrayFilesDoNotMatter) {
  TempDir dir;
  const auto store = open(dir.path());
  ASSERT_TRUE(create(*store, "a/b", "1"));
  fs::create_directories(dir.path("lost+found"));
  fs::create_directories(dir.path("empty/folder"));
  std::ofstream(dir.path("a/b~")) << "editor";
  std::ofstream(dir.path("lost+found/x")) << "stray";
  std::ofstream(dir.path(".tmp/leftover")) << "half";
  fs::create_symlink("/etc/passwd", dir.path("link"));
  fs::create_symlink(".", dir.path("loop"));
  ASSERT_EQ(::mkfifo(dir.path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(keys(*store), ElementsAre("a/b"));
  for (const char* key : {"link", "pipe", "empty/folder", "loop"}) {
    EXPECT_EQ(text_of(*store, key), "<none>") << key;
  }
  EXPECT_TRUE(store->remove(std::vector<std::string>{"link", "pipe", "empty"}, kNever));
  EXPECT_TRUE(fs::is_symlink(dir.path("link")));
}

TEST(LocalStore, AKeyIsNotAFolderOfAnother) {
  TempDir dir;
  const auto store = open(dir.path());
  ASSERT_TRUE(create(*store, "a/b", "1"));
  for (const char* key : {"a", "a/b/c", "a/b/c/d"}) {
    EXPECT_EQ(kind_of(create(*store, key, "2")), "invalid") << key;
    EXPECT_EQ(text_of(*store, key), "<none>") << key;
    EXPECT_TRUE(store->remove(std::vector<std::string>{key}, kNever)) << key;
  }
  EXPECT_EQ(text_of(*store, "a/b"), "1");
  EXPECT_EQ(files_in(dir.path(".tmp")), 0U);
}

TEST(LocalStore, OpeningRemovesOldTemporaryFilesOnly) {
  TempDir dir;
  ASSERT_TRUE(create(*open(dir.path()), "a", "1"));
  for (const char* name : {".tmp/old", ".tmp/young"}) std::ofstream(dir.path(name)) << "half";
  const timespec times[2] = {{1000, 0}, {1000, 0}};
  const timespec later[2] = {{5000, 0}, {5000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, dir.path(".tmp/old").c_str(), times, 0), 0);
  ASSERT_EQ(::utimensat(AT_FDCWD, dir.path(".tmp/young").c_str(), later, 0), 0);
  base::ManualClock clock(std::chrono::seconds(5000));
  ASSERT_TRUE(open_local_store(dir.path(), base::Random(1), clock));
  EXPECT_FALSE(fs::exists(dir.path(".tmp/old")));
  EXPECT_TRUE(fs::exists(dir.path(".tmp/young")));
  EXPECT_TRUE(fs::exists(dir.path("a")));
}

TEST(LocalStore, AFileIsNoStore) {
  TempDir dir;
  std::ofstream(dir.path("file")) << "x";
  EXPECT_EQ(kind_of(open_local_store(dir.path("file"), base::Random(1))), "invalid");
  EXPECT_EQ(kind_of(open_local_store("", base::Random(1))), "invalid");
  EXPECT_NE(kind_of(open_local_store(dir.path("file/below"), base::Random(1))), "ok");
}

TEST(LocalStore, ReadingCreatesNothing) {
  TempDir dir;
  const auto store = open(dir.path());
  EXPECT_EQ(text_of(*store, "a/b"), "<none>");
  EXPECT_EQ(kind_of(replace(*store, "a", "1", Etag{"x"})), "conflict");
  EXPECT_TRUE(store->remove(std::vector<std::string>{"a"}, kNever));
  EXPECT_THAT(keys(*store), IsEmpty());
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST(LocalStore, ReplaceWaitsForTheLockUntilTheDeadline) {
  TempDir dir;
  base::ManualClock clock;
  const auto store = *open_local_store(dir.path(), base::Random(1), clock);
  const auto etag = *create(*store, "a", "1");
  const auto second = *replace(*store, "a", "2", etag);
  std::vector<int> held;
  for (const auto& entry : fs::directory_iterator(dir.path(".locks"))) {
    held.push_back(::open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::flock(held.back(), LOCK_EX), 0);
  }
  ASSERT_EQ(held.size(), 1U);
  const auto deadline = base::Deadline::after(clock, std::chrono::seconds(1));
  EXPECT_EQ(kind_of(store->replace("a", {}, second, deadline)), "cancelled");
  EXPECT_EQ(kind_of(store->remove(std::vector<std::string>{"a"}, deadline)), "cancelled");
  ::close(held[0]);
  EXPECT_EQ(text_of(*store, "a"), "2");
  EXPECT_EQ(kind_of(replace(*store, "a", "3", second)), "ok");
}

TEST(LocalStore, ABatchOutlivesTheStore) {
  TempDir dir;
  auto store = open(dir.path());
  ASSERT_TRUE(create(*store, "a", "0123"));
  auto batch = store->read(std::vector<ReadRequest>{{"a", 1, 2, 0}}, kNever);
  store.reset();
  EXPECT_EQ(text_of(batch->next()->bytes), "12");
}

TEST(LocalStore, AReaderNeverSeesHalfAReplace) {
  TempDir dir(Medium::memory);
  const auto store = open(dir.path());
  auto etag = *create(*store, "a", whole(0, 50'000));
  const pid_t writer = in_child([&] {
    for (std::uint64_t i = 1; i < 200; ++i) {
      const auto next = replace(*store, "a", whole(i, 40 + i * 997 % 100'000), etag);
      if (!next) return 1;
      etag = *next;
    }
    return 0;
  });
  int status = 0;
  while (::waitpid(writer, &status, WNOHANG) == 0) ASSERT_TRUE(is_whole(text_of(*store, "a")));
  EXPECT_EQ(status, 0);
}

// Creates, replaces and removes until it is killed; the head counts up from `first`.
int write_for_ever(const std::string& path, std::uint64_t first) {
  const auto store = open(path, first);
  auto etag = (**store->get("head", kNever)).etag;
  constexpr std::uint64_t kMore = 1000;  // ends if nobody kills it
  for (std::uint64_t i = first; i < first + kMore; ++i) {
    const auto key = fmt::format("{}/{}", i % 3, i);
    if (!create(*store, key, whole(i, 200'000))) return 1;
    const auto next = replace(*store, "head", whole(i, 100'000), etag);
    if (!next) return 2;
    etag = *next;
    if (i % 5 == 4 && !store->remove(std::vector<std::string>{key}, kNever)) return 3;
  }
  return 4;
}

TEST(LocalStore, AKilledWriterLeavesWholeObjectsOnly) {
  TempDir dir(Medium::memory);
  const auto store = open(dir.path());
  ASSERT_TRUE(create(*store, "head", whole(0, 1000)));
  for (std::uint64_t round = 1; round <= 20; ++round) {
    const std::uint64_t first = round * 1'000'000;
    const pid_t writer = in_child([&] { return write_for_ever(dir.path(), first); });
    // Killed at another place each round: after some progress, then after some system calls.
    while (std::stoull(text_of(*store, "head").substr(0, 20)) < first + round % 4) {
    }
    for (std::uint64_t spin = 0; spin < round * 7; ++spin) (void)store->get("head", kNever);
    ASSERT_EQ(::kill(writer, SIGKILL), 0);
    EXPECT_EQ(exit_status(writer), -1);
    const auto reopened = open(dir.path(), round);
    for (const auto& key : keys(*reopened)) EXPECT_TRUE(is_whole(text_of(*reopened, key))) << key;
    // A lock that the dead writer held is free again.
    const auto head = **reopened->get("head", kNever);
    EXPECT_EQ(kind_of(replace(*reopened, "head", whole(first, 500), head.etag)), "ok");
  }
  EXPECT_GT(keys(*store).size(), 20U);
}

TEST(LocalStore, OfTwoProcessesOneWinsEachCreateAndReplace) {
  TempDir dir(Medium::memory);
  constexpr int kRounds = 200;
  {
    const auto store = open(dir.path());
    for (int i = 0; i < kRounds; ++i) {
      ASSERT_TRUE(create(*store, fmt::format("r/{}", i), fmt::format("start {}", i)));
    }
  }
  // Both count their victories in an object of their own.
  const auto compete = [&](std::string_view me) {
    const auto store = open(dir.path(), 7);
    int creates = 0, replaces = 0;
    for (int i = 0; i < kRounds; ++i) {
      creates += create(*store, fmt::format("c/{}", i), me).has_value();
      // The etag of the start is what `create` of the same bytes gives.
      const auto etag = create(*store, fmt::format("{}/{}", me, i), fmt::format("start {}", i));
      replaces += replace(*store, fmt::format("r/{}", i), me, *etag).has_value();
    }
    return create(*store, fmt::format("score-{}", me), fmt::format("{} {}", creates, replaces)) ? 0
                                                                                                : 1;
  };
  const pid_t one = in_child([&] { return compete("one"); });
  const pid_t two = in_child([&] { return compete("two"); });
  EXPECT_EQ(exit_status(one), 0);
  EXPECT_EQ(exit_status(two), 0);
  const auto store = open(dir.path());
  int creates[2] = {}, replaces[2] = {};
  ASSERT_EQ(std::sscanf(text_of(*store, "score-one").c_str(), "%d %d", &creates[0], &replaces[0]),
            2);
  ASSERT_EQ(std::sscanf(text_of(*store, "score-two").c_str(), "%d %d", &creates[1], &replaces[1]),
            2);
  EXPECT_EQ(creates[0] + creates[1], kRounds);
  EXPECT_EQ(replaces[0] + replaces[1], kRounds);
}

TEST(LocalStore, ADirectoryWithoutWriteAccessCanBeRead) {
  TempDir dir;
  ASSERT_TRUE(create(*open(dir.path()), "a/b", "1"));
  fs::permissions(dir.path("a"), fs::perms::owner_read | fs::perms::owner_exec);
  fs::permissions(dir.path(".tmp"), fs::perms::owner_read | fs::perms::owner_exec);
  // Root may write anyway, so a child without its rights tries.
  const pid_t child = in_child([&] {
    if (::geteuid() == 0) {
      fs::permissions(dir.path(), fs::perms::all);
      for (const char* name : {"", "a", ".tmp"}) {
        if (::chown(dir.path(name).c_str(), 65534, 65534) != 0) return 77;
      }
      if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 77;
    }
    if (::access(dir.path("a").c_str(), W_OK) == 0) return 77;
    const auto store = open_local_store(dir.path(), base::Random(1));
    if (!store || text_of(**store, "a/b") != "1") return 1;
    const auto refused = create(**store, "a/c", "2");
    if (kind_of(refused) != "invalid") return 2;
    if (refused.error().message.find("permission denied") == std::string::npos) return 3;
    if (refused.error().message.find(".tmp/") == std::string::npos) return 4;
    if (text_of(**store, "a/c") != "<none>") return 5;
    return 0;
  });
  const int status = exit_status(child);
  fs::permissions(dir.path("a"), fs::perms::owner_all);
  fs::permissions(dir.path(".tmp"), fs::perms::owner_all);
  if (status == 77) GTEST_SKIP() << "this user cannot give up its rights";
  EXPECT_EQ(status, 0);
}

// A small file system of our own; tests skip where mounting is not permitted.
class SmallDisk {
 public:
  explicit SmallDisk(const char* options) {
    mounted_ = ::mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, options) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(dir_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  std::string path(const std::string& below = {}) const { return dir_.path(below); }
  bool make_read_only() const {
    return ::mount(nullptr, dir_.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
  }

 private:
  TempDir dir_;
  bool mounted_ = false;
};

TEST(LocalStore, AFullDiskRefusesWritesAndKeepsWhatIsThere) {
  SmallDisk disk("size=1m");
  if (!disk.mounted()) GTEST_SKIP() << "mounting is not permitted";
  const auto store = open(disk.path());
  const auto etag = *create(*store, "head", "old");
  const std::string block(200'000, 'x');
  int written = 0;
  Result<Etag> last = Etag{};
  for (int i = 0; i < 20 && last; ++i) {
    last = create(*store, fmt::format("d/{}", i), block);
    written += last.has_value();
  }
  ASSERT_EQ(kind_of(last), "overloaded");
  EXPECT_THAT(last.error().message, HasSubstr("no space left on device"));
  EXPECT_FALSE(last.error().hint.empty());
  EXPECT_EQ(text_of(*store, fmt::format("d/{}", written)), "<none>");
  EXPECT_EQ(kind_of(replace(*store, "head", block, etag)), "overloaded");
  EXPECT_EQ(text_of(*store, "head"), "old");
  EXPECT_EQ(files_in(disk.path(".tmp")), 0U);
  // Space returns: so do writes.
  ASSERT_TRUE(store->remove(std::vector<std::string>{"d/0"}, kNever));
  EXPECT_EQ(kind_of(create(*store, "d/again", block)), "ok");
  EXPECT_EQ(kind_of(replace(*store, "head", "new", etag)), "ok");
}

TEST(LocalStore, AFileSystemWithoutFreeInodesRefusesWrites) {
  SmallDisk disk("nr_inodes=8");
  if (!disk.mounted()) GTEST_SKIP() << "mounting is not permitted";
  const auto store = open(disk.path());
  Result<Etag> last = Etag{};
  for (int i = 0; i < 20 && last; ++i) last = create(*store, fmt::format("{}/x", i), "x");
  EXPECT_THAT(last.error().message, HasSubstr("no space left on device"));
  EXPECT_EQ(files_in(disk.path(".tmp")), 0U);
  EXPECT_EQ(text_of(*store, "0/x"), "x");
}

TEST(LocalStore, AReadOnlyFileSystemCanBeRead) {
  SmallDisk disk("size=1m");
  if (!disk.mounted()) GTEST_SKIP() << "mounting is not permitted";
  const auto etag = *create(*open(disk.path()), "a/b", "1");
  ASSERT_TRUE(disk.make_read_only());
  const auto store = open(disk.path());
  EXPECT_EQ(text_of(*store, "a/b"), "1");
  EXPECT_THAT(keys(*store), ElementsAre("a/b"));
  const auto created = create(*store, "c", "2");
  EXPECT_EQ(kind_of(created), "invalid");
  EXPECT_THAT(created.error().message, HasSubstr("read-only file system"));
  EXPECT_EQ(kind_of(replace(*store, "a/b", "2", etag)), "invalid");
  EXPECT_EQ(kind_of(store->remove(std::vector<std::string>{"a/b"}, kNever)), "invalid");
  EXPECT_EQ(text_of(*store, "a/b"), "1");
}

}  // namespace
}  // namespace varve::store
