// The log: rank 0 says what happens, other ranks speak only when something is wrong.
#pragma once

#include <string_view>

namespace layerledger::log {

/// Fixes the prefix "[r3 node07]" of every line and silences `info` on ranks above 0.
void set_rank(int rank, std::string_view host);

void info(std::string_view message);
void warning(std::string_view message);
void error(std::string_view message);

}  // namespace layerledger::log
