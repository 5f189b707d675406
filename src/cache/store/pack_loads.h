#pragma once

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cache/store/pack_source.h"

namespace varve::cache::packs {

// Ranges of packs on their way. What is found missing because the packs were merged meanwhile is
// asked for once more, after a look at the list.
class PackLoads final : public Loads {
 public:
  PackLoads(PackSource& source, std::span<const Key> keys, base::Deadline deadline);

  std::optional<Loaded> next() override;

 private:
  // Looks up the keys of these numbers and starts reading them.
  void start(std::span<const std::size_t> numbers);
  void take(const Range& range, const store::ReadResult& result);
  Result<Handle> value_in(const Wanted& wanted, const Range& range, base::ByteSpan bytes);
  // False: there is nothing to repeat.
  bool start_again();

  PackSource& source_;
  const base::Deadline deadline_;
  std::vector<std::string> keys_;
  std::deque<Loaded> ready_;
  std::vector<Wanted> wanted_;
  std::vector<Range> ranges_;
  std::unique_ptr<store::ReadBatch> batch_;
  std::vector<std::size_t> missing_;  // their packs are gone
  bool again_ = false;
};

}  // namespace varve::cache::packs
