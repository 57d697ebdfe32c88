"""What a run file of schema 1 holds, as far as reading it depends on it.

FORMAT.md beside this package is the format's definition; a test compares both with a fresh file.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MAJOR: Final = 1
MINOR: Final = 4
"""The newest minor version that this package knows. Newer ones only add, and open as well."""

DIMENSIONS: Final = ("iteration", "rank", "layer", "phase", "activity", "bucket", "op")
"""In this order in a file. `bucket` and `op` are absent where there are none."""

LEVELS: Final = ("off", "iteration", "layer", "op", "kernel")
CAUSES: Final = ("input", "copy", "idle", "measurement", "compute")
"""Of lateness, by the numbers in the tables `late` and `stragglers`."""
PERSISTENCE: Final = ("always", "in spells", "at random")
COPY_KINDS: Final = ("h2d", "d2h", "d2d")
"""From where to where, by the numbers in the table `copies`."""
STATUSES: Final = ("running", "complete", "interrupted", "failed")
FACT_GROUPS: Final = (
    "provenance", "config", "network", "validation", "overhead", "wall_clock", "staging",
    "twin", "causality",
)  # fmt: skip


class Variable(NamedTuple):
    """Dimensions and unit of an array, and the minor version that added it.

    The unit is empty for texts.
    """

    dims: tuple[str, ...]
    units: str
    since: int


def _table(text: str) -> dict[str, Variable]:
    table = {}
    for line in text.strip().splitlines():
        name, since, units, *dims = line.split()
        table[name] = Variable(tuple(dims), "" if units == "-" else units, int(since))
    return table


DESCRIPTION: Final = _table("""
    rank                    0  1     rank
    layer                   0  -     layer
    phase                   0  -     phase
    activity                0  -     activity
    bucket                  0  1     bucket
    op                      0  -     op
    hostname                0  -     rank
    local_rank              0  1     rank
    device_name             0  -     rank
    device_uuid             0  -     rank
    threads                 0  1     rank
    clock_offset            0  ns    rank
    clock_bound             0  ns    rank
    estimated_memory        1  byte  rank
    peak_memory             1  byte  rank
    device_memory           4  byte  rank
    device_library_memory   4  byte  rank
    layer_kind              0  -     layer
    layer_parameters        0  1     layer
    layer_flops             0  1     layer phase
    layer_bytes             0  byte  layer phase
    layer_algorithm         0  -     layer
    layer_workspace_bytes   0  byte  layer
    layer_parameter_bytes   1  byte  layer
    layer_gradient_bytes    1  byte  layer
    layer_optimizer_bytes   1  byte  layer
    layer_activation_bytes  0  byte  layer
    op_kind                 0  -     op
    op_layer                0  1     op
    bucket_bytes            0  byte  bucket
    bucket_layers           0  -     bucket
""")
"""Known before the first iteration."""

GROWING: Final = _table("""
    iteration               0  1     iteration
    epoch                   0  1     iteration
    warmup                  0  1     iteration
    profiled                0  1     iteration
    learning_rate           0  1     iteration
    loss                    0  1     iteration
    top1                    0  1     iteration
    topk                    0  1     iteration
    iteration_start         0  ns    iteration rank
    iteration_time          0  us    iteration rank
    layer_time              0  us    iteration rank layer phase
    layer_start             0  us    iteration rank layer phase
    op_time                 0  us    iteration rank op phase
    activity_time           0  us    iteration rank activity
    unaccounted             0  us    iteration rank
    allreduce_hidden        0  us    iteration rank
    memcpy_hidden           0  us    iteration rank
    launch_bound            4  us    iteration rank
    h2d_start               4  us    iteration rank
    h2d_end                 4  us    iteration rank
    d2h_start               4  us    iteration rank
    d2h_end                 4  us    iteration rank
    bucket_ready            0  us    iteration rank bucket
    bucket_start            0  us    iteration rank bucket
    bucket_transfer         0  us    iteration rank bucket
    bucket_end              0  us    iteration rank bucket
""")
"""One row an iteration. A file that ended before its first commit has none of them."""
