#include "engine/names.h"

#include <fmt/format.h>

#include <charconv>

#include "base/sha256.h"

namespace varve::engine {
namespace {

constexpr std::size_t kDigits = 20;  // of the largest 64-bit number

std::optional<std::uint64_t> read_number(std::string_view& text) {
  if (text.size() < kDigits) return std::nullopt;
  std::uint64_t number = 0;
  const char* end = text.data() + kDigits;
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  text.remove_prefix(kDigits);
  return number;
}

bool drop_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string catalog_name(std::string_view bucket) {
  return std::string(kCatalogPrefix) + base::sha256_hex(base::as_bytes(bucket));
}

Names::Names(const format::Uuid& uuid) {
  const std::string hex = uuid.hex();
  root_ = fmt::format("v1/i/{}/{}/", hex.substr(0, 2), hex);
}

std::string Names::head() const { return root_ + "HEAD"; }

std::string Names::manifest(std::uint64_t version, base::Nonce nonce) const {
  return fmt::format("{}m/{:020}-{}", root_, version, nonce.hex());
}

std::string Names::log(format::LogPosition position) const {
  return fmt::format("{}wal/{:020}/{:020}", root_, position.epoch, position.seq);
}

std::string Names::blob(std::uint64_t job, base::Nonce nonce) const {
  return fmt::format("{}d/{:020}/{}", root_, job, nonce.hex());
}

std::optional<std::uint64_t> Names::version_of_manifest(std::string_view key) const {
  if (!drop_prefix(key, manifest_prefix())) return std::nullopt;
  const auto version = read_number(key);
  if (!version || !key.starts_with('-')) return std::nullopt;
  return version;
}

std::optional<format::LogPosition> Names::position_of_log(std::string_view key) const {
  if (!drop_prefix(key, log_prefix())) return std::nullopt;
  const auto epoch = read_number(key);
  if (!epoch || !drop_prefix(key, "/")) return std::nullopt;
  const auto seq = read_number(key);
  if (!seq || !key.empty()) return std::nullopt;
  return format::LogPosition{*epoch, *seq};
}

std::optional<std::uint64_t> Names::job_of_blob(std::string_view key) const {
  if (!drop_prefix(key, blob_prefix())) return std::nullopt;
  const auto job = read_number(key);
  if (!job || !key.starts_with('/')) return std::nullopt;
  return job;
}

}  // namespace varve::engine
