#include "cli/files/trace_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <unordered_set>

#include "base/result.h"
#include "cli/files/byte_stream.h"

namespace varve::cli {
namespace {

using cache::Access;

constexpr std::size_t kBytesMax = std::size_t{4} << 30;
constexpr std::size_t kGuessBytes = std::size_t{4} << 20;
constexpr std::size_t kAccessesMax = std::size_t{1} << 31;

constexpr std::array<std::pair<std::string_view, TraceFormat>, 7> kFormats{
    {{"arc", TraceFormat::arc},
     {"keys", TraceFormat::keys},
     {"sized", TraceFormat::sized},
     {"csv", TraceFormat::csv},
     {"int32", TraceFormat::int32},
     {"int64", TraceFormat::int64},
     {"oracle", TraceFormat::oracle}}};

Result<std::string> read_all(const std::string& path) {
  VARVE_TRY(const OpenedFile file, open_bytes(path));
  std::string bytes;
  std::vector<std::byte> block(std::size_t{1} << 20);
  // Ends: at the end of the file or at the limit.
  while (true) {
    VARVE_TRY(const std::size_t count, file.bytes->read(block));
    if (count == 0) return bytes;
    bytes.append(reinterpret_cast<const char*>(block.data()), count);
    if (bytes.size() > kBytesMax) {
      return fail(ErrorKind::invalid, fmt::format("file '{}' is larger than 4 GiB", path));
    }
  }
}

template <typename T>
T big_endian(const char* bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value << 8 | static_cast<unsigned char>(bytes[i]));
  }
  return value;
}

template <typename T>
T little_endian(const char* bytes) {
  static_assert(std::endian::native == std::endian::little);
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

// The numbers of a line between blanks and commas; false if something else stands there.
bool numbers_of(std::string_view line, std::vector<std::uint64_t>& numbers) {
  numbers.clear();
  const char* at = line.data();
  const char* const end = at + line.size();
  while (at != end) {
    if (*at == ' ' || *at == '\t' || *at == '\r') {
      ++at;
      continue;
    }
    std::uint64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc{}) return false;
    numbers.push_back(number);
    at = next;
  }
  return true;
}

// Calls `take(line)` for each line, which returns what is wrong with it, or nothing.
template <typename Take>
Status each_line(const std::string& path, std::string_view text, const Take& take) {
  std::uint64_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    ++number;
    const std::string_view wrong = take(text.substr(0, end));
    if (!wrong.empty()) {
      return fail(ErrorKind::invalid, fmt::format("file '{}', line {}: {}", path, number, wrong));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

Status read_arc(const std::string& path, std::string_view text, std::vector<Access>& accesses) {
  std::vector<std::uint64_t> numbers;
  return each_line(path, text, [&](std::string_view line) -> std::string_view {
    if (!numbers_of(line, numbers) || numbers.size() != 4) return "expected four numbers";
    if (numbers[1] > kAccessesMax - accesses.size()) return "more than 2^31 accesses";
    for (std::uint64_t i = 0; i < numbers[1]; ++i) accesses.push_back({numbers[0] + i, 1});
    return {};
  });
}

Status read_keys(const std::string& path, std::string_view text, std::vector<Access>& accesses) {
  std::vector<std::uint64_t> numbers;
  return each_line(path, text, [&](std::string_view line) -> std::string_view {
    if (!numbers_of(line, numbers) || numbers.empty()) return {};
    if (numbers.size() != 1) return "expected one number";
    accesses.push_back({numbers[0], 1});
    return {};
  });
}

Status read_sized(const std::string& path, std::string_view text, std::vector<Access>& accesses) {
  std::vector<std::uint64_t> numbers;
  return each_line(path, text, [&](std::string_view line) -> std::string_view {
    if (!numbers_of(line, numbers) || numbers.size() != 3) return "expected time, key and size";
    accesses.push_back({numbers[1], numbers[2]});
    return {};
  });
}

Status read_csv(const std::string& path, std::string_view text, std::vector<Access>& accesses) {
  bool header = true;
  return each_line(path, text, [&](std::string_view line) -> std::string_view {
    if (std::exchange(header, false)) {
      return line.starts_with("version,time,op,size,lbn") ? "" : "expected the header";
    }
    std::array<std::string_view, 5> fields;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const std::size_t end = std::min(line.find(','), line.size());
      fields[i] = line.substr(0, end);
      line.remove_prefix(std::min(end + 1, line.size()));
    }
    std::vector<std::uint64_t> size, key;
    if (!numbers_of(fields[3], size) || size.size() != 1) return "size is no number";
    if (!numbers_of(fields[4], key) || key.size() != 1) return "lbn is no number";
    accesses.push_back({key[0], size[0]});
    return {};
  });
}

template <typename T>
Status read_binary_keys(const std::string& path, std::string_view bytes,
                        std::vector<Access>& accesses) {
  if (bytes.size() % sizeof(T) != 0) {
    return fail(ErrorKind::invalid, fmt::format("file '{}': its {} bytes are no whole keys of {}",
                                                path, bytes.size(), sizeof(T)));
  }
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(T)) {
    accesses.push_back({big_endian<T>(bytes.data() + i), 1});
  }
  return {};
}

Status read_oracle(const std::string& path, std::string_view bytes, std::vector<Access>& accesses) {
  constexpr std::size_t kRecordBytes = 24;
  if (bytes.size() % kRecordBytes != 0) {
    return fail(ErrorKind::invalid,
                fmt::format("file '{}': its {} bytes are no whole records", path, bytes.size()));
  }
  for (std::size_t i = 0; i < bytes.size(); i += kRecordBytes) {
    accesses.push_back({little_endian<std::uint64_t>(bytes.data() + i + 4),
                        little_endian<std::uint32_t>(bytes.data() + i + 12)});
  }
  return {};
}

// Two keys of four bytes form more pairs than there are keys; the halves of a key of eight tell it.
TraceFormat guess_binary(std::string_view bytes) {
  if (bytes.size() % 8 != 0) return TraceFormat::int32;
  std::unordered_set<std::uint64_t> pairs;
  std::unordered_set<std::uint32_t> firsts, seconds;
  for (std::size_t i = 0; i < std::min(bytes.size(), kGuessBytes); i += 8) {
    pairs.insert(big_endian<std::uint64_t>(bytes.data() + i));
    firsts.insert(big_endian<std::uint32_t>(bytes.data() + i));
    seconds.insert(big_endian<std::uint32_t>(bytes.data() + i + 4));
  }
  const std::size_t halves = std::max(firsts.size(), seconds.size());
  return 10 * halves >= 9 * pairs.size() ? TraceFormat::int64 : TraceFormat::int32;
}

TraceFormat guess(const std::string& path, std::string_view bytes) {
  if (path.find("oracleGeneral") != std::string::npos) return TraceFormat::oracle;
  const std::string_view head = bytes.substr(0, 4096);
  const bool text = std::all_of(head.begin(), head.end(), [](unsigned char c) {
    return (c >= 0x20 && c < 0x7F) || c == '\n' || c == '\r' || c == '\t';
  });
  if (!text) return guess_binary(bytes);
  if (head.starts_with("version,")) return TraceFormat::csv;
  std::vector<std::uint64_t> numbers;
  if (!numbers_of(head.substr(0, head.find('\n')), numbers)) return TraceFormat::keys;
  if (numbers.size() == 4) return TraceFormat::arc;
  return numbers.size() == 3 ? TraceFormat::sized : TraceFormat::keys;
}

Status read_as(TraceFormat format, const std::string& path, std::string_view bytes,
               std::vector<Access>& accesses) {
  switch (format) {
    case TraceFormat::arc:
      return read_arc(path, bytes, accesses);
    case TraceFormat::sized:
      return read_sized(path, bytes, accesses);
    case TraceFormat::csv:
      return read_csv(path, bytes, accesses);
    case TraceFormat::int32:
      return read_binary_keys<std::uint32_t>(path, bytes, accesses);
    case TraceFormat::int64:
      return read_binary_keys<std::uint64_t>(path, bytes, accesses);
    case TraceFormat::oracle:
      return read_oracle(path, bytes, accesses);
    case TraceFormat::keys:
    case TraceFormat::guess:
      break;
  }
  return read_keys(path, bytes, accesses);
}

}  // namespace

Result<TraceFormat> trace_format(std::string_view name) {
  if (name.empty()) return TraceFormat::guess;
  std::string known;
  for (const auto& [each, format] : kFormats) {
    if (each == name) return format;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", each);
  }
  return fail(ErrorKind::invalid, fmt::format("trace format '{}' does not exist", name), known);
}

Result<std::vector<Access>> read_trace(const std::string& path, TraceFormat format) {
  VARVE_TRY(const std::string bytes, read_all(path));
  if (format == TraceFormat::guess) format = guess(path, bytes);
  std::vector<Access> accesses;
  VARVE_CHECK(read_as(format, path, bytes, accesses));
  if (accesses.empty()) {
    return fail(ErrorKind::invalid, fmt::format("file '{}' holds no accesses", path));
  }
  return accesses;
}

}  // namespace varve::cli
