// Rows on their way through a build: in two unnamed temporary files, so that memory stays bounded
// however many there are, and any row can be read again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "kernels/rows.h"
#include "varve/types.h"

namespace varve::engine {

// An unnamed file that grows at the end and can be mapped when it is complete. Not thread-safe.
class SpoolFile {
 public:
  static Result<SpoolFile> create(const std::string& dir);
  SpoolFile(SpoolFile&& other) noexcept;
  SpoolFile& operator=(SpoolFile&&) = delete;
  ~SpoolFile();

  std::uint64_t size() const { return size_; }
  // `overloaded`: no space left. `unavailable`: another failure of the file system.
  Status append(base::ByteSpan bytes);
  // After the last append. The bytes stay mapped until destruction.
  Status map();
  const std::byte* data() const { return data_; }
  // Gives the pages back to the operating system; they are read again when touched.
  void release() const;

 private:
  SpoolFile(int descriptor, std::string dir) : descriptor_(descriptor), dir_(std::move(dir)) {}
  Status flush();

  int descriptor_ = -1;
  std::string dir_;  // for messages
  std::uint64_t size_ = 0;
  std::vector<std::byte> pending_;
  const std::byte* data_ = nullptr;
};

// Rows in blocks, each in the narrowest type that holds it exactly. Filled by one thread, then
// finish(), then read by any.
class Spool {
 public:
  // `first`: LSN of row 0; row i that is added without an LSN of its own has first.op + i.
  static Result<Spool> create(const std::string& dir, std::uint32_t dim, const Lsn& first);

  // An empty key stands for the row number. REQUIRES: vector.size() == dim.
  Status add(std::span<const float> vector, std::string_view key, std::string_view metadata,
             const std::optional<Lsn>& lsn);
  Status finish();

  std::uint64_t size() const { return count_; }
  bool has_keys() const { return !text_offsets_.empty(); }  // else all keys are row numbers

  // --- after finish ---

  std::size_t block_count() const { return blocks_.size(); }
  std::uint64_t block_begin(std::size_t block) const { return block * block_rows_; }
  kernels::Rows block(std::size_t number) const;
  kernels::RowType common_row_type() const;

  struct Row {
    kernels::Rows rows;  // a block
    std::size_t row = 0;
  };
  Row row(std::uint64_t number) const;
  struct Text {
    std::string_view key, metadata;
    Lsn lsn;
  };
  // `scratch` holds the key where it is a row number.
  Text text(std::uint64_t number, std::string& scratch) const;
  void set_first_lsn(const Lsn& first) { first_ = first; }
  void release() const;

 private:
  struct Block {
    std::uint64_t offset = 0;
    kernels::RowType type = kernels::RowType::f32;
    std::size_t count = 0;
  };
  Spool(SpoolFile rows, SpoolFile texts, std::uint32_t dim, const Lsn& first);
  Status flush_block();
  Status add_text(std::string_view key, std::string_view metadata, const std::optional<Lsn>& lsn);

  SpoolFile rows_file_;
  SpoolFile texts_file_;
  std::uint32_t dim_;
  Lsn first_;
  std::size_t block_rows_;
  std::uint64_t count_ = 0;
  std::vector<float> pending_;
  std::vector<Block> blocks_;
  std::vector<std::uint64_t> text_offsets_;  // empty, or one a row
};

}  // namespace varve::engine
