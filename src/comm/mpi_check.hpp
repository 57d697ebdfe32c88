// LL_MPI(call): throws Error when MPI refuses. Works because errors are set to return.
#pragma once

#include <mpi.h>

#include "layerledger/base/error.hpp"


namespace layerledger::detail {

[[noreturn]] void throw_mpi_error(int status, const char* expression,
                                  Place place = Place::here());

}  // namespace layerledger::detail

#define LL_MPI(call)                                                \
    do {                                                            \
        const int ll_status = (call);                               \
        if (ll_status != MPI_SUCCESS) {                             \
            ::layerledger::detail::throw_mpi_error(ll_status, #call); \
        }                                                           \
    } while (false)
