// HDF5's calls checked, and owners of what it hands out.
#pragma once

#include <hdf5.h>

#include <string>
#include <string_view>
#include <utility>

#include "layerledger/base/error.hpp"

namespace layerledger::hdf5 {

/// The most specific message on HDF5's error stack.
inline std::string innermost_reason() {
    std::string reason = "no reason given";
    const H5E_walk2_t take_first = [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
        *static_cast<std::string*>(out) = error->desc;
        return 1;  // no further
    };
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_first, &reason);
    return reason;
}

/// Passes a result through, or throws where HDF5 says failure (a negative number).
template <class Result>
Result check(Result result, std::string_view call) {
    if (result < 0) {
        throw Error(ExitCode::internal, {"HDF5", static_cast<int>(result), call},
                    innermost_reason());
    }
    return result;
}

template <auto close>
class Id {
public:
    Id(hid_t id, std::string_view call) : id_(check(id, call)) {}
    Id(Id&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
    Id& operator=(Id&&) = delete;
    ~Id() {
        if (id_ >= 0) {
            close(id_);
        }
    }
    operator hid_t() const noexcept { return id_; }

private:
    hid_t id_;
};

using DatasetId = Id<H5Dclose>;
using SpaceId = Id<H5Sclose>;
using TypeId = Id<H5Tclose>;
using PropertiesId = Id<H5Pclose>;
using AttributeId = Id<H5Aclose>;
using GroupId = Id<H5Gclose>;
using ObjectId = Id<H5Oclose>;

}  // namespace layerledger::hdf5
