// Events of the trace event format, as JSON text.
//
// The format: "Trace Event Format", Google, 2016. Viewers want the complete events ("ph": "X") of a
// thread to nest: neighbours may touch but never overlap, and children lie within their parents.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace layerledger {

/// The text in quotes, with what JSON does not allow in it escaped.
[[nodiscard]] std::string json_text(std::string_view text);

/// The members of a JSON object, in the order in which they come. NaN is left out.
class JsonMembers {
public:
    JsonMembers& text(std::string_view name, std::string_view value);
    JsonMembers& number(std::string_view name, double value);
    JsonMembers& number(std::string_view name, float value);
    /// "{...}"
    [[nodiscard]] std::string object() const { return "{" + members_ + "}"; }
    [[nodiscard]] bool empty() const noexcept { return members_.empty(); }

private:
    void begin(std::string_view name);

    std::string members_;
};

/// The events of a trace, separated by commas. Times are nanoseconds from the trace's start.
class TraceEvents {
public:
    void complete(std::int64_t process, int thread, std::string_view name,
                  std::string_view category, std::int64_t start_ns, std::int64_t end_ns,
                  const JsonMembers& arguments);
    void counter(std::int64_t process, std::string_view name, std::int64_t at_ns, double value);
    /// process_name, thread_sort_index and the like.
    void metadata(std::int64_t process, int thread, std::string_view name,
                  const JsonMembers& arguments);

    [[nodiscard]] const std::string& str() const noexcept { return text_; }
    void clear() { text_.clear(); }
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

private:
    void begin(char phase, std::int64_t process, int thread, std::string_view name);

    std::string text_;
    std::uint64_t count_ = 0;
};

/// One thread of a trace. Run files hold times as floats, so that neighbours can overlap by their
/// rounding: an event begins no earlier than the one before it ended, and ends within its parent.
class TraceLane {
public:
    TraceLane(TraceEvents& events, std::int64_t process, int thread)
        : events_(events), process_(process), thread_(thread) {}

    /// An event of the outermost level (depth 0), or within the newest event of the level above.
    /// On each level events come in order of their start.
    void add(std::size_t depth, std::string_view name, std::string_view category,
             std::int64_t start_ns, std::int64_t end_ns, const JsonMembers& arguments);

private:
    struct Level {
        std::int64_t free_from_ns;  ///< end of the newest event
        std::int64_t start_ns;
    };

    TraceEvents& events_;
    std::int64_t process_;
    int thread_;
    std::array<Level, 2> levels_{Level{INT64_MIN, 0}, Level{INT64_MIN, 0}};
};

}  // namespace layerledger
