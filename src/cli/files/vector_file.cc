#include "cli/files/vector_file.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/assert.h"
#include "base/result.h"
#include "cli/files/formats.h"

namespace varve::cli {
namespace {

constexpr const char* kFormatsHint =
    "known: .fvecs .bvecs .ivecs .npy .jsonl .txt .idx *-ubyte, each also .gz or .zst; or --format";

constexpr std::array<std::pair<std::string_view, FileFormat>, 9> kEndings{{
    {".fvecs", FileFormat::fvecs},
    {".bvecs", FileFormat::bvecs},
    {".ivecs", FileFormat::ivecs},
    {".npy", FileFormat::npy},
    {".idx", FileFormat::idx},
    {"-ubyte", FileFormat::idx},
    {".jsonl", FileFormat::jsonl},
    {".ndjson", FileFormat::jsonl},
    {".txt", FileFormat::words},
}};

constexpr std::array kFormats{FileFormat::fvecs, FileFormat::bvecs, FileFormat::ivecs,
                              FileFormat::npy,   FileFormat::idx,   FileFormat::jsonl,
                              FileFormat::words};

}  // namespace

const char* to_string(FileFormat format) {
  switch (format) {
    case FileFormat::fvecs:
      return "fvecs";
    case FileFormat::bvecs:
      return "bvecs";
    case FileFormat::ivecs:
      return "ivecs";
    case FileFormat::npy:
      return "npy";
    case FileFormat::idx:
      return "idx";
    case FileFormat::jsonl:
      return "jsonl";
    case FileFormat::words:
      return "words";
  }
  return "";
}

Result<FileFormat> parse_format(const std::string& name) {
  for (const FileFormat format : kFormats) {
    if (name == to_string(format)) return format;
  }
  return fail(ErrorKind::invalid, fmt::format("file format '{}' is not known", name),
              "known: fvecs, bvecs, ivecs, npy, idx, jsonl, words");
}

Result<FileFormat> format_of(const std::string& path) {
  std::string_view name = path;
  for (const std::string_view packed : {".gz", ".zst", ".xz"}) {
    if (name.ends_with(packed)) {
      name.remove_suffix(packed.size());
      break;
    }
  }
  for (const auto& [ending, format] : kEndings) {
    if (name.ends_with(ending)) return format;
  }
  return fail(ErrorKind::invalid, fmt::format("file '{}': its name tells no known format", path),
              kFormatsHint);
}

Result<std::unique_ptr<RowSource>> open_vector_file(const std::string& path,
                                                    const VectorFileOptions& options) {
  VectorFileOptions known = options;
  if (!known.format) {
    VARVE_TRY(known.format, format_of(path));
  }
  VARVE_TRY(OpenedFile file, open_bytes(path));
  return open_vector_stream(std::move(file), path, known);
}

Result<std::unique_ptr<RowSource>> open_vector_stream(OpenedFile file, const std::string& name,
                                                      const VectorFileOptions& options) {
  VARVE_ASSERT(options.format.has_value());
  ByteReader in(std::move(file.bytes), name);
  VARVE_TRY(const bool empty, in.at_end());
  if (empty) return fail(ErrorKind::invalid, fmt::format("file '{}' is empty", name));
  const RowRules& rules = options.rules;
  switch (*options.format) {
    case FileFormat::fvecs:
      return open_vecs(std::move(in), VecsType::f32, rules, file.size_hint);
    case FileFormat::bvecs:
      return open_vecs(std::move(in), VecsType::u8, rules, file.size_hint);
    case FileFormat::ivecs:
      return open_vecs(std::move(in), VecsType::i32, rules, file.size_hint);
    case FileFormat::npy:
      return open_npy(std::move(in), rules);
    case FileFormat::idx:
      return open_idx(std::move(in), rules);
    case FileFormat::jsonl:
      return open_jsonl(std::move(in), rules);
    case FileFormat::words:
      return open_words(std::move(in), rules);
  }
  return fail(ErrorKind::internal, "unknown file format");
}

}  // namespace varve::cli
