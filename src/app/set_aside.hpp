// An earlier run that is not gone on with keeps what it recorded, under another name.
#pragma once

#include <string>

namespace layerledger {

/// NAME.h5 becomes NAME.unfinished-1.h5 (or -2, ...), NAME.checkpoints likewise where it is there.
/// Says so. Throws Error{cannot_create}.
void set_aside(const std::string& run_file);

}  // namespace layerledger
