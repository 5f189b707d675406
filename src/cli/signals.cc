#include "cli/signals.h"

#include <unistd.h>
#include <csignal>

#include <atomic>

#include "cli/progress/progress.h"

namespace varve::cli {
namespace {

std::atomic<int> batches_under_way{0};
std::atomic<int> signal_exit_code{0};

extern "C" void on_signal(int signal_number) {
  const int code = 128 + signal_number;
  const bool first = signal_exit_code.exchange(code) == 0;
  if (first && batches_under_way.load() > 0) return;
  restore_terminal_in_signal();
  ::_exit(code);
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  // Without SA_RESTART: a read that waits for input returns, so that the flag is seen.
  for (const int number : {SIGINT, SIGTERM}) ::sigaction(number, &action, nullptr);
}

BatchesUnderWay::BatchesUnderWay() { ++batches_under_way; }
BatchesUnderWay::~BatchesUnderWay() { --batches_under_way; }

int exit_code_of_signal() { return signal_exit_code.load(); }

}  // namespace varve::cli
