#include "engine/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace varve::engine {
namespace {

constexpr std::size_t kWriteBytes = 1 << 20;
constexpr std::size_t kBlockFloats = 1 << 20;  // 4 MiB of float32
// Text of a row whose key is its number and that has no metadata.
constexpr std::uint64_t kNoText = ~std::uint64_t{0};

struct TextHeader {
  std::uint32_t key_bytes = 0;
  std::uint32_t metadata_bytes = 0;
  std::uint64_t has_lsn = 0;
  Lsn lsn;
};

Error file_error(const char* step, const std::string& dir) {
  const int code = errno;
  if (code == ENOSPC || code == EDQUOT) {
    return {ErrorKind::overloaded, fmt::format("no space left for temporary files in '{}'", dir),
            "point TMPDIR at a larger file system"};
  }
  return {ErrorKind::unavailable,
          fmt::format("cannot {} a temporary file in '{}': {}", step, dir, std::strerror(code)),
          "TMPDIR names the folder"};
}

}  // namespace

Result<SpoolFile> SpoolFile::create(const std::string& dir) {
  std::string path = dir;
  if (path.empty()) {
    const char* configured = std::getenv("TMPDIR");
    path = configured != nullptr && *configured != '\0' ? configured : "/tmp";
  }
  const std::string folder = path;
  path += "/varve-spool-XXXXXX";
  const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
  if (descriptor < 0) return tl::unexpected(file_error("create", folder));
  // Unnamed from here on: it is gone when the process is, however that ends.
  ::unlink(path.c_str());
  return SpoolFile(descriptor, folder);
}

SpoolFile::SpoolFile(SpoolFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      dir_(std::move(other.dir_)),
      size_(other.size_),
      pending_(std::move(other.pending_)),
      data_(std::exchange(other.data_, nullptr)) {}

SpoolFile::~SpoolFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status SpoolFile::append(base::ByteSpan bytes) {
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  size_ += bytes.size();
  return pending_.size() < kWriteBytes ? Status{} : flush();
}

Status SpoolFile::flush() {
  std::size_t done = 0;
  while (done < pending_.size()) {
    const ssize_t written = ::write(descriptor_, pending_.data() + done, pending_.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return tl::unexpected(file_error("write", dir_));
    done += static_cast<std::size_t>(written);
  }
  pending_.clear();
  return {};
}

Status SpoolFile::map() {
  if (auto flushed = flush(); !flushed) return flushed;
  pending_ = {};
  if (size_ == 0) return {};
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor_, 0);
  if (address == MAP_FAILED) return tl::unexpected(file_error("map", dir_));
  data_ = static_cast<const std::byte*>(address);
  return {};
}

void SpoolFile::release() const {
  if (data_ != nullptr) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

Spool::Spool(SpoolFile rows, SpoolFile texts, std::uint32_t dim, const Lsn& first)
    : rows_file_(std::move(rows)),
      texts_file_(std::move(texts)),
      dim_(dim),
      first_(first),
      block_rows_(std::max<std::size_t>(1, kBlockFloats / dim)) {}

Result<Spool> Spool::create(const std::string& dir, std::uint32_t dim, const Lsn& first) {
  auto rows = SpoolFile::create(dir);
  if (!rows) return tl::unexpected(rows.error());
  auto texts = SpoolFile::create(dir);
  if (!texts) return tl::unexpected(texts.error());
  return Spool(std::move(*rows), std::move(*texts), dim, first);
}

Status Spool::add(std::span<const float> vector, std::string_view key, std::string_view metadata,
                  const std::optional<Lsn>& lsn) {
  pending_.insert(pending_.end(), vector.begin(), vector.end());
  if (auto added = add_text(key, metadata, lsn); !added) return added;
  ++count_;
  return pending_.size() < block_rows_ * dim_ ? Status{} : flush_block();
}

Status Spool::add_text(std::string_view key, std::string_view metadata,
                       const std::optional<Lsn>& lsn) {
  const bool plain = key.empty() && metadata.empty() && !lsn;
  if (plain && text_offsets_.empty()) return {};
  // From the first text on, every row has an offset.
  text_offsets_.resize(count_, kNoText);
  text_offsets_.push_back(plain ? kNoText : texts_file_.size());
  if (plain) return {};
  const TextHeader header{static_cast<std::uint32_t>(key.size()),
                          static_cast<std::uint32_t>(metadata.size()), lsn.has_value() ? 1U : 0U,
                          lsn.value_or(Lsn{})};
  if (auto ok = texts_file_.append(std::as_bytes(std::span(&header, 1))); !ok) return ok;
  if (auto ok = texts_file_.append(base::as_bytes(key)); !ok) return ok;
  return texts_file_.append(base::as_bytes(metadata));
}

Status Spool::flush_block() {
  if (pending_.empty()) return {};
  Block block;
  block.offset = rows_file_.size();
  block.type = kernels::narrowest_type(pending_);
  block.count = pending_.size() / dim_;
  std::vector<std::byte> bytes(pending_.size() * kernels::element_bytes(block.type));
  kernels::narrow(pending_, block.type, bytes.data());
  pending_.clear();
  blocks_.push_back(block);
  return rows_file_.append(bytes);
}

Status Spool::finish() {
  if (auto flushed = flush_block(); !flushed) return flushed;
  pending_ = {};
  if (auto mapped = rows_file_.map(); !mapped) return mapped;
  return texts_file_.map();
}

kernels::Rows Spool::block(std::size_t number) const {
  const Block& block = blocks_[number];
  return {rows_file_.data() + block.offset, block.count, dim_ * kernels::element_bytes(block.type),
          dim_, block.type};
}

kernels::RowType Spool::common_row_type() const {
  auto type = blocks_.empty() ? kernels::RowType::f32 : blocks_.front().type;
  for (const Block& block : blocks_) type = kernels::common_type(type, block.type);
  return type;
}

Spool::Row Spool::row(std::uint64_t number) const {
  return {block(number / block_rows_), number % block_rows_};
}

Spool::Text Spool::text(std::uint64_t number, std::string& scratch) const {
  Text text;
  text.lsn = {first_.epoch, first_.seq, first_.op + number};
  const std::uint64_t offset = text_offsets_.empty() ? kNoText : text_offsets_[number];
  if (offset != kNoText) {
    TextHeader header;
    const std::byte* at = texts_file_.data() + offset;
    std::memcpy(&header, at, sizeof(header));
    const char* bytes = reinterpret_cast<const char*>(at + sizeof(header));
    text.key = {bytes, header.key_bytes};
    text.metadata = {bytes + header.key_bytes, header.metadata_bytes};
    if (header.has_lsn != 0) text.lsn = header.lsn;
  }
  if (text.key.empty()) {
    scratch = std::to_string(number);
    text.key = scratch;
  }
  return text;
}

void Spool::release() const {
  rows_file_.release();
  texts_file_.release();
}

}  // namespace varve::engine
