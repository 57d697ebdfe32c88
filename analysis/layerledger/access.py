"""A file opened as HDF5, and the few questions to HDF5 that every reader asks."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import h5py

from .errors import AnalysisError, ExitCode, RunFileError
from .trial import survive


def is_text(data: h5py.Dataset) -> bool:
    """Whether the elements are texts."""
    return h5py.check_string_dtype(data.dtype) is not None


def is_scale(data: h5py.Dataset) -> bool:
    """Whether it is a dimension scale."""
    return bool(h5py.h5ds.is_scale(data.id))


def first_line(error: BaseException) -> str:
    """An error's text without what HDF5 adds below."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextlib.contextmanager
def reading(path: str, what: str) -> Iterator[None]:
    """Turns whatever reading damaged bytes raises into one error that names the file.

    Damage can hit any part of HDF5's structures, and h5py, NumPy and our own code each fail over it
    in their own ways: hence all exceptions.

    Args:
        path: the file.
        what: the part of it that is read, as in "layer_time".

    Raises:
        RunFileError: instead of any exception that is not yet one for the user.
    """
    try:
        yield
    except AnalysisError:
        raise
    except MemoryError as error:
        raise RunFileError(
            path, f"cannot read {what}, damaged or larger than memory ({first_line(error)})"
        ) from error
    except (OSError, RuntimeError, KeyError, ValueError) as error:  # HDF5 and h5py say why
        raise RunFileError(
            path, f"cannot read {what}, damaged or cut short ({first_line(error)})"
        ) from error
    except Exception as error:
        raise RunFileError(path, f"cannot read {what}, damaged or cut short") from error


def open_patiently(path: str) -> h5py.File:
    """A writer holds its lock for milliseconds; where a file system has no locks, go without."""
    if not Path(path).exists():
        raise RunFileError(path, "there is no such file", ExitCode.INPUT_MISSING)
    if Path(path).is_dir():
        raise RunFileError(path, "a folder, not a run file")
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise RunFileError(
            path, f"cannot be read ({error.strerror})", ExitCode.INPUT_MISSING
        ) from error
    with reading(path, "the file"):
        survive(path, _opened)
        return _opened(path)


def _opened(path: str) -> h5py.File:
    if not h5py.is_hdf5(path):
        raise RunFileError(path, "no run file (it is not HDF5)")
    failure: OSError | None = None
    for locking in (None, None, None, None, False):
        try:
            return h5py.File(path, "r", locking=locking)
        except OSError as error:
            failure = error
            if "truncated" in str(error):
                raise RunFileError(path, f"cut short ({first_line(error)})") from error
            if "lock" not in str(error):
                break
            time.sleep(0.05)
    assert failure is not None
    raise RunFileError(path, f"damaged or cut short ({first_line(failure)})") from failure
