// Keys of objects in the store (docs/formats/README.md). Names that users give are never part of a
// key: they are hashed or stand inside bodies.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "format/head.h"
#include "format/uuid.h"

namespace varve::engine {

inline constexpr std::string_view kCatalogPrefix = "v1/cat/";

std::string catalog_name(std::string_view bucket);

// Keys of one index.
class Names {
 public:
  explicit Names(const format::Uuid& uuid);

  const std::string& root() const { return root_; }  // ends with '/'
  std::string head() const;
  std::string manifest(std::uint64_t version, base::Nonce nonce) const;
  std::string log(format::LogPosition position) const;
  std::string blob(std::uint64_t job, base::Nonce nonce) const;

  std::string manifest_prefix() const { return root_ + "m/"; }
  std::string log_prefix() const { return root_ + "wal/"; }
  std::string blob_prefix() const { return root_ + "d/"; }

  // The inverse; nullopt for a key that Varve does not write.
  std::optional<std::uint64_t> version_of_manifest(std::string_view key) const;
  std::optional<format::LogPosition> position_of_log(std::string_view key) const;
  std::optional<std::uint64_t> job_of_blob(std::string_view key) const;

 private:
  std::string root_;
};

}  // namespace varve::engine
