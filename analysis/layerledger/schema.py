"""What a run file of schema 1 holds, as far as reading it depends on it.

FORMAT.md beside this package is the format's definition; a test compares both with a fresh file.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MAJOR: Final = 1

DIMENSIONS: Final = ("iteration", "rank", "layer", "phase", "activity", "bucket", "op")
"""In this order in a file. `bucket` and `op` are absent where there are none."""

LEVELS: Final = ("off", "iteration", "layer", "op")
STATUSES: Final = ("running", "complete", "interrupted", "failed")
FACT_GROUPS: Final = (
    "provenance", "config", "network", "validation", "overhead", "wall_clock", "staging",
    "twin",
)  # fmt: skip


class Variable(NamedTuple):
    """Dimensions and unit of an array. The unit is empty for texts."""

    dims: tuple[str, ...]
    units: str


def _table(text: str) -> dict[str, Variable]:
    table = {}
    for line in text.strip().splitlines():
        name, units, *dims = line.split()
        table[name] = Variable(tuple(dims), "" if units == "-" else units)
    return table


DESCRIPTION: Final = _table("""
    rank                    1     rank
    layer                   -     layer
    phase                   -     phase
    activity                -     activity
    bucket                  1     bucket
    op                      -     op
    hostname                -     rank
    local_rank              1     rank
    device_name             -     rank
    device_uuid             -     rank
    threads                 1     rank
    clock_offset            ns    rank
    clock_bound             ns    rank
    layer_kind              -     layer
    layer_parameters        1     layer
    layer_flops             1     layer phase
    layer_bytes             byte  layer phase
    layer_algorithm         -     layer
    layer_workspace_bytes   byte  layer
    layer_activation_bytes  byte  layer
    op_kind                 -     op
    op_layer                1     op
    bucket_bytes            byte  bucket
    bucket_layers           -     bucket
""")
"""Known before the first iteration."""

GROWING: Final = _table("""
    iteration         1   iteration
    epoch             1   iteration
    warmup            1   iteration
    profiled          1   iteration
    learning_rate     1   iteration
    loss              1   iteration
    top1              1   iteration
    topk              1   iteration
    iteration_start   ns  iteration rank
    iteration_time    us  iteration rank
    layer_time        us  iteration rank layer phase
    layer_start       us  iteration rank layer phase
    op_time           us  iteration rank op phase
    activity_time     us  iteration rank activity
    unaccounted       us  iteration rank
    allreduce_hidden  us  iteration rank
    memcpy_hidden     us  iteration rank
    bucket_ready      us  iteration rank bucket
    bucket_start      us  iteration rank bucket
    bucket_transfer   us  iteration rank bucket
    bucket_end        us  iteration rank bucket
""")
"""One row an iteration. A file that ended before its first commit has none of them."""
