#include "store/lock_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "store/keys.h"
#include "store/outcome.h"

namespace varve::store {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kLockFiles = 64;
// Holders do a few syncs, so the first wait is short against one.
constexpr base::Duration kWaitMin = 200us;
constexpr base::Duration kWaitMax = 10ms;

Result<Fd> open_lock(Folders& folders, const std::string& path) {
  // Two turns: `.locks` is never removed once it exists.
  for (int tries = 0; tries < 2; ++tries) {
    Fd fd = open_at(folders.root(), path, O_RDWR | O_CREAT | O_NOFOLLOW);
    if (fd) return fd;
    if (errno != ENOENT) break;
    VARVE_CHECK(folders.make(kLockFolder));
  }
  return tl::unexpected(system_error(errno, "lock", path));
}

}  // namespace

KeyLock::~KeyLock() {
  // Not left to close(2): a child that was forked meanwhile shares the lock.
  if (fd_) ::flock(fd_.get(), LOCK_UN);
}

Result<KeyLock> lock_key(Folders& folders, std::string_view key, base::Clock& clock,
                         base::Deadline deadline) {
  const auto slot = XXH3_64bits(key.data(), key.size()) % kLockFiles;
  const std::string path = fmt::format("{}/{:02}", kLockFolder, slot);
  VARVE_TRY(Fd fd, open_lock(folders, path));
  // Polled, since flock(2) knows no deadline.
  for (base::Duration wait = kWaitMin;; wait = std::min(wait * 2, kWaitMax)) {
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return KeyLock(std::move(fd));
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return tl::unexpected(system_error(errno, "lock", path));
    }
    VARVE_CHECK(check_deadline(clock, deadline));
    clock.sleep_for(wait);
  }
}

}  // namespace varve::store
