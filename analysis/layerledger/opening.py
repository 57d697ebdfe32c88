"""Run files as xarray datasets in memory, and several of them with one table about the runs."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import requirements, schema
from .access import reading
from .errors import AnalysisError, ExitCode
from .runfile import RunFile

if TYPE_CHECKING:
    import xarray as xr

FLAGS = ("warmup", "profiled")
COORDINATES = frozenset({*FLAGS, "hostname", "local_rank"})
"""Arrays that label others."""


class Runs(NamedTuple):
    """What `open_many` gives: `data, metadata = layerledger.open_many(paths)`."""

    data: xr.Dataset
    """Dimensions run, iteration, rank, layer, phase, activity, and bucket and op where recorded."""
    metadata: pd.DataFrame
    """One row a run, under the labels of the dimension run; see `metadata`."""


def open(
    path: str | os.PathLike[str],
    *,
    warmup: bool = False,
    unprofiled: bool = True,
    variables: Collection[str] | None = None,
) -> xr.Dataset:
    """Reads a run file into memory.

    Dimensions are iteration, rank, layer, phase, activity and, where recorded, bucket and op, each
    with its labels as coordinates: `run.layer_time.sel(layer="conv1", phase="backward")` is
    [iteration, rank]. Times are microseconds as float32, absent values NaN; units and meanings are
    in each variable's attrs. hostname and local_rank are coordinates along rank, warmup and
    profiled along iteration. The file's attributes are in attrs, settings and provenance as
    "config.KEY" and "provenance.KEY". Rows that the run had not committed are never part of it.

    Args:
        path: the file that `layerledger train` wrote.
        warmup: whether to keep warm-up iterations. attrs["warmup_dropped"] says how many are gone.
        unprofiled: whether to keep iterations of which only the duration was recorded; the
            coordinate `profiled` is false there.
        variables: which arrays to read besides coordinates, for large files; all by default.

    Raises:
        RunFileError: the file cannot be used, has no such array, or no iteration is left. Says why.
    """
    with RunFile(path) as run:
        return _dataset(run, warmup, unprofiled, variables)


def open_many(
    paths: Sequence[str | os.PathLike[str]],
    *,
    warmup: bool = False,
    unprofiled: bool = True,
    variables: Collection[str] | None = None,
) -> Runs:
    """Reads several run files into one dataset with the dimension `run`, and a table about them.

    Runs may differ in iterations, ranks, layers, ops and buckets: the dataset has all that occur,
    and NaN (or an empty text) where a run has no such element. A run's label is its title; the
    file's name, or title and number, where titles repeat.

    Args:
        paths: the run files, at least one.
        warmup: as in `open`.
        unprofiled: as in `open`.
        variables: as in `open`.

    Raises:
        RunFileError: a file cannot be used. Says which and why.
        AnalysisError: there are no paths.
    """
    sets, rows = [], []
    for path in _some(paths):
        with RunFile(path) as run:
            sets.append(_dataset(run, warmup, unprofiled, variables))
            rows.append(_facts(run))
    table = _table(rows)
    return Runs(_stacked(sets, list(table.index)), table)


def metadata(paths: Sequence[str | os.PathLike[str]]) -> pd.DataFrame:
    """One row a run, indexed by its label as in `open_many`, without reading times.

    Columns: path, title, run_id, status and the file's other attributes, ranks, hosts (how many),
    hostnames, global_batch, and each setting and fact as "GROUP.KEY", such as
    "config.train.batch_size" or "provenance.mpi". A run without such a key has an empty text there,
    or NaN among numbers.

    Raises:
        RunFileError: a file cannot be used. Says which and why.
        AnalysisError: there are no paths.
    """
    rows = []
    for path in _some(paths):
        with RunFile(path) as run:
            rows.append(_facts(run))
    return _table(rows)


def _some(paths: Sequence[str | os.PathLike[str]]) -> Sequence[str | os.PathLike[str]]:
    if isinstance(paths, str | os.PathLike):
        return [paths]
    if not paths:
        raise AnalysisError("no run files were given", ExitCode.USAGE)
    return paths


def _dataset(
    run: RunFile, warmup: bool, unprofiled: bool, variables: Collection[str] | None
) -> xr.Dataset:
    requirements.check(("xarray",))
    import xarray as xr  # takes its time, and no command needs it

    keep = np.zeros(run.committed, bool)
    keep[slice(None) if warmup else run.steady] = True
    dropped = int((~keep).sum())
    if not unprofiled:
        if not warmup:
            _ = run.measured  # says what is missing
        keep &= run.profiled
    present = run.variables()
    wanted = {variables} if isinstance(variables, str) else set(variables or ())
    for name in sorted(wanted.difference(present)):
        run.read(name)  # says what is missing
    data: dict[str, Any] = {}
    coordinates: dict[str, Any] = {}
    for name in present:
        labels = name in COORDINATES or run.is_dimension(name)
        if not labels and variables is not None and name not in wanted:
            continue
        dims, values, attributes = run.dims(name), run.read(name), run.attributes(name)
        if dims[:1] == ("iteration",):
            values = values[keep]
        attributes.pop("coordinates", None)  # which xarray writes itself
        if name in FLAGS:
            values, attributes = values != 0, {"long_name": attributes.get("long_name", name)}
        (coordinates if labels else data)[name] = (dims, values, attributes)
    with reading(run.path, "the file"):
        return xr.Dataset(data, coordinates, _attributes(run) | {"warmup_dropped": dropped})


def _attributes(run: RunFile) -> dict[str, Any]:
    attributes = {"path": run.path, **run.root_attributes(), "notes": "\n".join(run.notes)}
    attributes |= {f"config.{key}": value for key, value in run.config.items()}
    return attributes | {f"provenance.{key}": value for key, value in run.provenance.items()}


def _facts(run: RunFile) -> dict[str, Any]:
    hosts = list(dict.fromkeys(run.rank_table["hostname"]))
    row = {
        "path": run.path,
        **run.root_attributes(),
        "ranks": run.ranks,
        "hosts": len(hosts),
        "hostnames": " ".join(hosts),
        "global_batch": run.global_batch,
    }
    for group in schema.FACT_GROUPS:
        row |= {f"{group}.{key}": value for key, value in run.facts(group).items()}
    row.pop("config.text", None)  # says the same once more
    return row


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    labels = _labels([str(row["title"]) for row in rows], [str(row["path"]) for row in rows])
    table = pd.DataFrame(rows, index=pd.Index(labels, name="run"))
    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    return table.fillna(dict.fromkeys(texts, ""))


def _labels(titles: list[str], paths: list[str]) -> list[str]:
    for labels in (titles, [Path(path).stem for path in paths]):
        if len(set(labels)) == len(labels):
            return labels
    return [f"{title} {i}" for i, title in enumerate(titles)]


def _stacked(sets: Sequence[xr.Dataset], labels: list[str]) -> xr.Dataset:
    """One dataset of several, [run, ...]. A dimension gets the labels of all, in their order."""
    import xarray as xr

    axes: dict[Any, list[Any]] = {
        dim: list(
            dict.fromkeys(x for each in sets if dim in each.sizes for x in each[dim].to_numpy())
        )
        for dim in dict.fromkeys(dim for each in sets for dim in each.sizes)
    }
    for dim in axes.keys() & {"iteration", "rank", "bucket"}:
        axes[dim].sort()
    places = {dim: {label: i for i, label in enumerate(axis)} for dim, axis in axes.items()}
    data: dict[Any, Any] = {}
    coordinates: dict[Any, Any] = {"run": labels}
    for name in dict.fromkeys(name for each in sets for name in each.variables):
        first = next(each[name] for each in sets if name in each.variables)
        if name in axes:
            coordinates[name] = ((name,), np.array(axes[name], first.dtype), first.attrs)
            continue
        values = _blank((len(sets), *(len(axes[dim]) for dim in first.dims)), first.dtype)
        for i, each in enumerate(sets):
            if name in each.variables:
                where = [[places[dim][x] for x in each[dim].to_numpy()] for dim in first.dims]
                values[i, ...][np.ix_(*where)] = each[name].to_numpy()
        if first.dtype.kind in "iu" and not np.isnan(values).any():
            values = values.astype(first.dtype)
        entry = (("run", *first.dims), values, _shared_attributes(name, sets))
        (coordinates if name in COORDINATES else data)[name] = entry
    return xr.Dataset(data, coordinates, {"schema_version": sets[0].attrs["schema_version"]})


def _shared_attributes(name: Any, sets: Sequence[xr.Dataset]) -> dict[Any, Any]:  # noqa: ANN401
    """What is the same in all runs that have it: each has an epoch_ns of its own."""
    of_all = [each[name].attrs for each in sets if name in each.variables]
    return {
        key: value
        for key, value in of_all[0].items()
        if all(np.array_equal(attributes.get(key), value) for attributes in of_all)
    }


def _blank(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of what stands for absent: NaN, an empty text, or false."""
    if dtype.kind in "OU":
        return np.full(shape, "", object)
    if dtype.kind == "b":
        return np.zeros(shape, bool)
    return np.full(shape, np.nan, np.float64 if dtype.kind in "iu" else dtype)
