#include <gtest/gtest.h>

#include "format/coding.h"
#include "format/samples.h"

namespace varve::format {
namespace {

class Corruption : public testing::TestWithParam<std::size_t> {
 protected:
  const SampleObject sample_ = sample_objects()[GetParam()];
  std::string bytes_ = std::string(base::as_text(sample_.object));

  Result<bool> decode(std::string_view bytes) const {
    return sample_.decode(base::Bytes::copy_of(base::as_bytes(bytes)), sample_.index, sample_.name);
  }
  // An object whose envelope is right and whose body is this.
  Result<bool> decode_body(std::string_view body) const {
    const Identity identity{sample_.kind, sample_.index, sample_.name, base::Nonce{1, 2},
                            static_cast<std::uint16_t>(bytes_[8])};
    return sample_.decode(encode_envelope(identity, base::as_bytes(body)), sample_.index,
                          sample_.name);
  }
  std::string body() const { return bytes_.substr(envelope_header_bytes(sample_.name)); }
};

void expect_corrupt(const Result<bool>& result, std::string_view name) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, ErrorKind::corrupt);
  EXPECT_NE(result.error().message.find(name), std::string::npos) << result.error().message;
}

TEST_P(Corruption, TheSampleItselfIsGood) {
  const auto result = decode(bytes_);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_TRUE(*result);
}

TEST_P(Corruption, AnyFlippedBitIsFound) {
  // Of the padding of large objects a part is enough: their hash has no blind spot.
  const std::size_t step = bytes_.size() > 4096 ? 13 : 1;
  for (std::size_t i = 0; i < bytes_.size(); i += i < 1024 ? 1 : step) {
    for (const int bit : {0, 3, 7}) {
      bytes_[i] = static_cast<char>(bytes_[i] ^ (1 << bit));
      ASSERT_NO_FATAL_FAILURE(expect_corrupt(decode(bytes_), sample_.name)) << "byte " << i;
      bytes_[i] = static_cast<char>(bytes_[i] ^ (1 << bit));
    }
  }
}

TEST_P(Corruption, AnyOtherLengthIsFound) {
  const std::size_t step = bytes_.size() > 4096 ? 17 : 1;
  for (std::size_t size = 0; size < bytes_.size(); size += size < 1024 ? 1 : step) {
    ASSERT_NO_FATAL_FAILURE(expect_corrupt(decode(bytes_.substr(0, size)), sample_.name)) << size;
  }
  expect_corrupt(decode(bytes_ + '\0'), sample_.name);
}

TEST_P(Corruption, ABodyThatChangedUnderAGoodChecksumIsNeverACrash) {
  std::string body = this->body();
  const std::size_t step = body.size() > 2048 ? 11 : 1;
  for (std::size_t i = 0; i < body.size(); i += i < 1024 ? 1 : step) {
    const char original = body[i];
    for (const int value : {0, 1, 0x7F, 0x80, 0xFF}) {
      body[i] = static_cast<char>(value);
      const auto result = decode_body(body);
      if (!result) {
        EXPECT_EQ(result.error().kind, ErrorKind::corrupt);
      }
    }
    body[i] = original;
  }
}

TEST_P(Corruption, ABodyOfAnotherLengthUnderAGoodChecksumIsFound) {
  const std::string body = this->body();
  const std::size_t step = body.size() > 2048 ? 11 : 1;
  for (std::size_t size = 0; size < body.size(); size += size < 1024 ? 1 : step) {
    ASSERT_NO_FATAL_FAILURE(expect_corrupt(decode_body(body.substr(0, size)), sample_.name))
        << size;
  }
  expect_corrupt(decode_body(body + '\0'), sample_.name);
}

TEST_P(Corruption, AnObjectOfAnotherKindIndexOrNameIsFound) {
  Uuid index = sample_.index;
  index.bytes[15] ^= std::byte{1};
  EXPECT_FALSE(sample_.decode(sample_.object, index, sample_.name).has_value());
  expect_corrupt(sample_.decode(sample_.object, sample_.index, "v1/other"), "v1/other");
  for (const SampleObject& other : sample_objects()) {
    // The same kind is told by its name; log and seal share their slots.
    const bool log = sample_.kind == Kind::log || sample_.kind == Kind::seal;
    if (other.kind == sample_.kind || (log && other.name == sample_.name)) continue;
    const Identity swapped{other.kind, sample_.index, sample_.name, base::Nonce{1, 2}};
    const base::Bytes object = encode_envelope(swapped, base::as_bytes(body()));
    expect_corrupt(sample_.decode(object, sample_.index, sample_.name), "kind");
    expect_corrupt(sample_.decode(other.object, sample_.index, sample_.name), sample_.name);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Corruption, testing::Range(std::size_t{0}, sample_objects().size()),
                         [](const auto& param) { return sample_objects()[param.param].file; });

TEST(CorruptionText, NamesTheObjectAndTheField) {
  const SampleObject group = sample_objects()[4];
  const auto ref = decode_group(group.object, group.index, group.name);
  ASSERT_TRUE(ref.has_value());
  const std::uint64_t offset = ref->parts[1].section(Section::rows).offset;
  std::string body(base::as_text(group.object).substr(envelope_header_bytes(group.name)));
  body[offset - envelope_header_bytes(group.name)] ^= 1;
  const Identity identity{Kind::group, group.index, group.name, base::Nonce{1, 2}};
  const auto result =
      decode_group(encode_envelope(identity, base::as_bytes(body)), group.index, group.name);
  EXPECT_EQ(result.error().message,
            "object " + group.name + ": section D of part 7: checksum mismatch");
}

TEST(CorruptionText, ALogEntryOfAnotherSlotIsCorrupt) {
  const SampleObject log = sample_objects()[2];
  EXPECT_TRUE(decode_log(log.object, {5, 9}, 3, log.index, log.name).has_value());
  EXPECT_FALSE(decode_log(log.object, {5, 8}, 3, log.index, log.name).has_value());
  EXPECT_FALSE(decode_log(log.object, {4, 9}, 3, log.index, log.name).has_value());
  EXPECT_FALSE(decode_log(log.object, {5, 9}, 4, log.index, log.name).has_value());
}

TEST(CorruptionText, AVectorThatIsNotFiniteIsCorrupt) {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    const float vector[] = {1, bad};
    const LogOp op{OpKind::upsert, "k", vector, ""};
    const base::Bytes object = encode_batch({1, 0}, {}, {&op, 1}, 2, Uuid{}, "o", base::Nonce{});
    const auto result = decode_log(object, {1, 0}, 2, Uuid{}, "o");
    ASSERT_FALSE(result.has_value());
    EXPECT_NE(result.error().message.find("operation 0"), std::string::npos);
  }
}

}  // namespace
}  // namespace varve::format
