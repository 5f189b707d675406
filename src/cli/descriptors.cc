#include "cli/descriptors.h"

#include <fcntl.h>
#include <unistd.h>

#include <initializer_list>

#include "base/assert.h"

namespace varve::cli {

void open_missing_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0) continue;
    // The lowest free number is taken, and those below are open by now.
    VARVE_ASSERT(::open("/dev/null", O_RDWR) == descriptor);
  }
}

}  // namespace varve::cli
