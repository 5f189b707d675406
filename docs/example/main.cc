// Puts three colours into an index and asks for the two nearest to one more.
#include <cstdio>

#include "varve/database.h"

varve::Status run(const char* store) {
  auto db = varve::Database::open(store, {});
  if (!db) return tl::unexpected(db.error());
  auto index = (*db)->create_index({"demo", "colours"}, {3, varve::Metric::euclidean}, true);
  if (!index) return tl::unexpected(index.error());

  const std::vector<varve::VectorRecord> colours = {
      {"red", {1.0F, 0.0F, 0.0F}, R"({"hex": "#ff0000"})"},
      {"orange", {1.0F, 0.5F, 0.0F}, R"({"hex": "#ff8000"})"},
      {"blue", {0.0F, 0.0F, 1.0F}, R"({"hex": "#0000ff"})"},
  };
  auto acknowledged = (*index)->put(colours);  // durable when it returns
  if (!acknowledged) return tl::unexpected(acknowledged.error());

  varve::QueryOptions options;
  options.k = 2;
  auto answer = (*index)->query(std::vector<float>{1.0F, 0.4F, 0.0F}, options);
  if (!answer) return tl::unexpected(answer.error());
  for (const varve::Hit& hit : answer->hits) {
    std::printf("%-8s %.2f  %s\n", hit.key.c_str(), hit.distance, hit.metadata.c_str());
  }
  return {};
}

int main(int argc, char** argv) {
  varve::Status status = run(argc > 1 ? argv[1] : "memory://");
  if (!status) std::fprintf(stderr, "error: %s\n", status.error().message.c_str());
  return status ? 0 : 1;
}
