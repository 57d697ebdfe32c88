"""layerledger-analysis report: one page per run that says where the time went."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Callable
from pathlib import Path

from .charts import make_directory
from .errors import AnalysisError, ExitCode
from .figures import run_names
from .findings import find
from .layer_data import (
    distribution_section,
    layers_by_rank_table,
    layers_section,
    roofline_section,
)
from .page import assemble
from .page_data import (
    Section,
    buckets_section,
    idle_section,
    iterations_section,
    ledger_section,
    proof_section,
)
from .reductions import Reduction, counted_rows, reduce_run
from .roofs import probe
from .runfile import RunFile
from .straggler_data import late_section, node_names, nodes_section, ranks_section
from .timeline_data import timeline_section


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run files")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for the pages")
    parser.add_argument(
        "--peak-gflops", type=_positive, metavar="N", help="roofline: a rank's most GFLOP/s"
    )
    parser.add_argument(
        "--peak-gbs", type=_positive, metavar="N", help="roofline: a rank's memory bandwidth, GB/s"
    )
    parser.add_argument(
        "--probe-roofs",
        action="store_true",
        help="roofline: measure both here, on all cores, where they are not given; only sensible "
        "on the machine that the run was on",
    )


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no number") from None
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0, or without bound")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Writes RUN.html and the folder RUN-csv for every run."""
    given = [roof for roof in (arguments.peak_gflops, arguments.peak_gbs) if roof is not None]
    if len(given) == 1 and not arguments.probe_roofs:
        raise AnalysisError(
            "a roofline has two roofs: give both --peak-gflops and --peak-gbs, or --probe-roofs "
            "for the other",
            ExitCode.USAGE,
        )
    roofs, origin = _roofs(arguments)
    with contextlib.ExitStack() as stack:
        runs = [stack.enter_context(RunFile(path)) for path in arguments.runs]
        for run_file in runs:  # before anything is written
            _ = counted_rows(run_file)
        directory = make_directory(arguments.output)
        for run_file, name in zip(runs, run_names(runs), strict=True):
            print(write_report(run_file, directory, name, roofs, origin))
    return ExitCode.OK


def _roofs(arguments: argparse.Namespace) -> tuple[tuple[float, float] | None, str]:
    given = (arguments.peak_gflops, arguments.peak_gbs)
    if None not in given:
        return given, "given on the command line"
    if not arguments.probe_roofs:
        return None, ""
    probed = probe()
    roofs = tuple(g if g is not None else p for g, p in zip(given, probed, strict=True))
    here = "probed with numpy on all cores of this machine"
    if given == (None, None):
        return (roofs[0], roofs[1]), here
    parts = ["given" if value is not None else here for value in given]
    return (roofs[0], roofs[1]), f"FLOP/s {parts[0]}, bytes/s {parts[1]}"


def write_report(
    run_file: RunFile,
    directory: Path,
    name: str,
    roofs: tuple[float, float] | None = None,
    origin: str = "",
) -> Path:
    """Writes one run's page and its CSV files; gives the page's path.

    Args:
        run_file: the run.
        directory: an existing folder.
        name: of the page, without ending, and of the folder of CSV files, before "-csv".
        roofs: a rank's GFLOP/s and GB/s; None: the best that the run itself reached.
        origin: where the roofs come from, in words.

    Raises:
        RunFileError: no iteration counts, or the file cannot be read.
        AnalysisError: a file cannot be written.
    """
    reduction = reduce_run(run_file)
    sections = _sections(run_file, reduction, roofs, origin)
    tables = make_directory(directory / f"{name}-csv")
    page = directory / f"{name}.html"
    text = assemble(run_file, reduction, find(run_file, reduction), sections, tables.name)
    try:
        for key, section in sections.items():
            section.table.to_csv(tables / f"{key}.csv", index=False, float_format="%.7g")
        if reduction.layer_quantiles is not None:
            table = layers_by_rank_table(run_file, reduction)
            table.to_csv(tables / "layers-by-rank.csv", index=False, float_format="%.7g")
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AnalysisError(
            f"{error.filename or page}: cannot be written ({error.strerror})",
            ExitCode.CANNOT_CREATE,
        ) from error
    return page


def _sections(
    run_file: RunFile, reduction: Reduction, roofs: tuple[float, float] | None, origin: str
) -> dict[str, Section]:
    """In the page's order; without those that the file has no numbers for."""
    has_layers = reduction.layer_quantiles is not None
    has_activities = run_file.level != "off"
    has_ranks, has_nodes = run_file.ranks > 1, len(node_names(run_file)) > 1
    makers: list[tuple[str, bool, Callable[[], Section]]] = [
        ("ledger", True, lambda: ledger_section(run_file, reduction)),
        ("layers", has_layers, lambda: layers_section(run_file, reduction)),
        ("distribution", has_layers, lambda: distribution_section(run_file, reduction)),
        ("timeline", has_layers, lambda: timeline_section(run_file, reduction)),
        ("nodes", has_nodes and has_activities, lambda: nodes_section(run_file, reduction)),
        ("ranks", has_ranks and has_activities, lambda: ranks_section(run_file, reduction)),
        ("late", len(run_file.late) > 0, lambda: late_section(run_file)),
        ("idle", has_activities, lambda: idle_section(run_file, reduction)),
        ("buckets", reduction.buckets is not None, lambda: buckets_section(run_file, reduction)),
        ("roofline", has_layers, lambda: roofline_section(run_file, reduction, roofs, origin)),
        ("iterations", True, lambda: iterations_section(run_file, reduction)),
        ("proof", True, lambda: proof_section(run_file, reduction)),
    ]
    return {name: make() for name, is_there, make in makers if is_there}
