#include "text/hash_embedder.h"

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "base/result.h"
#include "base/utf8.h"
#include "text/words.h"

namespace varve::text {
namespace {

// The kinds of features, told apart by the seed of their hash.
struct Kind {
  std::uint64_t seed;
  double weight;
};
// Weights chosen on Cranfield: nDCG@10 is flat around them, pairs and pieces add 0.012.
constexpr Kind kWord{1, 1.0};
constexpr Kind kPair{2, 0.3};
constexpr Kind kPiece{3, 0.2};
constexpr std::size_t kPieceCharactersMin = 3;
constexpr std::size_t kPieceCharactersMax = 5;
constexpr std::uint32_t kDimMin = 32;

// One kind's features of one text.
class Features {
 public:
  explicit Features(Kind kind) : kind_(kind) {}

  void add(std::string_view feature) {
    hashes_.push_back(XXH3_64bits_withSeed(feature.data(), feature.size(), kind_.seed));
  }

  // In the order of the hashes, so that the sums round the same everywhere.
  void add_to(std::vector<double>& sum) {
    std::sort(hashes_.begin(), hashes_.end());
    for (std::size_t i = 0, end = 0; i < hashes_.size(); i = end) {
      const std::uint64_t hash = hashes_[i];
      while (end < hashes_.size() && hashes_[end] == hash) ++end;
      const double weight = kind_.weight * (1 + std::log(static_cast<double>(end - i)));
      sum[(hash >> 1) % sum.size()] += (hash & 1) != 0 ? weight : -weight;
    }
  }

 private:
  Kind kind_;
  std::vector<std::uint64_t> hashes_;
};

void add_pieces(const std::string& word, Features& pieces) {
  const std::string marked = "<" + word + ">";
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < marked.size(); ++i) {
    if ((static_cast<unsigned char>(marked[i]) & 0xc0) != 0x80) starts.push_back(i);
  }
  starts.push_back(marked.size());
  for (std::size_t size = kPieceCharactersMin; size <= kPieceCharactersMax; ++size) {
    for (std::size_t i = 0; i + size < starts.size(); ++i) {
      pieces.add(std::string_view(marked).substr(starts[i], starts[i + size] - starts[i]));
    }
  }
}

// Without the commonest words, unless nothing else is there.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> all = split_words(text);
  std::vector<std::string> kept;
  for (const std::string& word : all) {
    if (!is_common_word(word)) kept.push_back(word);
  }
  return kept.empty() ? all : kept;
}

class HashEmbedder final : public Embedder {
 public:
  explicit HashEmbedder(std::uint32_t dim) : dim_(dim) {}

  std::string name() const override { return fmt::format("hash:{}", dim_); }
  std::uint32_t dim() const override { return dim_; }

  Result<std::vector<float>> embed(std::string_view text) const override {
    if (!base::is_utf8(text)) return fail(ErrorKind::invalid, "the text is not UTF-8");
    const std::vector<std::string> words = words_of(text);
    Features singles(kWord), pairs(kPair), pieces(kPiece);
    std::string last;
    for (const std::string& word : words) {
      const std::string current = stem(word);
      singles.add(current);
      if (!last.empty()) pairs.add(last.append(" ").append(current));
      add_pieces(word, pieces);
      last = current;
    }
    std::vector<double> sum(dim_, 0.0);
    for (Features* features : {&singles, &pairs, &pieces}) features->add_to(sum);
    double square = 0;
    for (const double value : sum) square += value * value;
    if (square == 0) return fail(ErrorKind::invalid, "the text holds no words to embed");
    std::vector<float> vector(dim_);
    const double scale = 1 / std::sqrt(square);
    for (std::size_t i = 0; i < sum.size(); ++i) vector[i] = static_cast<float>(sum[i] * scale);
    return vector;
  }

 private:
  std::uint32_t dim_;
};

}  // namespace

std::unique_ptr<Embedder> make_hash_embedder(std::uint32_t dim) {
  return std::make_unique<HashEmbedder>(dim);
}

Result<std::unique_ptr<Embedder>> make_embedder(const std::string& name) {
  constexpr std::string_view kPrefix = "hash:";
  std::uint32_t dim = 0;
  const char* end = name.data() + name.size();
  const bool known = name.starts_with(kPrefix);
  const auto parsed = std::from_chars(known ? name.data() + kPrefix.size() : end, end, dim);
  if (parsed.ec != std::errc() || parsed.ptr != end || dim < kDimMin || dim > kDimMax) {
    return fail(ErrorKind::invalid, fmt::format("embedder '{}' is not known", name),
                fmt::format("built in: hash:DIM with DIM from {} to {}", kDimMin, kDimMax));
  }
  return make_hash_embedder(dim);
}

}  // namespace varve::text
