// Who was late in the iterations of a run file: found in its arrays, kept in tables of their own.
#pragma once

#include "layerledger/hdf5/file.hpp"

namespace layerledger {

/// Looks for stragglers in the measured iterations of a file whose rows are all committed, and
/// makes what it finds the rows of /late, /stragglers and /sensitivity. Nothing is done for a single rank, or
/// where layers were not recorded.
void write_stragglers(hdf5::File& file);

}  // namespace layerledger
