// Errors as values. No exception of Varve's own crosses any function declared under include/varve.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace varve {

// Says what the caller does next. A new kind needs a decision record; a new message does not.
enum class ErrorKind {
  invalid,      // The request is wrong: fix it, do not retry.
  not_found,    // The named thing does not exist.
  conflict,     // A conditional write lost: re-read, then redo the whole step.
  unavailable,  // The far side failed: this same call may be retried.
  overloaded,   // A limit of ours was reached: back off, then retry.
  cancelled,    // The deadline passed or the caller gave up.
  corrupt,      // Bytes failed verification: never retry from the same copy.
  internal,     // A defect of Varve: report it.
};

// The word used in JSON, logs and metrics, for example "not_found".
std::string_view to_string(ErrorKind kind);

// One failure. `message` is lower case, without a full stop, and names the thing that failed
// ("index 'docs/a' not found"). `hint`, if not empty, is what the user can do about it.
struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string message;
  std::string hint;

  // The same error with what a higher layer knows in front: "<context>: <message>".
  Error with_context(std::string_view context) const;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// Shorthand for `return fail(ErrorKind::invalid, "dimension is 0")`.
inline tl::unexpected<Error> fail(ErrorKind kind, std::string message, std::string hint = {}) {
  return tl::unexpected<Error>(Error{kind, std::move(message), std::move(hint)});
}

}  // namespace varve
