#include "layerledger/base/error.hpp"

#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

std::string describe(const LibraryCall& call, std::string_view reason, const Place& place) {
    return text(call.library, " error ", call.status, ": ", reason, " (", call.expression, " at ",
                place.file, ":", place.line, ")");
}

}  // namespace

Error::Error(ExitCode code, const std::string& message, Place place)
    : std::runtime_error(message), code_(code), place_(place), reason_(message) {}

Error::Error(ExitCode code, LibraryCall call, std::string_view reason, Place place)
    : std::runtime_error(describe(call, reason, place)),
      code_(code),
      place_(place),
      reason_(reason) {}

}  // namespace layerledger
