// The lists of images beside a run file. Not in it: they may have millions of lines, and any tool
// reads them.
#pragma once

#include <string>

#include "layerledger/data/image_index.hpp"
#include "layerledger/record/run_description.hpp"

namespace layerledger {

void write_lists(const ImageIndex& images, const LabelDescription& labels,
                 const std::string& run_file);

/// Of a run that left no file. What stays does no harm.
void remove_lists(const LabelDescription& labels, const std::string& run_file);

}  // namespace layerledger
