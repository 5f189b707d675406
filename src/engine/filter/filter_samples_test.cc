#include "engine/filter/filter_samples.h"

#include <fmt/format.h>

#include <iterator>

namespace varve::engine {

void FilterSampler::begin_part() {
  fields_ = chance(4) ? 200 : 1 + below(6);
  words_ = chance(20) ? 3000 : 1 + below(8);
  numbers_ = chance(20) ? 100'000 : 1 + below(10);
  ordered_ = chance(50);
  list_percent_ = chance(50) ? 0 : below(80);
  odd_percent_ = chance(60) ? 0 : below(20);
  missing_percent_ = chance(40) ? 0 : below(60);
}

std::string FilterSampler::filter() {
  // Some ask for values that no row of the part has.
  const std::uint64_t wider = 1 + below(3);
  words_ *= wider;
  numbers_ *= wider;
  const std::string text = filter_object(static_cast<unsigned>(below(4)));
  words_ /= wider;
  numbers_ /= wider;
  return text;
}

std::string FilterSampler::space() {
  static constexpr std::string_view kSpaces[] = {"", "", "", "", " ", "\n", "\t ", "\r\n"};
  return std::string(kSpaces[below(std::size(kSpaces))]);
}

std::string FilterSampler::field_name() { return field_name(below(fields_)); }

std::string FilterSampler::field_name(std::uint64_t i) {
  static constexpr std::string_view kNames[] = {"genre", "year", "a.b", "\u043a\u043b\u044e\u0447",
                                                "",      "a\"b"};
  return i < std::size(kNames) ? std::string(kNames[i]) : fmt::format("field-{}", i);
}

std::string FilterSampler::quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || (byte < 0x7F && (c == '"' || c == '\\' || chance(3)))) {
      result += fmt::format("\\u{:04x}", byte);
    } else {
      result += c;
    }
  }
  result += '"';
  return result;
}

std::string FilterSampler::word() {
  static constexpr std::string_view kPieces[] = {"a", "b", "\u00e9", "\U0001F30A", "\n", "\"", "1"};
  std::uint64_t id = below(words_);
  std::string text;
  // Some just fit into columns, some do not.
  if (odd_percent_ > 0 && chance(8)) return std::string(255 + below(3), 'l');
  for (; id > 0; id /= std::size(kPieces)) text += kPieces[id % std::size(kPieces)];
  return text;
}

std::string FilterSampler::number() {
  const auto n = static_cast<std::int64_t>(below(numbers_)) - 3;
  if (odd_percent_ > 0 && chance(10)) {
    static constexpr std::string_view kOdd[] = {
        "9007199254740992",     "9007199254740993",     "-0",     "-0.0",  "0e5",
        "36893488147419103232", "36893488147419103233", "1e-400", "1e300", "18446744073709551615"};
    return std::string(kOdd[below(std::size(kOdd))]);
  }
  switch (below(6)) {
    case 0:
      return fmt::format("{}.0", n);
    case 1:
      return fmt::format("{}e0", n);
    case 2:
      return fmt::format("{}.5", n);
    default:
      return fmt::format("{}", n);
  }
}

std::string FilterSampler::primitive() {
  const std::uint64_t kind = below(10);
  if (kind < 5) return quoted(word());
  return kind < 9 ? number() : (chance(50) ? "true" : "false");
}

std::string FilterSampler::value(unsigned depth) {
  if (depth < 3 && chance(odd_percent_)) {
    if (chance(40)) return "null";
    return fmt::format("{{{}:{}{}}}", quoted(field_name()), space(), value(depth + 1));
  }
  if (depth >= 2 || !chance(depth == 0 ? list_percent_ : odd_percent_)) return primitive();
  std::string list = fmt::format("[{}", space());
  for (std::uint64_t n = below(4), i = 0; i < n; ++i) {
    list += fmt::format("{}{}{}", i == 0 ? "" : ",", space(), value(depth + 1));
  }
  list += ']';
  return list;
}

std::string FilterSampler::metadata() {
  if (chance(2)) return "";
  std::string text = fmt::format("{}{{", space());
  const char* separator = "";
  for (std::uint64_t i = 0; i < fields_; ++i) {
    if (chance(missing_percent_)) continue;
    text +=
        fmt::format("{}{}{}{}:{}{}", separator, space(),
                    quoted(ordered_ ? field_name(i) : field_name()), space(), space(), value(0));
    separator = ",";
  }
  text += fmt::format("{}}}", space());
  return text;
}

std::string FilterSampler::list_of_primitives() {
  std::string list = fmt::format("[{}", primitive());
  for (std::uint64_t n = chance(10) ? 40 : below(4); n > 0; --n)
    list += fmt::format(",{}", primitive());
  list += ']';
  return list;
}

std::string FilterSampler::front_of(const std::string& text) {
  std::size_t end = below(text.size() + 1);
  // Not within a character.
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) ++end;
  return text.substr(0, end);
}

std::string FilterSampler::comparison() {
  static constexpr std::string_view kOrders[] = {"$gt", "$gte", "$lt", "$lte"};
  const std::string name = fmt::format("{}:", quoted(field_name()));
  switch (below(8)) {
    case 0:
      return name + primitive();
    case 1:
      return name + fmt::format(R"({{"$eq":{}}})", primitive());
    case 2:
      return name + fmt::format(R"({{"$ne":{}}})", primitive());
    case 3:
      return name +
             fmt::format(R"({{"{}":{}}})", chance(50) ? "$in" : "$nin", list_of_primitives());
    case 4:
      return name + fmt::format(R"({{"$exists":{}}})", chance(50));
    case 5:
      return name + fmt::format(R"({{"$startsWith":{}}})", quoted(front_of(word())));
    case 6:
      return name +
             fmt::format(R"({{"{}":{},"$ne":{}}})", kOrders[below(4)], number(), primitive());
    default:
      return name + fmt::format(R"({{"{}":{}}})", kOrders[below(4)], number());
  }
}

std::string FilterSampler::filter_object(unsigned depth) {
  if (depth == 0 || chance(30)) return fmt::format("{{{}}}", comparison());
  std::string list;
  for (std::uint64_t n = 1 + below(3), i = 0; i < n; ++i) {
    list += fmt::format("{}{}", i == 0 ? "" : ",", filter_object(depth - 1));
  }
  const std::string logic = fmt::format(R"("{}":[{}])", chance(50) ? "$and" : "$or", list);
  return chance(30) ? fmt::format("{{{},{}}}", comparison(), logic) : fmt::format("{{{}}}", logic);
}

}  // namespace varve::engine
