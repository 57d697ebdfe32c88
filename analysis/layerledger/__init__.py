"""Opens the run files of layerledger."""

from . import requirements

requirements.check()  # before anything else is imported
# ruff: noqa: E402

from .errors import AnalysisError, ExitCode, RunFileError, RunFileWarning
from .opening import Runs, metadata, open, open_many
from .runfile import Block, RunFile

__version__ = "0.1.0"

__all__ = [
    "AnalysisError",
    "Block",
    "ExitCode",
    "RunFile",
    "RunFileError",
    "RunFileWarning",
    "Runs",
    "__version__",
    "metadata",
    "open",
    "open_many",
]
