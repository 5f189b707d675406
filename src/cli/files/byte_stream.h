// Bytes of a file in order, decompressed on the way. Memory is bounded whatever the file says.
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "varve/result.h"

namespace varve::cli {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Copies up to out.size() bytes and returns how many: 0 only at the end. REQUIRES: `out` is not
  // empty. `invalid`: a compressed stream is damaged or cut short. `unavailable`: reading failed.
  virtual Result<std::size_t> read(std::span<std::byte> out) = 0;
};

struct OpenedFile {
  std::unique_ptr<ByteStream> bytes;
  // Decompressed size where it can be told beforehand, else 0. For progress only: the file may lie.
  std::uint64_t size_hint = 0;
};

// Opens a file, or standard input for "-". gzip, zstd and xz are recognised by
// their first bytes.
// `not_found`: no such file. `invalid`: a folder, or not readable by this user.
Result<OpenedFile> open_bytes(const std::string& path);

// The rest of a descriptor, of which `read_before` was read already; it is not closed.
std::unique_ptr<ByteStream> stream_of_descriptor(int descriptor, const std::string& name,
                                                 std::string read_before);

// The same over bytes in memory; `name` stands in the messages.
std::unique_ptr<ByteStream> stream_of(std::string bytes);
Result<std::unique_ptr<ByteStream>> decompressed(std::unique_ptr<ByteStream> raw,
                                                 const std::string& name);

// What the first bytes of a stream say, which may be too few to tell.
enum class Compression { none, gzip, zstd, xz, unknown };
Compression compression_of(std::string_view first_bytes);

// Buffered reads of exact sizes and of lines.
class ByteReader {
 public:
  ByteReader(std::unique_ptr<ByteStream> bytes, std::string name);

  const std::string& name() const { return name_; }
  Result<bool> at_end();
  // Fills `out`; fewer bytes are returned only at the end of the file.
  Result<std::size_t> read(std::span<std::byte> out);
  // The next line without its line feed (and carriage return); false at the end. A line that is
  // larger than `bytes_max` comes back unfinished: the caller checks the size.
  Result<bool> read_line(std::string& line, std::size_t bytes_max);

 private:
  Status fill();

  std::unique_ptr<ByteStream> bytes_;
  std::string name_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  bool finished_ = false;
};

}  // namespace varve::cli
