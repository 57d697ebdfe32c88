#include "layerledger/base/contract.hpp"

#include "layerledger/base/text.hpp"

namespace layerledger::detail {

void contract_broken(const char* kind, const char* condition, Place place) {
    throw Error(ExitCode::internal,
                text("broken ", kind, ": ", condition, " (", place.file, ":", place.line,
                     ") please report this as a defect"),
                place);
}

}  // namespace layerledger::detail
