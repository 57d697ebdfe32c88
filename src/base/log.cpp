#include "layerledger/base/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/dist_sink.h>
#include <spdlog/sinks/ringbuffer_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::log {
namespace {

/// Lines from before it is known where the file goes.
constexpr std::size_t kept_lines = 256;
using Kept = spdlog::sinks::ringbuffer_sink_mt;

// Everything goes to stderr: stdout belongs to tables and progress, which users redirect.
struct Log {
    std::shared_ptr<Kept> kept = std::make_shared<Kept>(kept_lines);
    /// One sink: `kept`, or the file.
    std::shared_ptr<spdlog::sinks::dist_sink_mt> copy =
        std::make_shared<spdlog::sinks::dist_sink_mt>();
    bool is_keeping = true;
    spdlog::logger logger{"layerledger",
                          {std::make_shared<spdlog::sinks::stderr_color_sink_mt>(), copy}};

    Log() {
        copy->set_sinks({kept});
        logger.set_pattern("layerledger: %^%l%$: %v");
        logger.flush_on(spdlog::level::info);
    }
};

Log& the_log() {
    static Log instance;
    return instance;
}

spdlog::logger& logger() {
    return the_log().logger;
}

}  // namespace

void set_rank(int rank, std::string_view host) {
    if (rank > 0) {
        logger().set_level(spdlog::level::warn);
        logger().set_pattern(text("layerledger [r", rank, " ", host, "]: %^%l%$: %v"));
    }
}

void keep_for_file() {
    Log& log = the_log();
    if (!log.is_keeping) {
        log.kept = std::make_shared<Kept>(kept_lines);
        log.copy->set_sinks({log.kept});
        log.is_keeping = true;
    }
}

void add_file(const std::string& path) {
    try {
        const auto file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
        file->set_formatter(std::make_unique<spdlog::pattern_formatter>(
            "%Y-%m-%dT%H:%M:%SZ %l: %v", spdlog::pattern_time_type::utc));
        Log& log = the_log();
        for (const auto& message : log.kept->last_raw()) {
            file->log(message);
        }
        file->flush();
        log.copy->set_sinks({file});
        log.is_keeping = false;
    } catch (const spdlog::spdlog_ex& error) {
        throw Error(ExitCode::cannot_create,
                    text("cannot write the log '", path, "' (", error.what(),
                         ") choose another output.directory"));
    }
}

void info(std::string_view message) {
    logger().info(message);
}
void warning(std::string_view message) {
    logger().warn(message);
}
void error(std::string_view message) {
    logger().error(message);
}

}  // namespace layerledger::log
