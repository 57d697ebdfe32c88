// What a person sees while a job trains: a bar on a terminal, lines in a log.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

namespace layerledger {

enum class ProgressStyle : unsigned char { none, log, bar };

struct ProgressOptions {
    ProgressStyle style = ProgressStyle::log;
    std::int64_t iterations = 0;            ///< of the whole run
    std::int64_t iterations_per_epoch = 0;  ///< 0: there are no epochs
    double interval_seconds = 10;           ///< least time between two lines, or two bars
    bool color = false;
    std::function<int()> width = [] { return 80; };  ///< columns of the terminal, now
};

/// The style for output.progress = auto | bar | log | none, with what standard output is: a
/// terminal or not, its width and its colour (off where NO_COLOR is set). Bars are redrawn 10 times
/// a second, lines written every `log_seconds`.
[[nodiscard]] ProgressOptions progress_options(const std::string& setting, double log_seconds);

/// Rates and the time left are means that forget: iterations a few seconds ago count most.
class Progress {
public:
    using Clock = std::function<std::chrono::system_clock::time_point()>;

    /// Writes to `out`, which outlives this; `clock` dates the lines of a log.
    Progress(std::ostream& out, ProgressOptions options,
             Clock clock = std::chrono::system_clock::now);
    /// Ends the line of a bar.
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// One iteration is over: the `iteration`-th, counted from 1, of `images` images on all ranks
    /// together, that took `seconds`. The first and the last one always show.
    void update(std::int64_t iteration, double loss, double seconds, std::int64_t images);

private:
    void write(std::int64_t iteration, double loss);
    [[nodiscard]] std::string facts(std::int64_t iteration, double loss) const;

    std::ostream& out_;
    ProgressOptions options_;
    Clock clock_;
    double iterations_ = 0;  // the three sums that forget
    double seconds_ = 0;
    double images_ = 0;
    double since_shown_ = 0;
    bool line_is_open_ = false;
};

}  // namespace layerledger
