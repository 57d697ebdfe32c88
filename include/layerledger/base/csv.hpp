// Rows of a CSV file: fields quoted as RFC 4180 says, lines that end in LF, numbers with a point
// whatever the locale.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace layerledger {

/// Collects rows as text. Fields come from left to right; `end_row` ends their line.
class CsvText {
public:
    CsvText& text(std::string_view value);
    CsvText& number(std::int64_t value);
    /// The fewest digits that read back as the same number; empty where it is NaN.
    CsvText& number(double value);
    CsvText& number(float value);
    /// The same of what is always there: NaN is then a value, as of a loss that diverged.
    CsvText& number_or_nan(float value);
    /// With so many decimals; empty where it is NaN.
    CsvText& fixed(double value, int decimals);
    /// `value` / 1000 without rounding: the digits of `number`, the point moved by three places.
    CsvText& thousandths(float value);
    /// A field without a value.
    CsvText& absent();
    void end_row();

    [[nodiscard]] const std::string& str() const noexcept { return text_; }
    void clear() { text_.clear(); }

private:
    /// Begins a field.
    void separate();

    std::string text_;
    bool is_first_ = true;
};

/// The fields of one row that `CsvText` wrote; none of them may hold an end of line.
[[nodiscard]] std::vector<std::string> csv_fields(std::string_view row);

}  // namespace layerledger
