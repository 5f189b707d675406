#include <algorithm>
#include <array>
#include <utility>

#include "text/chunker.h"

namespace varve::text {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// "/H2" of "</H2 class=x>" in lower case.
std::string tag_name(std::string_view tag) {
  std::string name;
  for (const char c : tag) {
    const bool part = (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') ||
                      (c == '/' && name.empty());
    if (!part) break;
    name += lower(c);
  }
  return name;
}

bool is_block(std::string_view name) {
  constexpr std::array<std::string_view, 14> kBlocks{
      "p",     "div", "br",      "li",      "ul",    "ol",         "tr",
      "table", "pre", "section", "article", "title", "blockquote", "hr"};
  if (name.starts_with('/')) name.remove_prefix(1);
  return std::find(kBlocks.begin(), kBlocks.end(), name) != kBlocks.end();
}

bool is_heading(std::string_view name) {
  if (name.starts_with('/')) name.remove_prefix(1);
  return name.size() == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6';
}

// Position just behind "</name>", or the end.
std::size_t skip_element(std::string_view html, std::size_t from, std::string_view name) {
  while (from < html.size()) {
    const std::size_t open = html.find("</", from);
    if (open == std::string_view::npos) return html.size();
    if (tag_name(html.substr(open + 2)) == name) {
      const std::size_t close = html.find('>', open);
      return close == std::string_view::npos ? html.size() : close + 1;
    }
    from = open + 2;
  }
  return html.size();
}

// The character of an entity at `from`, and its size; size 0 if it is none that is known.
std::pair<std::string_view, std::size_t> entity_at(std::string_view html, std::size_t from) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kEntities{
      {{"&amp;", "&"},
       {"&lt;", "<"},
       {"&gt;", ">"},
       {"&quot;", "\""},
       {"&#39;", "'"},
       {"&apos;", "'"},
       {"&nbsp;", " "}}};
  for (const auto& [entity, character] : kEntities) {
    if (html.substr(from).starts_with(entity)) return {character, entity.size()};
  }
  return {{}, 0};
}

}  // namespace

std::string markdown_of_html(std::string_view html) {
  std::string out;
  out.reserve(html.size());
  std::size_t i = 0;
  while (i < html.size()) {
    if (html.substr(i).starts_with("<!--")) {
      const std::size_t end = html.find("-->", i);
      i = end == std::string_view::npos ? html.size() : end + 3;
      continue;
    }
    if (html[i] == '<') {
      const std::string name = tag_name(html.substr(i + 1));
      // A '<' that starts no tag is text.
      if (name.empty() && !html.substr(i).starts_with("<!")) {
        out += html[i++];
        continue;
      }
      const std::size_t close = html.find('>', i);
      i = close == std::string_view::npos ? html.size() : close + 1;
      if (name == "script" || name == "style") i = skip_element(html, i, name);
      if (is_heading(name) && name[0] == 'h') {
        out += "\n\n" + std::string(static_cast<std::size_t>(name[1] - '0'), '#') + " ";
      } else if (is_heading(name) || is_block(name)) {
        out += "\n\n";
      }
      continue;
    }
    const auto [character, size] = html[i] == '&' ? entity_at(html, i) : entity_at({}, 0);
    out += size > 0 ? character : html.substr(i, 1);
    i += size > 0 ? size : 1;
  }
  return out;
}

}  // namespace varve::text
