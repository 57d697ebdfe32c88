#include "layerledger/base/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "layerledger/base/text.hpp"

namespace layerledger::log {
namespace {

// Everything goes to stderr: stdout belongs to tables and progress, which users redirect.
spdlog::logger& logger() {
    static const std::shared_ptr<spdlog::logger> instance = [] {
        auto made = std::make_shared<spdlog::logger>(
            "layerledger", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
        made->set_pattern("layerledger: %^%l%$: %v");
        made->flush_on(spdlog::level::info);
        return made;
    }();
    return *instance;
}

}  // namespace

void set_rank(int rank, std::string_view host) {
    if (rank > 0) {
        logger().set_level(spdlog::level::warn);
        logger().set_pattern(text("layerledger [r", rank, " ", host, "]: %^%l%$: %v"));
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
