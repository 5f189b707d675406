#include "cache/disk/memory_files.h"

#include <algorithm>
#include <cstring>

namespace varve::cache {

struct MemoryFiles::Node {
  mutable std::mutex mutex;
  std::string bytes;
  std::uint64_t reserved = 0;
  bool linked = true;

  std::uint64_t disk_bytes() const {
    const std::scoped_lock lock(mutex);
    return std::max<std::uint64_t>(bytes.size(), reserved);
  }
};

namespace {

tl::unexpected<Error> injected() { return fail(ErrorKind::unavailable, "a fault of the test"); }

tl::unexpected<Error> disk_full() {
  return fail(ErrorKind::overloaded, "the disk of the test is full");
}

constexpr std::uint64_t kEndlessDisk = std::uint64_t{1} << 50;

}  // namespace

class MemoryFile final : public File {
 public:
  MemoryFile(const MemoryFiles& files, std::shared_ptr<MemoryFiles::Node> node)
      : files_(files), node_(std::move(node)) {}

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> out) override {
    if (files_.ask(MemoryFiles::Call::read) != MemoryFiles::Fault::none) return injected();
    const std::scoped_lock lock(node_->mutex);
    if (offset >= node_->bytes.size()) return 0;
    const std::size_t bytes = std::min<std::size_t>(out.size(), node_->bytes.size() - offset);
    std::memcpy(out.data(), node_->bytes.data() + offset, bytes);
    return bytes;
  }
  Status write(std::uint64_t offset, base::ByteSpan bytes) override {
    const bool extends = offset + bytes.size() > *size();
    const auto fault = files_.ask(extends ? MemoryFiles::Call::extend : MemoryFiles::Call::write);
    if (fault == MemoryFiles::Fault::fails) return injected();
    if (fault == MemoryFiles::Fault::full) return disk_full();
    VARVE_CHECK(claim(offset + bytes.size()));
    if (fault == MemoryFiles::Fault::part) bytes = bytes.first(bytes.size() / 2);
    const std::scoped_lock lock(node_->mutex);
    std::string& all = node_->bytes;
    if (all.size() < offset + bytes.size()) all.resize(offset + bytes.size());
    std::memcpy(all.data() + offset, bytes.data(), bytes.size());
    if (fault == MemoryFiles::Fault::part) return injected();
    return {};
  }
  Status reserve(std::uint64_t bytes) override {
    VARVE_CHECK(plain(MemoryFiles::Call::reserve));
    VARVE_CHECK(claim(bytes));
    const std::scoped_lock lock(node_->mutex);
    node_->reserved = bytes;
    return {};
  }
  Status cut(std::uint64_t bytes) override {
    VARVE_CHECK(plain(MemoryFiles::Call::cut));
    const std::scoped_lock lock(node_->mutex);
    node_->bytes.resize(bytes);
    node_->reserved = 0;
    return {};
  }
  Status sync() override { return plain(MemoryFiles::Call::sync); }
  Result<std::uint64_t> size() override {
    const std::scoped_lock lock(node_->mutex);
    return node_->bytes.size();
  }
  bool is_linked() override {
    const std::scoped_lock lock(node_->mutex);
    return node_->linked;
  }

 private:
  Status plain(MemoryFiles::Call call) const {
    if (files_.ask(call) != MemoryFiles::Fault::none) return injected();
    return {};
  }
  // Whether the disk can hold the file with so many bytes.
  Status claim(std::uint64_t bytes) const {
    const std::uint64_t held = node_->disk_bytes();
    if (bytes <= held || bytes - held <= files_.free_bytes()) return {};
    return disk_full();
  }

  const MemoryFiles& files_;
  std::shared_ptr<MemoryFiles::Node> node_;
};

MemoryFiles::Fault MemoryFiles::ask(Call call) const {
  Faults faults;
  {
    const std::scoped_lock lock(mutex_);
    faults = faults_;
  }
  return faults ? faults(call) : Fault::none;
}

void MemoryFiles::set_faults(Faults faults) {
  const std::scoped_lock lock(mutex_);
  faults_ = std::move(faults);
}

void MemoryFiles::set_boot(std::string boot) {
  const std::scoped_lock lock(mutex_);
  boot_ = std::move(boot);
}

std::string MemoryFiles::boot() {
  const std::scoped_lock lock(mutex_);
  return boot_;
}

Status MemoryFiles::sync_folder(const std::string&) {
  if (ask(Call::sync) != Fault::none) return injected();
  return {};
}

void MemoryFiles::set_disk_bytes(std::uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  disk_bytes_ = bytes;
}

void MemoryFiles::fill_disk(std::uint64_t left_free) { set_disk_bytes(used_bytes() + left_free); }

std::uint64_t MemoryFiles::used_bytes() const {
  const std::scoped_lock lock(mutex_);
  std::uint64_t used = 0;
  for (const auto& [path, node] : nodes_) used += node->disk_bytes();
  return used;
}

std::uint64_t MemoryFiles::free_bytes() const {
  const std::uint64_t used = used_bytes();
  const std::scoped_lock lock(mutex_);
  return disk_bytes_ == 0 ? kEndlessDisk : disk_bytes_ - std::min(used, disk_bytes_);
}

Result<FileAccess::Space> MemoryFiles::space(const std::string&) {
  const std::uint64_t free = free_bytes();
  const std::scoped_lock lock(mutex_);
  return Space{free, disk_bytes_ == 0 ? kEndlessDisk : disk_bytes_};
}

Status MemoryFiles::make_folder(const std::string&) { return {}; }

Result<std::vector<FileAccess::Entry>> MemoryFiles::list(const std::string& folder) {
  if (ask(Call::list) != Fault::none) return injected();
  const std::scoped_lock lock(mutex_);
  std::vector<Entry> found;
  for (const auto& [path, node] : nodes_) {
    if (!path.starts_with(folder + "/")) continue;
    const std::scoped_lock node_lock(node->mutex);
    found.push_back({path.substr(folder.size() + 1), node->bytes.size()});
  }
  return found;
}

Result<std::unique_ptr<File>> MemoryFiles::open(const std::string& folder,
                                                const std::string& name) {
  if (ask(Call::open) != Fault::none) return injected();
  const std::scoped_lock lock(mutex_);
  const auto at = nodes_.find(folder + "/" + name);
  if (at == nodes_.end()) return fail(ErrorKind::not_found, "no file " + name);
  return std::make_unique<MemoryFile>(*this, at->second);
}

Result<std::unique_ptr<File>> MemoryFiles::create(const std::string& folder,
                                                  const std::string& name) {
  if (ask(Call::create) != Fault::none) return injected();
  const std::scoped_lock lock(mutex_);
  const auto [at, is_new] = nodes_.try_emplace(folder + "/" + name);
  if (!is_new) return fail(ErrorKind::conflict, name + " exists already");
  at->second = std::make_shared<Node>();
  return std::make_unique<MemoryFile>(*this, at->second);
}

Status MemoryFiles::remove(const std::string& folder, const std::string& name) {
  if (ask(Call::remove) != Fault::none) return injected();
  unlink(folder + "/" + name);
  return {};
}

Result<std::shared_ptr<void>> MemoryFiles::lock(const std::string& folder,
                                                const std::string& name) {
  const std::string path = folder + "/" + name;
  const std::scoped_lock lock(mutex_);
  if (!locks_.insert(path).second) return fail(ErrorKind::conflict, path + " is locked");
  return std::shared_ptr<void>(this, [path](void* files) {
    auto& self = *static_cast<MemoryFiles*>(files);
    const std::scoped_lock release(self.mutex_);
    self.locks_.erase(path);
  });
}

std::map<std::string, std::string> MemoryFiles::contents() const {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, std::string> all;
  for (const auto& [path, node] : nodes_) {
    const std::scoped_lock node_lock(node->mutex);
    all[path] = node->bytes;
  }
  return all;
}

void MemoryFiles::set_contents(const std::map<std::string, std::string>& contents) {
  const std::scoped_lock lock(mutex_);
  nodes_.clear();
  for (const auto& [path, bytes] : contents) {
    nodes_[path] = std::make_shared<Node>();
    nodes_[path]->bytes = bytes;
  }
}

void MemoryFiles::change(const std::string& path, const std::function<void(std::string&)>& edit) {
  const std::scoped_lock lock(mutex_);
  const auto at = nodes_.find(path);
  if (at == nodes_.end()) return;
  const std::scoped_lock node_lock(at->second->mutex);
  edit(at->second->bytes);
}

void MemoryFiles::swap(const std::string& left, const std::string& right) {
  const std::scoped_lock lock(mutex_);
  if (nodes_.contains(left) && nodes_.contains(right)) std::swap(nodes_[left], nodes_[right]);
}

void MemoryFiles::unlink(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  const auto at = nodes_.find(path);
  if (at == nodes_.end()) return;
  {
    const std::scoped_lock node_lock(at->second->mutex);
    at->second->linked = false;
  }
  nodes_.erase(at);
}

}  // namespace varve::cache
