"""`layerledger-analysis scaling`: strong or weak scaling of several runs."""

from __future__ import annotations

import argparse
import contextlib
import math

from . import charts
from .errors import AnalysisError, ExitCode
from .runfile import RunFile
from .scaling_charts import write
from .scaling_page import page
from .study import Study, build_study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN",
        help="run files of at least two numbers of ranks; several of one number are repetitions",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder for plots, tables, index.html"
    )
    parser.add_argument(
        "--allow", nargs="+", action="extend", default=[], metavar="KEY",
        help="let the runs differ in this all the same, such as provenance.git; status: take runs "
        "that are not complete",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Writes the study of the runs and prints its table; INPUT_MISSING where runs are left out.

    Raises:
        RunFileError: a file cannot be used.
        AnalysisError: the runs differ in more than the scale, or the output cannot be written.
    """
    with contextlib.ExitStack() as stack:
        runs = [stack.enter_context(RunFile(path)) for path in arguments.runs]
        study = build_study(runs, arguments.allow)
    directory = charts.make_directory(arguments.output)
    stems = write(study, directory)
    index = directory / "index.html"
    try:
        index.write_text(page(study, stems), encoding="utf-8")
    except OSError as error:
        raise AnalysisError(
            f"{index}: cannot be written ({error.strerror})", ExitCode.CANNOT_CREATE
        ) from error
    print(text(study))
    print(f"\nplots, tables and all of it on one page: {index}")
    return ExitCode.INPUT_MISSING if study.left_out else ExitCode.OK


def text(study: Study) -> str:
    """The table for a terminal."""
    lines = [
        study.title,
        f"{'ranks':>7}{'nodes':>7}{'batch':>7}{'iteration ms':>14}{'images/s':>12}{'speed-up':>10}"
        f"{'efficiency %':>14}   95 % interval",
    ]
    for point in study.points:
        efficiency = study.efficiency(point)
        between = (
            ""
            if math.isnan(efficiency.low) or point is study.points[0]
            else f"{100 * efficiency.low:.1f} to {100 * efficiency.high:.1f}"
        )
        lines.append(
            f"{point.ranks:7}{point.nodes:7}{point.per_rank_batch:7}{point.time / 1000:14.3f}"
            f"{1e6 * point.per_rank_batch * point.ranks / point.time:12.1f}"
            f"{study.speedup(point).estimate:10.2f}{100 * efficiency.estimate:14.1f}   {between}"
        )
    lines += [f"note: {note}" for note in study.notes]
    return "\n".join(lines)
