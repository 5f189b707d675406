#include "store/local_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <atomic>
#include <cerrno>
#include <set>

#include "store/folders.h"
#include "store/keys.h"
#include "store/local_batch.h"
#include "store/lock_file.h"
#include "store/outcome.h"
#include "store/posix.h"
#include "store/walk.h"

namespace varve::store {
namespace {

constexpr std::int64_t kTempAgeMaxSeconds = 3600;
// Each turn loses a race against a removal of the last object of a folder, or against a process
// that drew the same name.
constexpr int kRaceTriesMax = 64;

// Objects carry nonces, so equal content means the same write.
Etag etag_of(base::ByteSpan bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return Etag{fmt::format("{:016x}{:016x}", hash.high64, hash.low64)};
}

// A complete file that no key names yet; unlinked on destruction.
class TempFile {
 public:
  TempFile(int root, std::string path) : root_(root), path_(std::move(path)) {}
  TempFile(TempFile&& other) noexcept : root_(other.root_), path_(std::exchange(other.path_, {})) {}
  ~TempFile() {
    if (!path_.empty()) ::unlinkat(root_, path_.c_str(), 0);
  }

  const std::string& path() const { return path_; }
  // It was renamed: nothing is left to unlink.
  void renamed() { path_.clear(); }

 private:
  int root_;
  std::string path_;
};

// What batches need of the store, which they may outlive.
struct Root {
  Root(Fd folder, base::Clock& its_clock) : fd(std::move(folder)), clock(its_clock) {}

  Fd fd;
  base::Clock& clock;
  std::atomic<bool> stopped = false;

  Status check_call(base::Deadline deadline) const {
    if (!stopped.load(std::memory_order_acquire)) return check_deadline(clock, deadline);
    return fail(ErrorKind::unavailable, "the store stopped after a folder could not be synced",
                "check the device, then open the store again");
  }
};

class LocalStore final : public ObjectStore {
 public:
  LocalStore(Fd root, base::Random random, base::Clock& clock)
      : root_(std::make_shared<Root>(std::move(root), clock)),
        folders_(root_->fd.get()),
        random_(std::move(random)) {}

  Result<std::optional<Object>> get(std::string_view key, base::Deadline deadline) override;
  std::unique_ptr<ReadBatch> read(std::span<const ReadRequest> requests,
                                  base::Deadline deadline) override;
  Result<Etag> create(std::string_view key, base::ByteSpan bytes, base::Deadline deadline) override;
  Result<Etag> replace(std::string_view key, base::ByteSpan bytes, const Etag& expected,
                       base::Deadline deadline) override;
  Result<ListPage> list(std::string_view prefix, std::string_view start_after, std::uint32_t limit,
                        base::Deadline deadline) override;
  Status remove(std::span<const std::string> keys, base::Deadline deadline) override;

  void remove_stale_temps();

 private:
  Status check_call(base::Deadline deadline) const { return root_->check_call(deadline); }
  // nullopt if there is no object of that key.
  Result<std::optional<Object>> load(const std::string& path) const;
  Result<TempFile> write_temp(base::ByteSpan bytes);
  Result<Fd> open_temp(std::string& path);
  // Gives the file the name of the key; nullopt if that is taken, else the folder to settle.
  Result<std::optional<OpenFolder>> link_new(const TempFile& temp, const std::string& path);
  // `conflict`, or `invalid` if a folder has the name.
  tl::unexpected<Error> name_taken(const std::string& path) const;
  // Makes the visible entries of the folder durable, or stops the store.
  Status settle(const OpenFolder& folder);
  Status unlink_object(const std::string& path, base::Deadline deadline);
  // Makes removals from the folder durable, and removes it if it is empty now.
  Status forget(std::string_view path);

  int root() const { return root_->fd.get(); }

  std::shared_ptr<Root> root_;
  Folders folders_;
  base::Random random_;
};

Result<std::optional<Object>> LocalStore::load(const std::string& path) const {
  VARVE_TRY(const auto file, open_object(root(), path));
  if (!file) return std::nullopt;
  VARVE_TRY(auto bytes, read_range(*file, 0, file->size, path));
  Etag etag = etag_of(bytes);
  return Object{std::move(bytes), std::move(etag)};
}

Result<std::optional<Object>> LocalStore::get(std::string_view key, base::Deadline deadline) {
  VARVE_CHECK(check_key(key));
  VARVE_CHECK(check_call(deadline));
  return load(std::string(key));
}

std::unique_ptr<ReadBatch> LocalStore::read(std::span<const ReadRequest> requests,
                                            base::Deadline deadline) {
  return make_local_batch(std::shared_ptr<const Fd>(root_, &root_->fd), requests,
                          [root = root_, deadline] { return root->check_call(deadline); });
}

Result<Fd> LocalStore::open_temp(std::string& path) {
  for (int tries = 0; tries < kRaceTriesMax; ++tries) {
    path = fmt::format("{}/{}", kTempFolder, base::make_nonce(random_).hex());
    Fd fd = open_at(root(), path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
    if (fd) return fd;
    if (errno == EEXIST) continue;  // another process draws from the same seed
    if (errno != ENOENT) break;
    VARVE_CHECK(folders_.make(kTempFolder));
  }
  return tl::unexpected(system_error(errno, "create", path));
}

Result<TempFile> LocalStore::write_temp(base::ByteSpan bytes) {
  std::string path;
  VARVE_TRY(const Fd fd, open_temp(path));
  TempFile temp(root(), path);
  VARVE_CHECK(write_all(fd, bytes, path));
  VARVE_CHECK(sync(fd, path));
  return temp;
}

tl::unexpected<Error> LocalStore::name_taken(const std::string& path) const {
  struct stat status {};
  const bool found = ::fstatat(root(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (!found || S_ISREG(status.st_mode)) return create_conflict(path);
  return fail(ErrorKind::invalid, fmt::format("object {} has the name of a folder", path));
}

Result<std::optional<OpenFolder>> LocalStore::link_new(const TempFile& temp,
                                                       const std::string& path) {
  const std::string name(name_of(path));
  for (int tries = 0; tries < kRaceTriesMax; ++tries) {
    VARVE_TRY(auto folder, folders_.open(folder_of(path)));
    if (!folder) {
      VARVE_CHECK(folders_.make(folder_of(path)));
      continue;
    }
    if (::linkat(root(), temp.path().c_str(), folder->fd(), name.c_str(), 0) == 0) return folder;
    if (errno == EEXIST) return std::nullopt;
    // ENOENT: the folder was removed after it was opened.
    if (errno != ENOENT) return tl::unexpected(system_error(errno, "create", path));
  }
  return tl::unexpected(system_error(ENOENT, "create", path));
}

Status LocalStore::settle(const OpenFolder& folder) {
  auto status = folders_.sync(folder);
  if (status) return {};
  root_->stopped.store(true, std::memory_order_release);
  // Whatever the reason, the entry is visible already: nobody may take this for a refusal.
  Error error = status.error();
  error.kind = ErrorKind::unavailable;
  return tl::unexpected(std::move(error));
}

Result<Etag> LocalStore::create(std::string_view key, base::ByteSpan bytes,
                                base::Deadline deadline) {
  VARVE_CHECK(check_key(key));
  VARVE_CHECK(check_call(deadline));
  const std::string path(key);
  // Cheap, and it spares a resent create the write.
  if (::faccessat(root(), path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) return name_taken(path);
  VARVE_TRY(const auto temp, write_temp(bytes));
  VARVE_TRY(const auto folder, link_new(temp, path));
  if (!folder) return name_taken(path);
  VARVE_CHECK(settle(*folder));
  return etag_of(bytes);
}

Result<Etag> LocalStore::replace(std::string_view key, base::ByteSpan bytes, const Etag& expected,
                                 base::Deadline deadline) {
  VARVE_CHECK(check_key(key));
  VARVE_CHECK(check_call(deadline));
  const std::string path(key);
  // A missing key must leave no trace, and readers of a read-only directory a clear answer.
  VARVE_TRY(const auto present, open_object(root(), path));
  if (!present) return replace_conflict(key, Replaced::missing);
  VARVE_TRY(const auto lock, lock_key(folders_, path, root_->clock, deadline));
  VARVE_TRY(const auto current, load(path));
  if (!current) return replace_conflict(key, Replaced::missing);
  if (current->etag != expected) return replace_conflict(key, Replaced::changed);
  VARVE_TRY(auto temp, write_temp(bytes));
  VARVE_TRY(const auto folder, folders_.open(folder_of(path)));
  if (!folder) return replace_conflict(key, Replaced::missing);
  const std::string name(name_of(path));
  if (::renameat(root(), temp.path().c_str(), folder->fd(), name.c_str()) != 0) {
    return tl::unexpected(system_error(errno, "replace", path));
  }
  temp.renamed();
  VARVE_CHECK(settle(*folder));
  return etag_of(bytes);
}

Result<ListPage> LocalStore::list(std::string_view prefix, std::string_view start_after,
                                  std::uint32_t limit, base::Deadline deadline) {
  VARVE_CHECK(check_limit(limit));
  const WalkRange range{prefix, start_after, limit};
  return walk(root(), range, [&] { return check_call(deadline); });
}

// The lock keeps a replace from bringing back what is removed between its check and its rename.
Status LocalStore::unlink_object(const std::string& path, base::Deadline deadline) {
  VARVE_TRY(const auto present, open_object(root(), path));
  if (!present) return {};
  VARVE_TRY(const auto lock, lock_key(folders_, path, root_->clock, deadline));
  if (::unlinkat(root(), path.c_str(), 0) == 0) return {};
  // EISDIR, EPERM of a folder: a folder took the name meanwhile, so the object is gone.
  if (is_missing(errno) || errno == EISDIR) return {};
  return tl::unexpected(system_error(errno, "remove", path));
}

Status LocalStore::forget(std::string_view path) {
  VARVE_TRY(const auto folder, folders_.open(path));
  // It is gone when someone else removed its last object.
  if (!folder) return {};
  VARVE_CHECK(folders_.sync(*folder));
  folders_.remove_empty(path);
  return {};
}

Status LocalStore::remove(std::span<const std::string> keys, base::Deadline deadline) {
  for (const auto& key : keys) VARVE_CHECK(check_key(key));
  std::set<std::string_view> touched;
  Status status = check_call(deadline);
  for (const auto& key : keys) {
    if (status) status = check_call(deadline);
    if (status) status = unlink_object(key, deadline);
    if (!status) break;
    touched.insert(folder_of(key));
  }
  for (const auto path : touched) {
    if (auto forgotten = forget(path); status && !forgotten) status = forgotten;
  }
  return status;
}

void LocalStore::remove_stale_temps() {
  const Fd fd = open_at(root(), std::string(kTempFolder), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!fd) return;
  const std::int64_t oldest = root_->clock.wall_ms() / 1000 - kTempAgeMaxSeconds;
  DIR* dir = ::fdopendir(::dup(fd.get()));
  if (!dir) return;
  while (const dirent* entry = ::readdir(dir)) {
    struct stat status {};
    if (::fstatat(fd.get(), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISREG(status.st_mode) || status.st_mtim.tv_sec >= oldest) continue;
    ::unlinkat(fd.get(), entry->d_name, 0);
  }
  ::closedir(dir);
}

}  // namespace

Result<std::shared_ptr<ObjectStore>> open_local_store(const std::string& directory,
                                                      base::Random random, base::Clock& clock,
                                                      bool create_if_missing) {
  VARVE_TRY(Fd root, open_root(directory, create_if_missing));
  auto store = std::make_shared<LocalStore>(std::move(root), std::move(random), clock);
  store->remove_stale_temps();
  return store;
}

}  // namespace varve::store
