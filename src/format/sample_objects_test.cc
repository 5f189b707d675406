// The structures behind the golden files. Never change one: the files are read for ever.
#include <algorithm>

#include "format/golden_samples.h"
#include "format/part.h"

namespace varve::format {

using golden::kDim;
using golden::kExtraWords;
using golden::name_of;
using golden::nonce;
using golden::sample;
using golden::sample_attributed_group;
using golden::sample_coded_group;
using golden::sample_extra_group;
using golden::sample_group;
using golden::sample_hash;
using golden::sample_stepped_group;
using golden::sample_uuid;

namespace {

const LogPosition kPosition{5, 9};

SampleObject sample_head() {
  Head head;
  head.state = IndexState::opening;
  head.version = 42;
  head.nonce = nonce();
  head.parents = {{1, 2}, {3, 4}};
  head.epoch = 5;
  head.owner = {6, 7};
  head.fold = {4, 11};
  head.manifest_name = name_of("m/00000000000000000041-0000000000000000000000000000beef");
  head.manifest_bytes = 1234;
  head.manifest_sha256 = sample_hash(0x40);
  head.next_job = 13;
  head.jobs = {{12, JobKind::compact, 5, 40, 1'700'000'000'123, "host:boot:77"}};
  head.retired = {{name_of("d/00000000000000000011/feed"), 41, 1'700'000'000'456}};
  const std::string name = name_of("HEAD");
  return sample(
      "head", Kind::head, name, encode_head(head, sample_uuid(), name),
      [head](const base::Bytes& object, const Uuid& index, std::string_view own) {
        return decode_head(object, index, own).map([&](const Head& h) { return same(h, head); });
      });
}

PartRef manifest_part(std::uint64_t id, bool metadata) {
  PartRef part;
  part.id = id;
  part.cluster = 2;
  part.rows = 10;
  part.row_type = kernels::RowType::f32;
  part.row_stride = 12;
  part.section(Section::ids) = {4096, 50, 90, 0xAABBCCDD, SectionEncoding::zstd};
  part.section(Section::rows) = {8192, 120, 120, 0x01020304, SectionEncoding::raw};
  if (metadata) {
    part.section(Section::metadata) = {12288, 30, 30, 0x0A0B0C0D, SectionEncoding::raw};
  }
  return part;
}

PartRef coded_part(std::uint64_t id) {
  PartRef part = manifest_part(id, false);
  part.code_kind = CodeKind::signs;
  const auto bytes = static_cast<std::uint32_t>(codes_bytes(part.rows, kDim, part.code_kind));
  part.section(Section::codes) = {4096, bytes, bytes, 0x11121314, SectionEncoding::raw};
  return part;
}

PartRef attributed_part(std::uint64_t id) {
  PartRef part = manifest_part(id, true);
  part.section(Section::attributes) = {12352, 40, 64, 0x21222324, SectionEncoding::zstd};
  return part;
}

PartRef extra_part(std::uint64_t id) {
  PartRef part = coded_part(id);
  const auto bytes = static_cast<std::uint32_t>(extra_bytes(part.rows, kExtraWords));
  part.section(Section::extra) = {6144, bytes, bytes, 0x31323334, SectionEncoding::raw};
  return part;
}

PartRef bounded_part(std::uint64_t id) {
  PartRef part = manifest_part(id, false);
  part.radius = round_radius(12.3F);
  return part;
}

PartRef stepped_part(std::uint64_t id, std::uint32_t dim) {
  PartRef part = manifest_part(id, false);
  part.row_stride = dim * 4;
  part.code_kind = CodeKind::signs_in_two_steps;
  const auto codes = static_cast<std::uint32_t>(codes_bytes(part.rows, dim, part.code_kind));
  const std::uint32_t rows = part.rows * part.row_stride;
  part.section(Section::codes) = {4096, codes, codes, 0x41424344, SectionEncoding::raw};
  part.section(Section::rows) = {8192, rows, rows, 0x01020304, SectionEncoding::raw};
  return part;
}

SampleObject sample_manifest(std::string file, const Manifest& manifest) {
  const std::string name = name_of("m/00000000000000000042-0000000000000000000000000000cafe");
  return sample(std::move(file), Kind::manifest, name,
                encode_manifest(manifest, sample_uuid(), name, nonce()),
                [manifest](const base::Bytes& object, const Uuid& index, std::string_view own) {
                  return decode_manifest(object, index, own).map([&](const Manifest& m) {
                    return same(m, manifest);
                  });
                });
}

SampleObject sample_stepped_manifest() {
  Manifest manifest;
  manifest.bucket = "bucket-a";
  manifest.index = "index-c";
  manifest.dim = 128;
  manifest.metric = Metric::euclidean;
  manifest.seed = 99;
  manifest.next_part = 8;
  manifest.next_cluster = 3;
  manifest.live_rows = manifest.fitted_rows = 10;
  manifest.groups.resize(1);
  manifest.groups[0].blob = {name_of("d/1/aa"), 20'000, {1, 2}};
  manifest.groups[0].parts = {stepped_part(6, manifest.dim)};
  manifest.centroids = BlobRef{name_of("d/1/cc"), 700, {5, 6}};
  manifest.probe_table = {{0.9F, 10, 4, 1.5F}};
  return sample_manifest("manifest_steps", manifest);
}

SampleObject sample_manifest(std::string file, const PartRef& second, bool has_directions = false,
                             ClusterOrder order = ClusterOrder::similarity) {
  Manifest manifest;
  if (has_directions) manifest.directions = BlobRef{name_of("d/2/11"), 2400, {13, 14}};
  manifest.bucket = "bucket-a";
  manifest.index = "index-b";
  manifest.dim = kDim;
  manifest.metric = Metric::cosine;
  manifest.order = order;
  manifest.seed = 99;
  manifest.extra_words = extra_words_of(second);
  manifest.next_part = 8;
  manifest.next_cluster = 3;
  manifest.live_rows = 18;
  manifest.stale_rows = 2;
  manifest.fitted_rows = 17;
  manifest.groups.resize(2);
  manifest.groups[0].blob = {name_of("d/1/aa"), 12318, {1, 2}};
  manifest.groups[0].parts = {manifest_part(6, true)};
  manifest.groups[1].blob = {name_of("d/1/bb"), has_attributes(second) ? 12400U : 9000U, {3, 4}};
  manifest.groups[1].parts = {second};
  manifest.centroids = BlobRef{name_of("d/1/cc"), 700, {5, 6}};
  manifest.key_map = {{name_of("d/1/dd"), 800, {7, 8}}, {name_of("d/2/ee"), 300, {9, 10}}};
  manifest.stale = BlobRef{name_of("d/2/ff"), 300, {11, 12}};
  manifest.probe_table = {{0.9F, 10, 4, 1.5F}, {0.99F, 10, 16, 2.25F}};
  return sample_manifest(std::move(file), manifest);
}

SampleObject sample_log() {
  static const float kVector[kDim] = {1.5F, -0.0F, 3e-40F};
  static const std::vector<LogOp> kOps = {
      {OpKind::upsert, "first", kVector, R"({"a":1})"},
      {OpKind::remove, "\u6d77", {}, ""},
      {OpKind::upsert, "x", kVector, ""},
  };
  const std::string name = name_of("wal/00000000000000000005/00000000000000000009");
  return sample(
      "log", Kind::log, name,
      encode_batch(kPosition, sample_hash(1), kOps, kDim, sample_uuid(), name, nonce()),
      [](const base::Bytes& object, const Uuid& index, std::string_view own) {
        return decode_log(object, kPosition, kDim, index, own).map([&](const LogEntry& e) {
          const auto* batch = std::get_if<LogBatch>(&e);
          return batch != nullptr && batch->position == kPosition && batch->nonce == nonce() &&
                 batch->previous == sample_hash(1) &&
                 std::equal(batch->ops.begin(), batch->ops.end(), kOps.begin(), kOps.end(),
                            [](const LogOp& a, const LogOp& b) { return same(a, b); });
        });
      });
}

SampleObject sample_seal() {
  const std::string name = name_of("wal/00000000000000000005/00000000000000000009");
  return sample(
      "seal", Kind::seal, name, encode_seal(Seal{kPosition, nonce(), 6}, sample_uuid(), name),
      [](const base::Bytes& object, const Uuid& index, std::string_view own) {
        return decode_log(object, kPosition, kDim, index, own).map([&](const LogEntry& e) {
          const auto* seal = std::get_if<Seal>(&e);
          return seal != nullptr && seal->position == kPosition && seal->nonce == nonce() &&
                 seal->new_epoch == 6;
        });
      });
}

SampleObject of_version(std::string folder, SampleObject object) {
  object.folder = std::move(folder);
  return object;
}

SampleObject sample_centroids() {
  const Centroids centroids{kDim, {4, 9}, {1.0F, 2.0F, 3.0F, -4.0F, 0.25F, 1e30F}};
  const std::string name = name_of("d/00000000000000000012/centroids");
  return sample("centroids", Kind::centroids, name,
                encode_centroids(centroids, sample_uuid(), name, nonce()),
                [centroids](const base::Bytes& object, const Uuid& index, std::string_view own) {
                  return decode_centroids(object, kDim, index, own).map([&](const Centroids& c) {
                    return same(c, centroids);
                  });
                });
}

SampleObject sample_directions() {
  std::vector<std::int16_t> values(std::size_t{64} * 16);
  for (std::size_t k = 0; k < 16; ++k) {
    values[k * 64 + k] = 2000;
    values[k * 64 + 63 - k] = static_cast<std::int16_t>(k % 2 == 0 ? 440 : -440);
  }
  const kernels::Directions directions(64, std::move(values));
  const std::string name = name_of("d/00000000000000000012/directions");
  return sample(
      "directions", Kind::directions, name,
      encode_directions(directions, sample_uuid(), name, nonce()),
      [directions](const base::Bytes& object, const Uuid& index, std::string_view own) {
        return decode_directions(object, kDim, index, own).map([&](const kernels::Directions& d) {
          return same(d, directions);
        });
      });
}

SampleObject sample_key_map() {
  std::vector<KeyLocation> entries;
  for (std::uint32_t i = 0; i < 300; ++i) {
    entries.push_back({(std::uint64_t{i} * i * 3'000'017) % (1ULL << 48), 1000 + i % 7, i});
  }
  std::sort(entries.begin(), entries.end());
  const std::string name = name_of("d/00000000000000000012/key-map");
  return sample("key_map", Kind::key_map, name,
                encode_key_map(entries, sample_uuid(), name, nonce()),
                [entries](const base::Bytes& object, const Uuid& index, std::string_view own) {
                  return KeyMapSegment::decode(object, index, own).map([&](const KeyMapSegment& s) {
                    return s.entries() == entries;
                  });
                });
}

SampleObject sample_stale() {
  StaleRows stale;
  for (const std::uint32_t row : {1U, 5U, 70'000U}) stale[6].add(row);
  stale[7].addRange(100, 9000);
  for (std::uint32_t row = 0; row < 10'000; row += 2) stale[9].add(row);
  const std::string name = name_of("d/00000000000000000012/stale");
  return sample(
      "stale", Kind::stale, name, encode_stale(stale, sample_uuid(), name, nonce()),
      [stale](const base::Bytes& object, const Uuid& index, std::string_view own) {
        return decode_stale(object, index, own).map([&](const StaleRows& s) { return s == stale; });
      });
}

SampleObject sample_retired() {
  const std::vector<std::string> names = {name_of("d/00000000000000000003/a"), name_of("m/1-b")};
  const std::string name = name_of("d/00000000000000000012/retired");
  return sample(
      "retired", Kind::retired, name, encode_retired(names, sample_uuid(), name, nonce()),
      [names](const base::Bytes& object, const Uuid& index, std::string_view own) {
        return decode_retired(object, index, own).map([&](const std::vector<std::string>& found) {
          return found == names;
        });
      });
}

SampleObject sample_catalog() {
  const Catalog catalog{"bucket-a",
                        {{"index-b", sample_uuid(), CatalogState::active},
                         {"index-c", Uuid{}, CatalogState::deleting}}};
  const std::string name = "v1/cat/" + base::sha256_hex(base::as_bytes("bucket-a"));
  return sample(
      "catalog", Kind::catalog, name, encode_catalog(catalog, name, nonce()),
      [catalog](const base::Bytes& object, const Uuid& index,
                std::string_view own) -> Result<bool> {
        // A catalog belongs to no index.
        if (index != Uuid{}) return fail(ErrorKind::corrupt, own.data());
        return decode_catalog(object, own).map([&](const Catalog& c) { return same(c, catalog); });
      });
}

}  // namespace

std::vector<SampleObject> sample_objects() {
  std::vector<SampleObject> objects;
  objects.push_back(sample_head());
  objects.push_back(sample_manifest("manifest", manifest_part(7, false)));
  objects.push_back(sample_log());
  objects.push_back(sample_seal());
  objects.push_back(sample_group("group", 2, false, true));
  objects.push_back(sample_group("group_numbered", 2, true, true));
  // The bytes of a zstd frame may differ from one version of the library to the next.
  objects.push_back(sample_group("group_zstd", 40, false, false));
  objects.push_back(sample_centroids());
  objects.push_back(sample_key_map());
  objects.push_back(sample_stale());
  objects.push_back(sample_retired());
  objects.push_back(sample_catalog());
  objects.push_back(of_version("v2", sample_manifest("manifest_codes", coded_part(7))));
  objects.push_back(of_version("v2", sample_coded_group()));
  objects.back().exact = false;  // metadata and ids are zstd frames
  objects.push_back(of_version("v3", sample_manifest("manifest_attributes", attributed_part(7))));
  objects.push_back(of_version("v3", sample_attributed_group()));
  objects.push_back(of_version("v4", sample_manifest("manifest_extra", extra_part(7))));
  objects.push_back(of_version("v4", sample_extra_group()));
  objects.back().exact = false;
  objects.push_back(of_version("v5", sample_manifest("manifest_directions", extra_part(7), true)));
  objects.push_back(of_version("v5", sample_directions()));
  objects.push_back(of_version("v5", sample_manifest("manifest_radius", bounded_part(7))));
  objects.push_back(of_version(
      "v5", sample_manifest("manifest_time", manifest_part(7, false), false, ClusterOrder::time)));
  objects.push_back(of_version("v6", sample_stepped_manifest()));
  objects.push_back(of_version("v6", sample_stepped_group()));
  return objects;
}

}  // namespace varve::format
