#include <gtest/gtest.h>

#include <cstring>

#include "format/part.h"
#include "format/samples.h"

namespace varve::format {
namespace {

constexpr std::uint64_t kSeed = 20261120;
constexpr std::string_view kName = "v1/i/ab/an-index/d/00000000000000000001/a-group";

base::Bytes stored_section(const base::Bytes& object, const SectionRef& ref) {
  return object.slice(ref.offset, ref.stored_bytes);
}

// Decodes all sections of the part and compares them with what was encoded.
void expect_same(const base::Bytes& object, const PartRef& part, const PartInput& input) {
  const auto section = [&](Section s) {
    auto bytes = decode_section(stored_section(object, part.section(s)), part.section(s), "test");
    EXPECT_TRUE(bytes.has_value()) << bytes.error().message;
    return *bytes;
  };
  const auto ids = RowIds::decode(section(Section::ids), part.rows, "test");
  ASSERT_TRUE(ids.has_value()) << ids.error().message;
  const auto metadata = RowMetadata::decode(section(Section::metadata), part.rows, "test");
  ASSERT_TRUE(metadata.has_value()) << metadata.error().message;
  EXPECT_TRUE(same(section(Section::attributes), input.attributes));
  const auto rows = view_rows(section(Section::rows), part, input.rows.dim, "test");
  EXPECT_EQ(part.code_kind, input.code_kind);
  EXPECT_EQ(part.radius, round_radius(input.radius));
  EXPECT_TRUE(same(section(Section::codes), input.codes));
  EXPECT_TRUE(same(section(Section::extra), input.extra));
  ASSERT_TRUE(rows.has_value()) << rows.error().message;
  ASSERT_EQ(ids->size(), input.rows.count);
  const std::size_t row_bytes = input.rows.dim * kernels::element_bytes(input.rows.type);
  for (std::size_t i = 0; i < input.rows.count; ++i) {
    ASSERT_EQ(ids->key(i), input.keys[i]);
    ASSERT_EQ(ids->lsn(i), input.lsns[i]);
    ASSERT_EQ(metadata->at(i), input.metadata.empty() ? "" : input.metadata[i]);
    ASSERT_EQ(std::memcmp(rows->row(i), input.rows.row(i), row_bytes), 0);
    for (std::size_t b = row_bytes; b < part.row_stride; ++b) {
      ASSERT_EQ(rows->row(i)[b], std::byte{0});
    }
  }
}

TEST(Group, ARadiusIsRoundedUp) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float radius : {1e-30F, 0.1F, 1.0F, 3.3333F, 65535.9F, 1e30F}) {
    const float stored = round_radius(radius);
    EXPECT_GE(stored, radius);
    EXPECT_LE(stored, radius * 1.00002F);
    EXPECT_EQ(round_radius(stored), stored);
  }
  // Not known.
  for (const float radius : {0.0F, -1.0F, kInfinity, std::numeric_limits<float>::max(),
                             std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_EQ(round_radius(radius), 0.0F) << radius;
  }
}

TEST(Group, GivesBackEveryRowOfEveryType) {
  SCOPED_TRACE(kSeed);
  Sampler sampler(kSeed);
  for (int round = 0; round < 30; ++round) {
    const auto dim = static_cast<std::uint32_t>(1 + sampler.below(200));
    std::vector<OwnedPart> parts;
    for (std::uint64_t n = 1 + sampler.below(6); n > 0; --n) {
      const auto type = static_cast<kernels::RowType>(1 + sampler.below(5));
      parts.push_back(sample_part(sampler, 1 + sampler.below(40), dim, type, sampler.below(2) == 0,
                                  static_cast<unsigned>(sampler.below(9))));
    }
    std::vector<PartInput> inputs;
    for (const OwnedPart& part : parts) inputs.push_back(part.input);
    const Uuid index = sampler.uuid();
    const EncodedGroup group = encode_group(inputs, index, kName, sampler.nonce());

    const auto decoded = decode_group(group.object, index, kName);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_TRUE(same(*decoded, group.ref)) << "round " << round;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const PartRef& part = decoded->parts[i];
      EXPECT_EQ(part.id, inputs[i].id);
      EXPECT_EQ(part.cluster, inputs[i].cluster);
      EXPECT_EQ(part.rows, inputs[i].rows.count);
      EXPECT_EQ(part.row_type, inputs[i].rows.type);
      expect_same(group.object, part, inputs[i]);
    }
  }
}

TEST(Group, RegionsBeginOnPagesAndSectionsOnCacheLines) {
  Sampler sampler(kSeed);
  std::vector<OwnedPart> parts;
  for (int i = 0; i < 5; ++i) {
    parts.push_back(
        sample_part(sampler, 33, 100, kernels::RowType::f32, i % 2 == 0, i == 1 ? 0 : 3));
  }
  std::vector<PartInput> inputs;
  for (const OwnedPart& part : parts) inputs.push_back(part.input);
  const EncodedGroup group = encode_group(inputs, Uuid{}, kName, sampler.nonce());
  std::uint64_t end = 0;
  for (const Section section : {Section::codes, Section::ids, Section::attributes, Section::extra,
                                Section::rows, Section::metadata}) {
    EXPECT_EQ(group.ref.parts[0].section(section).offset % 4096, 0U);
    for (const PartRef& part : group.ref.parts) {
      const SectionRef& ref = part.section(section);
      if (ref.stored_bytes == 0) continue;
      EXPECT_EQ(ref.offset % 64, 0U);
      EXPECT_GE(ref.offset, end) << "sections of kind " << letter(section) << " stand together";
      end = ref.offset + ref.stored_bytes;
    }
  }
  EXPECT_EQ(end, group.object.size());
  EXPECT_EQ(group.ref.parts[1].section(Section::metadata).stored_bytes, 0U) << "absent when empty";
  EXPECT_EQ(group.ref.parts[1].section(Section::codes).stored_bytes, 0U) << "absent when empty";
  EXPECT_EQ(group.ref.parts[1].section(Section::extra).stored_bytes, 0U) << "absent when empty";
}

TEST(Group, HasTheLeastVersionThatCanSayIt) {
  Sampler sampler(kSeed);
  const struct {
    unsigned code_bits;
    bool metadata;
    std::uint16_t version;
  } cases[] = {{0, false, 1}, {1, false, 2}, {0, true, 3}, {1, true, 3}, {2, false, 4}};
  for (const auto& [bits, metadata, version] : cases) {
    OwnedPart part = sample_part(sampler, 40, 65, kernels::RowType::u8, metadata, bits);
    for (const float radius : {0.0F, 1.5F}) {
      part.input.radius = radius;
      const EncodedGroup group = encode_group({&part.input, 1}, Uuid{}, kName, sampler.nonce());
      const auto envelope = decode_envelope(group.object, Kind::group, Uuid{}, kName);
      ASSERT_TRUE(envelope.has_value()) << envelope.error().message;
      EXPECT_EQ(envelope->identity.version, radius > 0 ? 5 : version);
    }
  }
  OwnedPart part = sample_part(sampler, 40, 128, kernels::RowType::u8, false, 1);
  part.codes.resize(codes_bytes(40, 128, CodeKind::signs_in_two_steps));
  part.input.codes = part.codes;
  part.input.code_kind = CodeKind::signs_in_two_steps;
  const EncodedGroup group = encode_group({&part.input, 1}, Uuid{}, kName, sampler.nonce());
  const auto envelope = decode_envelope(group.object, Kind::group, Uuid{}, kName);
  ASSERT_TRUE(envelope.has_value()) << envelope.error().message;
  EXPECT_EQ(envelope->identity.version, 6);
}

TEST(Group, CodesThatDoNotFitTheirRowsAreCorrupt) {
  Sampler sampler(kSeed);
  const OwnedPart part = sample_part(sampler, 40, 65, kernels::RowType::u8, false, 3);
  const PartRef right = encode_group({&part.input, 1}, Uuid{}, kName, {}).ref.parts[0];
  const auto refused = [&](const char* what, auto change, std::uint32_t dim = 65) {
    PartRef ref = right;
    change(ref);
    Writer writer;
    write_part(writer, ref);
    Reader reader(writer.span(), "it");
    static_cast<void>(read_part(reader, dim, std::uint64_t{1} << 32));
    EXPECT_FALSE(reader.ok()) << what;
  };
  refused("a kind without codes", [](PartRef& ref) { ref.section(Section::codes) = {}; });
  refused("codes without a kind", [](PartRef& ref) { ref.code_kind = CodeKind::none; });
  refused("two steps of 65 dimensions in the size of one",
          [](PartRef& ref) { ref.code_kind = CodeKind::signs_in_two_steps; });
  refused(
      "two steps of 64 dimensions",
      [](PartRef& ref) {
        ref.code_kind = CodeKind::signs_in_two_steps;
        SectionRef& codes = ref.section(Section::codes);
        codes.raw_bytes = codes.stored_bytes =
            static_cast<std::uint32_t>(codes_bytes(ref.rows, 64, ref.code_kind));
        ref.section(Section::extra) = {};
      },
      64);
  refused("an unknown kind", [](PartRef& ref) { ref.code_kind = static_cast<CodeKind>(3); });
  refused("compressed",
          [](PartRef& ref) { ref.section(Section::codes).encoding = SectionEncoding::zstd; });
  const auto set_extra = [](PartRef& ref, std::uint32_t bytes) {
    ref.section(Section::extra).raw_bytes = ref.section(Section::extra).stored_bytes = bytes;
  };
  refused("extra bits without codes", [](PartRef& ref) {
    ref.section(Section::codes) = {};
    ref.code_kind = CodeKind::none;
  });
  refused("compressed extra bits",
          [](PartRef& ref) { ref.section(Section::extra).encoding = SectionEncoding::zstd; });
  refused("a byte too much",
          [&](PartRef& ref) { set_extra(ref, ref.section(Section::extra).raw_bytes + 1); });
  refused("less than factors", [&](PartRef& ref) { set_extra(ref, 40); });
  refused("less than a bit", [&](PartRef& ref) { set_extra(ref, 40 * (8 + 8)); });
  refused("more than seven bits", [&](PartRef& ref) { set_extra(ref, 40 * (8 + 8 * 15)); });
  refused("codes of 64 rows for 65", [](PartRef& ref) {
    ref.rows = 65;
    ref.section(Section::rows).raw_bytes = 65 * ref.row_stride;
    ref.section(Section::rows).stored_bytes = 65 * ref.row_stride;
  });
}

TEST(Group, RowStrideIsAMultipleOf64WhereThatIsCheap) {
  using kernels::RowType;
  const struct {
    std::uint32_t dim;
    RowType type;
    std::uint32_t stride;
  } cases[] = {
      {16, RowType::f32, 64},      {960, RowType::f32, 3840}, {784, RowType::u8, 832},
      {100, RowType::f32, 400},    {128, RowType::f32, 512},  {300, RowType::f32, 1216},
      {1, RowType::u8, 4},         {3, RowType::f16, 8},      {1, RowType::f32, 4},
      {1536, RowType::bf16, 3072}, {768, RowType::f16, 1536}, {4096, RowType::f32, 16384},
      {1023, RowType::i8, 1024},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(row_stride_bytes(c.dim, c.type), c.stride) << c.dim << " " << to_string(c.type);
  }
}

TEST(Group, IdsOfAnImportTakeFewBytesARow) {
  // 60,000 rows of one import in 240 clusters, at random.
  base::Random random(kSeed);
  std::vector<std::vector<std::string>> keys(240);
  std::vector<std::vector<Lsn>> lsns(240);
  for (std::uint64_t row = 0; row < 60'000; ++row) {
    const std::uint64_t cluster = random.below(240);
    keys[cluster].push_back(std::to_string(row));
    lsns[cluster].push_back(Lsn{3, 17, row});
  }
  std::size_t bytes = 0;
  for (std::size_t c = 0; c < keys.size(); ++c) {
    const std::vector<std::string_view> views(keys[c].begin(), keys[c].end());
    const std::vector<float> zeros(views.size());
    const PartInput input{c,     0,       kernels::rows_of(zeros.data(), zeros.size(), 1),
                          views, lsns[c], {}};
    const EncodedGroup group = encode_group({&input, 1}, Uuid{}, kName, base::Nonce{});
    bytes += group.ref.parts[0].section(Section::ids).stored_bytes;
  }
  const double row_bytes = static_cast<double>(bytes) / 60'000;
  RecordProperty("bytes_per_row", std::to_string(row_bytes));
  EXPECT_LE(row_bytes, 2.5);
}

TEST(Group, KeysThatLookLikeNumbersComeBackAsTheyWere) {
  const std::vector<std::vector<std::string_view>> lists = {
      {"0", "1", "2", "10", "9"},
      {"18446744073709551615", "0", "18446744073709551614"},
      {"18446744073709551616", "1"},  // does not fit
      {"1", "01"},                    // two spellings
      {"1", "-1"},
      {"1", "+1"},
      {"1", "1 "},
      {"00"},
  };
  for (const auto& keys : lists) {
    const std::vector<Lsn> lsns(keys.size(), Lsn{1, 2, 3});
    const std::vector<float> values(keys.size());
    const PartInput input{1, 0, kernels::rows_of(values.data(), keys.size(), 1), keys, lsns, {}};
    const EncodedGroup group = encode_group({&input, 1}, Uuid{}, kName, base::Nonce{});
    expect_same(group.object, group.ref.parts[0], input);
  }
}

TEST(Group, SectionsThatAreNotWhatTheReferenceSaysAreCorrupt) {
  Sampler sampler(kSeed);
  const OwnedPart part = sample_part(sampler, 50, 4, kernels::RowType::f32, true, false);
  const EncodedGroup group = encode_group({&part.input, 1}, Uuid{}, kName, sampler.nonce());
  const SectionRef right = group.ref.parts[0].section(Section::metadata);
  const base::Bytes stored = stored_section(group.object, right);
  ASSERT_EQ(right.encoding, SectionEncoding::zstd);
  ASSERT_TRUE(decode_section(stored, right, "it").has_value());

  const auto refused = [&](const char* what, auto change) {
    SectionRef ref = right;
    change(ref);
    const auto result = decode_section(stored, ref, "object o: section F of part 7");
    ASSERT_FALSE(result.has_value()) << what;
    EXPECT_EQ(result.error().kind, ErrorKind::corrupt);
    EXPECT_EQ(result.error().message.rfind("object o: section F of part 7: ", 0), 0U);
  };
  refused("checksum", [](SectionRef& ref) { ref.crc32c ^= 1; });
  refused("stored size", [](SectionRef& ref) { ref.stored_bytes -= 1; });
  refused("raw size", [](SectionRef& ref) { ref.raw_bytes += 1; });
  refused("huge raw size", [](SectionRef& ref) { ref.raw_bytes = 0xFFFFFFFF; });
  refused("not compressed", [](SectionRef& ref) { ref.encoding = SectionEncoding::raw; });
  refused("unknown", [](SectionRef& ref) { ref.encoding = static_cast<SectionEncoding>(2); });
}

TEST(Group, AttributesWithoutMetadataAreCorrupt) {
  Sampler sampler(kSeed);
  const OwnedPart part = sample_part(sampler, 40, 65, kernels::RowType::u8, true, false);
  PartRef ref = encode_group({&part.input, 1}, Uuid{}, kName, {}).ref.parts[0];
  const auto is_read = [&] {
    Writer writer;
    write_part(writer, ref);
    Reader reader(writer.span(), "it");
    static_cast<void>(read_part(reader, 65, std::uint64_t{1} << 32));
    return reader.ok();
  };
  ASSERT_TRUE(has_attributes(ref));
  EXPECT_TRUE(is_read());
  ref.section(Section::metadata) = {};
  EXPECT_FALSE(is_read());
}

TEST(Group, RowsOfTheWrongSizeAreCorrupt) {
  PartRef part;
  part.rows = 3;
  part.row_stride = 16;
  const base::Bytes section = base::Bytes::copy_of(base::as_bytes(std::string(48, 'x')));
  EXPECT_TRUE(view_rows(section, part, 4, "it").has_value());
  EXPECT_FALSE(view_rows(section, part, 5, "it").has_value()) << "a row needs 20 bytes";
  EXPECT_FALSE(view_rows(section.slice(0, 47), part, 4, "it").has_value());
}

}  // namespace
}  // namespace varve::format
