"""What must be true of a run file before any of its numbers is believed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import h5py

from . import schema
from .access import is_scale, reading
from .errors import RunFileError

if TYPE_CHECKING:
    from .runfile import RunFile


def check(run: RunFile, file: h5py.File) -> None:
    """Finds what makes a file unusable.

    Raises:
        RunFileError: no run file, of another major schema, cut short, or contradicting itself.
    """
    if "schema_version" not in file.attrs:
        raise RunFileError(run.path, "no run file of layerledger (it has no schema_version)")
    version = re.fullmatch(r"(\d+)\.(\d+)\.\d+", run.schema_version)
    if version is None:
        raise RunFileError(
            run.path, f"damaged: its schema_version is '{run.schema_version}', not as in 1.0.0"
        )
    if version[1] != str(schema.MAJOR):
        raise RunFileError(
            run.path,
            f"has schema {run.schema_version}, and this package reads {schema.MAJOR}.x: "
            "use the package of the version that wrote it",
        )
    if run.status not in schema.STATUSES:
        raise RunFileError(
            run.path, f"the status '{run.status}' is none of {', '.join(schema.STATUSES)}"
        )
    if run.level not in schema.LEVELS and int(version[2]) <= schema.MINOR:
        raise RunFileError(
            run.path, f"the level '{run.level}' is none of {', '.join(schema.LEVELS)}"
        )
    if run.committed < 0:
        raise RunFileError(run.path, f"damaged: its committed_iterations is {run.committed}")
    _check_scales(run, file)
    for name, data in file.items():
        if isinstance(data, h5py.Dataset) and not is_scale(data):
            with reading(run.path, f"the dimensions of {name}"):
                _check_extents(run, name, data)
    _check_presence(run, file, int(version[2]))


def _check_scales(run: RunFile, file: h5py.File) -> None:
    for dim in schema.DIMENSIONS:
        optional = dim in ("bucket", "op") or (dim == "iteration" and run.committed == 0)
        if dim in file:
            if not is_scale(file[dim]):
                raise RunFileError(run.path, f"{dim} is not a dimension scale")
        elif not optional:
            raise RunFileError(run.path, f"the dimension {dim} is missing")
    if run.committed > 0 and file["iteration"].shape[0] < run.committed:
        raise RunFileError(
            run.path,
            f"cut short: {run.committed} iterations are committed, "
            f"{file['iteration'].shape[0]} are there",
        )


def _check_extents(run: RunFile, name: str, data: h5py.Dataset) -> None:
    for axis, dim in enumerate(data.dims):
        if len(dim) == 0:
            raise RunFileError(
                run.path, f"un-scaled array: {name} has no dimension scale on axis {axis}"
            )
        scale = dim[0]
        of, wanted, extent = scale.name.lstrip("/"), scale.shape[0], data.shape[axis]
        # A commit under way, or one that a kill broke off, has made some arrays longer.
        growing = of == "iteration" and run.status == "running" and extent >= run.committed
        if extent != wanted and not growing:
            committed = f" ({run.committed} committed)" if of == "iteration" else ""
            raise RunFileError(
                run.path,
                f"uneven extents: {name} has {extent} along {of}, which has {wanted}{committed}",
            )


def _check_presence(run: RunFile, file: h5py.File, minor: int) -> None:
    known = schema.DESCRIPTION | (schema.GROWING if run.committed > 0 else {})
    for name, variable in known.items():
        if any(dim not in file for dim in variable.dims):
            continue
        if name not in file and variable.since > minor:
            continue
        if name not in file:
            raise RunFileError(run.path, f"the array {name} is missing")
        data = file[name]
        if not is_scale(data) and run.dims(name) != variable.dims:
            raise RunFileError(
                run.path,
                f"{name} has the dimensions {', '.join(run.dims(name))} instead of "
                f"{', '.join(variable.dims)}",
            )
        units = run.attributes(name).get("units", "")
        if variable.units and units != variable.units:
            raise RunFileError(
                run.path, f"{name} has the units '{units}' instead of '{variable.units}'"
            )
