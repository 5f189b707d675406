#include "cache/redis/redis_tier.h"

namespace varve::cache {
namespace {

Status check(const RedisOptions& options) {
  constexpr std::size_t kNameSpaceMax = 128;
  constexpr std::uint64_t kStringMax = std::uint64_t{500} << 20;  // a server takes 512 MiB
  const auto wrong = [](const char* what) { return fail(ErrorKind::invalid, what); };
  if (options.name_space.empty()) return wrong("redis name_space is empty");
  if (options.name_space.size() > kNameSpaceMax) {
    return wrong("redis name_space is longer than 128 bytes");
  }
  if (options.timeout.count() <= 0) return wrong("redis timeout is not above 0");
  if (options.connections_max == 0) return wrong("redis connections_max is 0");
  if (options.value_bytes_max > kStringMax) return wrong("redis value_bytes_max is above 500 MiB");
  if (options.stay_max.count() <= 0) return wrong("redis stay_max is not above 0");
  const BreakerOptions& breaker = options.breaker;
  if (breaker.failures_to_open == 0) return wrong("redis breaker.failures_to_open is 0");
  if (breaker.wait_min.count() <= 0) return wrong("redis breaker.wait_min is not above 0");
  if (breaker.wait_max < breaker.wait_min) {
    return wrong("redis breaker.wait_max is below breaker.wait_min");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Tier>> open_redis_tier(RedisOptions options) {
  VARVE_CHECK(check(options));
  VARVE_TRY(redis::Address address, redis::parse_address(options.url));
  const base::Clock& clock = options.clock == nullptr ? base::system_clock() : *options.clock;
  base::Random random = base::Random::from_entropy();
  auto tier =
      std::make_unique<redis::RedisTier>(std::move(options), std::move(address), clock, random);
  tier->start();
  return std::unique_ptr<Tier>(std::move(tier));
}

}  // namespace varve::cache
