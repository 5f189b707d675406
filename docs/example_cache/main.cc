// Keeps vectors in 1 MB of memory, 3 MB compressed, a folder, and a store behind them.
#include <cstdio>

#include "varve/cache/vector_storage.h"

varve::Status run(const std::string& folder) {
  varve::cache::VectorStorageOptions options;
  options.store = folder + "/store";
  options.folder = folder + "/disk";
  auto storage = varve::cache::EfficientVectorStorage::open(options);
  if (!storage) return tl::unexpected(storage.error());

  const std::vector<float> red = {1.0F, 0.0F, 0.0F};
  if (auto kept = (*storage)->put("red", red); !kept) return kept;  // durable when it returns

  auto found = (*storage)->get("red");
  if (!found) return tl::unexpected(found.error());
  std::printf("red has %zu dimensions\n", found->values().size());  // borrowed, not copied

  for (const auto& tier : (*storage)->stats().tiers) {
    const auto& stats = tier.stats;
    std::printf("%-14s %llu hits\n", tier.name.c_str(),
                static_cast<unsigned long long>(stats.hits));
  }
  return {};
}

int main(int argc, char** argv) {
  varve::Status status = run(argc > 1 ? argv[1] : "vectors");
  if (!status) std::fprintf(stderr, "error: %s\n", status.error().message.c_str());
  return status ? 0 : 1;
}
