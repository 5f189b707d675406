// Vector files of the field as rows: .fvecs .bvecs .ivecs (INRIA TEXMEX), .npy (NumPy, versions 1
// to 3), IDX ubyte (MNIST), .jsonl, and GloVe-style text; each also compressed by gzip or zstd.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/files/byte_stream.h"
#include "cli/files/row_rules.h"
#include "varve/database.h"

namespace varve::cli {

enum class FileFormat { fvecs, bvecs, ivecs, npy, idx, jsonl, words };

// The name that `--format` takes.
const char* to_string(FileFormat format);
// `invalid`: none of the names of `to_string`.
Result<FileFormat> parse_format(const std::string& name);
// By the end of the file name, .gz and .zst left out. `invalid`: not known.
Result<FileFormat> format_of(const std::string& path);

struct VectorFileOptions {
  std::optional<FileFormat> format;  // default: by the name
  RowRules rules;
};

// A malformed file is `invalid` in one line that names file, row and field, here or from `next`;
// rows before it have been handed out by then. Rows come with an empty key unless the file has
// keys.
Result<std::unique_ptr<RowSource>> open_vector_file(const std::string& path,
                                                    const VectorFileOptions& options);

// The same over any bytes. REQUIRES: options.format is set.
Result<std::unique_ptr<RowSource>> open_vector_stream(OpenedFile file, const std::string& name,
                                                      const VectorFileOptions& options);

}  // namespace varve::cli
