#include "cli/ann_bench/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include "base/result.h"

namespace varve::cli::ann_bench {
namespace {

// The longest that a graph of millions of rows may take on two cores.
constexpr int kAnswerMsMax = 2 * 60 * 60 * 1000;
constexpr std::size_t kLineBytesMax = std::size_t{1} << 20;
constexpr int kExecFailed = 127;
constexpr std::chrono::milliseconds kEndPoll{10};
constexpr int kEndPolls = 200;

// In the child: async-signal-safe calls only.
[[noreturn]] void become(char* const* arguments, int socket, int errors, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have ended before that.
  if (::getppid() != parent) ::_exit(kExecFailed);
  ::dup2(socket, STDIN_FILENO);
  ::dup2(socket, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  ::execv(arguments[0], arguments);
  ::_exit(kExecFailed);
}

}  // namespace

Result<std::unique_ptr<ChildProcess>> ChildProcess::start(const std::vector<std::string>& command,
                                                          const std::string& errors_file) {
  const std::string& program = command.front();
  if (::access(program.c_str(), X_OK) != 0) {
    return fail(ErrorKind::not_found,
                fmt::format("'{}' cannot be run: {}", program, std::strerror(errno)));
  }
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail(ErrorKind::unavailable, fmt::format("no socket: {}", std::strerror(errno)));
  }
  const int errors = ::open(errors_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const pid_t parent = ::getpid();
  const pid_t process = errors < 0 ? -1 : ::fork();
  if (process == 0) become(arguments.data(), ends[1], errors, parent);
  const int failed = errno;
  ::close(ends[1]);
  if (errors >= 0) ::close(errors);
  if (process < 0) {
    ::close(ends[0]);
    return fail(ErrorKind::unavailable,
                fmt::format("'{}' cannot be run: {}", program, std::strerror(failed)));
  }
  return std::unique_ptr<ChildProcess>(new ChildProcess(process, ends[0]));
}

ChildProcess::~ChildProcess() {
  ::close(socket_);
  for (int i = 0; process_ > 0 && i < kEndPolls; ++i) {
    if (::waitpid(process_, nullptr, WNOHANG) != 0) return;
    std::this_thread::sleep_for(kEndPoll);
  }
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

Error ChildProcess::ended() {
  int status = 0;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, &status, 0);
  process_ = -1;
  std::string how = WIFSIGNALED(status) ? fmt::format("by signal {}", WTERMSIG(status))
                                        : fmt::format("with exit code {}", WEXITSTATUS(status));
  return {ErrorKind::unavailable, "its process ended " + how, {}};
}

Result<std::string> ChildProcess::ask(const std::string& line) {
  if (process_ <= 0) return fail(ErrorKind::unavailable, "its process has ended");
  const std::string sent = line + "\n";
  std::string_view rest = sent;
  while (!rest.empty()) {
    const ssize_t count = ::send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return tl::unexpected(ended());
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  std::string answer;
  const auto came = answers_.next(answer, kAnswerMsMax, kLineBytesMax);
  if (came && *came == Feed::line) return answer;
  // A connection is reset when the other end leaves a question unread.
  if (!came || *came == Feed::end) return tl::unexpected(ended());
  Error error = ended();
  error.message = "it takes too long and was ended";
  return tl::unexpected(std::move(error));
}

}  // namespace varve::cli::ann_bench
