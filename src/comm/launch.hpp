// What the launcher has told this process in its environment, before MPI can be asked.
#pragma once

#include <string>
#include <vector>

namespace layerledger {

/// This process' rank, -1 where nobody has said it.
[[nodiscard]] int launched_rank();

/// True on one rank of each node, and where nobody has said which one that is.
[[nodiscard]] bool is_first_of_node();

/// "mpirun is at 10.0.0.1, its daemon here at 10.0.0.7"; empty where nothing is known.
[[nodiscard]] std::string launcher_text();

/// The value of a parameter of Open MPI's that the environment or mpirun's command line sets:
/// "btl_tcp_if_include is 'eth1'" or "is not set".
[[nodiscard]] std::string mpi_parameter_text(const std::string& name);

/// Ranks of this job on this node none of whose processes has a thread of this name: "rank 3
/// (process 4711 'sleep', stopped)". Looks into /proc, where a container may hide them.
[[nodiscard]] std::vector<std::string> siblings_without_thread(const std::string& name);

}  // namespace layerledger
