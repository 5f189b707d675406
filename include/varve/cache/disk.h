// The tier that keeps entries in files, over restarts of the process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "varve/cache/tier.h"
#include "varve/result.h"

namespace varve::base {
class Clock;
class Pool;
}  // namespace varve::base

namespace varve::cache {

class EvictionPolicy;
class FileAccess;

struct DiskOptions {
  std::string folder;  // made if there is none; one process at a time
  // Of the files, headers and indexes included. 0: all but a twentieth of the file system, or all
  // but 16 GiB of a large one; the oldest files go where others take more. There are at most 16,000
  // segments. A disk that is full, or so many segments, are as a capacity that is reached.
  Capacity capacity;
  // Of a file: 4 KiB to 256 MiB. Less with a small capacity, which holds at least eight.
  std::uint64_t segment_bytes = std::uint64_t{16} << 20;
  // True: a key names one value for ever, for example because it holds the hash of the value. Then
  // entries are found again also after a power failure or a crash of the machine, and one that was
  // removed may be among them.
  //
  // False: values change. Then a folder that was in use when the machine went down starts empty,
  // since writes that were lost would bring back older values, and closing waits until all is on
  // the device. A process that ends without closing costs nothing. Who changes the same values by
  // other ways than this tier clears the folder (clear_disk_tier).
  bool immutable = false;
  // fsync of a segment when it is full, where entries are `immutable`: a power failure costs less.
  bool sync_at_seal = false;
  RemovalCallback on_removal;        // beside the owner of the tier
  base::Pool* background = nullptr;  // where files found are read; null: a thread of its own
  FileAccess* files = nullptr;       // null: those of the operating system
  base::Clock* clock = nullptr;      // null: the real one
};

// What the policy decides: `fifo` gives up the oldest file as a whole and keeps what was hit since
// it was written; any other chooses entries one by one, which costs memory for its bookkeeping and
// copies of what stays.
//
// Returns before the entries of an earlier process are known: until then they are misses, and
// writes for which there is no room are refused. `conflict`: another process has the folder.
// `invalid`: the options, or the folder cannot be written. All failures after that are misses and
// counted.
Result<std::unique_ptr<Tier>> open_disk_tier(DiskOptions options,
                                             std::unique_ptr<EvictionPolicy> policy);

// Deletes the files of a disk tier and leaves all others. `conflict`: a process has it open.
Status clear_disk_tier(const std::string& folder);

}  // namespace varve::cache
