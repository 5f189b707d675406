// A program that is asked line by line.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "cli/line_feed.h"
#include "varve/result.h"

namespace varve::cli::ann_bench {

// Its standard input and output are one socket to this process; standard error goes into a file.
// The end of this process is the end of its input. One thread at a time.
class ChildProcess {
 public:
  // `command` is the program, by its path, and its arguments. `not_found`: it cannot be run.
  static Result<std::unique_ptr<ChildProcess>> start(const std::vector<std::string>& command,
                                                     const std::string& errors_file);
  // Closes its input, and kills it if it has not ended soon.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Sends one line and waits for one. `unavailable`: it ended, and how; or it takes too long, and
  // was killed.
  Result<std::string> ask(const std::string& line);

 private:
  ChildProcess(pid_t process, int socket)
      : process_(process), socket_(socket), answers_(LineFeed::of_descriptor(socket, "peer")) {}
  Error ended();

  pid_t process_;
  int socket_;
  LineFeed answers_;
};

}  // namespace varve::cli::ann_bench
