// Words of a text as the embedder sees them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace varve::text {

// Runs of letters and digits in lower case (ASCII, Latin-1, Greek, Cyrillic; other characters
// above U+007F count as letters and stay as they are). REQUIRES: is_utf8(text).
std::vector<std::string> split_words(std::string_view text);

// One of the commonest English words, which say nothing about a topic.
bool is_common_word(std::string_view word);

// Takes the English endings -ies, -ing, -ed, -s, -e off longer words. Crude on purpose: two forms
// of a word need only meet.
std::string stem(std::string word);

}  // namespace varve::text
