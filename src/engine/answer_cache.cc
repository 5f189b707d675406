#include "engine/answer_cache.h"

#include <bit>
#include <concepts>
#include <cstring>

#include "base/assert.h"
#include "codec/checksum.h"
#include "varve/cache/memory.h"

namespace varve::engine {
namespace {

// Bytes that only this process reads again.
class Writer {
 public:
  template <typename T>
  requires std::is_trivially_copyable_v<T>
  void add(const T& value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value)); }
  void add_text(std::string_view text) {
    add(text.size());
    bytes_.append(text);
  }
  void add_bytes(base::ByteSpan bytes) {
    bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(base::ByteSpan bytes) : bytes_(bytes) {}

  template <typename T>
  T next() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string_view next_text() {
    const auto bytes = take(next<std::size_t>());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  base::ByteSpan take(std::size_t count) {
    VARVE_ASSERT(count <= bytes_.size());
    const base::ByteSpan taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }

  base::ByteSpan bytes_;
};

std::unique_ptr<cache::Tier> memory_of(std::uint64_t bytes_max) {
  auto policy = cache::make_policy("s3-fifo", 1);
  VARVE_ASSERT(policy.has_value());
  cache::MemoryOptions options;
  options.capacity.bytes = bytes_max;
  return cache::make_memory_tier(std::move(options), std::move(*policy));
}

// Keys are bounded, questions are not: the hash finds the answer, which carries its question.
struct Name {
  explicit Name(const std::string& question)
      : hash(codec::hash128(std::as_bytes(std::span(question)))),
        key(std::string_view(reinterpret_cast<const char*>(&hash), sizeof(hash))) {}
  Name(const Name&) = delete;  // the key borrows from the hash
  Name& operator=(const Name&) = delete;

  codec::Hash128 hash;
  cache::Key key;
};

}  // namespace

std::string question_of(const format::Uuid& index, const View& view, std::span<const float> query,
                        const QueryOptions& options) {
  Writer writer;
  writer.add(index);
  writer.add(view.head_version);
  writer.add(view.epoch);
  writer.add(view.tail->begin().epoch);
  writer.add(view.tail->begin().seq);
  writer.add(view.tail_count);
  writer.add(options.k);
  writer.add(options.recall);
  writer.add(options.nprobe.value_or(0));
  writer.add(options.nprobe.has_value());
  writer.add(options.exact);
  writer.add(options.bounded);
  writer.add(options.codes_only);
  writer.add(options.include_metadata);
  writer.add_text(options.filter);
  writer.add_bytes(std::as_bytes(query));
  return writer.take();
}

AnswerCache::AnswerCache(std::uint64_t bytes_max) : tier_(memory_of(bytes_max)) {}

std::optional<QueryResult> AnswerCache::find(const std::string& question) {
  const cache::Handle kept = tier_->get(Name(question).key);
  if (!kept) return std::nullopt;
  Reader reader(kept.bytes());
  if (reader.next_text() != question) return std::nullopt;
  QueryResult answer;
  answer.performance.certainty = reader.next<Certainty>();
  answer.performance.nprobe = reader.next<std::uint64_t>();
  answer.hits.resize(reader.next<std::size_t>());
  for (Hit& hit : answer.hits) {
    hit.distance = reader.next<double>();
    hit.key = reader.next_text();
    hit.metadata = reader.next_text();
  }
  return answer;
}

void AnswerCache::keep(const std::string& question, const QueryResult& answer) {
  Writer writer;
  writer.add_text(question);
  writer.add(answer.performance.certainty);
  writer.add(answer.performance.nprobe);
  writer.add(answer.hits.size());
  for (const Hit& hit : answer.hits) {
    writer.add(hit.distance);
    writer.add_text(hit.key);
    writer.add_text(hit.metadata);
  }
  const std::string bytes = writer.take();
  tier_->put(Name(question).key, cache::Handle::copy_of(std::as_bytes(std::span(bytes))), {});
}

}  // namespace varve::engine
