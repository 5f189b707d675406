#include "format/json_fields.h"

#include <simdjson.h>

#include <string>

namespace varve::format {
namespace {

namespace ondemand = simdjson::ondemand;

// False if the text is malformed at this value.
bool read_scalar(ondemand::value& value, ondemand::json_type type, JsonValue& out) {
  switch (type) {
    case ondemand::json_type::boolean:
      out.type = JsonType::boolean;
      return value.get_bool().get(out.boolean) == simdjson::SUCCESS;
    case ondemand::json_type::number:
      out.type = JsonType::number;
      return value.get_double().get(out.number) == simdjson::SUCCESS;
    case ondemand::json_type::string:
      out.type = JsonType::text;
      return value.get_string().get(out.text) == simdjson::SUCCESS;
    default:
      out.type = JsonType::other;
      return true;
  }
}

bool read_list(ondemand::value& value, JsonFieldSink& sink) {
  ondemand::array list;
  if (value.get_array().get(list) != simdjson::SUCCESS) return false;
  sink.begin(FieldShape::list);
  for (auto element_result : list) {
    ondemand::value element;
    ondemand::json_type type{};
    JsonValue out;
    if (std::move(element_result).get(element) != simdjson::SUCCESS ||
        element.type().get(type) != simdjson::SUCCESS || !read_scalar(element, type, out)) {
      return false;
    }
    sink.value(out);
  }
  return true;
}

bool read_value(ondemand::value& value, JsonFieldSink& sink) {
  ondemand::json_type type{};
  if (value.type().get(type) != simdjson::SUCCESS) return false;
  if (type == ondemand::json_type::array) return read_list(value, sink);
  if (type == ondemand::json_type::null) {
    bool is_null = false;
    sink.begin(FieldShape::null);
    return value.is_null().get(is_null) == simdjson::SUCCESS && is_null;
  }
  JsonValue out;
  if (!read_scalar(value, type, out)) return false;
  sink.begin(FieldShape::scalar);
  sink.value(out);
  return true;
}

}  // namespace

struct JsonFields::State {
  ondemand::parser parser;
  std::string buffer;  // simdjson reads beyond the end of a text

  bool read(std::string_view metadata, JsonFieldSink& sink) {
    buffer.assign(metadata);
    buffer.append(simdjson::SIMDJSON_PADDING, ' ');
    const simdjson::padded_string_view text(buffer.data(), metadata.size(), buffer.size());
    ondemand::document document;
    ondemand::object object;
    if (parser.iterate(text).get(document) != simdjson::SUCCESS ||
        document.get_object().get(object) != simdjson::SUCCESS) {
      return false;
    }
    for (auto field_result : object) {
      ondemand::field field;
      std::string_view name;
      if (std::move(field_result).get(field) != simdjson::SUCCESS ||
          field.unescaped_key().get(name) != simdjson::SUCCESS) {
        return false;
      }
      if (!sink.wants(name)) continue;
      if (!read_value(field.value(), sink)) return false;
    }
    return document.current_location().error() == simdjson::OUT_OF_BOUNDS;  // nothing behind it
  }
};

JsonFields::JsonFields() : state_(std::make_unique<State>()) {}
JsonFields::~JsonFields() = default;
JsonFields::JsonFields(JsonFields&&) noexcept = default;
JsonFields& JsonFields::operator=(JsonFields&&) noexcept = default;

bool JsonFields::read(std::string_view metadata, JsonFieldSink& sink) {
  return metadata.empty() || state_->read(metadata, sink);
}

}  // namespace varve::format
