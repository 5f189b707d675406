#include <vector>

#include "base/clock.h"
#include "varve/cache/source.h"

namespace varve::cache {
namespace {

using Load = std::function<Result<Handle>(std::string_view key)>;

class FunctionLoads final : public Loads {
 public:
  FunctionLoads(const Load& load, std::span<const Key> keys, base::Deadline deadline)
      : load_(load), deadline_(deadline) {
    keys_.reserve(keys.size());
    for (const Key& key : keys) keys_.emplace_back(key.bytes);
  }

  std::optional<Loaded> next() override {
    if (next_ == keys_.size()) return std::nullopt;
    const std::size_t index = next_++;
    if (deadline_.passed(base::system_clock())) {
      return Loaded{index, fail(ErrorKind::cancelled, "the time to load was over")};
    }
    return Loaded{index, load_(keys_[index])};
  }

 private:
  const Load load_;
  const base::Deadline deadline_;
  std::vector<std::string> keys_;
  std::size_t next_ = 0;
};

class FunctionSource final : public Source {
 public:
  FunctionSource(std::string name, Load load) : name_(std::move(name)), load_(std::move(load)) {}

  std::string_view name() const override { return name_; }
  std::unique_ptr<Loads> load(std::span<const Key> keys,
                              std::chrono::milliseconds timeout) override {
    return std::make_unique<FunctionLoads>(load_, keys,
                                           base::Deadline::after(base::system_clock(), timeout));
  }

 private:
  const std::string name_;
  const Load load_;
};

}  // namespace

std::unique_ptr<Source> make_source(std::string name, Load load) {
  return std::make_unique<FunctionSource>(std::move(name), std::move(load));
}

}  // namespace varve::cache
