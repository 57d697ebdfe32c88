// Where NCCL's ranks meet: at a socket of rank 0, whose address is in the id that rank 0 makes.
#pragma once

#include <nccl.h>

#include <string>

namespace layerledger::cuda {

/// "rank 0 waits at 10.0.0.1, port 52301; this node reaches it from 10.0.0.7 (eth0)", on rank 0
/// "this rank waits at ...". NCCL does not document its id: a number of 8 bytes and the socket's
/// address (ncclBootstrapHandle in NCCL's src/include/bootstrap.h, 2.28). Empty where no address of
/// the internet is in that place.
[[nodiscard]] std::string meeting_place(const ncclUniqueId& id, int rank);

}  // namespace layerledger::cuda
