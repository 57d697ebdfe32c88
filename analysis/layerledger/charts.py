"""The look of every plot, and how it is saved: PNG and SVG, with its numbers as CSV beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from .errors import AnalysisError, ExitCode

mpl.use("Agg")

# Okabe and Ito's colours, which readers with any colour vision tell apart.
BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
SKY: Final = "#56B4E9"
YELLOW: Final = "#F0E442"
GREY: Final = "#999999"
BLACK: Final = "#222222"

PHASE_COLOURS: Final = {"forward": BLUE, "backward": ORANGE, "update": GREEN}
ACTIVITY_COLOURS: Final = {
    "memcpy_h2d": "#8C6BB1",
    "memcpy_d2h": "#BFA5D8",
    "allreduce_wait": VERMILION,
    "allreduce_transfer": PURPLE,
    "input_wait": YELLOW,
    "idle_launch": "#B8B8B8",
    "idle_sync": "#8A8A8A",
    "idle_other": "#5C5C5C",
    "measurement": SKY,
    "unaccounted": BLACK,
}

STYLE: Final[dict[str, Any]] = {
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "figure.dpi": 120,
    "font.size": 10,
    "grid.color": "#E5E5E5",
    "legend.frameon": False,
    "svg.fonttype": "none",  # texts stay texts
    "svg.hashsalt": "layerledger",  # the same numbers make the same file
}


def new_figure(width: float = 8, height: float = 4.5) -> Figure:
    """An empty figure of the house's style; the size is in inches.

    Call it, and draw, inside `with matplotlib.rc_context(STYLE)`.
    """
    return Figure(figsize=(width, height), layout="constrained")


def make_directory(directory: str | Path) -> Path:
    """Makes the folder for the output, unless it is there.

    Raises:
        AnalysisError: it cannot be made.
    """
    path = Path(directory)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnalysisError(
            f"{path}: cannot make this folder ({error.strerror})", ExitCode.CANNOT_CREATE
        ) from error
    return path


def save(figure: Figure, table: pd.DataFrame, directory: Path, stem: str) -> list[Path]:
    """Writes stem.png, stem.svg and stem.csv, the table from which the figure was drawn.

    Args:
        figure: what to save.
        table: its numbers, with units in the columns' names; a named index is written too.
        directory: an existing folder.
        stem: the files' name without its ending.

    Raises:
        AnalysisError: a file cannot be written.
    """
    paths = [directory / f"{stem}.{ending}" for ending in ("png", "svg", "csv")]
    try:
        figure.savefig(paths[0])
        figure.savefig(paths[1], metadata={"Date": None})
        table.to_csv(paths[2], index=table.index.name is not None or table.index.nlevels > 1)
    except OSError as error:
        raise AnalysisError(
            f"{error.filename or directory}: cannot be written ({error.strerror})",
            ExitCode.CANNOT_CREATE,
        ) from error
    return paths
