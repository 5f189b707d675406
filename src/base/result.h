// VARVE_TRY and friends: early return for errors that are values.
#pragma once

#include "varve/result.h"

#define VARVE_CONCAT_INNER(a, b) a##b
#define VARVE_CONCAT(a, b) VARVE_CONCAT_INNER(a, b)

// VARVE_TRY(auto x, f()): declares x from the value of f(), or returns its error.
#define VARVE_TRY(declaration, expression) \
  VARVE_TRY_INNER(VARVE_CONCAT(varve_result_, __LINE__), declaration, expression)
#define VARVE_TRY_INNER(result, declaration, expression)                \
  auto result = (expression);                                           \
  if (!result) return ::tl::unexpected<::varve::Error>(result.error()); \
  declaration = std::move(*result)

// VARVE_CHECK(f()): returns the error of a Status, goes on if there is none.
#define VARVE_CHECK(expression)                                                       \
  do {                                                                                \
    auto varve_status = (expression);                                                 \
    if (!varve_status) return ::tl::unexpected<::varve::Error>(varve_status.error()); \
  } while (false)
