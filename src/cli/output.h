// What reaches the terminal: data on standard output, all else on standard error.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/settings.h"
#include "varve/types.h"

namespace varve::cli {

using Json = nlohmann::ordered_json;

// One line on standard output.
void print_line(std::string_view line);
// Sends what was printed on its way now; a line a program waits for must not sit in a buffer.
// `unavailable`: nobody will get it.
Status flush_output();
// `unavailable`: something that was printed could not be written, for example on a full disk.
Status finish_output();

// One line on standard error, unless --quiet.
void note(const Settings& settings, std::string_view message);

// "varve: error: <message> (hint: <hint>)", or {"error":{code,message,hint}} with -o json.
void print_error(OutputMode output, const Error& error);
// The text of it, without a line feed. Control characters are escaped: it is always one line.
std::string error_line(OutputMode output, const Error& error);

// `text` as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);
// Shortest decimals that read back as the same float32.
std::string json_vector(std::span<const float> vector);
// {"key":...,"vector":[...],"metadata":{...}}; the metadata as it was given, null for none.
std::string json_record(const VectorRecord& record);

std::string json_text(const Json& json);

// "1,234,567".
std::string grouped(std::uint64_t number);
// "12.3 MiB".
std::string bytes_text(std::uint64_t bytes);
// `text` with control characters, and bytes that are not UTF-8, as \xNN.
std::string escaped_controls(std::string_view text);
// `text` cut to `characters` characters on one line, "..." where something is missing.
std::string one_line(std::string_view text, std::size_t characters);

// Rows under a header, numbers to the right. Nothing is cut.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string name;
    Align align = Align::left;
  };

  explicit Table(std::vector<Column> columns);
  // REQUIRES: one cell for each column.
  void add(std::vector<std::string> cells);
  std::string text() const;  // lines, each with a line feed
  std::string markdown() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "name  value" lines, one for each field of a flat JSON object.
std::string field_lines(const Json& json);

// Prints one JSON document, or the lines of the table in table mode.
void print_document(const Settings& settings, const Json& json, const std::string& table);

}  // namespace varve::cli
