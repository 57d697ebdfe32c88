"""Opens the run files of layerledger."""

from .dataset import metadata, open, open_many
from .errors import AnalysisError, ExitCode, RunFileError, RunFileWarning
from .runfile import Block, RunFile

__version__ = "0.1.0"

__all__ = [
    "AnalysisError",
    "Block",
    "ExitCode",
    "RunFile",
    "RunFileError",
    "RunFileWarning",
    "__version__",
    "metadata",
    "open",
    "open_many",
]
