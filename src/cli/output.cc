#include "cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/assert.h"
#include "base/utf8.h"
#include "cli/progress/progress.h"

namespace varve::cli {
namespace {

// Width on a terminal, near enough: characters of UTF-8.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

// What a terminal may obey (U+0000 to U+001F, U+007F to U+009F), or is no character at all.
bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first >= 0x7f;
  return first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
}

}  // namespace

std::string escaped_controls(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t size = std::max<std::size_t>(base::character_bytes(text, i), 1);
    const std::string_view character = text.substr(i, size);
    i += size;
    if (!is_control(character)) {
      out += character;
      continue;
    }
    for (const char c : character) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

void print_line(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

Status flush_output() {
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  if (!failed) return {};
  return fail(ErrorKind::unavailable,
              fmt::format("cannot write to standard output: {}", std::strerror(errno)));
}

Status finish_output() { return flush_output(); }

void note(const Settings& settings, std::string_view message) {
  if (!settings.quiet) print_above_progress(escaped_controls(message));
}

std::string error_line(OutputMode output, const Error& error) {
  if (output == OutputMode::table) {
    const std::string hint = error.hint.empty() ? "" : fmt::format(" (hint: {})", error.hint);
    return escaped_controls(fmt::format("varve: error: {}{}", error.message, hint));
  }
  return json_text(Json{{"error",
                         {{"code", std::string(to_string(error.kind))},
                          {"message", error.message},
                          {"hint", error.hint}}}});
}

void print_error(OutputMode output, const Error& error) {
  print_above_progress(error_line(output, error));
}

std::string json_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string json_string(std::string_view text) { return json_text(Json(text)); }

std::string json_vector(std::span<const float> vector) {
  fmt::memory_buffer out;
  out.push_back('[');
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (i > 0) out.push_back(',');
    fmt::format_to(std::back_inserter(out), "{}", vector[i]);
  }
  out.push_back(']');
  return fmt::to_string(out);
}

std::string json_record(const VectorRecord& record) {
  return fmt::format(R"({{"key":{},"vector":{},"metadata":{}}})", json_string(record.key),
                     json_vector(record.vector),
                     record.metadata.empty() ? "null" : record.metadata);
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, 1, ',');
  return text;
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  auto amount = static_cast<double>(bytes);
  while (amount >= 1024 && unit + 1 < kUnits.size()) {
    amount /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

std::string one_line(std::string_view text, std::size_t characters) {
  std::string out;
  std::size_t count = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool starts = (byte & 0xc0) != 0x80;
    if (starts && count == characters) return out + "...";
    count += starts ? 1 : 0;
    out += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  return out;
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::add(std::vector<std::string> cells) {
  VARVE_ASSERT(cells.size() == columns_.size());
  for (std::string& cell : cells) cell = escaped_controls(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = width_of(columns_[i].name);
    for (const auto& row : rows_) width = std::max(width, width_of(row[i]));
    widths.push_back(width);
  }
  std::string out;
  const auto add_line = [&](const auto& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string& cell = cell_of(i);
      const std::string fill(widths[i] - width_of(cell), ' ');
      if (i > 0) line += "  ";
      line += columns_[i].align == Align::right ? fill + cell : cell + fill;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line([&](std::size_t i) -> const std::string& { return columns_[i].name; });
  for (const auto& row : rows_) {
    add_line([&](std::size_t i) -> const std::string& { return row[i]; });
  }
  return out;
}

std::string Table::markdown() const {
  const auto line = [](const auto& cells, const auto& text_of) {
    std::string out = "|";
    for (const auto& cell : cells) out += fmt::format(" {} |", text_of(cell));
    return out + "\n";
  };
  // A bar would end the cell.
  const auto quoted = [](std::string_view text) {
    std::string out;
    for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
    return out;
  };
  std::string out = line(columns_, [&](const Column& column) { return quoted(column.name); });
  out += line(columns_,
              [](const Column& column) { return column.align == Align::right ? "---:" : "---"; });
  for (const auto& row : rows_) out += line(row, quoted);
  return out;
}

std::string field_lines(const Json& json) {
  std::size_t width = 0;
  for (const auto& [name, value] : json.items()) width = std::max(width, name.size());
  std::string out;
  for (const auto& [name, value] : json.items()) {
    out += fmt::format(
        "{:<{}}  {}\n", name, width,
        value.is_string() ? escaped_controls(value.get<std::string>()) : json_text(value));
  }
  return out;
}

void print_document(const Settings& settings, const Json& json, const std::string& table) {
  if (settings.is_json()) {
    print_line(json_text(json));
  } else {
    std::fwrite(table.data(), 1, table.size(), stdout);
  }
}

}  // namespace varve::cli
