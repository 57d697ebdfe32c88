// The MPI communicator behind a Communicator.
#pragma once

#include <mpi.h>

#include "layerledger/base/log.hpp"
#include "layerledger/comm/communicator.hpp"

namespace layerledger {

struct Communicator::Handle {
    explicit Handle(MPI_Comm owned) : comm(owned) {
        MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() {
        int finalized = 0;
        MPI_Finalized(&finalized);
        if (finalized == 0 && MPI_Comm_free(&comm) != MPI_SUCCESS) {
            log::error("MPI_Comm_free failed");
        }
    }
    MPI_Comm comm;
};

}  // namespace layerledger
