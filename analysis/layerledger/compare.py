"""layerledger-analysis compare: whether run B is slower than run A, per layer and in all."""

from __future__ import annotations

import argparse
import math

import matplotlib as mpl
import pandas as pd

from .bootstrap import LEAST_ROWS
from .charts import STYLE, make_directory, save
from .comparison import Comparison, compare
from .comparison_chart import draw_comparison
from .errors import AnalysisError, ExitCode
from .runfile import RunFile

_RULES = """
The iteration is the median over iterations of the slowest rank's time; layers and activities are
medians over iterations of means over ranks. Warm-up is left out. Intervals are of 95 %, by a block
bootstrap over iterations with a fixed seed, widened so that those of all layers (all phases, all
activities) hold together. A difference is "same" if its interval lies within the
margin, else "slower" or "faster" if the interval lies on one side of 0, else "unclear". Layers are
shown and judged in percent of their own time, activities, which may take none, in percent of A's
iteration.

Exit codes: 0; 1 if --fail-above is given and B is slower than it allows; 64 wrong use; 65 runs that
do not compare, or a file that cannot be used; 66 no such file; 73 the output cannot be written.
"""


def percent(text: str) -> float:
    """Reads "5%" or "5"."""
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no percentage, such as 5%") from None
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is negative or without bound")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.epilog = _RULES
    parser.add_argument("a", metavar="A", help="run file that B is held against")
    parser.add_argument("b", metavar="B", help="run file in question")
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="folder for the figure (PNG, SVG) and table (CSV)"
    )
    parser.add_argument(
        "--margin", type=percent, default=1.0, metavar="PERCENT",
        help="differences within this do not matter (default: 1%%)",
    )  # fmt: skip
    parser.add_argument(
        "--fail-above", type=percent, metavar="PERCENT",
        help="exit with 1 if B's iteration is slower by more than this and the lower end of the "
        "difference's interval is above 0; as in 5%%",
    )  # fmt: skip
    parser.add_argument("--phases", action="store_true", help="show each layer's phases too")
    parser.add_argument(
        "--anyway", action="store_true",
        help="compare what is shared though networks, batch sizes or ranks differ",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Prints the table; exits with 1 if B is slower than allowed.

    Raises:
        RunFileError: a file cannot be used, or the two do not compare.
        AnalysisError: no verdict is possible, or the output cannot be written.
    """
    with RunFile(arguments.a) as a, RunFile(arguments.b) as b:
        heads = [f"{name}  {each.path}: {_describe(each)}" for name, each in (("A", a), ("B", b))]
        result = compare(a, b, margin=arguments.margin, anyway=arguments.anyway)
    print("\n".join(heads), end="\n\n")
    print(text(result.table, arguments.phases), end="\n\n")
    for note in result.notes:
        print(f"note: {note}")
    if arguments.output:
        _write(result, "\n".join(heads), arguments)
    if arguments.fail_above is None:
        return ExitCode.OK
    return _verdict(result.table.iloc[0], arguments.fail_above)


def _describe(run_file: RunFile) -> str:
    return (
        f"{run_file.network.get('name', 'network')}, {run_file.ranks} ranks x batch "
        f"{run_file.per_rank_batch}, {run_file.steady.size} iterations after warm-up"
    )


def _shortened(line: str) -> str:
    """A figure has room for the end of a long path."""
    return line if len(line) <= 120 else f"{line[:3]}...{line[-114:]}"


def _write(result: Comparison, title: str, arguments: argparse.Namespace) -> None:
    directory = make_directory(arguments.output)
    with mpl.rc_context(STYLE):
        short = "\n".join(_shortened(line) for line in title.splitlines())
        figure = draw_comparison(result.table, short, arguments.margin)
        save(figure, result.table, directory, "compare")
    print(f"compare.png, compare.svg and compare.csv are in {directory}")


def _verdict(whole: pd.Series, limit: float) -> int:
    change, low, high = (whole[f"{end}_percent"] for end in ("difference", "low", "high"))
    if math.isnan(low):
        raise AnalysisError(
            f"no verdict on --fail-above: a run has fewer than {LEAST_ROWS} iterations after "
            "warm-up: train longer"
        )
    if change > limit and low > 0:
        print(f"FAILED: the iteration is {change:.1f} % slower, more than {limit:g} %")
        return ExitCode.SLOWER
    if high > limit:
        print(f"passed, but a slowdown above {limit:g} % is not excluded: train longer")
    else:
        print(f"passed: the iteration is at most {limit:g} % slower")
    return ExitCode.OK


def text(table: pd.DataFrame, phases: bool) -> str:
    """The table for a terminal, in milliseconds."""
    width = max(20, 2 + table["name"].str.len().max())
    lines = [
        f"{'':{width}}{'A ms':>12}{'B ms':>12}{'B - A ms':>12}{'%':>9}   {'95 % interval of %':22}"
        "word"
    ]
    kind = ""
    for _, row in table.iterrows():
        if row["kind"] == "phase" and not phases:
            continue
        if row["kind"] == "activity" and row["a_us"] == 0 and row["b_us"] == 0:
            continue
        if kind and row["kind"] != kind:
            lines.append("in % of A's iteration:" if row["kind"] == "activity" else "")
        kind = row["kind"]
        change, low, high = (row[f"{end}_percent"] for end in ("difference", "low", "high"))
        relative = "" if math.isnan(change) else f"{change:+.2f}"
        between = "" if math.isnan(low) else f"{low:+.2f} to {high:+.2f}"
        lines.append(
            f"{row['name']:{width}}{row['a_us'] / 1000:12.3f}{row['b_us'] / 1000:12.3f}"
            f"{row['difference_us'] / 1000:+12.3f}{relative:>9}   {between:22}{row['word']}"
        )
    return "\n".join(lines)
