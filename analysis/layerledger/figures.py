"""layerledger-analysis figures: the figures of per-layer timing, as PNG, SVG and CSV."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl

from .charts import STYLE, make_directory, save
from .errors import AnalysisError, ExitCode, RunFileError
from .figure_kinds import (
    Drawn,
    has_both_profilings,
    layers_over_iterations,
    percentage_error,
    phases_over_iterations,
    profiling_cost,
    profiling_cost_within,
    total_and_layers,
)
from .likeness import differences
from .progress import Progress
from .runfile import RunFile
from .series import MOST_RANKS

KINDS = ("profiling", "layers", "phases", "total", "error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run files")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for figures")
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=KINDS,
        default=list(KINDS),
        help="profiling: with and without it; layers: all layers against the iteration; phases: "
        "forward, backward and update of each layer; total: iteration time and sum of layers; "
        "error: what is missing in that sum (default: all)",
    )
    parser.add_argument(
        "--layers", nargs="+", metavar="LAYER", help="only these layers' phases (default: all)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Draws every kind for every run, and compares runs with and without profiling."""
    directory = Path(arguments.output)
    with contextlib.ExitStack() as stack:
        runs = [stack.enter_context(RunFile(path)) for path in arguments.runs]
        for run_file in runs:  # before anything is written
            if run_file.has_layers:
                _ = run_file.measured
            elif len(runs) == 1 or run_file.level != "off":
                run_file.require_layers("a figure of layers")
            _check_layers(run_file, arguments.layers or [])
        make_directory(directory)
        written = 0
        for run_file, name in zip(runs, run_names(runs), strict=True):
            if run_file.has_layers:
                written += _draw_run(run_file, make_directory(directory / name), arguments)
        if "profiling" in arguments.kinds:
            written += _draw_pairs(runs, directory)
    if not written:
        raise AnalysisError(
            "nothing to draw: no run has times of layers, and no two differ only in profiling",
            ExitCode.BAD_DATA,
        )
    print(f"{written} figures, each as PNG, SVG and CSV, in {directory}")
    return ExitCode.OK


def run_names(runs: Sequence[RunFile]) -> list[str]:
    """A file name for each run: its own file's, with a number where two are alike."""
    names: list[str] = []
    for run_file in runs:
        stem = name = Path(run_file.path).stem or "run"
        for number in itertools.count(2):
            if name not in names:
                break
            name = f"{stem}-{number}"
        names.append(name)
    return names


def _check_layers(run_file: RunFile, layers: Sequence[str]) -> None:
    for layer in layers:
        if run_file.has_layers and layer not in run_file.layers:
            raise RunFileError(
                run_file.path,
                f"has no layer {layer}: it has {', '.join(run_file.layers)}",
                ExitCode.USAGE,
            )


def _draw_run(run_file: RunFile, directory: Path, arguments: argparse.Namespace) -> int:
    layers = arguments.layers or run_file.layers
    progress = Progress(
        f"drawing {directory.name}", _count_drawings(run_file, layers, arguments.kinds)
    )
    written = 0
    with mpl.rc_context(STYLE):
        for drawn in _drawings(run_file, layers, arguments.kinds):
            save(drawn.figure, drawn.table, directory, file_name(drawn.stem))
            progress.advance(1)
            written += 1
    progress.done()
    return written


def _count_drawings(run_file: RunFile, layers: Sequence[str], kinds: Sequence[str]) -> int:
    """How many figures `_drawings` gives."""
    counts = {
        "profiling": int(has_both_profilings(run_file)),
        "layers": 1 if run_file.ranks > MOST_RANKS else run_file.ranks,
        "phases": len(layers),
    }
    return sum(counts.get(kind, 1) for kind in set(kinds))


def _drawings(run_file: RunFile, layers: Sequence[str], kinds: Sequence[str]) -> Iterator[Drawn]:
    if "profiling" in kinds:
        within = profiling_cost_within(run_file)
        if within:
            yield within
    if "layers" in kinds:
        yield from layers_over_iterations(run_file)
    if "phases" in kinds:
        yield from phases_over_iterations(run_file, layers)
    if "total" in kinds:
        yield total_and_layers(run_file)
    if "error" in kinds:
        yield percentage_error(run_file)


def _draw_pairs(runs: Sequence[RunFile], directory: Path) -> int:
    """A figure for each profiled run and each unprofiled one that differ in nothing else."""
    profiled = [run_file for run_file in runs if run_file.has_layers]
    plain = [run_file for run_file in runs if run_file.level == "off"]
    written = 0
    names = dict(zip(map(id, runs), run_names(runs), strict=True))
    with mpl.rc_context(STYLE):
        for on, off in itertools.product(profiled, plain):
            if not differ_in_profiling_only(on, off):
                continue
            drawn = profiling_cost(on, off)
            stem = f"profiling-{names[id(on)]}-{names[id(off)]}"
            save(drawn.figure, drawn.table, directory, file_name(stem))
            written += 1
    return written


def differ_in_profiling_only(on: RunFile, off: RunFile) -> bool:
    """Whether two runs' times may be compared to tell what profiling costs."""
    if on.ranks != off.ranks or on.per_rank_batch != off.per_rank_batch:
        return False
    return all(
        each.key == "level" or each.key.startswith("config.profile.")
        for each in differences([on, off])
    )


def file_name(stem: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem)
