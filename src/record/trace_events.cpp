#include "trace_events.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "layerledger/base/contract.hpp"

namespace layerledger {
namespace {

template <class... Format>
void append(std::string& out, Format... format) {
    std::array<char, 64> digits;
    const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), format...);
    out.append(digits.data(), result.ptr);
}

/// Nanoseconds as microseconds: "12.034".
void append_us(std::string& out, std::int64_t ns) {
    constexpr std::int64_t ns_per_us = 1000;
    if (ns < 0) {
        out += '-';
        ns = -ns;
    }
    append(out, ns / ns_per_us);
    const std::int64_t rest = ns % ns_per_us;
    out += '.';
    out += static_cast<char>('0' + rest / 100);
    out += static_cast<char>('0' + rest / 10 % 10);
    out += static_cast<char>('0' + rest % 10);
}

}  // namespace

std::string json_text(std::string_view text) {
    constexpr std::string_view hex = "0123456789abcdef";
    std::string quoted = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            quoted += '\\';
            quoted += c;
        } else if (byte < 0x20) {
            quoted += "\\u00";
            quoted += hex[byte >> 4U];
            quoted += hex[byte & 0xFU];
        } else {
            quoted += c;
        }
    }
    return quoted + '"';
}

void JsonMembers::begin(std::string_view name) {
    if (!members_.empty()) {
        members_ += ',';
    }
    members_ += json_text(name);
    members_ += ':';
}

JsonMembers& JsonMembers::text(std::string_view name, std::string_view value) {
    begin(name);
    members_ += json_text(value);
    return *this;
}

JsonMembers& JsonMembers::number(std::string_view name, double value) {
    if (std::isfinite(value)) {
        begin(name);
        append(members_, value);
    }
    return *this;
}

JsonMembers& JsonMembers::number(std::string_view name, float value) {
    if (std::isfinite(value)) {
        begin(name);
        append(members_, value);
    }
    return *this;
}

void TraceEvents::begin(char phase, std::int64_t process, int thread, std::string_view name) {
    text_ += count_ == 0 ? "\n{\"ph\":\"" : ",\n{\"ph\":\"";
    ++count_;
    text_ += phase;
    text_ += "\",\"pid\":";
    append(text_, process);
    text_ += ",\"tid\":";
    append(text_, thread);
    text_ += ",\"name\":";
    text_ += json_text(name);
}

void TraceEvents::complete(std::int64_t process, int thread, std::string_view name,
                           std::string_view category, std::int64_t start_ns, std::int64_t end_ns,
                           const JsonMembers& arguments) {
    begin('X', process, thread, name);
    text_ += ",\"cat\":";
    text_ += json_text(category);
    text_ += ",\"ts\":";
    append_us(text_, start_ns);
    text_ += ",\"dur\":";
    append_us(text_, end_ns - start_ns);
    if (!arguments.empty()) {
        text_ += ",\"args\":" + arguments.object();
    }
    text_ += '}';
}

void TraceEvents::counter(std::int64_t process, std::string_view name, std::int64_t at_ns,
                          double value) {
    if (!std::isfinite(value)) {
        return;
    }
    begin('C', process, 0, name);
    text_ += ",\"ts\":";
    append_us(text_, at_ns);
    text_ += ",\"args\":" + JsonMembers().number(name, value).object() + '}';
}

void TraceEvents::metadata(std::int64_t process, int thread, std::string_view name,
                           const JsonMembers& arguments) {
    begin('M', process, thread, name);
    text_ += ",\"args\":" + arguments.object() + '}';
}

void TraceLane::add(std::size_t depth, std::string_view name, std::string_view category,
                    std::int64_t start_ns, std::int64_t end_ns, const JsonMembers& arguments) {
    Level& level = levels_.at(depth);
    start_ns = std::max(start_ns, level.free_from_ns);
    end_ns = std::max(end_ns, start_ns);
    if (depth > 0) {
        const Level& parent = levels_.at(depth - 1);
        start_ns = std::clamp(start_ns, parent.start_ns, parent.free_from_ns);
        end_ns = std::clamp(end_ns, start_ns, parent.free_from_ns);
    }
    level = {end_ns, start_ns};
    for (std::size_t below = depth + 1; below < levels_.size(); ++below) {
        levels_.at(below) = {start_ns, start_ns};
    }
    events_.complete(process_, thread_, name, category, start_ns, end_ns, arguments);
}

}  // namespace layerledger
