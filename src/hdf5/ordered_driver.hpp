// The order in which a commit's writes reach the file.
#pragma once

#include <hdf5.h>

namespace layerledger::hdf5 {

// A driver of HDF5 that puts the writes of a commit in an order that survives a kill: what lies
// behind the old end of the file at once, and what changes older bytes when the file is flushed,
// from front to back. All that the changes point to is then in the file already: first the
// superblock learns the new end, then each index, whose root lies before its leaves, and only the
// next flush says how many iterations there are. By itself HDF5 writes in order of address, so that
// for a moment an index points to what is not there yet.

/// Files opened with these access properties are written by the driver.
void write_in_order(hid_t access);

/// From now on, changes to what `file`, opened so, has already are held back until it is flushed.
void defer_changes_of_old_bytes(hid_t file);

}  // namespace layerledger::hdf5
