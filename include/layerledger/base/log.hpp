// The log: rank 0 says what happens, other ranks speak only when something is wrong.
#pragma once

#include <string>
#include <string_view>

namespace layerledger::log {

/// Fixes the prefix "[r3 node07]" of every line and silences `info` on ranks above 0.
void set_rank(int rank, std::string_view host);

/// From here on the latest lines are kept for the next file, and go to no earlier one; so it is at
/// first.
void keep_for_file();
/// From here on every line goes to the end of this file as well, dated; first those that were kept.
/// Throws Error{cannot_create}.
void add_file(const std::string& path);

void info(std::string_view message);
void warning(std::string_view message);
void error(std::string_view message);

}  // namespace layerledger::log
