#include "layerledger/base/csv.hpp"

#include <gtest/gtest.h>

#include <charconv>
#include <clocale>
#include <cmath>
#include <cstring>
#include <limits>

namespace layerledger {
namespace {

std::string thousandths(float value) {
    return CsvText().thousandths(value).str();
}

TEST(CsvText, JoinsFieldsWithCommasAndEndsRows) {
    CsvText csv;
    csv.text("a").number(std::int64_t{-7}).absent().number(0.5);
    csv.end_row();
    csv.text("b");
    csv.end_row();
    EXPECT_EQ(csv.str(), "a,-7,,0.5\nb\n");
}

TEST(CsvText, QuotesWhatWouldBeMisread) {
    CsvText csv;
    csv.text("a,b").text("say \"x\"").text("two\nlines").text("").text("it's; fine");
    EXPECT_EQ(csv.str(), "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",,it's; fine");
}

TEST(CsvText, AnAbsentNumberIsAnEmptyField) {
    constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
    CsvText csv;
    csv.number(nothing).fixed(nothing, 3).thousandths(static_cast<float>(nothing)).number(1.0F);
    EXPECT_EQ(csv.str(), ",,,1");
}

TEST(CsvText, FixedHasSoManyDecimals) {
    EXPECT_EQ(CsvText().fixed(2.0 / 3, 4).str(), "0.6667");
    EXPECT_EQ(CsvText().fixed(1e20, 1).str(), "100000000000000000000.0");
}

TEST(CsvText, ThousandthsMoveThePoint) {
    EXPECT_EQ(thousandths(0), "0");
    EXPECT_EQ(thousandths(1), "0.001");
    EXPECT_EQ(thousandths(222.123F), "0.222123");
    EXPECT_EQ(thousandths(1000), "1");
    EXPECT_EQ(thousandths(12345.5F), "12.3455");
    EXPECT_EQ(thousandths(-2.5F), "-0.0025");
    EXPECT_EQ(thousandths(1e9F), "1000000");
    EXPECT_EQ(thousandths(0.001F), "0.000001");
}

TEST(CsvText, ThousandthsLoseNothing) {
    float value = 1e-3F;
    for (int i = 0; i < 2000; ++i) {
        value *= 1.0137F;
        const std::string text = thousandths(value);
        double read = 0;
        std::from_chars(text.data(), text.data() + text.size(), read);
        EXPECT_EQ(static_cast<float>(read * 1000), value) << text;
    }
}

TEST(CsvText, ToldFromAbsentWhereItIsAValue) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(CsvText().number(nan).number_or_nan(nan).number_or_nan(2.5F).str(), ",NaN,2.5");
}

TEST(CsvText, ReadsBack) {
    const std::vector<std::string> fields{"a", "", "b, \"c\"", "\"\"", ",", "", "d"};
    CsvText row;
    for (const std::string& field : fields) {
        row.text(field);
    }
    EXPECT_EQ(csv_fields(row.str()), fields);
    EXPECT_EQ(csv_fields(""), std::vector<std::string>{""});
}

TEST(CsvText, IgnoresTheLocale) {
    if (std::setlocale(LC_ALL, "de_DE.UTF-8") == nullptr) {
        GTEST_SKIP() << "no German locale here";
    }
    EXPECT_EQ(CsvText().number(0.5).fixed(0.25, 2).thousandths(1500).str(), "0.5,0.25,1.5");
    std::setlocale(LC_ALL, "C");
}

}  // namespace
}  // namespace layerledger
