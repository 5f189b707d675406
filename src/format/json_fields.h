// What a filter can see of the metadata of one row: the top-level fields and the values in them.
// The only reader of metadata texts, so that columns and texts cannot disagree.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace varve::format {

// `other` is what no value of a filter equals: an object, and in a list also a list or null.
enum class JsonType : std::uint8_t { boolean, number, text, other };
struct JsonValue {
  JsonType type = JsonType::other;
  bool boolean = false;
  double number = 0;      // finite; integers too large for it are rounded to the nearest
  std::string_view text;  // unescaped; valid during the call
};
// A field that is null counts as one that is not there.
enum class FieldShape : std::uint8_t { null, scalar, list };

// Hears the fields of one text in their order. A name that comes twice is heard twice: the last
// one counts.
class JsonFieldSink {
 public:
  virtual ~JsonFieldSink() = default;
  // Whether the field of this name is wanted; if not, nothing more is heard of it.
  virtual bool wants(std::string_view name) = 0;
  virtual void begin(FieldShape shape) = 0;
  // Once for a scalar, once for each element of a list.
  virtual void value(const JsonValue& value) = 0;
};

// Reads one text after the other in memory that it keeps. Not thread-safe.
class JsonFields {
 public:
  JsonFields();
  ~JsonFields();
  JsonFields(JsonFields&&) noexcept;
  JsonFields& operator=(JsonFields&&) noexcept;

  // False if it is no JSON object: the sink has to forget what it heard. What is not wanted is not
  // looked into, so that a text that no row can have (engine/validate.h) may pass. Empty metadata
  // is an object without fields.
  bool read(std::string_view metadata, JsonFieldSink& sink);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace varve::format
