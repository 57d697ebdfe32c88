"""One run file, opened, checked and read piece by piece."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import schema
from .access import is_text, open_patiently, reading
from .arrays import ArrayFile, Block
from .errors import RunFileError, RunFileWarning
from .layout import check

__all__ = ["Block", "Fact", "RunFile"]

Fact = str | int | float


class RunFile(ArrayFile):
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
        self.notes: list[str] = []
        super().__init__(os.fspath(path), open_patiently(os.fspath(path)))
        try:
            with reading(self.path, "the file"):
                check(self, self._file)
                self.notes.extend(self._state())
        except RunFileError:
            self.close()
            raise
        for note in self.notes:
            warnings.warn(f"{self.path}: {note}", RunFileWarning, stacklevel=3)

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
    def missing_iterations(self) -> int:
        """Iterations that a later start of the run found not to be in the file."""
        return self._integer("missing_iterations") if self._has("missing_iterations") else 0

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
    def ranks(self) -> int:
        """How many ranks."""
        return self._extent("rank")

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
        return self._extent("bucket") if "bucket" in self else 0

    @cached_property
    def ops(self) -> list[str]:
        """Operations as layer/op; empty below level `op`."""
        return self._texts("op") if "op" in self else []

    def _extent(self, dim: str) -> int:
        return int(self.shape(dim)[0])

    def _texts(self, name: str) -> list[str]:
        return [str(text) for text in self.read(name)]

    # Tables: one row for each element of a dimension, one column for each of its variables.

    @cached_property
    def rank_table(self) -> pd.DataFrame:
        """Indexed by rank: hostname, local_rank, device_name, threads, clock_offset (ns), ..."""
        return self._table_of("rank")

    @cached_property
    def layer_table(self) -> pd.DataFrame:
        """Indexed by layer: kind, parameters, algorithm, memory as in workspace_bytes, and
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

    @cached_property
    def starts(self) -> pd.DataFrame:
        """Each start of the run: iteration (before it), date, ranks, cmdline, hostlist, versions,
        checkpoint (from which it went on). An iteration is of the last start that is not after it.
        Without rows where the file is older than schema 1.2.
        """  # noqa: D205
        names = ("iteration", "date", "ranks", "cmdline", "hostlist", "versions", "checkpoint")
        return self._events("starts", "started", names)

    @cached_property
    def clocks(self) -> pd.DataFrame:
        """Each reading of a rank's clock: iteration (before it), rank, time on rank 0's clock,
        offset from it and its bound in ns, drift as a share of time.
        """  # noqa: D205
        return self._events(
            "clocks", "clock", ("iteration", "rank", "time", "offset", "bound", "drift")
        )

    @cached_property
    def late(self) -> pd.DataFrame:
        """The rank that came last in each iteration: iteration, rank, by (us), layer and phase
        (indices, -1: none), cause (index into CAUSES).
        """  # noqa: D205
        return self._events("late", "late", ("iteration", "rank", "by", "layer", "phase", "cause"))

    @cached_property
    def stragglers(self) -> pd.DataFrame:
        """What is lastingly slower on one rank than on the others, the dearest first: iteration
        (first), rank, layer and phase (indices, -1: none), cause, percent, excess (us), windows,
        all_windows, persistence (index into PERSISTENCE).
        """  # noqa: D205
        names = (
            "iteration", "rank", "layer", "phase", "cause", "percent", "excess", "windows",
            "all_windows", "persistence",
        )  # fmt: skip
        return self._events("stragglers", "straggler", names)

    def straggler_name(self, layer: int, phase: int, cause: int) -> str:
        """What is slow, in words, by the indices in `stragglers`."""
        if layer >= 0:
            return f"{self.layers[layer]} {self.phases[phase]}"
        name = schema.CAUSES[cause]
        return "all layers" if name == "compute" else name

    @cached_property
    def sensitivity(self) -> pd.DataFrame:
        """From what excess on one rank, in percent, a layer's phase is among `stragglers`: layer,
        phase, percent.
        """  # noqa: D205
        return self._events("sensitivity", "sensitivity", ("layer", "phase", "percent"))

    @cached_property
    def anatomy(self) -> pd.DataFrame:
        """Each bucket's all-reduce as the run itself took it apart: hidden, exposed, wait, transfer,
        zero_skew (its transfer with all ranks there at once) in us, bandwidths in GB/s. Hidden and
        exposed make together what wait and transfer do.
        """  # noqa: D205
        names = (
            "bucket", "hidden", "exposed", "wait", "transfer", "algorithm_bandwidth",
            "bus_bandwidth", "zero_skew",
        )  # fmt: skip
        return self._events("anatomy", "anatomy", names)

    @cached_property
    def samples(self) -> pd.DataFrame:
        """Each iteration of a rank whose kernels were seen, at level `kernel`: iteration, rank,
        kernels (their number), dropped (records that were lost), time, busy, mismatch (of the two
        clocks) in us. Without rows at other levels and where the file is older than schema 1.3, as
        `kernels` and `copies`.
        """  # noqa: D205
        names = ("iteration", "rank", "kernels", "dropped", "time", "busy", "mismatch")
        return self._events("samples", "sample", names)

    @cached_property
    def kernels(self) -> pd.DataFrame:
        """What ran inside each layer of a sampled iteration: iteration, rank, layer and phase (names),
        count, marked (its time by the marks that all times come from), seen (the same by CUPTI's
        records), error (marked minus seen), busy, idle, beside (all-reduce or copies) in us.
        """  # noqa: D205
        names = (
            "iteration", "rank", "layer", "phase", "count", "marked", "seen", "error", "busy",
            "idle", "beside",
        )  # fmt: skip
        return self._named(
            self._events("kernels", "kernel", names), layer=self.layers, phase=self.phases
        )

    @cached_property
    def copies(self) -> pd.DataFrame:
        """The copies of a sampled iteration: iteration, rank, kind (h2d, d2h, d2d), count, bytes, time
        in which at least one was under way and how much of it is hidden under layers' kernels in us.
        """  # noqa: D205
        names = ("iteration", "rank", "kind", "count", "bytes", "time", "hidden")
        return self._named(self._events("copies", "copy", names), kind=schema.COPY_KINDS)

    def _named(self, events: pd.DataFrame, **words: Sequence[str]) -> pd.DataFrame:
        """The same with names in place of indices."""
        for column, names in words.items():
            known = events[column].between(0, len(names) - 1)
            if not known.all():
                raise RunFileError(
                    self.path, f"damaged: there is no {column} {events[column][~known].iloc[0]}"
                )
            events[column] = [names[index] for index in events[column]]
        return events

    def _events(self, group: str, prefix: str, names: tuple[str, ...]) -> pd.DataFrame:
        """A table of a group; without rows where the file is older than it."""
        columns: dict[str, Any] = {name: [] for name in names}
        with reading(self.path, f"the group {group}"):
            if group in self._file:
                data = {name: self._file[f"{group}/{prefix}_{name}"] for name in names}
                whole = min(len(column) for column in data.values())  # a kill may leave more of one
                for name, column in data.items():
                    values = column.asstr() if is_text(column) else column
                    columns[name] = values[:whole]
        return pd.DataFrame(columns)

    def _table_of(self, dim: str) -> pd.DataFrame:
        if dim not in self:
            return pd.DataFrame(index=pd.Index([], name=dim))
        columns: dict[str, Any] = {}
        for name, variable in schema.DESCRIPTION.items():
            if name == dim or variable.dims[0] != dim or name not in self:
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
        facts: dict[str, Fact] = {}
        with reading(self.path, f"the group {group}"):
            if group in self._file:
                for name, data in self._file[group].items():
                    if isinstance(data, h5py.Dataset) and data.shape == ():
                        facts[name] = data.asstr()[()] if is_text(data) else data[()].item()
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
        with reading(self.path, "the group config"):
            settings = self._file["config"]
            return {key: str(settings[key].attrs.get("origin", "")) for key in self.config}

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

    @cached_property
    def causality(self) -> dict[str, Fact]:
        """Whether a rank leaves an all-reduce before the last one enters it: checked, violations,
        worst, ...; empty where the clocks of several ranks were not read.
        """  # noqa: D205
        return self.facts("causality")

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
        return self.read(name) != 0 if name in self else np.zeros(0, bool)

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

    @property
    def has_layers(self) -> bool:
        """Whether times of layers were recorded."""
        return self.level not in ("off", "iteration")

    def require_layers(self, purpose: str) -> None:
        """Refuses a file without times of layers.

        Args:
            purpose: what needs them, as in "the layer table".

        Raises:
            RunFileError: the run was recorded at level `off` or `iteration`.
        """
        if not self.has_layers:
            raise RunFileError(
                self.path,
                f"recorded at level '{self.level}', but {purpose} needs times of layers: "
                "train with --profile.level layer",
            )

    def _state(self) -> list[str]:
        """What the reader of a sound file should know about how the run ended."""
        notes = []
        ends = {
            "running": "the run has not ended, or was killed",
            "failed": "the run failed",
            "interrupted": "the run was interrupted",
        }
        if self.status in ends:
            notes.append(f"{ends[self.status]}: its {self.committed} committed iterations are read")
        if self.dropped_iterations:
            notes.append(f"records of {self.dropped_iterations} iterations were lost")
        if self.missing_iterations:
            notes.append(
                f"{self.missing_iterations} iterations are missing: a start of the run ended "
                "before they were written"
            )
        if self.dropped_spans:
            notes.append(f"{self.dropped_spans} spans did not fit: times are too small")
        return notes
