"""Run files as xarray datasets: labels, units, and only iterations that count."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from .access import first_line, is_text
from .errors import AnalysisError, ExitCode, RunFileError, RunFileWarning
from .runfile import RunFile


class _LazyArray(BackendArray):
    """An array that is read when it is looked at, from its committed iterations alone."""

    def __init__(self, run: RunFile, name: str) -> None:
        self.run, self.name = run, name
        self.shape = run.shape(name)
        self.dtype = run.read(name, slice(0, 0)).dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.typing.ArrayLike:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        # h5py takes no steps backwards, and rows that are not committed must stay out of reach.
        wanted: list[Any] = []
        after: list[Any] = []
        for part, extent in zip(key, self.shape, strict=True):
            if isinstance(part, slice):
                numbers = range(*part.indices(extent))
                back = numbers.step < 0
                numbers = numbers[::-1] if back else numbers
                wanted.append(slice(numbers.start, numbers.stop, numbers.step))
                after.append(slice(None, None, -1) if back else slice(None))
            elif isinstance(part, np.ndarray):
                unique, inverse = np.unique(part % extent if extent else part, return_inverse=True)
                wanted.append(unique)
                after.append(inverse)
            else:
                wanted.append(int(part) % extent)
        try:
            return np.asarray(self.run.array(self.name)[tuple(wanted)])[tuple(after)]
        except (OSError, RuntimeError) as error:
            raise RunFileError(
                self.run.path, f"cannot read {self.name} ({first_line(error)})"
            ) from error


def open(path: str | os.PathLike[str], *, warmup: bool = False) -> xr.Dataset:
    """A run file as a dataset, read when looked at.

    Dimensions are iteration, rank, layer, phase, activity and, where recorded, bucket and op, each
    with its labels as coordinates; units and meanings are in each variable's attrs. Times are
    microseconds as float32, absent values NaN. hostname and local_rank are coordinates along rank,
    warmup and profiled along iteration. Settings and provenance are in attrs as "config.KEY" and
    "provenance.KEY". Rows that the run had not committed are never part of it. Close the dataset,
    or use it in a `with` statement.

    Args:
        path: the file that `layerledger train` wrote.
        warmup: whether to keep warm-up iterations. attrs["warmup_dropped"] says how many are gone.

    Raises:
        RunFileError: the file cannot be used, or has no iterations after warm-up. Says why.
    """
    run = RunFile(path)
    try:
        data = _dataset(run)
        rows = np.arange(run.committed) if warmup else run.steady
    except AnalysisError:
        run.close()
        raise
    data.attrs["warmup_dropped"] = run.committed - len(rows)
    if len(rows) < run.committed:
        data = data.isel(iteration=_as_slice(rows))
    data.set_close(run.close)
    return data


def open_many(paths: Sequence[str | os.PathLike[str]], *, warmup: bool = False) -> xr.Dataset:
    """Several runs along a new first dimension, run, in the order given.

    Each column of `metadata(paths)` is a coordinate along run. Iterations, ranks, layers, ops and
    buckets are joined by label, NaN where a run has none; where runs differ in an array without
    iterations (such as layer_flops) it has the dimension run as well. Everything is loaded.

    Args:
        paths: run files; at least one.
        warmup: whether to keep warm-up iterations.

    Raises:
        RunFileError: a file cannot be used. Says which and why.
        AnalysisError: there are no paths.
    """
    table = metadata(paths)
    runs = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RunFileWarning)  # `metadata` has shown them
        for path in paths:
            with open(path, warmup=warmup) as data:
                loaded = data.reset_coords(["hostname", "local_rank", "warmup", "profiled"]).load()
                runs.append(loaded.assign_attrs(path=os.fspath(path)))
    joined = xr.concat(
        _with_all_variables(runs), dim="run", join="outer", combine_attrs="drop_conflicts"
    )
    labels = {"run": np.arange(len(runs))}
    labels |= {name: ("run", table[name].to_numpy()) for name in table.columns}
    order = [dim for dim in _ORDER if dim in joined.dims]
    # Outer joins sort labels; layers and ops keep the order of the forward pass.
    for dim in ("layer", "op", "phase", "activity"):
        if dim in joined.dims:
            seen = dict.fromkeys(
                str(label) for run in runs if dim in run for label in run[dim].to_numpy()
            )
            joined = joined.sel({dim: list(seen)})
    return joined.transpose(*order).assign_coords(labels)


def metadata(paths: Sequence[str | os.PathLike[str]]) -> pd.DataFrame:
    """One row a run, indexed by its number in `paths`.

    Columns: path, title, run_id, status, level, schema_version, ranks, hosts, per_rank_batch,
    iterations (committed), then "config.KEY" and "provenance.KEY"; empty text where a run has no
    such key.

    Raises:
        RunFileError: a file cannot be used. Says which and why.
        AnalysisError: there are no paths.
    """
    if not paths:
        raise AnalysisError("no run files were given", ExitCode.USAGE)
    rows = []
    for path in paths:
        with RunFile(path) as run:
            rows.append(_facts(run))
    return pd.DataFrame(rows).fillna("").rename_axis("run")


_ORDER = ("run", "iteration", "rank", "layer", "op", "phase", "activity", "bucket")


def _facts(run: RunFile) -> dict[str, str | int]:
    facts: dict[str, str | int] = {
        "path": run.path, "title": run.title, "run_id": run.run_id, "status": run.status,
        "level": run.level, "schema_version": run.schema_version, "ranks": run.ranks,
        "hosts": len(set(run.rank_table["hostname"])), "per_rank_batch": run.per_rank_batch,
        "iterations": run.committed,
    }  # fmt: skip
    facts |= {f"config.{key}": value for key, value in run.config.items()}
    return facts | {f"provenance.{key}": value for key, value in run.provenance.items()}


def _dataset(run: RunFile) -> xr.Dataset:
    variables: dict[str, xr.Variable] = {}
    for name in run.variables():
        dims, attributes = run.dims(name), run.attributes(name)
        attributes.pop("coordinates", None)
        small = dims[:1] != ("iteration",) or len(dims) == 1 or is_text(run.array(name))
        values = run.read(name) if small else indexing.LazilyIndexedArray(_LazyArray(run, name))
        if name in ("warmup", "profiled"):
            values = np.asarray(values) != 0
        variables[name] = xr.Variable(dims, values, attributes)
    coordinates = ("hostname", "local_rank", "warmup", "profiled")
    data = xr.Dataset(variables).set_coords([name for name in coordinates if name in variables])
    return data.assign_attrs(
        {**run.root_attributes(), **_facts(run), "notes": "\n".join(run.notes)}
    )


def _as_slice(rows: np.ndarray) -> slice | np.ndarray:
    """A slice where rows follow each other: it stays lazy and reads whole chunks."""
    whole = len(rows) == rows[-1] - rows[0] + 1
    return slice(int(rows[0]), int(rows[-1]) + 1) if whole else rows


def _with_all_variables(runs: list[xr.Dataset]) -> list[xr.Dataset]:
    """Adds what only other runs have, all NaN, so that nothing is lost where levels differ."""
    templates = {name: run[name] for run in runs for name in run.data_vars}
    completed = []
    for run in runs:
        missing = {}
        for name, template in templates.items():
            if name in run:
                continue
            sizes = {d: run.sizes.get(d, template.sizes[d]) for d in template.dims}
            text = template.dtype.kind in "OU"
            blank = np.full(tuple(sizes.values()), "" if text else np.nan, object if text else "f4")
            labels = {d: run[d] if d in run.coords else template[d] for d in template.dims}
            missing[name] = xr.DataArray(blank, labels, template.dims, attrs=template.attrs)
        completed.append(run.assign(missing))
    return completed
