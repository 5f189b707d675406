// Whether forecasts come true.
#pragma once

#include <array>
#include <cstdint>

namespace varve::cache {

// Of two keys a forecast says which will be asked for first. Some such pairs are watched until one
// of them is: the share of right forecasts, which fades, says whether to go by them. 24 KiB, fixed.
// One thread.
class Duels {
 public:
  // Watches a pair, unless it would disturb one that is younger than `patience` uses.
  void open(std::uint64_t sooner, std::uint64_t later, std::uint64_t patience) {
    const std::uint32_t first = place_of(sooner);
    const std::uint32_t second = place_of(later);
    if (first == second || busy(first, patience) || busy(second, patience)) return;
    close(first);
    close(second);
    sides_[first] = {known(sooner), second, true, now_};
    sides_[second] = {known(later), first, false, now_};
  }

  // A key was asked for.
  void use(std::uint64_t hash) {
    ++now_;
    const Side& side = sides_[place_of(hash)];
    if (side.opened == 0 || side.hash != known(hash)) return;
    right_ += ((side.said_sooner ? 1.0 : 0.0) - right_) / kMemory;
    close(place_of(hash));
  }

  bool trusted() const { return right_ > kTrusted; }

 private:
  static constexpr std::uint32_t kPlaces = 1024;
  static constexpr double kMemory = 64;     // duels
  static constexpr double kTrusted = 0.65;  // a coin is right half of the time

  struct Side {
    std::uint32_t hash = 0;
    std::uint32_t other = 0;  // place of the other side
    bool said_sooner = false;
    std::uint64_t opened = 0;  // 0: free
  };

  static std::uint32_t place_of(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> 32) % kPlaces;
  }
  static std::uint32_t known(std::uint64_t hash) { return static_cast<std::uint32_t>(hash); }
  bool busy(std::uint32_t place, std::uint64_t patience) const {
    return sides_[place].opened != 0 && now_ - sides_[place].opened < patience;
  }
  void close(std::uint32_t place) {
    if (sides_[place].opened == 0) return;
    sides_[sides_[place].other] = Side{};
    sides_[place] = Side{};
  }

  std::array<Side, kPlaces> sides_{};
  std::uint64_t now_ = 1;
  double right_ = 0.5;
};

}  // namespace varve::cache
