// The exit codes of `varve`, one table for all verbs.
//
//   0  done; a search without a hit is done too
//   1  the operation failed: bytes that do not verify, output that cannot be written, a defect
//   2  the request is wrong: usage, a bad name, vector or file, a store that this user may not
//      write
//   3  the named thing does not exist
//   4  it exists already with another configuration, a conditional write lost, or another process
//      has the folder of the cache
//   5  a part was done: some rows or files failed, and are listed
//   7  the store does not answer, is full or overloaded, or the time is over
//   130, 141, 143  ended by SIGINT, SIGPIPE (nobody reads the output any more), SIGTERM
#pragma once

#include "varve/result.h"

namespace varve::cli {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNotFound = 3;
inline constexpr int kExitConflict = 4;
inline constexpr int kExitPartial = 5;
inline constexpr int kExitUnavailable = 7;

constexpr int exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid:
      return kExitUsage;
    case ErrorKind::not_found:
      return kExitNotFound;
    case ErrorKind::conflict:
      return kExitConflict;
    case ErrorKind::unavailable:
    case ErrorKind::overloaded:
    case ErrorKind::cancelled:
      return kExitUnavailable;
    case ErrorKind::corrupt:
    case ErrorKind::internal:
      return kExitFailed;
  }
  return kExitFailed;
}

}  // namespace varve::cli
