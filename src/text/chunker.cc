#include "text/chunker.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"

namespace varve::text {
namespace {

// A longer line is prose that begins with a hash.
constexpr std::size_t kHeadingCharactersMax = 200;

constexpr std::string_view kBlanks = " \t\r\n\f\v";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

struct Block {
  std::size_t level = 0;  // 1 to 6: a heading; 0: a paragraph
  std::string_view text;
};

// "## Title ##" -> level 2, "Title".
Block heading_of(std::string_view line) {
  const std::size_t level = line.find_first_not_of('#');
  if (level == 0 || level == std::string_view::npos || level > 6 || line[level] != ' ') return {};
  std::string_view title = trimmed(line.substr(level));
  while (title.ends_with('#')) title.remove_suffix(1);
  if (base::count_characters(title) > kHeadingCharactersMax) return {};
  return {level, trimmed(title)};
}

// Paragraphs and headings in order. Inside ``` fences blank lines and # mean nothing.
std::vector<Block> split_blocks(std::string_view text) {
  std::vector<Block> blocks;
  std::size_t begin = 0, line_begin = 0;
  bool fenced = false;
  const auto end_paragraph = [&](std::size_t end) {
    const std::string_view paragraph = trimmed(text.substr(begin, end - begin));
    if (!paragraph.empty()) blocks.push_back({0, paragraph});
  };
  while (line_begin < text.size()) {
    const std::size_t feed = text.find('\n', line_begin);
    const std::size_t next = feed == std::string_view::npos ? text.size() : feed + 1;
    const std::string_view line = trimmed(text.substr(line_begin, next - line_begin));
    if (line.starts_with("```") || line.starts_with("~~~")) fenced = !fenced;
    const Block heading = fenced ? Block{} : heading_of(line);
    if (!fenced && (line.empty() || heading.level > 0)) {
      end_paragraph(line_begin);
      if (heading.level > 0 && !heading.text.empty()) blocks.push_back(heading);
      begin = next;
    }
    line_begin = next;
  }
  end_paragraph(text.size());
  return blocks;
}

// Bytes of the first sentence of `text`, with the blanks after it.
std::size_t sentence_bytes(std::string_view text) {
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    const bool end = text[i] == '.' || text[i] == '!' || text[i] == '?' || text[i] == '\n';
    if (!end || kBlanks.find(text[i + 1]) == std::string_view::npos) continue;
    const std::size_t next = text.find_first_not_of(kBlanks, i + 1);
    return next == std::string_view::npos ? text.size() : next;
  }
  return text.size();
}

// Bytes of the longest piece of at most `characters`, cut behind a blank if there is one in its
// second half.
std::size_t piece_bytes(std::string_view text, std::size_t characters) {
  const std::size_t limit = base::bytes_of_characters(text, characters);
  if (limit == text.size()) return limit;
  const std::size_t blank = text.substr(0, limit).find_last_of(kBlanks);
  return blank == std::string_view::npos || blank < limit / 2 ? limit : blank + 1;
}

// Sentences of a paragraph, those longer than `characters` cut into pieces.
std::vector<std::string_view> split_sentences(std::string_view paragraph, std::size_t characters) {
  std::vector<std::string_view> sentences;
  while (!paragraph.empty()) {
    std::string_view sentence = paragraph.substr(0, sentence_bytes(paragraph));
    paragraph.remove_prefix(sentence.size());
    while (!sentence.empty()) {
      const std::size_t size = piece_bytes(sentence, characters);
      sentences.push_back(sentence.substr(0, size));
      sentence.remove_prefix(size);
    }
  }
  return sentences;
}

// The last whole sentences of `text` within `characters`, or nothing.
std::string last_sentences(std::string_view text, std::size_t characters) {
  const auto sentences = split_sentences(text, text.size() + 1);
  std::size_t bytes = 0, count = 0;
  for (auto sentence = sentences.rbegin(); sentence != sentences.rend(); ++sentence) {
    count += base::count_characters(*sentence);
    if (count > characters) break;
    bytes += sentence->size();
  }
  return std::string(trimmed(text.substr(text.size() - bytes)));
}

class Chunker {
 public:
  explicit Chunker(const ChunkOptions& options) : options_(options) {}

  std::vector<Chunk> run(std::string_view text) {
    for (const Block& block : split_blocks(text)) {
      block.level > 0 ? add_heading(block) : add_paragraph(block.text);
    }
    end_chunk();
    // Nothing but headings: the last of each level is all there is.
    const std::string headings = heading();
    if (chunks_.empty() && !(title_.empty() && headings.empty())) {
      chunks_.push_back({{}, headings, headings.empty() ? title_ : headings});
    }
    for (Chunk& chunk : chunks_) chunk.title = title_;
    return std::move(chunks_);
  }

 private:
  void add_heading(const Block& block) {
    if (block.level == 1 && title_.empty()) {
      title_ = block.text;
      return;
    }
    if (characters_ >= options_.target_characters / 4) end_chunk();
    if (open_.empty()) overlap_.clear();
    for (std::size_t i = block.level - 1; i < path_.size(); ++i) path_[i] = {};
    path_[block.level - 1] = block.text;
    if (!open_.empty()) append(block.text, "\n\n");
  }

  void add_paragraph(std::string_view paragraph) {
    const std::size_t count = base::count_characters(paragraph);
    if (characters_ + count <= options_.target_characters) return append(paragraph, "\n\n");
    end_chunk();
    if (characters_ + count <= options_.target_characters) return append(paragraph, "\n\n");
    const char* separator = "\n\n";
    for (const auto sentence : split_sentences(paragraph, options_.target_characters)) {
      const std::size_t more = base::count_characters(sentence);
      if (!open_.empty() && characters_ + more > options_.target_characters) end_chunk();
      append(sentence, separator);
      separator = "";
    }
  }

  void append(std::string_view text, const char* separator) {
    if (open_.empty()) {
      heading_ = heading();
      open_ = overlap_;
      characters_ = base::count_characters(open_);
      if (!open_.empty()) separator = open_.ends_with('\n') ? "" : " ";
    }
    for (const std::string_view part : {std::string_view(open_.empty() ? "" : separator), text}) {
      open_ += part;
      characters_ += base::count_characters(part);
    }
  }

  void end_chunk() {
    const std::string_view text = trimmed(open_);
    if (text.empty()) return;
    overlap_ = last_sentences(text, overlap_characters(options_));
    chunks_.push_back({{}, heading_, std::string(text)});
    open_.clear();
    characters_ = 0;
  }

  std::string heading() const {
    std::string joined;
    for (const std::string_view part : path_) {
      if (part.empty()) continue;
      if (!joined.empty()) joined += " > ";
      joined += part;
    }
    return joined;
  }

  ChunkOptions options_;
  std::vector<Chunk> chunks_;
  std::string title_;
  std::array<std::string_view, 6> path_;
  std::string heading_;
  std::string overlap_;
  std::string open_;  // the chunk under way, its overlap included; empty before its first new text
  std::size_t characters_ = 0;
};

}  // namespace

std::size_t overlap_characters(const ChunkOptions& options) {
  constexpr std::size_t kDefault = 100, kShare = 8;
  return options.overlap_characters.value_or(
      std::min(kDefault, options.target_characters / kShare));
}

std::vector<Chunk> chunk_markdown(std::string_view text, const ChunkOptions& options) {
  return Chunker(options).run(text);
}

}  // namespace varve::text
