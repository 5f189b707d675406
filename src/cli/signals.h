// Ctrl-C and SIGTERM. A kill at any moment loses nothing that was acknowledged, so the default is
// to leave at once; verbs that acknowledge batch by batch finish the batch under way first.
#pragma once

namespace varve::cli {

// Exit with 130 on SIGINT and 143 on SIGTERM, the terminal restored.
void install_signal_handlers();

// While one lives, the first signal only sets a flag; the second ends the process.
class BatchesUnderWay {
 public:
  BatchesUnderWay();
  ~BatchesUnderWay();
  BatchesUnderWay(const BatchesUnderWay&) = delete;
  BatchesUnderWay& operator=(const BatchesUnderWay&) = delete;
};

// The exit code of the signal that came, 0 if none did.
int exit_code_of_signal();

}  // namespace varve::cli
