#include "layerledger/base/csv.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace layerledger {
namespace {

/// Large enough for any number below with all its digits.
using Digits = std::array<char, 400>;

template <class... Format>
void append(std::string& out, Format... format) {
    Digits digits;
    const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), format...);
    out.append(digits.data(), result.ptr);
}

/// `value` = 0.DIGITS times ten to the power of `point`, without a sign.
struct Decimal {
    std::string digits;
    int point = 0;
};

Decimal decimal_of(float value) {
    std::string shortest;  // "1.25e+02", or "1e+02"
    append(shortest, std::abs(value), std::chars_format::scientific);
    const std::size_t e = shortest.find('e');
    Decimal decimal{shortest.substr(0, 1), 0};
    if (e > 1) {
        decimal.digits += shortest.substr(2, e - 2);
    }
    const std::size_t exponent = shortest[e + 1] == '+' ? e + 2 : e + 1;
    std::from_chars(shortest.data() + exponent, shortest.data() + shortest.size(), decimal.point);
    decimal.point += 1;
    return decimal;
}

}  // namespace

void CsvText::separate() {
    if (!is_first_) {
        text_ += ',';
    }
    is_first_ = false;
}

CsvText& CsvText::text(std::string_view value) {
    separate();
    if (value.find_first_of(",\"\r\n") == std::string_view::npos) {
        text_ += value;
        return *this;
    }
    text_ += '"';
    for (const char c : value) {
        text_ += c;
        if (c == '"') {
            text_ += c;
        }
    }
    text_ += '"';
    return *this;
}

CsvText& CsvText::number(std::int64_t value) {
    separate();
    append(text_, value);
    return *this;
}

CsvText& CsvText::number(double value) {
    separate();
    if (!std::isnan(value)) {
        append(text_, value);
    }
    return *this;
}

CsvText& CsvText::number(float value) {
    separate();
    if (!std::isnan(value)) {
        append(text_, value);
    }
    return *this;
}

CsvText& CsvText::number_or_nan(float value) {
    return std::isnan(value) ? text("NaN") : number(value);
}

CsvText& CsvText::fixed(double value, int decimals) {
    separate();
    if (!std::isnan(value)) {
        append(text_, value, std::chars_format::fixed, decimals);
    }
    return *this;
}

CsvText& CsvText::thousandths(float value) {
    if (!std::isfinite(value)) {
        return number(value);
    }
    separate();
    Decimal decimal = decimal_of(value);
    decimal.point -= 3;
    if (value < 0) {
        text_ += '-';
    }
    const auto count = static_cast<int>(decimal.digits.size());
    if (decimal.digits == "0") {
        text_ += '0';
    } else if (decimal.point <= 0) {
        text_.append("0.").append(static_cast<std::size_t>(-decimal.point), '0');
        text_ += decimal.digits;
    } else if (decimal.point >= count) {
        text_ += decimal.digits;
        text_.append(static_cast<std::size_t>(decimal.point - count), '0');
    } else {
        const auto point = static_cast<std::size_t>(decimal.point);
        text_.append(decimal.digits, 0, point).append(1, '.').append(decimal.digits, point);
    }
    return *this;
}

CsvText& CsvText::absent() {
    separate();
    return *this;
}

void CsvText::end_row() {
    text_ += '\n';
    is_first_ = true;
}

std::vector<std::string> csv_fields(std::string_view row) {
    std::vector<std::string> fields(1);
    bool is_quoted = false;
    for (std::size_t i = 0; i < row.size(); ++i) {
        const bool is_doubled = is_quoted && row.substr(i).starts_with("\"\"");
        if (row[i] == '"' && !is_doubled) {
            is_quoted = !is_quoted;
        } else if (row[i] == ',' && !is_quoted) {
            fields.emplace_back();
        } else {
            fields.back() += row[i];
            i += is_doubled ? 1 : 0;
        }
    }
    return fields;
}

}  // namespace layerledger
