"""What goes wrong with an input or an output, as one sentence and an exit code."""

from __future__ import annotations

import os
from enum import IntEnum


class ExitCode(IntEnum):
    """The program's own codes, and 1 for a comparison that found a slowdown."""

    OK = 0
    SLOWER = 1
    USAGE = 64
    BAD_DATA = 65
    INPUT_MISSING = 66
    INTERNAL = 70
    CANNOT_CREATE = 73


class AnalysisError(Exception):
    """An error whose text is meant for the user; `code` is what the command exits with."""

    def __init__(self, message: str, code: ExitCode = ExitCode.BAD_DATA) -> None:
        super().__init__(message)
        self.code = code


class RunFileError(AnalysisError):
    """A run file that cannot be used: says which and why.

    Attributes:
        path: the file as the caller named it.
        reason: why it cannot be used, without the file's name.
    """

    def __init__(
        self, path: str | os.PathLike[str], reason: str, code: ExitCode = ExitCode.BAD_DATA
    ) -> None:
        super().__init__(f"{os.fspath(path)}: {reason}", code)
        self.path = os.fspath(path)
        self.reason = reason


class RunFileWarning(UserWarning):
    """A run file that can be used, with something that its reader should know."""
