#include "varve/cache/source.h"

namespace varve::cache {
namespace {

tl::unexpected<Error> read_only(std::string_view name) {
  return fail(ErrorKind::invalid, "the last layer '" + std::string(name) + "' cannot be written");
}

}  // namespace

Status Source::put_batch(std::span<const Key>, std::span<const Handle>, const PutOptions&) {
  return read_only(name());
}

Status Source::remove_batch(std::span<const Key>) { return read_only(name()); }

}  // namespace varve::cache
