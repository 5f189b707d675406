#include <fmt/format.h>

#include "cache/store/pack_source.h"
#include "store/keys.h"
#include "store/open.h"
#include "store/retry.h"

namespace varve::cache {
namespace {

Status check(const StoreSourceOptions& options) {
  constexpr std::size_t kPrefixMax = 256;
  constexpr std::uint64_t kPackMax = std::uint64_t{4} << 30;
  const std::string& prefix = options.prefix;
  if (prefix.empty() || prefix.size() > kPrefixMax) {
    return fail(ErrorKind::invalid, "store source prefix has not 1 to 256 bytes");
  }
  if (const Status key = store::check_key(prefix + "/x"); !key) {
    return tl::unexpected(key.error().with_context("store source prefix"));
  }
  if (options.pack_bytes == 0 || options.pack_bytes > kPackMax) {
    return fail(ErrorKind::invalid, "store source pack_bytes is not from 1 byte to 4 GiB");
  }
  if (options.request_bytes_max == 0) {
    return fail(ErrorKind::invalid, "store source request_bytes_max is 0");
  }
  if (options.timeout.count() <= 0) {
    return fail(ErrorKind::invalid, "store source timeout is not above 0");
  }
  return {};
}

// Repeats what may be repeated, and owns the randomness of its waits.
class PatientStore final {
 public:
  PatientStore(std::shared_ptr<store::ObjectStore> inner, base::Clock& clock)
      : random_(base::Random::from_entropy()), store_(std::move(inner), clock, random_) {}
  store::ObjectStore* store() { return &store_; }

 private:
  base::Random random_;
  store::RetryStore store_;
};

base::Clock& clock_of(const StoreSourceOptions& options) {
  return options.clock == nullptr ? base::system_clock() : *options.clock;
}

}  // namespace

Result<std::unique_ptr<StoreSource>> open_store_source(std::shared_ptr<store::ObjectStore> store,
                                                       StoreSourceOptions options) {
  VARVE_CHECK(check(options));
  base::Clock& clock = clock_of(options);
  base::Random random = base::Random::from_entropy();
  auto source = std::make_unique<packs::PackSource>(std::move(store), std::move(options), clock,
                                                    random.next());
  VARVE_CHECK(source->refresh());
  return std::unique_ptr<StoreSource>(std::move(source));
}

Result<std::unique_ptr<StoreSource>> open_store_source(const std::string& uri,
                                                       StoreSourceOptions options) {
  VARVE_CHECK(check(options));
  base::Clock& clock = clock_of(options);
  VARVE_TRY(auto plain, store::open_store(uri, {.clock = &clock}));
  auto patient = std::make_shared<PatientStore>(std::move(plain), clock);
  std::shared_ptr<store::ObjectStore> store(patient, patient->store());
  return open_store_source(std::move(store), std::move(options));
}

}  // namespace varve::cache
