#include "cli/files/json_row.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <limits>

#include "base/result.h"

namespace varve::cli {
namespace {

namespace ondemand = simdjson::ondemand;

tl::unexpected<Error> bad(std::string message) {
  return fail(ErrorKind::invalid, std::move(message));
}

Status read_vector(ondemand::value value, std::vector<float>& vector) {
  vector.clear();
  ondemand::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) return bad("vector is no array");
  for (auto element : array) {
    if (vector.size() == kDimMax)
      return bad(fmt::format("vector has more than {} values", kDimMax));
    double number = 0;
    if (element.get_double().get(number) != simdjson::SUCCESS) {
      return bad(fmt::format("vector[{}] is no number", vector.size()));
    }
    constexpr double kMax = std::numeric_limits<float>::max();
    if (number > kMax || number < -kMax) {
      return bad(fmt::format("vector[{}] is too large for float32", vector.size()));
    }
    vector.push_back(static_cast<float>(number));
  }
  return {};
}

Status read_key(ondemand::value value, std::string& key) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) return bad("key is no string");
  if (text.empty()) return bad("key is empty");
  if (text.size() > kKeyBytesMax)
    return bad(fmt::format("key is longer than {} bytes", kKeyBytesMax));
  if (text.find('\0') != std::string_view::npos) return bad("key holds a NUL character");
  key = text;
  return {};
}

// REQUIRES: the value of the document has been walked to its end.
bool has_more_text(ondemand::document& document) {
  return document.current_location().error() != simdjson::OUT_OF_BOUNDS;
}

}  // namespace

struct JsonRowParser::State {
  ondemand::parser parser;
  // On-Demand does not look inside what it skips; metadata is checked by a full parse.
  simdjson::dom::parser full;
  std::string buffer;

  simdjson::padded_string_view pad(std::string_view line) {
    buffer.assign(line);
    buffer.append(simdjson::SIMDJSON_PADDING, ' ');
    return simdjson::padded_string_view(buffer.data(), line.size(), buffer.size());
  }

  Status read_metadata(ondemand::value value, std::string& metadata) {
    ondemand::object object;
    std::string_view raw;
    metadata.clear();
    bool is_null = false;
    if (value.is_null().get(is_null) == simdjson::SUCCESS && is_null) return {};
    if (value.get_object().get(object) != simdjson::SUCCESS ||
        object.raw_json().get(raw) != simdjson::SUCCESS) {
      return bad("metadata is no object");
    }
    while (!raw.empty() && raw.back() != '}') raw.remove_suffix(1);
    if (raw.size() > kMetadataBytesMax) {
      return bad(fmt::format("metadata is larger than {} bytes", kMetadataBytesMax));
    }
    metadata = raw;
    simdjson::dom::element element;
    if (full.parse(metadata).get(element) != simdjson::SUCCESS)
      return bad("metadata is no valid JSON");
    return {};
  }

  Status read_row(ondemand::document& document, VectorRecord& record) {
    bool has_key = false, has_vector = false, has_metadata = false;
    ondemand::object object;
    if (document.get_object().get(object) != simdjson::SUCCESS) return bad("not a JSON object");
    for (auto field_result : object) {
      ondemand::field field;
      std::string_view name;
      if (std::move(field_result).get(field) != simdjson::SUCCESS ||
          field.unescaped_key().get(name) != simdjson::SUCCESS) {
        return bad("malformed JSON");
      }
      if (name == "key" && !has_key) {
        has_key = true;
        VARVE_CHECK(read_key(field.value(), record.key));
      } else if (name == "vector" && !has_vector) {
        has_vector = true;
        VARVE_CHECK(read_vector(field.value(), record.vector));
      } else if (name == "metadata" && !has_metadata) {
        has_metadata = true;
        VARVE_CHECK(read_metadata(field.value(), record.metadata));
      } else {
        return bad(fmt::format("field '{}' is unknown or repeated", name));
      }
    }
    if (has_more_text(document)) return bad("text after the JSON object");
    if (!has_vector) return bad("field 'vector' is missing");
    return {};
  }
};

JsonRowParser::JsonRowParser() : state_(std::make_unique<State>()) {}
JsonRowParser::~JsonRowParser() = default;
JsonRowParser::JsonRowParser(JsonRowParser&&) noexcept = default;
JsonRowParser& JsonRowParser::operator=(JsonRowParser&&) noexcept = default;

Status JsonRowParser::parse(std::string_view line, const RowPlace& place, const RowRules& rules,
                            VectorRecord& record) {
  record.key.clear();
  record.metadata.clear();
  ondemand::document document;
  if (state_->parser.iterate(state_->pad(line)).get(document) != simdjson::SUCCESS) {
    return tl::unexpected(row_error(place, "malformed JSON"));
  }
  const Status read = state_->read_row(document, record);
  if (!read) return tl::unexpected(row_error(place, read.error().message));
  VARVE_CHECK(check_dim(place, record.vector.size(), rules));
  return check_values(place, record.vector, rules);
}

Status JsonRowParser::parse_vector(std::string_view text, std::vector<float>& vector) {
  ondemand::document document;
  ondemand::value value;
  if (state_->parser.iterate(state_->pad(text)).get(document) != simdjson::SUCCESS ||
      document.get_value().get(value) != simdjson::SUCCESS) {
    return bad("the vector is no JSON array of numbers");
  }
  VARVE_CHECK(read_vector(value, vector));
  if (has_more_text(document)) return bad("text after the JSON array");
  return {};
}

}  // namespace varve::cli
