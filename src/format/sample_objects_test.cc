// The structures behind the golden files. Never change one: the files are read for ever.
#include <algorithm>
#include <numeric>

#include "format/attributes.h"
#include "format/part.h"
#include "format/samples.h"

namespace varve::format {
namespace {

constexpr std::uint32_t kDim = 3;
constexpr std::uint32_t kExtraWords = 2;
const LogPosition kPosition{5, 9};

Uuid sample_uuid() { return Uuid::from_hex("00112233445566778899aabbccddeeff").value(); }

base::Sha256 sample_hash(unsigned first) {
  base::Sha256 hash;
  for (std::size_t i = 0; i < hash.size(); ++i) hash[i] = static_cast<std::byte>(first + i);
  return hash;
}

std::string name_of(std::string_view tail) {
  return "v1/i/00/" + sample_uuid().hex() + "/" + std::string(tail);
}

base::Nonce nonce() { return base::Nonce{0x1122334455667788, 0x99AABBCCDDEEFF00}; }

// Wraps a decoder and a comparison. `F` gives Result<bool>.
template <typename F>
SampleObject sample(std::string file, Kind kind, std::string name, base::Bytes object, F decode) {
  return SampleObject{std::move(file),
                      "v1",
                      kind,
                      kind == Kind::catalog ? Uuid{} : sample_uuid(),
                      std::move(name),
                      std::move(object),
                      true,
                      std::move(decode)};
}

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
  const auto bytes = static_cast<std::uint32_t>(codes_bytes(part.rows, kDim));
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
  const std::string name = name_of("m/00000000000000000042-0000000000000000000000000000cafe");
  return sample(std::move(file), Kind::manifest, name,
                encode_manifest(manifest, sample_uuid(), name, nonce()),
                [manifest](const base::Bytes& object, const Uuid& index, std::string_view own) {
                  return decode_manifest(object, index, own).map([&](const Manifest& m) {
                    return same(m, manifest);
                  });
                });
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

// Rows, keys, positions and metadata of one part of the golden groups.
struct GroupRows {
  std::vector<float> values;
  std::vector<std::string> keys, metadata;
  std::vector<Lsn> lsns;
};

GroupRows group_rows(std::size_t count, bool numbered) {
  GroupRows rows;
  rows.values.resize(count * kDim);
  std::iota(rows.values.begin(), rows.values.end(), 0.5F);
  for (std::size_t i = 0; i < count; ++i) {
    rows.keys.push_back((numbered ? "" : "key-\u00e9-") + std::to_string(i * i));
    rows.metadata.push_back(i % 3 == 0 ? "" : R"({"i":)" + std::to_string(i) + "}");
    rows.lsns.push_back(Lsn{2, 3 + i / 2, i % 2});
  }
  return rows;
}

Result<bool> holds(const base::Bytes& object, const PartRef& part, const GroupRows& rows) {
  const auto section = [&](Section s) {
    const SectionRef& ref = part.section(s);
    return decode_section(object.slice(ref.offset, ref.stored_bytes), ref, "golden group");
  };
  VARVE_TRY(const base::Bytes ids_bytes, section(Section::ids));
  VARVE_TRY(const base::Bytes rows_bytes, section(Section::rows));
  VARVE_TRY(const base::Bytes metadata_bytes, section(Section::metadata));
  VARVE_TRY(const RowIds ids, RowIds::decode(ids_bytes, part.rows, "golden group"));
  VARVE_TRY(const RowMetadata metadata,
            RowMetadata::decode(metadata_bytes, part.rows, "golden group"));
  VARVE_TRY(const kernels::Rows view, view_rows(rows_bytes, part, kDim, "golden group"));
  bool equal = view.count == rows.keys.size() && ids.size() == rows.keys.size();
  for (std::size_t i = 0; equal && i < rows.keys.size(); ++i) {
    const std::span<const float> row = std::span(rows.values).subspan(i * kDim, kDim);
    equal = ids.key(i) == rows.keys[i] && ids.lsn(i) == rows.lsns[i] &&
            metadata.at(i) == rows.metadata[i] &&
            same(base::ByteSpan(view.row(i), sizeof(float) * kDim), std::as_bytes(row));
  }
  return equal;
}

SampleObject sample_group(std::string file, std::size_t count, bool numbered, bool exact) {
  const GroupRows rows = group_rows(count, numbered);
  const std::vector<std::string_view> keys(rows.keys.begin(), rows.keys.end());
  const std::vector<std::string_view> metadata(rows.metadata.begin(), rows.metadata.end());
  const kernels::Rows values = kernels::rows_of(rows.values.data(), count, kDim);
  const PartInput inputs[] = {
      {6, 2, values, keys, rows.lsns, metadata},
      {7, 1, values.sub(0, 1), std::span(keys).first(1), std::span(rows.lsns).first(1), {}}};
  const std::string name = name_of("d/00000000000000000012/0000000000000000000000000000" + file);
  SampleObject object = sample(
      std::move(file), Kind::group, name, encode_group(inputs, sample_uuid(), name, nonce()).object,
      [rows](const base::Bytes& bytes, const Uuid& index, std::string_view own) -> Result<bool> {
        VARVE_TRY(const GroupRef group, decode_group(bytes, index, own));
        if (group.parts.size() != 2 || group.parts[0].id != 6 || group.parts[0].cluster != 2 ||
            group.parts[1].id != 7 || group.parts[1].rows != 1) {
          return false;
        }
        return holds(bytes, group.parts[0], rows);
      });
  object.exact = exact;
  return object;
}

// Two parts, one with sign codes.
SampleObject sample_coded_group() {
  constexpr std::size_t kCount = 40;
  const GroupRows rows = group_rows(kCount, false);
  const std::vector<std::string_view> keys(rows.keys.begin(), rows.keys.end());
  const std::vector<std::string_view> metadata(rows.metadata.begin(), rows.metadata.end());
  const kernels::Rows values = kernels::rows_of(rows.values.data(), kCount, kDim);
  std::vector<std::byte> codes(codes_bytes(kCount, kDim));
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::byte>(i * 7 + 1);
  const PartInput inputs[] = {
      {6, 2, values, keys, rows.lsns, metadata, CodeKind::signs, codes},
      {7, 1, values.sub(0, 1), std::span(keys).first(1), std::span(rows.lsns).first(1), {}}};
  const std::string name =
      name_of("d/00000000000000000012/0000000000000000000000000000group_codes");
  return sample("group_codes", Kind::group, name,
                encode_group(inputs, sample_uuid(), name, nonce()).object,
                [rows, codes](const base::Bytes& bytes, const Uuid& index,
                              std::string_view own) -> Result<bool> {
                  VARVE_TRY(const GroupRef group, decode_group(bytes, index, own));
                  if (group.parts.size() != 2 || group.parts[1].code_kind != CodeKind::none)
                    return false;
                  const PartRef& coded = group.parts[0];
                  const SectionRef& ref = coded.section(Section::codes);
                  if (coded.code_kind != CodeKind::signs) return false;
                  if (!same(bytes.slice(ref.offset, ref.stored_bytes), codes)) return false;
                  return holds(bytes, coded, rows);
                });
}

// Two parts, one with extra bits beside its codes.
SampleObject sample_extra_group() {
  constexpr std::size_t kCount = 40;
  const GroupRows rows = group_rows(kCount, false);
  const std::vector<std::string_view> keys(rows.keys.begin(), rows.keys.end());
  const kernels::Rows values = kernels::rows_of(rows.values.data(), kCount, kDim);
  std::vector<std::byte> codes(codes_bytes(kCount, kDim)), extra(extra_bytes(kCount, kExtraWords));
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::byte>(i * 7 + 1);
  for (std::size_t i = 0; i < extra.size(); ++i) extra[i] = static_cast<std::byte>(i * 5 + 3);
  const PartInput inputs[] = {
      {6, 2, values, keys, rows.lsns, {}, CodeKind::signs, codes, extra},
      {7, 1, values.sub(0, 1), std::span(keys).first(1), std::span(rows.lsns).first(1), {}}};
  const std::string name =
      name_of("d/00000000000000000012/0000000000000000000000000000group_extra");
  return sample("group_extra", Kind::group, name,
                encode_group(inputs, sample_uuid(), name, nonce()).object,
                [codes, extra](const base::Bytes& bytes, const Uuid& index,
                               std::string_view own) -> Result<bool> {
                  VARVE_TRY(const GroupRef group, decode_group(bytes, index, own));
                  if (group.parts.size() != 2 || has_extra(group.parts[1])) return false;
                  const auto has = [&](Section section, base::ByteSpan wanted) {
                    const SectionRef& ref = group.parts[0].section(section);
                    return same(bytes.slice(ref.offset, ref.stored_bytes), wanted);
                  };
                  return extra_words_of(group.parts[0]) == kExtraWords &&
                         has(Section::codes, codes) && has(Section::extra, extra);
                });
}

// Two parts, one with attributes.
SampleObject sample_attributed_group() {
  constexpr std::size_t kCount = 40;
  const GroupRows rows = group_rows(kCount, false);
  const std::vector<std::string_view> keys(rows.keys.begin(), rows.keys.end());
  const std::vector<std::string_view> metadata(rows.metadata.begin(), rows.metadata.end());
  const kernels::Rows values = kernels::rows_of(rows.values.data(), kCount, kDim);
  PartInput inputs[] = {
      {6, 2, values, keys, rows.lsns, metadata},
      {7, 1, values.sub(0, 1), std::span(keys).first(1), std::span(rows.lsns).first(1), {}}};
  const base::Bytes columns = encode_row_attributes(metadata);
  inputs[0].attributes = columns;
  const std::string name =
      name_of("d/00000000000000000012/0000000000000000000000000group_attributes");
  return sample("group_attributes", Kind::group, name,
                encode_group(inputs, sample_uuid(), name, nonce()).object,
                [rows, columns](const base::Bytes& bytes, const Uuid& index,
                                std::string_view own) -> Result<bool> {
                  VARVE_TRY(const GroupRef group, decode_group(bytes, index, own));
                  if (group.parts.size() != 2 || has_attributes(group.parts[1])) return false;
                  const SectionRef& ref = group.parts[0].section(Section::attributes);
                  VARVE_TRY(const base::Bytes section,
                            decode_section(bytes.slice(ref.offset, ref.stored_bytes), ref, own));
                  VARVE_TRY(const Attributes found, Attributes::decode(section, kCount, own));
                  if (found.columns().size() != 1 || !same(section, columns)) return false;
                  return holds(bytes, group.parts[0], rows);
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
  return objects;
}

}  // namespace varve::format
