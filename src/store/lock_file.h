// Exclusion per key between the threads and processes of one host.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "store/folders.h"
#include "store/posix.h"

namespace varve::store {

// Holds the lock until destruction.
class KeyLock {
 public:
  explicit KeyLock(Fd fd) : fd_(std::move(fd)) {}
  KeyLock(KeyLock&&) noexcept = default;
  ~KeyLock();

 private:
  Fd fd_;
};

// Waits for the lock of `key`: one of 64 files in `.locks`, chosen by hash and never removed. The
// kernel gives it back when the process dies. `cancelled`: the deadline passed first.
Result<KeyLock> lock_key(Folders& folders, std::string_view key, base::Clock& clock,
                         base::Deadline deadline);

}  // namespace varve::store
