// Every format: what is right reads back, what is wrong is one line that names file, row and field.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "cli/files/npy_header.h"
#include "cli/files/vector_file.h"

namespace varve::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
std::string raw(std::initializer_list<T> values) {
  std::string bytes;
  for (const T value : values) {
    char at[sizeof(T)];
    std::memcpy(at, &value, sizeof value);
    bytes.append(at, sizeof value);
  }
  return bytes;
}

std::string int32(std::int32_t value) { return raw<std::int32_t>({value}); }
std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string fvecs(std::initializer_list<std::initializer_list<float>> rows) {
  std::string bytes;
  for (const auto& row : rows) bytes += int32(static_cast<std::int32_t>(row.size())) + raw(row);
  return bytes;
}

std::string npy(const std::string& header, const std::string& values, char version = 1) {
  const auto size = static_cast<std::uint32_t>(header.size());
  std::string bytes("\x93NUMPY", 6);
  bytes += {version, '\0'};
  bytes += raw<std::uint32_t>({size}).substr(0, version == 1 ? 2 : 4);
  return bytes + header + values;
}
std::string npy_header(const std::string& descr, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
}

std::string gzip(const std::string& bytes) {
  z_stream state{};
  EXPECT_EQ(deflateInit2(&state, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&state, bytes.size()) + 64, '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  state.avail_in = static_cast<uInt>(bytes.size());
  state.next_out = reinterpret_cast<Bytef*>(packed.data());
  state.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&state, Z_FINISH), Z_STREAM_END);
  packed.resize(state.total_out);
  deflateEnd(&state);
  return packed;
}

std::string zstd(const std::string& bytes) {
  std::string packed(ZSTD_compressBound(bytes.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), 3));
  return packed;
}

struct Outcome {
  std::vector<VectorRecord> rows;
  std::string error;  // empty: none
};

Outcome read_all(FileFormat format, const std::string& bytes, const RowRules& rules = {}) {
  Outcome outcome;
  const auto failed = [&](const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::invalid);
    outcome.error = error.message;
    return outcome;
  };
  auto plain = decompressed(stream_of(bytes), "t");
  if (!plain) return failed(plain.error());
  auto rows = open_vector_stream({std::move(*plain), bytes.size()}, "t", {format, rules});
  if (!rows) return failed(rows.error());
  VectorRecord record;
  while (true) {
    const auto more = (*rows)->next(record);
    if (!more) return failed(more.error());
    if (!*more) return outcome;
    outcome.rows.push_back(record);
  }
}

std::vector<std::vector<float>> vectors(const Outcome& outcome) {
  EXPECT_EQ(outcome.error, "");
  std::vector<std::vector<float>> all;
  for (const auto& row : outcome.rows) all.push_back(row.vector);
  return all;
}

const std::vector<std::vector<float>> kTwoByThree{{1, 2, 3}, {4, 5, 6}};

TEST(VectorFile, ReadsTheVecsFamily) {
  EXPECT_EQ(vectors(read_all(FileFormat::fvecs, fvecs({{1, 2, 3}, {4, 5, 6}}))), kTwoByThree);
  EXPECT_EQ(vectors(read_all(FileFormat::bvecs, int32(3) + "\1\2\3" + int32(3) + "\4\5\6")),
            kTwoByThree);
  EXPECT_EQ(vectors(read_all(FileFormat::ivecs, raw<std::int32_t>({3, 1, 2, 3, 3, 4, 5, 6}))),
            kTwoByThree);
}

TEST(VectorFile, ReadsEveryTypeOfNpyInEveryVersion) {
  const std::vector<std::pair<std::string, std::string>> types{
      {"<f4", raw<float>({1, 2, 3, 4, 5, 6})},
      {"<f8", raw<double>({1, 2, 3, 4, 5, 6})},
      {"<f2", raw<std::uint16_t>({0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600})},
      {"|i1", "\1\2\3\4\5\6"},
      {"|u1", "\1\2\3\4\5\6"},
      {"<u1", "\1\2\3\4\5\6"},
      {"<i4", raw<std::int32_t>({1, 2, 3, 4, 5, 6})}};
  for (const auto& [descr, values] : types) {
    for (const char version : {'\1', '\2', '\3'}) {
      const auto bytes = npy(npy_header(descr, "(2, 3)"), values, version);
      EXPECT_EQ(vectors(read_all(FileFormat::npy, bytes)), kTwoByThree) << descr;
    }
  }
}

TEST(VectorFile, ReadsHalfFloatsExactly) {
  const auto bytes =
      npy(npy_header("<f2", "(1, 4)"), raw<std::uint16_t>({0x0001, 0x83ff, 0x7bff, 0xc001}));
  const auto rows = vectors(read_all(FileFormat::npy, bytes));
  EXPECT_THAT(rows.at(0), ElementsAre(0x1p-24F, -1023 * 0x1p-24F, 65504.0F, -2.001953125F));
}

TEST(VectorFile, ReadsOneDimensionOfNpyAsOneRow) {
  const auto bytes = npy(npy_header("<f4", "(3,)"), raw<float>({1, 2, 3}));
  EXPECT_EQ(vectors(read_all(FileFormat::npy, bytes)).size(), 1U);
}

TEST(VectorFile, ReadsIdxWithRowsOfAnyShape) {
  const std::string head("\0\0\x08\x03", 4);
  const auto bytes = head + big_endian(2) + big_endian(3) + big_endian(1) + "\1\2\3\4\5\6";
  EXPECT_EQ(vectors(read_all(FileFormat::idx, bytes)), kTwoByThree);
}

TEST(VectorFile, ReadsJsonRowsInAnyOrderOfFields) {
  const auto outcome =
      read_all(FileFormat::jsonl,
               "{\"key\":\"a\",\"vector\":[1,2.5,-3e0]}\r\n\n"
               "{\"metadata\": {\"n\": 1.0, \"s\": [\"}\"]} ,\"vector\":[4,5,6],\"key\":\"b\"}");
  ASSERT_EQ(outcome.error, "");
  ASSERT_EQ(outcome.rows.size(), 2U);
  EXPECT_EQ(outcome.rows[0].key, "a");
  EXPECT_EQ(outcome.rows[0].metadata, "");
  EXPECT_THAT(outcome.rows[0].vector, ElementsAre(1, 2.5, -3));
  EXPECT_EQ(outcome.rows[1].key, "b");
  EXPECT_EQ(outcome.rows[1].metadata, "{\"n\": 1.0, \"s\": [\"}\"]}");
}

TEST(VectorFile, TakesNullMetadataForNone) {
  const auto outcome =
      read_all(FileFormat::jsonl, R"({"key":"a","vector":[1,2,3],"metadata":null})");
  ASSERT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.rows[0].metadata, "");
  EXPECT_THAT(read_all(FileFormat::jsonl, R"({"vector":[1,2,3],"metadata":nul})").error,
              testing::HasSubstr("line 1"));
}

TEST(VectorFile, ReadsWordsAsKeys) {
  const auto outcome = read_all(FileFormat::words, "the 1 2 3\n1984 4 5 6\n. . 4 5 6 \n",
                                {.dim = 3, .reject_zero = false});
  ASSERT_EQ(outcome.error, "");
  ASSERT_EQ(outcome.rows.size(), 3U);
  EXPECT_EQ(outcome.rows[0].key, "the");
  EXPECT_EQ(outcome.rows[1].key, "1984");
  EXPECT_EQ(outcome.rows[2].key, ". .");
  EXPECT_EQ(vectors(read_all(FileFormat::words, "a 1 2 3\nb 4 5 6")), kTwoByThree);
}

TEST(VectorFile, ReadsCompressedFilesOfOneOrSeveralParts) {
  const auto first = fvecs({{1, 2, 3}}), second = fvecs({{4, 5, 6}});
  for (const auto& pack : {gzip, zstd}) {
    EXPECT_EQ(vectors(read_all(FileFormat::fvecs, pack(first + second))), kTwoByThree);
    EXPECT_EQ(vectors(read_all(FileFormat::fvecs, pack(first) + pack(second))), kTwoByThree);
  }
}

TEST(VectorFile, ReadsRowsLargerThanItsBuffers) {
  std::string bytes;
  const int row_count = 100;
  for (int i = 0; i < row_count; ++i) {
    bytes += int32(4096);
    bytes.append(4096 * 4, static_cast<char>(i & 0x3f));
  }
  for (const auto& packed : {bytes, gzip(bytes), zstd(bytes)}) {
    const auto outcome = read_all(FileFormat::fvecs, packed);
    EXPECT_EQ(outcome.error, "");
    ASSERT_EQ(outcome.rows.size(), 100U);
    std::uint32_t bits = 0;
    std::memcpy(&bits, &outcome.rows[99].vector[4095], sizeof bits);
    EXPECT_EQ(bits, 0x23232323U);
  }
}

struct BadFile {
  const char* name;
  FileFormat format;
  std::string bytes;
  const char* message;
  RowRules rules = {};
};

class BadFiles : public testing::TestWithParam<BadFile> {};

TEST_P(BadFiles, AreNamedInOneLine) {
  const BadFile& bad = GetParam();
  const auto outcome = read_all(bad.format, bad.bytes, bad.rules);
  EXPECT_THAT(outcome.error, HasSubstr(bad.message));
  EXPECT_THAT(outcome.error, HasSubstr("file 't'"));
  EXPECT_EQ(outcome.error.find('\n'), std::string::npos);
}

const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInf = std::numeric_limits<float>::infinity();
const std::string kIdx("\0\0\x08\x02", 4);

INSTANTIATE_TEST_SUITE_P(
    VectorFile, BadFiles,
    testing::Values(
        BadFile{"empty", FileFormat::fvecs, "", "is empty"},
        BadFile{"empty_gzip", FileFormat::jsonl, gzip(""), "is empty"},
        BadFile{"vecs_cut_in_row", FileFormat::fvecs, fvecs({{1, 2}, {3, 4}}).substr(0, 20),
                "row 1: the file is cut short"},
        BadFile{"vecs_cut_in_dimension", FileFormat::fvecs, fvecs({{1, 2}}) + "\2\0",
                "row 1: the file is cut short or has bytes after its end"},
        BadFile{"vecs_dim_varies", FileFormat::fvecs, fvecs({{1, 2}, {3, 4, 5}}),
                "row 1: dimension is 3, expected 2"},
        BadFile{"vecs_dim_zero", FileFormat::fvecs, int32(0), "row 0: dimension 0 is not in 1 to"},
        BadFile{"vecs_dim_negative", FileFormat::bvecs, int32(-1), "is not in 1 to 4096"},
        BadFile{"vecs_dim_huge", FileFormat::ivecs, int32(0x7fffffff), "is not in 1 to 4096"},
        BadFile{"vecs_nan", FileFormat::fvecs, fvecs({{1, 2}, {3, kNan}}),
                "row 1: vector[1] is NaN"},
        BadFile{"vecs_inf", FileFormat::fvecs, fvecs({{-kInf}}), "row 0: vector[0] is infinite"},
        BadFile{"vecs_dim_of_index",
                FileFormat::fvecs,
                fvecs({{1, 2}}),
                "row 0: dimension is 2, expected 3",
                {.dim = 3}},
        BadFile{"vecs_zero_cosine",
                FileFormat::bvecs,
                int32(1) + std::string("\0", 1),
                "row 0: vector is all zero",
                {.dim = 1, .reject_zero = true}},
        BadFile{"gzip_cut", FileFormat::fvecs,
                gzip(fvecs({{1, 2, 3}})).substr(0, gzip(fvecs({{1, 2, 3}})).size() - 5),
                "gzip stream is cut short"},
        BadFile{"gzip_garbage_after", FileFormat::fvecs, gzip(fvecs({{1}})) + "garbage",
                "gzip stream is damaged"},
        BadFile{"zstd_cut", FileFormat::fvecs,
                zstd(fvecs({{1, 2, 3}})).substr(0, zstd(fvecs({{1, 2, 3}})).size() - 3),
                "zstd stream is cut short"},
        BadFile{"zstd_garbage_after", FileFormat::fvecs, zstd(fvecs({{1}})) + "garbage",
                "zstd stream is damaged"},
        BadFile{"npy_text", FileFormat::npy, "1.0 2.0 3.0\n", "not a npy file"},
        BadFile{"npy_short_text", FileFormat::npy, "1", "not a npy file"},
        BadFile{"npy_version", FileFormat::npy, npy("{}", "", 9), "npy version 9"},
        BadFile{"npy_header_cut", FileFormat::npy,
                npy(npy_header("<f4", "(1, 1)"), "").substr(0, 40), "npy header is cut short"},
        BadFile{"npy_header_size_cut", FileFormat::npy, std::string("\x93NUMPY\1\0\1", 9),
                "npy header is cut short"},
        BadFile{"npy_header_huge", FileFormat::npy,
                std::string("\x93NUMPY\2\0\xff\xff\xff\xff", 12),
                "npy header of 4294967295 bytes is too large"},
        BadFile{"npy_cut", FileFormat::npy, npy(npy_header("<f4", "(2, 2)"), raw<float>({1, 2, 3})),
                "row 1: the file is cut short, its header says 2 rows"},
        BadFile{"npy_huge_shape", FileFormat::npy,
                npy(npy_header("<f8", "(18446744073709551615, 4096)"), "xxxxxxxx"),
                "row 0: the file is cut short"},
        BadFile{"npy_overflow", FileFormat::npy,
                npy(npy_header("<f8", "(18446744073709551616, 4)"), ""), "no number"},
        BadFile{"npy_dim_huge", FileFormat::npy, npy(npy_header("|u1", "(1, 4097)"), "x"),
                "dimension 4097 is not in 1 to 4096"},
        BadFile{"npy_no_rows", FileFormat::npy, npy(npy_header("<f4", "(0, 4)"), ""), "no rows"},
        BadFile{"npy_long", FileFormat::npy, npy(npy_header("|u1", "(1, 2)"), "abc"),
                "has bytes after the 1 rows of its header"},
        BadFile{"npy_three_dimensions", FileFormat::npy, npy(npy_header("|u1", "(1, 2, 3)"), "abc"),
                "has 3 dimensions"},
        BadFile{"npy_object", FileFormat::npy, npy(npy_header("|O", "(1, 2)"), "abc"),
                "npy type '|O' is not one of"},
        BadFile{"npy_big_endian", FileFormat::npy, npy(npy_header(">f4", "(1, 1)"), "abcd"),
                "npy type '>f4' is not one of"},
        BadFile{"npy_fortran", FileFormat::npy,
                npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1)}", "abcd"),
                "Fortran order"},
        BadFile{"npy_double_too_large", FileFormat::npy,
                npy(npy_header("<f8", "(1, 1)"), raw<double>({1e300})), "vector[0] is infinite"},
        BadFile{"idx_text", FileFormat::idx, "hello world", "not an IDX file"},
        BadFile{"idx_float", FileFormat::idx, std::string("\0\0\x0d\x02", 4), "is not ubyte"},
        BadFile{"idx_labels", FileFormat::idx, std::string("\0\0\x08\x01", 4) + big_endian(1) + "x",
                "IDX file with 1 dimensions"},
        BadFile{"idx_header_cut", FileFormat::idx, kIdx + "\0", "IDX header is cut short"},
        BadFile{"idx_no_rows", FileFormat::idx, kIdx + big_endian(0) + big_endian(3), "no rows"},
        BadFile{"idx_huge", FileFormat::idx, kIdx + big_endian(0xffffffff) + big_endian(0xffffffff),
                "is not in 1 to 4096"},
        BadFile{"idx_cut", FileFormat::idx, kIdx + big_endian(2) + big_endian(2) + "abc",
                "row 1: the file is cut short"},
        BadFile{"idx_long", FileFormat::idx, kIdx + big_endian(1) + big_endian(2) + "abc",
                "has bytes after the 1 rows"},
        BadFile{"json_malformed", FileFormat::jsonl, "{\"vector\":[1]}\n{\"vector\":[1]\n",
                "line 2:"},
        BadFile{"json_no_object", FileFormat::jsonl, "[1,2]", "line 1: not a JSON object"},
        BadFile{"json_cut", FileFormat::jsonl, "{\"vector\":[1", "line 1:"},
        BadFile{"json_text_after", FileFormat::jsonl, "{\"vector\":[1]} x", "line 1:"},
        BadFile{"json_no_vector", FileFormat::jsonl, "{\"key\":\"a\"}", "'vector' is missing"},
        BadFile{"json_empty_vector", FileFormat::jsonl, "{\"vector\":[]}", "dimension 0"},
        BadFile{"json_nan", FileFormat::jsonl, "{\"vector\":[1,NaN]}", "vector[1] is no number"},
        BadFile{"json_null", FileFormat::jsonl, "{\"vector\":[null]}", "vector[0] is no number"},
        BadFile{"json_large", FileFormat::jsonl, "{\"vector\":[1e39]}", "too large for float32"},
        BadFile{"json_unknown", FileFormat::jsonl, "{\"vector\":[1],\"id\":1}", "'id' is unknown"},
        BadFile{"json_repeated", FileFormat::jsonl, "{\"vector\":[1],\"vector\":[1]}", "repeated"},
        BadFile{"json_key_number", FileFormat::jsonl, "{\"key\":1,\"vector\":[1]}", "no string"},
        BadFile{"json_key_nul", FileFormat::jsonl, "{\"key\":\"a\\u0000\",\"vector\":[1]}", "NUL"},
        BadFile{"json_key_long", FileFormat::jsonl,
                "{\"key\":\"" + std::string(1025, 'k') + "\",\"vector\":[1]}", "1024 bytes"},
        BadFile{"json_metadata", FileFormat::jsonl, "{\"vector\":[1],\"metadata\":3}", "no object"},
        BadFile{"json_metadata_malformed", FileFormat::jsonl,
                "{\"vector\":[1],\"metadata\":{\"a\":tru}}", "line 1: metadata is no valid JSON"},
        BadFile{"json_dim_varies", FileFormat::jsonl, "{\"vector\":[1]}\n{\"vector\":[1,2]}",
                "line 2: dimension is 2, expected 1"},
        BadFile{"json_utf8", FileFormat::jsonl, "{\"key\":\"\xff\",\"vector\":[1]}", "line 1:"},
        BadFile{"json_long_line", FileFormat::jsonl, std::string(3 << 20, ' ') + "{}", "1 MiB"},
        BadFile{"words_text", FileFormat::words, "hello brave world\n", "vector[1] is no number"},
        BadFile{"words_only", FileFormat::words, "hello\n", "dimension 0"},
        BadFile{"words_few", FileFormat::words, "a 1 2\nb 1\n", "line 2: 1 numbers, expected 2"},
        BadFile{"words_many", FileFormat::words, "a 1 2\nb 1 2 3\n", "more than 2 numbers"},
        BadFile{"words_nan", FileFormat::words, "a nan\n", "vector[0] is NaN"},
        BadFile{"words_no_word", FileFormat::words, " 1 2\n", "line 1: no word"}),
    [](const auto& param_info) { return std::string(param_info.param.name); });

TEST(VectorFile, ChoosesTheFormatByNameAndNotByCompression) {
  EXPECT_EQ(format_of("a/b.fvecs").value(), FileFormat::fvecs);
  EXPECT_EQ(format_of("b.bvecs.gz").value(), FileFormat::bvecs);
  EXPECT_EQ(format_of("b.npy.zst").value(), FileFormat::npy);
  EXPECT_EQ(format_of("train-images-idx3-ubyte.gz").value(), FileFormat::idx);
  EXPECT_EQ(format_of("glove.txt.gz").value(), FileFormat::words);
  EXPECT_EQ(format_of("x.csv").error().kind, ErrorKind::invalid);
  EXPECT_EQ(format_of("x.gz").error().kind, ErrorKind::invalid);
  EXPECT_FALSE(parse_format("csv"));
}

TEST(VectorFile, TellsAMissingFileFromAFolder) {
  EXPECT_EQ(open_vector_file("/nowhere/x.npy", {}).error().kind, ErrorKind::not_found);
  EXPECT_EQ(open_vector_file("/tmp", {.format = FileFormat::npy, .rules = {}}).error().kind,
            ErrorKind::invalid);
}

TEST(NpyHeader, TakesKeysInAnyOrderAndNothingElse) {
  const auto header =
      parse_npy_header("{\"shape\":(3,),'fortran_order':True,'descr':'<f4'}   \n").value();
  EXPECT_EQ(header.descr, "<f4");
  EXPECT_TRUE(header.fortran_order);
  EXPECT_THAT(header.shape, ElementsAre(3));
  for (const char* bad :
       {"", "{", "{}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} x",
        "{'descr': '<f4', 'fortran_order': None, 'shape': (3,)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}"}) {
    EXPECT_FALSE(parse_npy_header(bad)) << bad;
  }
}

}  // namespace
}  // namespace varve::cli
