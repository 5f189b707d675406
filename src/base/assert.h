// VARVE_ASSERT: a broken invariant of ours ends the process, in every build. Never for input from
// users, network or disk: those are errors. One condition each.
#pragma once

namespace varve::base {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);
}

#define VARVE_ASSERT(condition)       \
  ((condition) ? static_cast<void>(0) \
               : ::varve::base::assertion_failed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define VARVE_DCHECK(condition) static_cast<void>(0)
#else
#define VARVE_DCHECK(condition) VARVE_ASSERT(condition)
#endif
