#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "format/samples.h"

namespace varve::format {
namespace {

// Every format version that was ever written is read for ever: the files are never changed.
std::filesystem::path golden_path(const SampleObject& sample) {
  return std::filesystem::path(VARVE_SOURCE_DIR) / "tests/compat" / sample.folder /
         (sample.file + ".bin");
}

base::Bytes read_golden(const SampleObject& sample) {
  std::ifstream in(golden_path(sample), std::ios::binary);
  EXPECT_TRUE(in.is_open()) << golden_path(sample);
  return base::Bytes(std::string(std::istreambuf_iterator<char>(in), {}));
}

TEST(Golden, EveryFileOfEveryVersionIsReadFieldByField) {
  for (const SampleObject& sample : sample_objects()) {
    const auto equal = sample.decode(read_golden(sample), sample.index, sample.name);
    ASSERT_TRUE(equal.has_value()) << sample.file << ": " << equal.error().message;
    EXPECT_TRUE(*equal) << sample.file;
  }
}

TEST(Golden, TheSameStructuresGiveTheSameBytes) {
  for (const SampleObject& sample : sample_objects()) {
    if (!sample.exact) continue;
    EXPECT_TRUE(same(read_golden(sample), sample.object)) << sample.file;
  }
}

TEST(Golden, WritesTheFiles) {
  if (std::getenv("VARVE_WRITE_GOLDEN") == nullptr) {
    GTEST_SKIP() << "only with VARVE_WRITE_GOLDEN=1, when a kind is added";
  }
  for (const SampleObject& sample : sample_objects()) {
    std::filesystem::create_directories(golden_path(sample).parent_path());
    const std::string_view bytes = base::as_text(sample.object);
    std::ofstream out(golden_path(sample), std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(out.good()) << sample.file;
  }
}

}  // namespace
}  // namespace varve::format
