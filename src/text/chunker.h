// Cuts a text into chunks of about the wanted size along its own seams: headings, paragraphs,
// sentences, words. Pure function of its input.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "varve/text.h"

namespace varve::text {

struct Chunk {
  // A heading has at most 200 characters; a longer line is text whatever it begins with.
  std::string title;    // of the document: its first heading of the top level
  std::string heading;  // where the chunk begins, outer headings first: "Install > Linux"
  std::string text;     // never empty
};

// A chunk ends when the next paragraph would take it past the target, or at a heading once it is
// a quarter full. Only a text without any blank is cut inside a word, between two characters. A
// chunk that goes on within a section begins with the last sentences of the one before, up to the
// overlap. Time grows linearly with the text. REQUIRES: `text` is UTF-8.
std::vector<Chunk> chunk_markdown(std::string_view text, const ChunkOptions& options);

// The overlap that was asked for, or the default for the chunk size.
std::size_t overlap_characters(const ChunkOptions& options);

// HTML without its tags, scripts and styles; headings become Markdown headings, block elements
// become paragraphs, the common entities their characters. Good enough for prose, no more.
std::string markdown_of_html(std::string_view html);

}  // namespace varve::text
