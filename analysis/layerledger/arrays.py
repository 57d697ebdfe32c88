"""The arrays of an opened run file, read whole or piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from .access import is_scale, is_text, reading
from .errors import RunFileError

BLOCK_BYTES = 32 << 20
"""How much `RunFile.blocks` reads at once, unless a single chunk is larger."""


class Block(NamedTuple):
    """A piece of an array: which rows (iterations), which ranks, and the numbers.

    `values` has the array's dimensions. Arrays without ranks have `ranks = slice(0, 0)`.
    """

    rows: slice
    ranks: slice
    values: NDArray[Any]


class ArrayFile:
    """Arrays by name, committed iterations only.

    Attributes:
        path: the file as the caller named it.
    """

    def __init__(self, path: str, file: h5py.File) -> None:
        self.path = path
        self._file = file

    def _text(self, name: str) -> str:
        with reading(self.path, f"the attribute {name}"):
            return str(_plain(self._attribute(name)))

    def _integer(self, name: str) -> int:
        with reading(self.path, f"the attribute {name}"):
            return int(self._attribute(name))

    def _has(self, name: str) -> bool:
        return name in self._file.attrs

    def _attribute(self, name: str) -> Any:  # noqa: ANN401 (as HDF5 has it)
        value = self._file.attrs.get(name)
        if value is None:
            raise RunFileError(self.path, f"the attribute {name} is missing")
        return value

    @cached_property
    def level(self) -> str:
        """How detailed the records are: one of off, iteration, layer, op."""
        return self._text("level")

    @cached_property
    def committed(self) -> int:
        """Rows (iterations) that count."""
        return self._integer("committed_iterations")

    def __contains__(self, name: str) -> bool:
        with reading(self.path, name):
            return name in self._file and isinstance(self._file[name], h5py.Dataset)

    def variables(self) -> list[str]:
        """Names of all arrays of the root group, in the file's order."""
        with reading(self.path, "the list of arrays"):
            return [name for name, data in self._file.items() if isinstance(data, h5py.Dataset)]

    def dims(self, name: str) -> tuple[str, ...]:
        """Names of an array's dimensions."""
        data = self._data(name)
        with reading(self.path, f"the dimensions of {name}"):
            if is_scale(data):
                return (name,)
            return tuple(dim[0].name.lstrip("/") for dim in data.dims)

    def is_dimension(self, name: str) -> bool:
        """Whether an array holds the labels of a dimension, perhaps of a later minor version."""
        data = self._data(name)
        with reading(self.path, f"the dimensions of {name}"):
            return is_scale(data)

    def shape(self, name: str) -> tuple[int, ...]:
        """An array's extents, counting committed iterations only."""
        data = self._data(name)
        if self.dims(name)[:1] == ("iteration",):
            return (self.committed, *data.shape[1:])
        return tuple(data.shape)

    def attributes(self, name: str) -> dict[str, Any]:
        """units, long_name and further attributes of an array, without HDF5's own."""
        hidden = {"CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_FillValue"}
        data = self._data(name)
        with reading(self.path, f"the attributes of {name}"):
            return {key: _plain(data.attrs[key]) for key in data.attrs if key not in hidden}

    def root_attributes(self) -> dict[str, Any]:
        """The file's own attributes: title, status, level, ..."""
        with reading(self.path, "the attributes"):
            return {key: _plain(value) for key, value in self._file.attrs.items()}

    def _data(self, name: str) -> h5py.Dataset:
        if name not in self:
            raise RunFileError(self.path, f"no array {name} (recorded at level '{self.level}')")
        return self._file[name]

    def read(self, name: str, rows: slice | None = None) -> NDArray[Any]:
        """A whole array, committed iterations only. Texts come as str.

        For arrays with layers or operations of large runs use `blocks`.

        Args:
            name: such as "iteration_time".
            rows: which iterations; all by default. Only for arrays over iterations.

        Raises:
            RunFileError: there is no such array, or it cannot be read.
        """
        data = self._data(name)
        with reading(self.path, name):
            if self.dims(name)[:1] == ("iteration",):
                start, stop, _ = (rows or slice(None)).indices(self.committed)
                return np.asarray(data[start:stop])
            return np.asarray(data.asstr()[()], object) if is_text(data) else np.asarray(data[()])

    def blocks(
        self, name: str, limit_bytes: int = BLOCK_BYTES, rows: slice | None = None
    ) -> Iterator[Block]:
        """An array over iterations, piece by piece, each made of whole chunks of the file.

        So each chunk is read once, and memory stays at `limit_bytes` (or one chunk, where that is
        larger). A piece has all ranks where that fits, else a contiguous part of them; pieces come
        by rows, then by ranks.

        Args:
            name: such as "layer_time".
            limit_bytes: the most that a piece's values take.
            rows: which iterations; all committed ones by default.

        Raises:
            RunFileError: there is no such array, or it cannot be read.
        """
        data = self._data(name)
        start, stop, _ = (rows or slice(None)).indices(self.committed)
        chunk = data.chunks or data.shape
        shape = data.shape
        ranks = shape[1] if len(shape) > 1 else 1
        rank_step = chunk[1] if len(shape) > 1 else 1
        row_step = max(1, chunk[0])
        cell = data.dtype.itemsize * int(np.prod(shape[2:], dtype=np.int64))
        piece = cell * row_step * rank_step
        rank_step *= max(1, min(-(-ranks // rank_step), limit_bytes // max(1, piece)))
        if rank_step >= ranks:
            row_step *= max(1, limit_bytes // max(1, cell * row_step * ranks))
        first = start
        while first < stop:
            last = min(stop, (first // row_step + 1) * row_step)
            for first_rank in range(0, ranks, rank_step):
                last_rank = min(ranks, first_rank + rank_step)
                where = (slice(first, last), slice(first_rank, last_rank))[: len(shape)]
                with reading(self.path, name):
                    values = data[where]
                among = slice(first_rank, last_rank) if len(shape) > 1 else slice(0, 0)
                yield Block(slice(first, last), among, values)
            first = last

    def rank_blocks(self, name: str, limit_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """An array over iterations and ranks, some ranks at a time, each with all its iterations.

        What quantiles over iterations need. A piece has as many ranks as `limit_bytes` allow, whole
        chunks of them where possible, and at least one.

        Args:
            name: such as "layer_time".
            limit_bytes: the most that a piece's values take, unless one rank takes more.

        Raises:
            RunFileError: there is no such array, or it cannot be read.
        """
        data = self._data(name)
        ranks, chunk_ranks = data.shape[1], (data.chunks or data.shape)[1]
        cell = data.dtype.itemsize * int(np.prod(data.shape[2:], dtype=np.int64))
        step = max(1, limit_bytes // max(1, cell * self.committed))
        if step > chunk_ranks:
            step -= step % chunk_ranks
        for first in range(0, ranks, step):
            last = min(ranks, first + step)
            with reading(self.path, name):
                values = data[: self.committed, first:last]
            yield Block(slice(0, self.committed), slice(first, last), values)

    def block_bytes(self, name: str) -> int:
        """How many bytes `blocks(name)` yields in all; for progress."""
        return int(np.prod(self.shape(name), dtype=np.int64)) * self._data(name).dtype.itemsize


def _plain(value: Any) -> Any:  # noqa: ANN401 (as HDF5 has it)
    """Texts as str, numbers as Python's own, the rest as it is."""
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
