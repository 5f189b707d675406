#include "cli/line_feed.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/result.h"
#include "cli/files/row_rules.h"
#include "cli/signals.h"

namespace varve::cli {
namespace {

// A named pipe or a terminal: what comes from it comes bit by bit.
bool is_stream(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return false;
  return S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode);
}

}  // namespace

Result<LineFeed> LineFeed::open(const std::string& path) {
  if (path == "-") return of_descriptor(STDIN_FILENO, "standard input");
  if (is_stream(path)) return of_stream(path);
  LineFeed feed;
  VARVE_TRY(OpenedFile file, open_bytes(path));
  feed.name_ = path;
  feed.file_ = std::make_unique<ByteReader>(std::move(file.bytes), path);
  return feed;
}

Result<LineFeed> LineFeed::of_stream(const std::string& path) {
  File file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (file == nullptr) {
    return fail(ErrorKind::unavailable,
                fmt::format("cannot open '{}': {}", path, std::strerror(errno)));
  }
  LineFeed feed = of_descriptor(::fileno(file.get()), path);
  feed.stream_ = std::move(file);
  return feed;
}

LineFeed LineFeed::of_descriptor(int descriptor, std::string name) {
  LineFeed feed;
  feed.name_ = std::move(name);
  feed.descriptor_ = descriptor;
  return feed;
}

Result<Feed> LineFeed::next(std::string& line, int wait_ms, std::size_t bytes_max) {
  if (exit_code_of_signal() != 0) return Feed::end;
  Feed feed = Feed::line;
  if (file_ != nullptr) {
    VARVE_TRY(feed, next_of_file(line, bytes_max));
  } else {
    std::size_t found = std::string::npos;
    // Ends: each turn reads bytes until a line is complete or longer than allowed.
    while ((found = buffer_.find('\n', searched_)) == std::string::npos &&
           buffer_.size() - begin_ <= bytes_max) {
      searched_ = buffer_.size();
      VARVE_TRY(feed, read_more(wait_ms));
      if (feed != Feed::pending && !recognised_) VARVE_CHECK(recognise_compression());
      if (file_ != nullptr) return next(line, wait_ms, bytes_max);
      if (feed != Feed::line) break;
    }
    if (feed == Feed::pending || (feed == Feed::end && begin_ == buffer_.size())) return feed;
    const std::size_t end = std::min(found, buffer_.size());
    VARVE_TRY(feed, take(line, end, found == std::string::npos ? end : end + 1));
  }
  if (feed == Feed::line && line.size() > bytes_max) {
    return tl::unexpected(row_error({name_, "line", line_number_},
                                    fmt::format("the line is longer than {} bytes", bytes_max)));
  }
  return feed;
}

Result<Feed> LineFeed::next_of_file(std::string& line, std::size_t bytes_max) {
  VARVE_TRY(const bool more, file_->read_line(line, bytes_max));
  line_number_ += more ? 1 : 0;
  return more ? Feed::line : Feed::end;
}

// From the first bytes on; a stream that is compressed goes on as a file.
Status LineFeed::recognise_compression() {
  const Compression compression = compression_of(buffer_);
  recognised_ = compression != Compression::unknown;
  if (compression == Compression::none || !recognised_) return {};
  VARVE_TRY(auto plain,
            decompressed(stream_of_descriptor(descriptor_, name_, std::move(buffer_)), name_));
  file_ = std::make_unique<ByteReader>(std::move(plain), name_);
  return {};
}

Result<Feed> LineFeed::take(std::string& line, std::size_t end, std::size_t next) {
  line.assign(buffer_, begin_, end - begin_);
  if (line.ends_with('\r')) line.pop_back();
  begin_ = searched_ = next;
  ++line_number_;
  return Feed::line;
}

Result<Feed> LineFeed::read_more(int wait_ms) {
  pollfd ready{descriptor_, POLLIN, 0};
  const int count = ::poll(&ready, 1, wait_ms);
  if (count == 0) return Feed::pending;
  if (count < 0 && errno == EINTR) return exit_code_of_signal() != 0 ? Feed::end : Feed::pending;
  std::array<char, 65536> block;
  const ssize_t bytes = ::read(descriptor_, block.data(), block.size());
  if (bytes == 0) return Feed::end;
  if (bytes < 0 && errno == EINTR) return exit_code_of_signal() != 0 ? Feed::end : Feed::pending;
  if (bytes < 0) {
    return fail(ErrorKind::unavailable,
                fmt::format("cannot read {}: {}", name_, std::strerror(errno)));
  }
  buffer_.erase(0, begin_);
  searched_ -= begin_;
  begin_ = 0;
  buffer_.append(block.data(), static_cast<std::size_t>(bytes));
  return Feed::line;
}

}  // namespace varve::cli
