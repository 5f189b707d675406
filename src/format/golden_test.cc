#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "format/samples.h"

namespace varve::format {
namespace {

// Every format version that was ever written is read for ever: the files are never changed.
std::filesystem::path golden_path(const std::string& file) {
  return std::filesystem::path(VARVE_SOURCE_DIR) / "tests/compat/v1" / (file + ".bin");
}

base::Bytes read_golden(const std::string& file) {
  std::ifstream in(golden_path(file), std::ios::binary);
  EXPECT_TRUE(in.is_open()) << golden_path(file);
  return base::Bytes(std::string(std::istreambuf_iterator<char>(in), {}));
}

TEST(Golden, EveryFileOfVersion1IsReadFieldByField) {
  for (const SampleObject& sample : sample_objects()) {
    const auto equal = sample.decode(read_golden(sample.file), sample.index, sample.name);
    ASSERT_TRUE(equal.has_value()) << sample.file << ": " << equal.error().message;
    EXPECT_TRUE(*equal) << sample.file;
  }
}

TEST(Golden, TheSameStructuresGiveTheSameBytes) {
  for (const SampleObject& sample : sample_objects()) {
    if (!sample.exact) continue;
    EXPECT_TRUE(same(read_golden(sample.file), sample.object)) << sample.file;
  }
}

TEST(Golden, WritesTheFiles) {
  if (std::getenv("VARVE_WRITE_GOLDEN") == nullptr) {
    GTEST_SKIP() << "only with VARVE_WRITE_GOLDEN=1, when a kind is added";
  }
  for (const SampleObject& sample : sample_objects()) {
    std::filesystem::create_directories(golden_path(sample.file).parent_path());
    const std::string_view bytes = base::as_text(sample.object);
    std::ofstream out(golden_path(sample.file), std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(out.good()) << sample.file;
  }
}

}  // namespace
}  // namespace varve::format
