#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "format/attributes.h"
#include "format/samples.h"
#include "kernels/rotation.h"

namespace varve::format {

std::uint64_t Sampler::number() {
  const std::uint64_t bits = below(65);
  return bits == 0 ? 0 : random_.next() >> (64 - bits);
}

std::string Sampler::text(std::size_t bytes_min, std::size_t bytes_max) {
  std::string text(bytes_min + below(bytes_max - bytes_min + 1), ' ');
  for (char& c : text) c = static_cast<char>('!' + below(90));
  return text;
}

std::string Sampler::key() {
  static constexpr std::string_view kPieces[] = {"a", "7", "/", "\u00e9", "\u6d77", "\U0001F30A"};
  if (below(4) != 0) return text(1, below(10) == 0 ? 1024 : 20);
  std::string key;
  for (std::uint64_t n = 1 + below(30); n > 0; --n) key += kPieces[below(std::size(kPieces))];
  return key;
}

float Sampler::value() {
  // All bit patterns but those with the exponent of infinities and NaN.
  const auto exponent = static_cast<std::uint32_t>(below(255)) << 23;
  const auto rest = static_cast<std::uint32_t>(random_.next()) & 0x807FFFFFU;
  return std::bit_cast<float>(exponent | rest);
}

base::Sha256 Sampler::sha256() {
  base::Sha256 hash;
  for (std::byte& byte : hash) byte = static_cast<std::byte>(below(256));
  return hash;
}

BlobRef Sampler::blob() {
  return BlobRef{text(1, 100), number(), codec::Hash128{random_.next(), random_.next()}};
}

Head Sampler::head() {
  Head head;
  head.state = static_cast<IndexState>(1 + below(3));
  head.version = number();
  head.nonce = nonce();
  head.parents.resize(below(kParentsMax + 1));
  for (base::Nonce& parent : head.parents) parent = nonce();
  head.epoch = number();
  head.owner = nonce();
  head.fold = LogPosition{number(), number()};
  head.manifest_name = text(0, 128);
  head.manifest_bytes = number();
  head.manifest_sha256 = sha256();
  head.next_job = number();
  head.jobs.resize(below(kJobsMax + 1));
  for (Job& job : head.jobs) {
    job = Job{number(), static_cast<JobKind>(1 + below(3)),        number(),
              number(), static_cast<std::int64_t>(random_.next()), text(0, 128)};
  }
  head.retired.resize(below(kRetiredMax + 1));
  for (RetiredRef& ref : head.retired) {
    ref = RetiredRef{text(0, 128), number(), static_cast<std::int64_t>(random_.next())};
  }
  return head;
}

std::string Sampler::metadata() {
  if (below(3) == 0) return text(0, 60);
  return fmt::format(R"({{"n":{},"t":["{}"]}})", below(50), below(5));
}

PartRef Sampler::part(const Manifest& manifest, std::uint64_t& offset) {
  PartRef part;
  part.id = below(1'000'000);
  part.cluster = static_cast<std::uint32_t>(below(5000));
  part.rows = 1 + static_cast<std::uint32_t>(below(2000));
  part.row_type = static_cast<kernels::RowType>(1 + below(5));
  part.row_stride = row_stride_bytes(manifest.dim, part.row_type);
  if (below(2) == 0) part.radius = round_radius(std::abs(value()));
  const auto add = [&](Section section, std::uint32_t raw, std::uint32_t stored) {
    SectionRef& ref = part.section(section);
    ref = SectionRef{offset, stored, raw, static_cast<std::uint32_t>(random_.next()),
                     raw == stored ? SectionEncoding::raw : SectionEncoding::zstd};
    offset += stored;
  };
  if (below(2) == 0) {
    part.code_kind = CodeKind::signs;
    const auto bytes =
        static_cast<std::uint32_t>(codes_bytes(part.rows, manifest.dim, part.code_kind));
    add(Section::codes, bytes, bytes);
    if (manifest.extra_words > 0) {
      const auto extra = static_cast<std::uint32_t>(extra_bytes(part.rows, manifest.extra_words));
      add(Section::extra, extra, extra);
    }
  }
  add(Section::ids, part.rows * 8, part.rows * (1 + static_cast<std::uint32_t>(below(8))));
  add(Section::rows, part.rows * part.row_stride, part.rows * part.row_stride);
  if (below(2) == 0) {
    if (below(2) == 0) add(Section::attributes, part.rows * 20, part.rows * 3);
    add(Section::metadata, part.rows * 50, part.rows * 9);
  }
  return part;
}

Manifest Sampler::manifest(std::size_t groups, std::size_t parts) {
  Manifest manifest;
  manifest.bucket = text(3, 63);
  manifest.index = text(3, 63);
  manifest.dim = 1 + static_cast<std::uint32_t>(below(kDimMax));
  manifest.metric = static_cast<Metric>(1 + below(2));
  manifest.seed = number();
  const auto words_a_bit = kernels::rotated_dim(manifest.dim) / 64;
  if (below(2) == 0) {
    manifest.extra_words = words_a_bit + static_cast<std::uint32_t>(below(6 * words_a_bit + 1));
  }
  if (manifest.extra_words > 0 && below(2) == 0) manifest.directions = blob();
  manifest.next_part = 1'000'000 + number() / 2;
  manifest.next_cluster = 5000;
  manifest.live_rows = number();
  manifest.stale_rows = number();
  manifest.fitted_rows = number();
  for (std::size_t g = 0; g < groups; ++g) {
    GroupRef group{blob(), {}};
    std::uint64_t offset = 4096;
    for (std::size_t p = 0; p < parts; ++p) group.parts.push_back(part(manifest, offset));
    group.blob.bytes = offset + below(100);
    manifest.groups.push_back(std::move(group));
  }
  if (below(2) == 0) manifest.centroids = blob();
  if (below(2) == 0) manifest.stale = blob();
  for (std::uint64_t n = below(5); n > 0; --n) manifest.key_map.push_back(blob());
  for (std::uint64_t n = below(5); n > 0; --n) {
    manifest.probe_table.push_back(ProbePoint{static_cast<float>(random_.unit()),
                                              static_cast<std::uint32_t>(number()),
                                              static_cast<std::uint32_t>(number()), value()});
  }
  manifest.order = static_cast<ClusterOrder>(below(2));
  return manifest;
}

Centroids Sampler::centroids(std::uint32_t dim, std::size_t count) {
  Centroids centroids{dim, std::vector<std::uint32_t>(count), std::vector<float>(count * dim)};
  for (std::uint32_t& cluster : centroids.clusters) cluster = static_cast<std::uint32_t>(number());
  for (float& v : centroids.values) v = value();
  return centroids;
}

kernels::Directions Sampler::directions(std::uint32_t dim, std::uint32_t count) {
  const std::uint32_t width = kernels::rotated_dim(dim);
  std::vector<float> units(std::size_t{count} * width);
  for (std::size_t k = 0; k < count; ++k) {
    const std::span<float> unit = std::span(units).subspan(k * width, width);
    double squares = 0;
    for (float& v : unit) {
      v = static_cast<float>(random_.unit() - 0.5);
      squares += static_cast<double>(v) * static_cast<double>(v);
    }
    for (float& v : unit) v /= static_cast<float>(std::sqrt(squares));
  }
  return kernels::Directions::from_units(width, units);
}

std::vector<KeyLocation> Sampler::locations(std::size_t count, std::uint64_t hashes) {
  std::vector<KeyLocation> locations(count);
  for (KeyLocation& at : locations) {
    at = KeyLocation{below(hashes), number(), static_cast<std::uint32_t>(number())};
  }
  return locations;
}

StaleRows Sampler::stale(std::size_t parts) {
  StaleRows stale;
  for (std::size_t p = 0; p < parts; ++p) {
    Roaring& rows = stale[number()];
    const std::uint64_t range = std::uint64_t{1} << (1 + below(32));
    for (std::uint64_t n = 1 + below(200); n > 0; --n) {
      rows.add(static_cast<std::uint32_t>(below(range)));
    }
    if (below(3) == 0) rows.addRange(500, 500 + below(200'000));  // runs and full containers
    if (below(3) == 0) {
      for (std::uint32_t row = 0; row < 30'000; row += 1 + static_cast<std::uint32_t>(below(4))) {
        rows.add(row);
      }  // bitsets
    }
  }
  return stale;
}

Catalog Sampler::catalog(std::size_t entries) {
  std::map<std::string, CatalogEntry> sorted;
  for (std::size_t i = 0; i < entries; ++i) {
    CatalogEntry entry{text(3, 63), uuid(), static_cast<CatalogState>(1 + below(2))};
    sorted.emplace(entry.index, entry);
  }
  Catalog catalog{text(3, 63), {}};
  for (const auto& [name, entry] : sorted) catalog.entries.push_back(entry);
  return catalog;
}

OwnedOps sample_ops(Sampler& sampler, std::size_t count, std::uint32_t dim) {
  OwnedOps owned;
  owned.keys.resize(count);
  owned.metadata.resize(count);
  owned.vectors.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    LogOp op;
    owned.keys[i] = sampler.key();
    op.kind = sampler.below(3) == 0 ? OpKind::remove : OpKind::upsert;
    if (op.kind == OpKind::upsert) {
      owned.vectors[i].resize(dim);
      for (float& v : owned.vectors[i]) v = sampler.value();
      owned.metadata[i] = sampler.text(0, sampler.below(20) == 0 ? kMetadataBytesMax : 40);
    }
    op.key = owned.keys[i];
    op.vector = owned.vectors[i];
    op.metadata = owned.metadata[i];
    owned.ops.push_back(op);
  }
  return owned;
}

OwnedPart sample_part(Sampler& sampler, std::size_t rows, std::uint32_t dim, kernels::RowType type,
                      bool metadata, unsigned code_bits) {
  OwnedPart part;
  const std::size_t stride = dim * kernels::element_bytes(type) + 8 * sampler.below(3);
  part.rows.resize(rows * stride);
  for (std::byte& byte : part.rows) byte = static_cast<std::byte>(sampler.below(256));
  if (code_bits > 0) part.codes.resize(codes_bytes(rows, dim, CodeKind::signs));
  for (std::byte& byte : part.codes) byte = static_cast<std::byte>(sampler.below(256));
  const std::uint32_t words_a_bit = kernels::rotated_dim(dim) / 64;
  if (code_bits > 1) part.extra.resize(extra_bytes(rows, (code_bits - 1) * words_a_bit));
  for (std::byte& byte : part.extra) byte = static_cast<std::byte>(sampler.below(256));
  for (std::size_t i = 0; i < rows; ++i) {
    part.keys.push_back(sampler.key());
    part.metadata.push_back(metadata ? sampler.metadata() : "");
    part.lsns.push_back(sampler.lsn());
  }
  part.key_views.assign(part.keys.begin(), part.keys.end());
  part.metadata_views.assign(part.metadata.begin(), part.metadata.end());
  part.input.id = sampler.number();
  part.input.cluster = static_cast<std::uint32_t>(sampler.number());
  part.input.rows = kernels::Rows{part.rows.data(), rows, stride, dim, type};
  part.input.keys = part.key_views;
  part.input.lsns = part.lsns;
  if (metadata) {
    part.input.metadata = part.metadata_views;
    part.input.attributes = encode_row_attributes(part.metadata_views);
  }
  part.input.codes = part.codes;
  part.input.extra = part.extra;
  if (code_bits > 0) part.input.code_kind = CodeKind::signs;
  if (sampler.below(2) == 0) part.input.radius = std::abs(sampler.value());
  return part;
}

// --- equality ---

namespace {

bool same(const BlobRef& a, const BlobRef& b) {
  return a.name == b.name && a.bytes == b.bytes && a.body_hash == b.body_hash;
}

bool same(const SectionRef& a, const SectionRef& b) {
  return a.offset == b.offset && a.stored_bytes == b.stored_bytes && a.raw_bytes == b.raw_bytes &&
         a.crc32c == b.crc32c && a.encoding == b.encoding;
}

bool same(const PartRef& a, const PartRef& b) {
  for (std::size_t s = 0; s < kSectionCount; ++s) {
    if (!same(a.sections[s], b.sections[s])) return false;
  }
  return a.id == b.id && a.cluster == b.cluster && a.rows == b.rows && a.row_type == b.row_type &&
         a.row_stride == b.row_stride && a.code_kind == b.code_kind && a.radius == b.radius;
}

bool same(const Job& a, const Job& b) {
  return a.id == b.id && a.kind == b.kind && a.epoch == b.epoch &&
         a.base_version == b.base_version && a.started_ms == b.started_ms && a.owner == b.owner;
}

bool same(const RetiredRef& a, const RetiredRef& b) {
  return a.list_name == b.list_name && a.at_version == b.at_version && a.at_ms == b.at_ms;
}

bool same(const ProbePoint& a, const ProbePoint& b) {
  const auto bits = [](float v) { return std::bit_cast<std::uint32_t>(v); };
  return bits(a.recall) == bits(b.recall) && a.k == b.k && a.nprobe == b.nprobe &&
         bits(a.ratio) == bits(b.ratio);
}

bool same(const CatalogEntry& a, const CatalogEntry& b) {
  return a.index == b.index && a.uuid == b.uuid && a.state == b.state;
}

template <typename T>
bool all_same(const T& a, const T& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return same(x, y); });
}

bool same(const std::optional<BlobRef>& a, const std::optional<BlobRef>& b) {
  return a.has_value() == b.has_value() && (!a || same(*a, *b));
}

}  // namespace

bool same(base::ByteSpan a, base::ByteSpan b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

bool same(const Head& a, const Head& b) {
  return a.state == b.state && a.version == b.version && a.nonce == b.nonce &&
         a.parents == b.parents && a.epoch == b.epoch && a.owner == b.owner && a.fold == b.fold &&
         a.manifest_name == b.manifest_name && a.manifest_bytes == b.manifest_bytes &&
         a.manifest_sha256 == b.manifest_sha256 && a.next_job == b.next_job &&
         all_same(a.jobs, b.jobs) && all_same(a.retired, b.retired);
}

bool same(const GroupRef& a, const GroupRef& b) {
  return same(a.blob, b.blob) && all_same(a.parts, b.parts);
}

bool same(const Manifest& a, const Manifest& b) {
  return a.bucket == b.bucket && a.index == b.index && a.dim == b.dim && a.metric == b.metric &&
         a.order == b.order && a.seed == b.seed && a.extra_words == b.extra_words &&
         a.next_part == b.next_part && a.next_cluster == b.next_cluster &&
         a.live_rows == b.live_rows && a.stale_rows == b.stale_rows &&
         a.fitted_rows == b.fitted_rows && all_same(a.groups, b.groups) &&
         same(a.centroids, b.centroids) && all_same(a.key_map, b.key_map) &&
         same(a.stale, b.stale) && same(a.directions, b.directions) &&
         all_same(a.probe_table, b.probe_table);
}

bool same(const Centroids& a, const Centroids& b) {
  return a.dim == b.dim && a.clusters == b.clusters &&
         same(std::as_bytes(std::span(a.values)), std::as_bytes(std::span(b.values)));
}

bool same(const kernels::Directions& a, const kernels::Directions& b) {
  return a.padded_dim() == b.padded_dim() && a.count() == b.count() &&
         same(std::as_bytes(a.values()), std::as_bytes(b.values()));
}

bool same(const Catalog& a, const Catalog& b) {
  return a.bucket == b.bucket && all_same(a.entries, b.entries);
}

bool same(const LogOp& a, const LogOp& b) {
  return a.kind == b.kind && a.key == b.key && a.metadata == b.metadata &&
         same(std::as_bytes(a.vector), std::as_bytes(b.vector));
}

}  // namespace varve::format
