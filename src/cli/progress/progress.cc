#include "cli/progress/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <mutex>

#include "base/sync.h"
#include "cli/output.h"

namespace varve::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBarInterval{100};
constexpr milliseconds kLineInterval{5000};
// Short work does not need ten lines.
constexpr milliseconds kLineIntervalMin{1000};
constexpr std::uint64_t kLinePercent = 10;
constexpr std::size_t kBarColumnsMax = 20;
constexpr std::size_t kBarColumnsMin = 5;
constexpr std::string_view kHideCursor = "\x1b[?25l";
constexpr std::string_view kShowCursor = "\x1b[?25h";
constexpr std::string_view kClearLine = "\r\x1b[K";

// Standard error is one for the process, and so is what is drawn on it.
std::mutex terminal_mutex;
std::string bar_on_screen;  // guarded by terminal_mutex; empty: none
std::atomic<bool> cursor_hidden{false};

void write_error(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDERR_FILENO, text.data(), text.size());
    if (count <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::size_t terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

double seconds_between(base::TimePoint from, base::TimePoint to) {
  return std::chrono::duration<double>(to - from).count();
}

double share_done(const Progress& progress) {
  if (progress.total == 0) return 0;
  return std::min(1.0, static_cast<double>(progress.done) / static_cast<double>(progress.total));
}

std::string bar(double share, std::size_t columns) {
  constexpr std::array<const char*, 8> kEighths{"·", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = static_cast<std::size_t>(share * static_cast<double>(columns) * 8);
  std::string out;
  for (std::size_t i = 0; i < columns; ++i) {
    out += eighths >= (i + 1) * 8 ? "█" : eighths > i * 8 ? kEighths[eighths % 8] : "·";
  }
  return out;
}

// From all figures to those that matter most.
enum class Detail { all, no_rate, no_counts };

// Everything behind the bar.
std::string figures(const ProgressView& view, Detail detail) {
  const Progress& progress = view.progress;
  std::string out;
  if (progress.total > 0) out = fmt::format("{:3.0f} %", share_done(progress) * 100);
  if (progress.total > 0 && detail != Detail::no_counts) {
    out +=
        fmt::format("  {}/{} {}", grouped(progress.done), grouped(progress.total), progress.unit);
  } else if (progress.total == 0) {
    out = fmt::format("{} {}", grouped(progress.done), progress.unit);
  }
  if (view.rate > 0 && detail == Detail::all) {
    out += fmt::format("  {} {}/s", grouped(static_cast<std::uint64_t>(std::llround(view.rate))),
                       progress.unit);
  }
  if (view.seconds_left >= 0) out += "  ETA " + duration_text(view.seconds_left);
  return out;
}

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string cut_to_columns(const std::string& text, std::size_t columns) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) continue;
    if (count == columns) return text.substr(0, i);
    ++count;
  }
  return text;
}

}  // namespace

ProgressStyle progress_style(bool wanted) {
  if (!wanted) return ProgressStyle::none;
  const char* ci = std::getenv("CI");
  const bool in_ci = ci != nullptr && std::string_view(ci) == "true";
  return ::isatty(STDERR_FILENO) == 1 && !in_ci ? ProgressStyle::bar : ProgressStyle::lines;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::lround(std::min(seconds, 359999.0)));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string bar_line(const ProgressView& view) {
  const std::size_t columns = std::max<std::size_t>(view.terminal_columns, 1) - 1;
  const std::string label = fmt::format("{}  {}  ", view.label, view.progress.phase);
  for (const Detail detail : {Detail::all, Detail::no_rate}) {
    const std::string rest = figures(view, detail);
    const std::size_t taken = columns_of(label) + columns_of(rest);
    if (view.progress.total == 0 && taken <= columns) return label + rest;
    if (view.progress.total == 0 || taken + kBarColumnsMin + 2 > columns) continue;
    const std::size_t room = std::min(columns - taken - 2, kBarColumnsMax);
    return fmt::format("{}{}  {}", label, bar(share_done(view.progress), room), rest);
  }
  // No room for a bar: the label gives way.
  std::string rest = figures(view, Detail::no_rate);
  if (columns_of(rest) > columns) rest = figures(view, Detail::no_counts);
  const std::size_t room = columns - std::min(columns, columns_of(rest));
  return cut_to_columns(cut_to_columns(label, room) + rest, columns);
}

std::string plain_line(const ProgressView& view) {
  return fmt::format("{}  {}  {}", view.label, view.progress.phase, figures(view, Detail::all));
}

ProgressPrinter::ProgressPrinter(std::string label, ProgressStyle style, const base::Clock& clock)
    : label_(std::move(label)), style_(style), clock_(clock) {}

ProgressPrinter::~ProgressPrinter() {
  const std::scoped_lock lock(terminal_mutex);
  if (!bar_on_screen.empty()) write_error(kClearLine);
  if (cursor_hidden.exchange(false)) write_error(kShowCursor);
  bar_on_screen.clear();
}

ProgressSink ProgressPrinter::sink() {
  if (style_ == ProgressStyle::none) return {};
  return [this](const Progress& progress) { show(progress); };
}

void ProgressPrinter::begin_phase(const Progress& progress, base::TimePoint now) {
  phase_ = progress.phase;
  eta_ = Eta();
  phase_start_ = last_shown_ = now;
  last_percent_ = 0;
}

void ProgressPrinter::show(const Progress& progress) {
  const std::scoped_lock lock(terminal_mutex);
  const base::TimePoint now = clock_.now();
  if (progress.phase != phase_) begin_phase(progress, now);
  const auto percent = static_cast<std::uint64_t>(share_done(progress) * 100);
  const bool bar_style = style_ == ProgressStyle::bar;
  const base::Duration since = now - last_shown_;
  const bool due =
      since >= (bar_style ? kBarInterval : kLineInterval) ||
      (!bar_style && percent >= last_percent_ + kLinePercent && since >= kLineIntervalMin);
  if (!due) return;
  last_shown_ = now;
  last_percent_ = percent;
  eta_.add(seconds_between(phase_start_, now), progress.done);
  ProgressView view{label_, progress, eta_.rate(), -1, 80};
  if (progress.total > 0) view.seconds_left = eta_.seconds_left(progress.total).value_or(-1);
  if (!bar_style) {
    write_error(plain_line(view) + "\n");
    return;
  }
  view.terminal_columns = terminal_columns();
  bar_on_screen = bar_line(view);
  if (!cursor_hidden.exchange(true)) write_error(kHideCursor);
  write_error(fmt::format("{}{}", kClearLine, bar_on_screen));
}

void print_above_progress(const std::string& line) {
  const std::scoped_lock lock(terminal_mutex);
  if (bar_on_screen.empty()) {
    write_error(line + "\n");
  } else {
    write_error(fmt::format("{}{}\n{}", kClearLine, line, bar_on_screen));
  }
}

void restore_terminal_in_signal() {
  if (!cursor_hidden.load()) return;
  // Nothing is left to do about a write that fails here.
  [[maybe_unused]] const ssize_t count =
      ::write(STDERR_FILENO, "\r\x1b[K\x1b[?25h", sizeof "\r\x1b[K\x1b[?25h" - 1);
}

}  // namespace varve::cli
