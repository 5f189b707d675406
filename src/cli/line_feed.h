// Lines of a file, a named pipe or standard input. The last two also tell when no line is ready
// yet: a program that writes rows one by one wants each acknowledged soon, not when a batch is
// full.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "cli/files/byte_stream.h"

namespace varve::cli {

enum class Feed { line, pending, end };

// One thread at a time.
class LineFeed {
 public:
  // `path` is a file, a named pipe or "-", compressed or not. Only what comes uncompressed from a
  // pipe or standard input is ever `pending`.
  static Result<LineFeed> open(const std::string& path);
  // From a descriptor that stays open and is not closed.
  static LineFeed of_descriptor(int descriptor, std::string name);

  const std::string& name() const { return name_; }
  std::uint64_t line_number() const { return line_number_; }

  // The next line without its line feed. `pending`: nothing came within `wait_ms`; negative: waits
  // until something comes. A line above `bytes_max` is `invalid`. A signal ends the feed.
  Result<Feed> next(std::string& line, int wait_ms, std::size_t bytes_max);

 private:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

  static Result<LineFeed> of_stream(const std::string& path);
  Result<Feed> next_of_file(std::string& line, std::size_t bytes_max);
  Result<Feed> read_more(int wait_ms);
  Status recognise_compression();
  Result<Feed> take(std::string& line, std::size_t end, std::size_t next);

  std::string name_;
  std::unique_ptr<ByteReader> file_;
  File stream_{nullptr, &std::fclose};  // closes descriptor_; null: it stays open
  int descriptor_ = -1;
  std::string buffer_;
  std::size_t begin_ = 0;     // of what was not handed out
  std::size_t searched_ = 0;  // no line feed in [begin_, searched_)
  bool recognised_ = false;   // whether it is compressed
  std::uint64_t line_number_ = 0;
};

}  // namespace varve::cli
