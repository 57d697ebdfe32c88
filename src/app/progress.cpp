#include "progress.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr double memory_seconds = 10;
constexpr double redraw_seconds = 0.1;
constexpr std::size_t narrowest_bar = 10;
constexpr int usual_width = 80;

int columns_of(int file) {
    winsize size{};
    return ioctl(file, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

// Open MPI gives every rank a terminal of its own, without a width, even where mpirun itself writes
// to a file: then the launcher, this process's parent, knows where the output ends. Returns the
// terminal's columns, or 0 where there is no terminal at the end.
int terminal_columns() {
    if (isatty(STDOUT_FILENO) == 0) {
        return 0;
    }
    if (const int columns = columns_of(STDOUT_FILENO); columns > 0) {
        return columns;
    }
    const std::string path = text("/proc/", getppid(), "/fd/1");
    const int launcher = open(path.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (launcher < 0) {
        return 0;
    }
    const bool is_terminal = isatty(launcher) != 0;
    const int columns = columns_of(launcher);
    close(launcher);
    return is_terminal && columns == 0 ? usual_width : columns;
}

bool is_set(const char* variable) {
    const char* const value = std::getenv(variable);
    return value != nullptr && *value != '\0';
}

bool is_dumb_terminal() {
    const char* const name = std::getenv("TERM");
    return name == nullptr || std::string_view(name) == "dumb";
}

std::string iso_time(std::chrono::system_clock::time_point time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::array<char, 32> shown{};
    const std::size_t length =
        std::strftime(shown.data(), shown.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
    return {shown.data(), length};
}

// "[#####-----] facts", or the facts alone where there is no room, as wide as the line.
std::string bar_line(double done, const std::string& facts, std::size_t width, bool color) {
    if (width < facts.size() + narrowest_bar + 3) {
        return (facts + std::string(width, ' ')).substr(0, width);
    }
    const std::size_t cells = std::min<std::size_t>(40, width - facts.size() - 3);
    const auto full = static_cast<std::size_t>(done * static_cast<double>(cells));
    const std::string rest(width - cells - 3 - facts.size(), ' ');
    return text("[", color ? "\x1b[32m" : "", std::string(full, '#'), color ? "\x1b[0m" : "",
                std::string(cells - full, '-'), "] ", facts, rest);
}

}  // namespace

ProgressOptions progress_options(const std::string& setting, double log_seconds) {
    const bool is_terminal = terminal_columns() > 0 && !is_dumb_terminal();
    ProgressOptions options;
    if (setting == "none") {
        options.style = ProgressStyle::none;
    } else if (setting == "bar" || (setting == "auto" && is_terminal)) {
        options.style = ProgressStyle::bar;
    }
    options.interval_seconds = options.style == ProgressStyle::bar ? redraw_seconds : log_seconds;
    options.color = is_terminal && !is_set("NO_COLOR");
    options.width = [] {
        const int columns = terminal_columns();
        return columns > 0 ? columns : usual_width;
    };
    return options;
}

Progress::Progress(std::ostream& out, ProgressOptions options, Clock clock)
    : out_(out), options_(std::move(options)), clock_(std::move(clock)) {}

Progress::~Progress() {
    if (line_is_open_) {
        out_ << std::endl;
    }
}

void Progress::update(std::int64_t iteration, double loss, double seconds, std::int64_t images) {
    const bool is_first = iterations_ == 0;
    const double kept = std::exp(-seconds / memory_seconds);
    iterations_ = kept * iterations_ + 1;
    seconds_ = kept * seconds_ + seconds;
    images_ = kept * images_ + static_cast<double>(images);
    since_shown_ += seconds;
    if (options_.style == ProgressStyle::none) {
        return;
    }
    if (is_first || iteration == options_.iterations || since_shown_ >= options_.interval_seconds) {
        write(iteration, loss);
        since_shown_ = 0;
    }
}

void Progress::write(std::int64_t iteration, double loss) {
    if (options_.style == ProgressStyle::log) {
        out_ << iso_time(clock_()) << " iteration " << facts(iteration, loss) << std::endl;
        return;
    }
    // A line as wide as the terminal would wrap.
    const auto width = static_cast<std::size_t>(std::max(options_.width() - 1, 1));
    const double done = options_.iterations > 0 ? static_cast<double>(iteration) /
                                                      static_cast<double>(options_.iterations)
                                                : 0.0;
    out_ << '\r'
         << bar_line(std::clamp(done, 0.0, 1.0), facts(iteration, loss), width, options_.color)
         << std::flush;
    line_is_open_ = true;
}

std::string Progress::facts(std::int64_t iteration, double loss) const {
    const double left =
        static_cast<double>(std::max<std::int64_t>(options_.iterations - iteration, 0));
    const std::int64_t per_epoch = options_.iterations_per_epoch;
    const std::string epoch = per_epoch == 0 ? std::string{}
                                             : text(" epoch ", (iteration - 1) / per_epoch + 1, "/",
                                                    (options_.iterations - 1) / per_epoch + 1);
    return text(iteration, "/", options_.iterations, epoch, "  ", fixed(images_ / seconds_, 1),
                " images/s  loss ", fixed(loss, 4), "  ETA ",
                duration_text(left * seconds_ / iterations_));
}

}  // namespace layerledger
