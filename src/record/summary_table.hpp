// How a summary is set: lines of a name and columns of numbers, and how numbers read in them.
#pragma once

#include <array>
#include <cstddef>
#include <iomanip>
#include <sstream>
#include <string>

namespace layerledger {

/// "-" where there is no value.
[[nodiscard]] std::string shown(double value, int decimals, double scale = 1);
[[nodiscard]] std::string milliseconds(double us);
[[nodiscard]] std::string mebibytes(double bytes);

/// A bar of eighths of a character would be finer, but not every terminal and log shows it.
[[nodiscard]] std::string bar(double share);

/// NaN where none is there.
[[nodiscard]] double sum_of_present(const std::array<double, 3>& values);

/// Lines of one name and columns of numbers.
class Table {
public:
    explicit Table(std::size_t name_width) : name_width_(static_cast<int>(name_width)) {}

    Table& name(const std::string& text) {
        line_ << "  " << std::left << std::setw(name_width_) << text << std::right;
        return *this;
    }
    Table& cell(const std::string& text) {
        line_ << std::setw(number_width) << text;
        return *this;
    }
    Table& end(const std::string& tail = "") {
        std::string text = line_.str() + tail;
        text.erase(text.find_last_not_of(' ') + 1);
        done_ += text + '\n';
        line_.str("");
        return *this;
    }
    [[nodiscard]] const std::string& str() const { return done_; }

private:
    static constexpr int number_width = 13;

    int name_width_;
    std::ostringstream line_;
    std::string done_;
};

}  // namespace layerledger
