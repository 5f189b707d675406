// Random structures of every kind for tests, and one fixed object of each for golden files.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"
#include "format/blobs.h"
#include "format/envelope.h"
#include "format/group.h"
#include "format/head.h"
#include "format/log.h"
#include "format/manifest.h"

namespace varve::format {

// Draws the parts of structures. Not thread-safe.
class Sampler {
 public:
  explicit Sampler(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  // Any bit length equally often, so that small and large numbers both come up.
  std::uint64_t number();
  std::string text(std::size_t bytes_min, std::size_t bytes_max);
  std::string key();       // some with characters of two to four bytes
  std::string metadata();  // some an object with fields, others any text
  float value();           // finite, of any magnitude and sign
  base::Nonce nonce() { return base::make_nonce(random_); }
  Uuid uuid() { return Uuid::random(random_); }
  base::Sha256 sha256();
  Lsn lsn() { return Lsn{number(), number(), number()}; }
  BlobRef blob();

  Head head();
  Manifest manifest(std::size_t groups, std::size_t parts);
  Centroids centroids(std::uint32_t dim, std::size_t count);
  kernels::Directions directions(std::uint32_t dim, std::uint32_t count);
  std::vector<KeyLocation> locations(std::size_t count, std::uint64_t hashes);
  StaleRows stale(std::size_t parts);
  Catalog catalog(std::size_t entries);

 private:
  PartRef part(const Manifest& manifest, std::uint64_t& offset);
  base::Random random_;
};

// Operations that own what they say.
struct OwnedOps {
  std::vector<std::string> keys, metadata;
  std::vector<std::vector<float>> vectors;
  std::vector<LogOp> ops;
};
OwnedOps sample_ops(Sampler& sampler, std::size_t count, std::uint32_t dim);

// A part that owns what it says.
struct OwnedPart {
  std::vector<std::byte> rows, codes, extra;
  std::vector<std::string> keys, metadata;
  std::vector<std::string_view> key_views, metadata_views;
  std::vector<Lsn> lsns;
  PartInput input;
};
// `code_bits`: 0 no codes, 1 signs, more: signs and extra bits.
OwnedPart sample_part(Sampler& sampler, std::size_t rows, std::uint32_t dim, kernels::RowType type,
                      bool metadata, unsigned code_bits);

// Every field is equal; floats by their bits.
bool same(const Head& a, const Head& b);
bool same(const Manifest& a, const Manifest& b);
bool same(const GroupRef& a, const GroupRef& b);
bool same(const Centroids& a, const Centroids& b);
bool same(const kernels::Directions& a, const kernels::Directions& b);
bool same(const Catalog& a, const Catalog& b);
bool same(const LogOp& a, const LogOp& b);
bool same(base::ByteSpan a, base::ByteSpan b);

// A small object of one kind that is the same in every run, and a decoder that says whether an
// object holds the very structure that this one was encoded from.
struct SampleObject {
  std::string file;           // name of its golden file
  std::string folder = "v1";  // after the format version that first had it
  Kind kind = Kind::head;
  Uuid index;
  std::string name;
  base::Bytes object;
  bool exact = true;  // its bytes do not depend on the version of a library
  std::function<Result<bool>(const base::Bytes&, const Uuid& index, std::string_view name)> decode;
};
std::vector<SampleObject> sample_objects();

}  // namespace varve::format
