"""Opens a file in a child process first, because HDF5 itself crashes over some damage.

HDF5 1.10's object headers have no checksums. Over damaged ones the library can end the process by a
signal, often only when the file is closed, or can look for ever: no Python code can catch that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import Final, NoReturn

import h5py
from h5py._objects import phil

from .errors import RunFileError

SECONDS: Final = 60.0
"""A sound file takes a tenth of a second."""


def survive(path: str, opened: Callable[[str], h5py.File]) -> None:
    """Reads all of a file but the numbers of iterations, in a child process.

    What is wrong with the file otherwise does not count here. Does nothing on systems where a
    process cannot be forked safely.

    Args:
        path: an HDF5 file.
        opened: how to open it; called in the child.

    Raises:
        RunFileError: the child crashed, or was not done in time.
    """
    if not sys.platform.startswith("linux"):
        return
    with phil, warnings.catch_warnings():  # no thread of ours is inside HDF5 meanwhile
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks where there are threads
        child = os.fork()
        if child == 0:
            _try(path, opened)
    end = time.monotonic() + SECONDS
    try:
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                raise RunFileError(
                    path, f"damaged: HDF5 does not come back from reading it in {SECONDS:.0f} s"
                )
            time.sleep(0.001)
    except ChildProcessError:  # the program reaps its children itself: nothing is known
        return
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:  # which others send
        name = signal.Signals(os.WTERMSIG(status)).name
        raise RunFileError(path, f"damaged: HDF5 crashes over it ({name})")


def _try(path: str, opened: Callable[[str], h5py.File]) -> NoReturn:
    """Never returns."""
    try:
        import faulthandler
        import resource

        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # glibc's last words
        for each in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE):
            signal.signal(each, signal.SIG_DFL)
        file = opened(path)
        _read(file)
        file.close()
    finally:
        os._exit(0)


def _read(item: h5py.Group | h5py.Dataset) -> None:
    """Attributes, dimensions, and values unless they may be many; of a group all that is in it.

    What cannot be read keeps nothing from being read after it.
    """
    with contextlib.suppress(Exception):
        for key in item.attrs:
            with contextlib.suppress(Exception):
                item.attrs[key]
    if isinstance(item, h5py.Dataset):
        with contextlib.suppress(Exception):
            for dim in item.dims:
                _ = [scale.name for scale in dim.values()]
        with contextlib.suppress(Exception):
            if item.chunks is None:
                item[()]
            else:
                item.id.get_num_chunks()
                item[:1]
        return
    with contextlib.suppress(Exception):
        for name in item:
            with contextlib.suppress(Exception):
                _read(item[name])
