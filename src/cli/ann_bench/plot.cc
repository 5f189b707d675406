#include "cli/ann_bench/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

namespace varve::cli::ann_bench {
namespace {

constexpr double kWidth = 940, kHeight = 600;
constexpr double kLeft = 78, kRight = 740, kTop = 66, kBottom = 534;
constexpr double kLegendLeft = 764, kLegendStep = 24;

// What is found beyond this is drawn at the right edge.
constexpr double kMissingMin = 1e-4;
// Nobody asks for less.
constexpr double kRecallMin = 0.8;
constexpr std::array kRecallTicks{0.0,  0.5,   0.8,   0.9,   0.95,  0.98,
                                  0.99, 0.995, 0.998, 0.999, 0.9999};

// Okabe and Ito's colours, which people with any kind of colour vision tell apart. Marks and dashes
// differ as well, for paper without colours.
constexpr std::array kColours{"#D55E00", "#0072B2", "#009E73", "#CC79A7",
                              "#E69F00", "#56B4E9", "#000000", "#8C8C00"};
constexpr std::array kDashes{"none", "7 3", "2 3", "9 3 2 3"};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // XML has no other control characters.
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

double stretched(double recall) { return -std::log10(std::max(1 - recall, kMissingMin)); }

// From data to the picture.
class Axes {
 public:
  explicit Axes(const std::vector<Series>& series) {
    double found_min = 1;
    for_each(series,
             [&](const CurvePoint& point) { found_min = std::min(found_min, point.recall); });
    const auto tick = std::find_if(kRecallTicks.rbegin(), std::prev(kRecallTicks.rend()),
                                   [&](double value) { return value <= found_min; });
    recall_min_ = std::clamp(*tick, kRecallMin, 0.99);
    double qps_min = HUGE_VAL, qps_max = 0;
    for_each(series, [&](const CurvePoint& point) {
      if (point.recall < recall_min_) return;
      qps_min = std::min(qps_min, point.qps);
      qps_max = std::max(qps_max, point.qps);
    });
    if (qps_max <= 0) return;
    qps_min_ = qps_min / 1.3;
    qps_max_ = qps_max * 1.3;
  }

  double recall_min() const { return recall_min_; }
  double qps_min() const { return qps_min_; }
  double qps_max() const { return qps_max_; }
  double x(double recall) const {
    const double low = stretched(recall_min_), high = stretched(1);
    return kLeft + (kRight - kLeft) * (stretched(recall) - low) / (high - low);
  }
  double y(double qps) const {
    return kBottom - (kBottom - kTop) * std::log(qps / qps_min_) / std::log(qps_max_ / qps_min_);
  }

 private:
  template <typename Visit>
  static void for_each(const std::vector<Series>& series, const Visit& visit) {
    for (const Series& one : series) std::for_each(one.front.begin(), one.front.end(), visit);
  }

  double recall_min_ = 0, qps_min_ = 1, qps_max_ = 10;
};

class Drawing {
 public:
  explicit Drawing(const Plot& plot) : plot_(plot), axes_(plot.series) {}

  std::string svg() {
    add(R"_(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" )_"
        R"_(font-family="Helvetica, Arial, sans-serif" role="img">)_",
        kWidth, kHeight);
    add("<title>{}</title>", escaped(plot_.title));
    add(R"_(<rect width="{}" height="{}" fill="#ffffff"/>)_", kWidth, kHeight);
    text(kLeft, 28, "start", 17, plot_.title, true);
    text(kLeft, 48, "start", 12, plot_.subtitle, false);
    draw_grid();
    for (std::size_t i = 0; i < plot_.series.size(); ++i) draw_series(i);
    draw_legend();
    add("</svg>");
    return fmt::to_string(out_);
  }

 private:
  template <typename... Arguments>
  void add(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Arguments>(arguments)...);
    out_.push_back('\n');
  }

  void text(double x, double y, const char* anchor, int size, std::string_view what, bool bold) {
    add(R"_(<text x="{:.1f}" y="{:.1f}" text-anchor="{}" font-size="{}" fill="#222222"{}>{}</text>)_",
        x, y, anchor, size, bold ? R"_( font-weight="bold")_" : "", escaped(what));
  }

  void line(double x1, double y1, double x2, double y2, const char* colour) {
    add(R"_(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}"/>)_", x1, y1, x2, y2,
        colour);
  }

  void draw_grid() {
    for (const double recall : kRecallTicks) {
      if (recall < axes_.recall_min()) continue;
      const double x = axes_.x(recall);
      line(x, kTop, x, kBottom, "#e4e4e4");
      text(x, kBottom + 18, "middle", 12, fmt::format("{}", recall), false);
    }
    for (double decade = 1; decade <= 1e9; decade *= 10) {
      for (const double step : {1.0, 2.0, 5.0}) {
        const double qps = decade * step;
        if (qps < axes_.qps_min() || qps > axes_.qps_max()) continue;
        line(kLeft, axes_.y(qps), kRight, axes_.y(qps), "#e4e4e4");
        const std::string label =
            qps >= 1000 ? fmt::format("{}k", qps / 1000) : fmt::format("{}", qps);
        text(kLeft - 8, axes_.y(qps) + 4, "end", 12, label, false);
      }
    }
    line(kLeft, kBottom, kRight, kBottom, "#444444");
    line(kLeft, kTop, kLeft, kBottom, "#444444");
    text((kLeft + kRight) / 2, kBottom + 44, "middle", 13, "recall (scale of what is missing)",
         false);
    add(R"_(<text transform="translate(22 {:.1f}) rotate(-90)" text-anchor="middle" font-size="13" )_"
        R"_(fill="#222222">queries a second, one thread</text>)_",
        (kTop + kBottom) / 2);
  }

  void draw_series(std::size_t number) {
    std::string path;
    for (const CurvePoint& point : plot_.series[number].front) {
      // The line would leave the picture on the left.
      if (point.recall < axes_.recall_min()) continue;
      path += fmt::format("{:.1f},{:.1f} ", axes_.x(point.recall), axes_.y(point.qps));
    }
    if (path.empty()) return;
    path.pop_back();
    add(R"_(<polyline points="{}" fill="none" stroke="{}" stroke-width="{}" stroke-dasharray="{}"/>)_",
        path, colour(number), width(number), dash(number));
    for (const CurvePoint& point : plot_.series[number].front) {
      if (point.recall >= axes_.recall_min()) {
        draw_mark(number, axes_.x(point.recall), axes_.y(point.qps));
      }
    }
  }

  void draw_mark(std::size_t number, double x, double y) {
    constexpr double kR = 3.6;
    const char* fill = colour(number);
    switch (number % 4) {
      case 0:
        add(R"_(<circle cx="{:.1f}" cy="{:.1f}" r="{}" fill="{}"/>)_", x, y, kR, fill);
        break;
      case 1:
        add(R"_(<rect x="{:.1f}" y="{:.1f}" width="{}" height="{}" fill="{}"/>)_", x - kR, y - kR,
            2 * kR, 2 * kR, fill);
        break;
      case 2:
        add(R"_(<polygon points="{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}" fill="{}"/>)_", x,
            y - kR - 1, x + kR + 1, y + kR, x - kR - 1, y + kR, fill);
        break;
      default:
        add(R"_(<polygon points="{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}" fill="{}"/>)_",
            x, y - kR - 1, x + kR + 1, y, x, y + kR + 1, x - kR - 1, y, fill);
    }
  }

  // From the fastest at recall 0.95 to the slowest, as they lie above each other.
  void draw_legend() {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < plot_.series.size(); ++i) {
      if (!plot_.series[i].front.empty()) order.push_back(i);
    }
    const auto height = [&](std::size_t i) {
      return qps_at(plot_.series[i].front, 0.95).value_or(0);
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return height(a) > height(b); });
    double y = kTop + 12;
    for (const std::size_t i : order) {
      add(R"_(<line x1="{0}" y1="{1:.1f}" x2="{2}" y2="{1:.1f}" stroke="{3}" stroke-width="{4}" )_"
          R"_(stroke-dasharray="{5}"/>)_",
          kLegendLeft, y, kLegendLeft + 30, colour(i), width(i), dash(i));
      draw_mark(i, kLegendLeft + 15, y);
      text(kLegendLeft + 38, y + 4, "start", 13, plot_.series[i].name, i == 0);
      y += kLegendStep;
    }
  }

  static const char* colour(std::size_t number) { return kColours[number % kColours.size()]; }
  static double width(std::size_t number) { return number == 0 ? 3 : 1.8; }
  static const char* dash(std::size_t number) {
    return kDashes[number / kColours.size() % kDashes.size()];
  }

  const Plot& plot_;
  const Axes axes_;
  fmt::memory_buffer out_;
};

}  // namespace

std::string plot_svg(const Plot& plot) { return Drawing(plot).svg(); }

}  // namespace varve::cli::ann_bench
