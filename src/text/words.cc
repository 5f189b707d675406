#include "text/words.h"

#include <algorithm>
#include <array>

namespace varve::text {
namespace {

// In byte order, for the binary search.
constexpr std::array<std::string_view, 98> kCommonWords{
    "a",     "about", "after", "against", "all",     "also",    "an",    "and",   "any",   "are",
    "as",    "at",    "be",    "been",    "being",   "between", "both",  "but",   "by",    "can",
    "could", "did",   "do",    "does",    "during",  "each",    "for",   "from",  "had",   "has",
    "have",  "he",    "her",   "his",     "how",     "i",       "if",    "in",    "into",  "is",
    "it",    "its",   "just",  "like",    "may",     "more",    "most",  "no",    "not",   "of",
    "on",    "one",   "only",  "or",      "other",   "our",     "out",   "over",  "she",   "should",
    "so",    "some",  "such",  "than",    "that",    "the",     "their", "them",  "then",  "there",
    "these", "they",  "this",  "those",   "through", "to",      "under", "up",    "us",    "use",
    "used",  "was",   "we",    "were",    "what",    "when",    "where", "which", "while", "who",
    "why",   "will",  "with",  "within",  "without", "would",   "you",   "your"};

// Lower case of a character of two bytes, where the alphabets have their capitals in one row.
unsigned lower_two_bytes(unsigned c) {
  if (c >= 0xc0 && c <= 0xde && c != 0xd7) return c + 0x20;  // Latin-1
  if (c >= 0x391 && c <= 0x3a9) return c + 0x20;             // Greek
  if (c >= 0x410 && c <= 0x42f) return c + 0x20;             // Cyrillic
  if (c >= 0x400 && c <= 0x40f) return c + 0x50;
  return c;
}

}  // namespace

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0xc2 && byte <= 0xdf && i + 1 < text.size()) {
      const unsigned next = static_cast<unsigned char>(text[++i]);
      const unsigned c = lower_two_bytes((byte & 0x1f) << 6 | (next & 0x3f));
      word += static_cast<char>(0xc0 | c >> 6);
      word += static_cast<char>(0x80 | (c & 0x3f));
    } else if (byte >= 0x80 || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9')) {
      word += text[i];
    } else if (byte >= 'A' && byte <= 'Z') {
      word += static_cast<char>(byte + 0x20);
    } else {
      end_word();
    }
  }
  end_word();
  return words;
}

bool is_common_word(std::string_view word) {
  return std::binary_search(kCommonWords.begin(), kCommonWords.end(), word);
}

std::string stem(std::string word) {
  const auto cut = [&](std::size_t count) { word.resize(word.size() - count); };
  if (word.size() > 4 && word.ends_with("ies")) {
    cut(3);
    return word + 'y';
  }
  if (word.size() > 5 && word.ends_with("ing")) {
    cut(3);
  } else if (word.size() > 4 && word.ends_with("ed")) {
    cut(2);
  } else if (word.size() > 3 && word.ends_with('s') && !word.ends_with("ss")) {
    cut(1);
  }
  if (word.size() > 4 && word.ends_with('e')) cut(1);
  return word;
}

}  // namespace varve::text
