// Where the all-reduce of each bucket spent its time: found in a run file's arrays.
#pragma once

#include "layerledger/hdf5/file.hpp"

namespace layerledger {

/// Makes the rows of /anatomy from the measured iterations of a file whose rows are all committed.
/// Nothing is done for a single rank.
void write_anatomy(hdf5::File& file);

}  // namespace layerledger
