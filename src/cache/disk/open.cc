#include <fmt/format.h>

#include "cache/disk/disk_tier.h"
#include "cache/disk/folder_state.h"

namespace varve::cache {
namespace {

constexpr const char* kLockName = "LOCK";

Status check_options(const DiskOptions& options, const EvictionPolicy* policy) {
  if (policy == nullptr) return fail(ErrorKind::invalid, "the disk tier has no eviction policy");
  if (options.folder.empty()) return fail(ErrorKind::invalid, "the disk tier has no folder");
  if (options.segment_bytes < kSegmentBytesMin || options.segment_bytes > kSegmentBytesMax) {
    return fail(ErrorKind::invalid,
                fmt::format("segments of {} bytes: allowed are {} to {}", options.segment_bytes,
                            kSegmentBytesMin, kSegmentBytesMax));
  }
  if (options.capacity.bytes / kSegmentBytesMax > kSegmentsMax) {
    return fail(ErrorKind::invalid, "the capacity of the disk tier is larger than 4 TB",
                "use several tiers, each with a folder of its own");
  }
  return {};
}

// Segments of other versions stay, as always.
Status discard(FileAccess& files, const std::string& folder,
               const std::vector<FileAccess::Entry>& found) {
  for (const FileAccess::Entry& file : found) {
    const auto number = segment_number(file.name);
    if (!number || Segment::is_of_another_version(files, folder, *number)) continue;
    VARVE_CHECK(files.remove(folder, file.name));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Tier>> open_disk_tier(DiskOptions options,
                                             std::unique_ptr<EvictionPolicy> policy) {
  return open_disk_tier(std::move(options), std::move(policy), kSegmentsMax);
}

Result<std::unique_ptr<Tier>> open_disk_tier(DiskOptions options,
                                             std::unique_ptr<EvictionPolicy> policy,
                                             std::size_t segments_max) {
  VARVE_CHECK(check_options(options, policy.get()));
  if (options.files == nullptr) options.files = &system_files();
  if (options.clock == nullptr) options.clock = &base::system_clock();
  FileAccess& files = *options.files;
  VARVE_CHECK(files.make_folder(options.folder));
  VARVE_TRY(auto lock, files.lock(options.folder, kLockName));
  VARVE_TRY(auto found, files.list(options.folder));
  if (!options.immutable) {
    if (!is_trusted(files, options.folder)) {
      VARVE_CHECK(discard(files, options.folder, found));
      found.clear();
    }
    VARVE_CHECK(note_open(files, options.folder));
  }
  auto tier = std::make_unique<DiskTier>(std::move(options), std::move(policy), std::move(lock),
                                         segments_max);
  tier->start(found);
  return tier;
}

Status clear_disk_tier(const std::string& folder) {
  FileAccess& files = system_files();
  VARVE_TRY(const auto lock, files.lock(folder, kLockName));
  VARVE_TRY(const auto found, files.list(folder));
  for (const FileAccess::Entry& file : found) {
    if (segment_number(file.name)) VARVE_CHECK(files.remove(folder, file.name));
  }
  VARVE_CHECK(files.remove(folder, kStateName));
  return files.remove(folder, kLockName);
}

}  // namespace varve::cache
