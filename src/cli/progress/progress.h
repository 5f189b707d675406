// Progress on standard error: a bar with the time left on a terminal, else one plain line each
// five seconds or ten per cent, though not more than one a second.
//
//   import demo/sift  train  ████████▌·······  53 %  5,300/10,000 vectors  8,211 vectors/s  ETA
//   0:41
//
// At most one Progress at a time in a process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "cli/progress/eta.h"
#include "varve/types.h"

namespace varve::cli {

enum class ProgressStyle { none, lines, bar };

// Bar: standard error is a terminal and CI is not "true". None: --quiet or --no-progress.
ProgressStyle progress_style(bool wanted);

// What is known of the phase at hand.
struct ProgressView {
  std::string label;
  Progress progress;
  double rate = 0;           // units per second, 0 if unknown
  double seconds_left = -1;  // negative if unknown
  std::size_t terminal_columns = 80;
};
// The line with a bar, narrower than the terminal: the bar shrinks first, then the rate goes, then
// the label and the counts; the time left stays.
std::string bar_line(const ProgressView& view);
// The line without.
std::string plain_line(const ProgressView& view);
// "0:41", "1:02:03".
std::string duration_text(double seconds);

// Thread-safe. The destructor takes the bar off the terminal and shows the cursor again.
class ProgressPrinter {
 public:
  ProgressPrinter(std::string label, ProgressStyle style, const base::Clock& clock);
  ~ProgressPrinter();
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

  ProgressSink sink();

 private:
  void show(const Progress& progress);
  void begin_phase(const Progress& progress, base::TimePoint now);

  std::string label_;
  ProgressStyle style_;
  const base::Clock& clock_;
  std::string phase_;
  Eta eta_;
  base::TimePoint phase_start_, last_shown_;
  std::uint64_t last_percent_ = 0;
};

// One line on standard error, above the bar if there is one.
void print_above_progress(const std::string& line);

// Shows the cursor again if a bar hides it. Async-signal-safe.
void restore_terminal_in_signal();

}  // namespace varve::cli
