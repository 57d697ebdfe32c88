// Which iterations of a run a reader looks at.
#pragma once

#include "layerledger/hdf5/file.hpp"
#include "row_reader.hpp"

namespace layerledger {

/// The rows that a summary is about: profiled, after warm-up; if none was profiled, all after it.
[[nodiscard]] Rows measured_rows(const hdf5::File& file, std::uint64_t committed);

}  // namespace layerledger
