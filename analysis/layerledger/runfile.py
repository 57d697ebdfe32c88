"""One run file, opened, checked and read piece by piece."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import schema
from .errors import ExitCode, RunFileError, RunFileWarning

Fact = str | int | float

BLOCK_BYTES = 32 << 20
"""How much `RunFile.blocks` reads at once, unless a single chunk is larger."""


class Block(NamedTuple):
    """A piece of an array: which rows (iterations), which ranks, and the numbers.

    `values` has the array's dimensions. Arrays without ranks have `ranks = slice(0, 0)`.
    """

    rows: slice
    ranks: slice
    values: NDArray[Any]


class RunFile:
    """A run file, opened for reading and found sound. Use it in a `with` statement.

    Only committed iterations are ever seen. A file whose run has not ended well, or not ended,
    opens with a `RunFileWarning`; the warnings' texts are kept in `notes`.

    Args:
        path: the file that `layerledger train` wrote.

    Raises:
        RunFileError: the file is missing, no HDF5, no run file, of a newer major schema, cut
            short, or its arrays contradict each other. The text says which and why.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.notes: list[str] = []
        self._file = _open_patiently(self.path)
        try:
            self._check()
        except RunFileError:
            self.close()
            raise
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            self.close()
            raise RunFileError(self.path, f"damaged or cut short ({_first_line(error)})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"<RunFile {self.path!r}: {self.title}, {self.ranks} ranks, "
            f"{self.committed} iterations, level {self.level}, {self.status}>"
        )

    def close(self) -> None:
        """Gives the file back. Nothing can be read afterwards that was not read before."""
        self._file.close()

    # What the run was.

    def _text(self, name: str) -> str:
        value = self._file.attrs.get(name)
        if value is None:
            raise RunFileError(self.path, f"the attribute {name} is missing")
        return value.decode() if isinstance(value, bytes) else str(value)

    def _integer(self, name: str) -> int:
        value = self._file.attrs.get(name)
        if value is None:
            raise RunFileError(self.path, f"the attribute {name} is missing")
        return int(value)

    @cached_property
    def schema_version(self) -> str:
        """As in "1.0.0"."""
        return self._text("schema_version")

    @cached_property
    def title(self) -> str:
        """The experiment's name."""
        return self._text("title")

    @cached_property
    def run_id(self) -> str:
        """A UUID."""
        return self._text("run_id")

    @cached_property
    def date_created(self) -> str:
        """ISO 8601, UTC."""
        return self._text("date_created")

    @cached_property
    def creator(self) -> str:
        """The program and its version."""
        return self._text("creator")

    @cached_property
    def status(self) -> str:
        """One of running, complete, interrupted, failed."""
        return self._text("status")

    @cached_property
    def level(self) -> str:
        """How detailed the records are: one of off, iteration, layer, op."""
        return self._text("level")

    @cached_property
    def per_rank_batch(self) -> int:
        """Images per rank and iteration."""
        return self._integer("per_rank_batch")

    @property
    def global_batch(self) -> int:
        """Images per iteration."""
        return self.per_rank_batch * self.ranks

    @cached_property
    def dropped_iterations(self) -> int:
        """Iterations whose records could not be written."""
        return self._integer("dropped_iterations")

    @cached_property
    def dropped_spans(self) -> int:
        """Spans that did not fit into the recorder; if not 0, times are too small."""
        return self._integer("dropped_spans")

    @cached_property
    def skipped_images(self) -> int:
        """Unreadable images that were replaced."""
        return self._integer("skipped_images")

    # What the dimensions are.

    @cached_property
    def committed(self) -> int:
        """Rows (iterations) that count."""
        return self._integer("committed_iterations")

    @cached_property
    def ranks(self) -> int:
        """How many ranks."""
        return int(self._file["rank"].shape[0])

    @cached_property
    def layers(self) -> list[str]:
        """Names, in order of the forward pass."""
        return self._texts("layer")

    @cached_property
    def phases(self) -> list[str]:
        """forward, backward, update."""
        return self._texts("phase")

    @cached_property
    def activities(self) -> list[str]:
        """What an iteration did besides its layers."""
        return self._texts("activity")

    @cached_property
    def buckets(self) -> int:
        """How many gradient buckets; 0 for a single rank without any."""
        return int(self._file["bucket"].shape[0]) if "bucket" in self._file else 0

    @cached_property
    def ops(self) -> list[str]:
        """Operations as layer/op; empty below level `op`."""
        return self._texts("op") if "op" in self._file else []

    def _texts(self, name: str) -> list[str]:
        return [str(text) for text in self._file[name].asstr()[()]]

    # Tables: one row for each element of a dimension, one column for each of its variables.

    @cached_property
    def rank_table(self) -> pd.DataFrame:
        """Indexed by rank: hostname, local_rank, device_name, threads, clock_offset (ns), ..."""
        return self._table_of("rank")

    @cached_property
    def layer_table(self) -> pd.DataFrame:
        """Indexed by layer: kind, parameters, algorithm, workspace_bytes, activation_bytes, and
        flops_PHASE and bytes_PHASE for each phase, for one per-rank batch.
        """  # noqa: D205
        return self._table_of("layer")

    @cached_property
    def bucket_table(self) -> pd.DataFrame:
        """Indexed by bucket: bytes and layers (names, separated by blanks, as they arrive)."""
        return self._table_of("bucket")

    @cached_property
    def op_table(self) -> pd.DataFrame:
        """Indexed by op: kind and layer (an index into `layers`)."""
        return self._table_of("op")

    def _table_of(self, dim: str) -> pd.DataFrame:
        if dim not in self._file:
            return pd.DataFrame(index=pd.Index([], name=dim))
        columns: dict[str, Any] = {}
        for name, variable in schema.DESCRIPTION.items():
            if name == dim or variable.dims[0] != dim or name not in self._file:
                continue
            column, values = name.removeprefix(f"{dim}_"), self.read(name)
            if len(variable.dims) == 1:
                columns[column] = values
            else:
                for i, phase in enumerate(self.phases):
                    columns[f"{column}_{phase}"] = values[:, i]
        return pd.DataFrame(columns, index=pd.Index(self.read(dim), name=dim))

    # Facts.

    def facts(self, group: str) -> dict[str, Fact]:
        """The scalars of a group by name; empty where there is no such group or nothing in it."""
        if group not in self._file:
            return {}
        facts: dict[str, Fact] = {}
        for name, data in self._file[group].items():
            if isinstance(data, h5py.Dataset) and data.shape == ():
                value = data.asstr()[()] if _is_text(data) else data[()].item()
                facts[name] = value
        return facts

    @cached_property
    def config(self) -> dict[str, str]:
        """Every setting as "section.key": "value"."""
        config = {key: str(value) for key, value in self.facts("config").items()}
        config.pop("text", None)
        return config

    @cached_property
    def config_origin(self) -> dict[str, str]:
        """Where each setting came from: default, a file, a variable, or the command line."""
        return {key: str(self._file["config"][key].attrs.get("origin", "")) for key in self.config}

    @cached_property
    def config_text(self) -> str:
        """The settings as a file that the program reads back."""
        return str(self.facts("config").get("text", ""))

    @cached_property
    def provenance(self) -> dict[str, str]:
        """Versions, command line, hosts, environment."""
        return {key: str(value) for key, value in self.facts("provenance").items()}

    @cached_property
    def network(self) -> dict[str, str]:
        """name, classes, image, parameters, precision, backend, collective, ..."""
        return {key: str(value) for key, value in self.facts("network").items()}

    @cached_property
    def validation(self) -> dict[str, Fact]:
        """loss, top1, topk, images, seconds, iteration; empty where nothing was validated."""
        return self.facts("validation")

    @cached_property
    def overhead(self) -> dict[str, Fact]:
        """What profiling cost, in percent; empty unless it was measured."""
        return self.facts("overhead")

    @cached_property
    def wall_clock(self) -> dict[str, Fact]:
        """windows, elapsed and paused, in us; empty where the run did not end."""
        return self.facts("wall_clock")

    # Iterations.

    @cached_property
    def warmup(self) -> NDArray[np.bool_]:
        """[iteration]: whether it is warm-up."""
        return self._flags("warmup")

    @cached_property
    def profiled(self) -> NDArray[np.bool_]:
        """[iteration]: whether more than its duration was recorded."""
        return self._flags("profiled")

    def _flags(self, name: str) -> NDArray[np.bool_]:
        return self.read(name) != 0 if name in self._file else np.zeros(0, bool)

    @cached_property
    def steady(self) -> NDArray[np.intp]:
        """Row numbers of the iterations after warm-up, profiled or not.

        Raises:
            RunFileError: there is none.
        """
        rows = np.flatnonzero(~self.warmup)
        if rows.size == 0:
            raise RunFileError(
                self.path,
                f"no iterations after warm-up ({self.committed} committed, "
                f"{int(self.warmup.sum())} of them warm-up)",
            )
        return rows

    @cached_property
    def measured(self) -> NDArray[np.intp]:
        """Row numbers of the iterations after warm-up whose times are recorded in full.

        Raises:
            RunFileError: there is none.
        """
        rows = self.steady[self.profiled[self.steady]]
        if rows.size == 0:
            raise RunFileError(
                self.path, f"no profiled iterations after warm-up (profile.level is {self.level})"
            )
        return rows

    def require_layers(self, purpose: str) -> None:
        """Refuses a file without times of layers.

        Args:
            purpose: what needs them, as in "the layer table".

        Raises:
            RunFileError: the run was recorded at level `off` or `iteration`.
        """
        if self.level not in ("layer", "op"):
            raise RunFileError(
                self.path,
                f"recorded at level '{self.level}', but {purpose} needs times of layers: "
                "train with --profile.level layer",
            )

    # Arrays.

    def __contains__(self, name: str) -> bool:
        return name in self._file and isinstance(self._file[name], h5py.Dataset)

    def variables(self) -> list[str]:
        """Names of all arrays of the root group, in the file's order."""
        return [name for name, data in self._file.items() if isinstance(data, h5py.Dataset)]

    def dims(self, name: str) -> tuple[str, ...]:
        """Names of an array's dimensions."""
        data = self._data(name)
        if _is_scale(data):
            return (name,)
        return tuple(next(iter(dim.values())).name.lstrip("/") for dim in data.dims)

    def shape(self, name: str) -> tuple[int, ...]:
        """An array's extents, counting committed iterations only."""
        data = self._data(name)
        if self.dims(name)[:1] == ("iteration",):
            return (self.committed, *data.shape[1:])
        return tuple(data.shape)

    def attributes(self, name: str) -> dict[str, Any]:
        """units, long_name and further attributes of an array, without HDF5's own."""
        hidden = {"CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_FillValue"}
        return {
            key: value.decode() if isinstance(value, bytes) else value
            for key, value in self._data(name).attrs.items()
            if key not in hidden
        }

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
        try:
            if self.dims(name)[:1] == ("iteration",):
                start, stop, _ = (rows or slice(None)).indices(self.committed)
                return np.asarray(data[start:stop])
            return np.asarray(data.asstr()[()], object) if _is_text(data) else np.asarray(data[()])
        except (OSError, RuntimeError) as error:
            raise RunFileError(self.path, f"cannot read {name} ({_first_line(error)})") from error

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
                try:
                    values = (
                        data[first:last, first_rank:last_rank]
                        if len(shape) > 1
                        else data[first:last]
                    )
                except (OSError, RuntimeError) as error:
                    raise RunFileError(
                        self.path, f"cannot read {name} ({_first_line(error)})"
                    ) from error
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
            try:
                values = data[: self.committed, first:last]
            except (OSError, RuntimeError) as error:
                raise RunFileError(
                    self.path, f"cannot read {name} ({_first_line(error)})"
                ) from error
            yield Block(slice(0, self.committed), slice(first, last), values)

    def block_bytes(self, name: str) -> int:
        """How many bytes `blocks(name)` yields in all; for progress."""
        return int(np.prod(self.shape(name), dtype=np.int64)) * self._data(name).dtype.itemsize

    # Checks.

    def _check(self) -> None:
        if "schema_version" not in self._file.attrs:
            raise RunFileError(self.path, "no run file of layerledger (it has no schema_version)")
        major = self.schema_version.split(".")[0]
        if major != str(schema.MAJOR):
            raise RunFileError(
                self.path,
                f"has schema {self.schema_version}, and this package reads {schema.MAJOR}.x: "
                "use the package of the version that wrote it",
            )
        if self.status not in schema.STATUSES:
            raise RunFileError(
                self.path, f"the status '{self.status}' is none of {', '.join(schema.STATUSES)}"
            )
        if self.level not in schema.LEVELS:
            raise RunFileError(
                self.path, f"the level '{self.level}' is none of {', '.join(schema.LEVELS)}"
            )
        self._check_arrays()
        self._note_state()

    def _check_arrays(self) -> None:
        for dim in schema.DIMENSIONS:
            optional = dim in ("bucket", "op") or (dim == "iteration" and self.committed == 0)
            if dim in self._file:
                if not _is_scale(self._file[dim]):
                    raise RunFileError(self.path, f"{dim} is not a dimension scale")
            elif not optional:
                raise RunFileError(self.path, f"the dimension {dim} is missing")
        for name, data in self._file.items():
            if isinstance(data, h5py.Dataset) and not _is_scale(data):
                self._check_array(name, data)
        self._check_presence()

    def _check_array(self, name: str, data: h5py.Dataset) -> None:
        for axis, dim in enumerate(data.dims):
            if len(dim) == 0:
                raise RunFileError(
                    self.path, f"un-scaled array: {name} has no dimension scale on axis {axis}"
                )
            scale = dim[0]
            scale_name = scale.name.lstrip("/")
            extent, wanted = data.shape[axis], scale.shape[0]
            if scale_name == "iteration":
                if self.status == "running" and extent >= self.committed:
                    continue  # rows of a commit under way
                if extent < self.committed or extent != wanted:
                    raise RunFileError(
                        self.path,
                        f"uneven extents: {name} has {extent} iterations where there are "
                        f"{wanted} ({self.committed} committed)",
                    )
            elif extent != wanted:
                raise RunFileError(
                    self.path,
                    f"uneven extents: {name} has {extent} along {scale_name}, which has {wanted}",
                )

    def _check_presence(self) -> None:
        known = dict(schema.DESCRIPTION)
        if self.committed > 0:
            known |= schema.GROWING
            if self._file["iteration"].shape[0] < self.committed:
                raise RunFileError(
                    self.path,
                    f"cut short: {self.committed} iterations are committed, "
                    f"{self._file['iteration'].shape[0]} are there",
                )
        for name, variable in known.items():
            if any(dim not in self._file for dim in variable.dims):
                continue
            if name not in self._file:
                raise RunFileError(self.path, f"the array {name} is missing")
            data = self._file[name]
            if not _is_scale(data) and self.dims(name) != variable.dims:
                raise RunFileError(
                    self.path,
                    f"{name} has the dimensions {', '.join(self.dims(name))} instead of "
                    f"{', '.join(variable.dims)}",
                )
            units = self.attributes(name).get("units", "")
            if variable.units and units != variable.units:
                raise RunFileError(
                    self.path, f"{name} has the units '{units}' instead of '{variable.units}'"
                )

    def _note_state(self) -> None:
        rows = f"its {self.committed} committed iterations are read"
        if self.status == "running":
            self._note(f"the run has not ended, or was killed: {rows}")
        elif self.status == "failed":
            self._note(f"the run failed: {rows}")
        elif self.status == "interrupted":
            self._note(f"the run was interrupted: {rows}")
        if self.dropped_iterations:
            self._note(f"records of {self.dropped_iterations} iterations were lost")
        if self.dropped_spans:
            self._note(f"{self.dropped_spans} spans did not fit: times are too small")

    def _note(self, text: str) -> None:
        self.notes.append(text)
        warnings.warn(f"{self.path}: {text}", RunFileWarning, stacklevel=5)


def _is_text(data: h5py.Dataset) -> bool:
    return h5py.check_string_dtype(data.dtype) is not None


def _is_scale(data: h5py.Dataset) -> bool:
    return bool(h5py.h5ds.is_scale(data.id))


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _open_patiently(path: str) -> h5py.File:
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
    if not h5py.is_hdf5(path):
        raise RunFileError(path, "no run file (it is not HDF5)")
    failure: OSError | None = None
    for locking in (None, None, None, None, False):
        try:
            return h5py.File(path, "r", locking=locking)
        except OSError as error:
            failure = error
            if "truncated" in str(error):
                raise RunFileError(path, f"cut short ({_first_line(error)})") from error
            if "lock" not in str(error):
                break
            time.sleep(0.05)
    assert failure is not None
    raise RunFileError(path, f"damaged or cut short ({_first_line(failure)})") from failure
