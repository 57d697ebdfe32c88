"""Run files whose every number is known: what a run would have written, from a few given times.

All ranks begin each iteration together and wait for the slowest one in the all-reduce, so that an
iteration of rank r is

    input + copy + layers(r) + wait(r) + transfer + idle + measurement + unaccounted

with wait(r) = slowest rank's layers - layers(r). `Synthetic.arrays` gives the arrays, `write` the
file, which `layerledger check` finds without faults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

PHASES = ["forward", "backward", "update"]
ACTIVITIES = ["memcpy_h2d", "memcpy_d2h", "allreduce_wait", "allreduce_transfer", "input_wait",
              "idle_launch", "idle_sync", "idle_other", "measurement"]
DIMS = {
    "epoch": "iteration", "warmup": "iteration", "profiled": "iteration",
    "learning_rate": "iteration", "loss": "iteration", "top1": "iteration", "topk": "iteration",
    "iteration_start": "iteration rank", "iteration_time": "iteration rank",
    "layer_time": "iteration rank layer phase", "layer_start": "iteration rank layer phase",
    "op_time": "iteration rank op phase", "activity_time": "iteration rank activity",
    "unaccounted": "iteration rank", "allreduce_hidden": "iteration rank",
    "memcpy_hidden": "iteration rank", "launch_bound": "iteration rank",
    "h2d_start": "iteration rank", "h2d_end": "iteration rank", "d2h_start": "iteration rank",
    "d2h_end": "iteration rank", "bucket_ready": "iteration rank bucket",
    "bucket_start": "iteration rank bucket", "bucket_transfer": "iteration rank bucket",
    "bucket_end": "iteration rank bucket", "hostname": "rank", "local_rank": "rank",
    "device_name": "rank", "device_uuid": "rank", "threads": "rank", "clock_offset": "rank",
    "clock_bound": "rank", "estimated_memory": "rank", "peak_memory": "rank",
    "device_memory": "rank", "device_library_memory": "rank",
    "layer_kind": "layer", "layer_parameters": "layer",
    "layer_flops": "layer phase", "layer_bytes": "layer phase", "layer_algorithm": "layer",
    "layer_workspace_bytes": "layer", "layer_activation_bytes": "layer",
    "layer_parameter_bytes": "layer", "layer_gradient_bytes": "layer",
    "layer_optimizer_bytes": "layer", "op_kind": "op",
    "op_layer": "op", "bucket_bytes": "bucket", "bucket_layers": "bucket",
}
UNITS = {name: "us" for name in DIMS
         if name.endswith("_time") or name in ("layer_start", "unaccounted", "allreduce_hidden",
                                               "memcpy_hidden", "launch_bound", "h2d_start",
                                               "h2d_end", "d2h_start", "d2h_end",
                                               "bucket_ready", "bucket_start",
                                               "bucket_transfer", "bucket_end")}
UNITS |= {name: "byte" for name in DIMS if name.endswith(("_bytes", "_memory"))}
UNITS |= dict.fromkeys(("iteration_start", "clock_offset", "clock_bound"), "ns")

CONFIG = {
    "experiment.name": "synthetic", "experiment.seed": "1", "network.architecture": "lenet5",
    "network.classes": "10", "data.source": "synthetic", "data.workers": "1",
    "train.batch_size": "8", "train.epochs": "1", "train.iterations": "20",
    "train.optimizer": "momentum", "train.learning_rate": "0.01", "train.precision": "fp32",
    "sync.overlap": "true", "sync.bucket_mb": "25", "profile.level": "layer",
    "profile.warmup": "2", "profile.every": "1", "output.directory": "runs",
    "output.file": "synthetic.h5", "device.backend": "cpu", "device.threads": "1",
}
PROVENANCE = {
    "user": "someone", "launchdate": "2026-11-24T03:00:00Z", "cmdline": "layerledger train",
    "layerledger": "0.1.0", "git": "0123456", "mpi": "Open MPI v4.1.4", "onednn": "2.6.3",
    "hdf5": "1.10.8", "compiler": "GNU 12.2.0", "build_type": "Release",
}
NETWORK = {"name": "lenet5", "classes": "10", "image": "1x28x28", "parameters": "6200",
           "precision": "fp32", "backend": "cpu", "collective": "mpi"}


@dataclass
class Synthetic:
    """What is given. Times are microseconds."""

    ranks: int = 2
    iterations: int = 20
    warmup: int = 2
    layers: Sequence[str] = ("conv1", "conv2", "fc1")
    layer_us: Sequence[Sequence[float]] | None = None
    """[layer][phase]; by default (100, 200, 10) x (1 + index of the layer)."""
    slow: Mapping[tuple[int, str], float] = field(default_factory=dict)
    """(rank, layer): by what factor each phase of the layer takes longer there."""
    input_us: float = 20
    copy_us: float = 5
    transfer_us: float = 30
    hidden_us: float = 15
    """All-reduce of each bucket but the last, under layers' work."""
    idle_us: float = 8
    measurement_us: float = 2
    unaccounted_us: float = 1
    gaps: Mapping[tuple[int, int], float] = field(default_factory=dict)
    """(iteration, rank): time that nothing explains, added to `unaccounted_us`."""
    noise: float = 0
    """Relative deviation of each layer's time, drawn anew for each iteration and rank."""
    drift: Callable[[np.ndarray], np.ndarray] | None = None
    """Factor of all layers' times, from the iterations' numbers."""
    seed: int = 1
    every: int = 1
    """Every which iteration is profiled."""
    buckets: int = 2
    level: str = "layer"
    per_rank_batch: int = 8
    ranks_per_host: int = 4
    hosts: Sequence[str] | None = None
    """[rank]; by default node0, node1, ... of `ranks_per_host` ranks each."""
    status: str = "complete"
    title: str = "synthetic"
    run_id: str = "00000000-0000-4000-8000-000000000000"
    schema_version: str = "1.4.0"
    chunk_iterations: int = 8
    chunk_ranks: int = 0  # 0: all
    config: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    network: Mapping[str, str] = field(default_factory=dict)
    overhead: Mapping[str, float] = field(default_factory=dict)
    validation: Mapping[str, float] = field(default_factory=dict)

    def base_us(self) -> np.ndarray:
        """[layer, phase]: times without slowness, noise and drift."""
        if self.layer_us is not None:
            return np.array(self.layer_us, float)
        return np.outer(1 + np.arange(len(self.layers)), (100.0, 200.0, 10.0))

    def layers_of_bucket(self, bucket: int) -> list[str]:
        """In order of arrival: the last layers' gradients come first."""
        return [str(name) for name in np.array_split(self.layers[::-1], self.buckets)[bucket]]

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array over iterations."""
        n, ranks, count = self.iterations, self.ranks, len(self.layers)
        random = np.random.default_rng(self.seed)
        i = np.arange(n)
        layer_time = np.broadcast_to(self.base_us(), (n, ranks, count, 3)).copy()
        for (rank, layer), factor in self.slow.items():
            layer_time[:, rank, list(self.layers).index(layer)] *= factor
        if self.noise:
            layer_time *= 1 + self.noise * random.standard_normal(layer_time.shape)
        if self.drift:
            layer_time *= self.drift(i)[:, None, None, None]
        work = layer_time.sum(axis=(2, 3))
        wait = work.max(axis=1, keepdims=True) - work

        activity_time = np.zeros((n, ranks, len(ACTIVITIES)))
        given = {"memcpy_h2d": self.copy_us, "allreduce_wait": wait,
                 "allreduce_transfer": self.transfer_us, "input_wait": self.input_us,
                 "idle_launch": self.idle_us, "measurement": self.measurement_us}
        for name, value in given.items():
            activity_time[:, :, ACTIVITIES.index(name)] = value
        unaccounted = np.full((n, ranks), float(self.unaccounted_us))
        for (iteration, rank), gap in self.gaps.items():
            unaccounted[iteration, rank] += gap
        iteration_time = work + activity_time.sum(axis=2) + unaccounted

        layer_start = np.zeros_like(layer_time)
        forward, backward, update = np.moveaxis(layer_time, 3, 0)
        begin = np.full((n, ranks, 1), self.input_us + self.copy_us)
        layer_start[..., 0] = begin + np.cumsum(forward, axis=2) - forward
        begin = begin + forward.sum(axis=2, keepdims=True)
        reverse = backward[:, :, ::-1]
        layer_start[..., 1] = (begin + np.cumsum(reverse, axis=2) - reverse)[:, :, ::-1]
        begin = begin + backward.sum(axis=2, keepdims=True) + wait[..., None] + self.transfer_us
        layer_start[..., 2] = begin + np.cumsum(update, axis=2) - update

        ready = np.empty((n, ranks, self.buckets))
        for bucket in range(self.buckets):
            last = list(self.layers).index(self.layers_of_bucket(bucket)[-1])
            ready[:, :, bucket] = layer_start[:, :, last, 1] + backward[:, :, last]
        transfer = np.broadcast_to(ready.max(axis=1, keepdims=True), ready.shape).copy()
        end = transfer + self.hidden_us
        end[:, :, -1:] = transfer[:, :, -1:] + self.transfer_us

        arrays = {
            "layer_time": layer_time, "layer_start": layer_start, "unaccounted": unaccounted,
            "activity_time": activity_time, "bucket_ready": ready, "bucket_start": ready.copy(),
            "bucket_transfer": transfer, "bucket_end": end,
            "allreduce_hidden": np.full((n, ranks), float(self.hidden_us * (self.buckets - 1))),
            "memcpy_hidden": np.full((n, ranks), np.nan),
        } | {
            name: np.full((n, ranks), np.nan)
            for name in ("launch_bound", "h2d_start", "h2d_end", "d2h_start", "d2h_end")
        }
        if self.level == "op":
            arrays["op_time"] = np.repeat(layer_time, 2, axis=2) / 2
        profiled = (i % self.every == 0) & (self.level != "off")
        for name, array in arrays.items():
            array[~profiled] = np.nan
            if self.level in ("off", "iteration") and name in (
                    "layer_time", "layer_start", "unaccounted"):
                array[:] = np.nan
        activity_time[:, :, ACTIVITIES.index("measurement")] = self.measurement_us
        starts = np.cumsum(iteration_time.max(axis=1)) - iteration_time.max(axis=1)
        return arrays | {
            "iteration": i, "epoch": i // 10, "warmup": i < self.warmup, "profiled": profiled,
            "learning_rate": np.full(n, 0.01), "loss": 2.0 / (1 + i), "top1": i / max(1, n),
            "topk": np.ones(n), "iteration_time": iteration_time,
            "iteration_start": np.repeat((1000 * starts).astype(np.int64)[:, None], ranks, axis=1),
        }

    def descriptions(self) -> dict[str, np.ndarray | list]:
        """Every array that describes ranks, layers, ops or buckets."""
        count = len(self.layers)
        ranks = np.arange(self.ranks)
        described = {
            "hostname": list(self.hosts or (f"node{r // self.ranks_per_host}" for r in ranks)),
            "local_rank": ranks % self.ranks_per_host,
            "device_name": ["a CPU"] * self.ranks, "device_uuid": [""] * self.ranks,
            "threads": np.ones(self.ranks), "clock_offset": np.zeros(self.ranks),
            "clock_bound": np.full(self.ranks, 500),
            "estimated_memory": np.full(self.ranks, 1 << 20),
            "peak_memory": np.full(self.ranks, 3 << 20),
            "device_memory": np.full(self.ranks, np.nan),
            "device_library_memory": np.full(self.ranks, np.nan),
            "layer_kind": ["convolution" if name.startswith("conv") else "fully_connected"
                           for name in self.layers],
            "layer_parameters": 1000 * (1 + np.arange(count)),
            "layer_flops": 1e6 * self.base_us(), "layer_bytes": 1e3 * self.base_us(),
            "layer_algorithm": ["gemm"] * count,
            "layer_workspace_bytes": np.full(count, 4096),
            "layer_activation_bytes": np.full(count, 65536),
            "layer_parameter_bytes": 4000 * (1 + np.arange(count)),
            "layer_gradient_bytes": 4000 * (1 + np.arange(count)),
            "layer_optimizer_bytes": 4000 * (1 + np.arange(count)),
        }
        if self.level == "op":
            described["op_kind"] = ["convolution", "relu"] * count
            described["op_layer"] = np.repeat(np.arange(count), 2)
        if self.buckets:
            names = [self.layers_of_bucket(bucket) for bucket in range(self.buckets)]
            described["bucket_layers"] = [" ".join(layers) for layers in names]
            described["bucket_bytes"] = [
                4000 * sum(1 + list(self.layers).index(layer) for layer in layers)
                for layers in names]
        return described

    def write(self, path: str | Path,
              change: Callable[[dict[str, np.ndarray]], object] | None = None) -> Path:
        """Writes the file; `change` may alter the arrays first, in place."""
        arrays = self.arrays()
        if change:
            change(arrays)
        with h5py.File(path, "w", track_order=True) as file:
            file.attrs.update({
                "Conventions": "layerledger-1.0", "schema_version": self.schema_version,
                "title": self.title, "creator": "layerledger 0.1.0", "run_id": self.run_id,
                "date_created": "2026-11-24T03:00:00Z", "status": self.status,
                "level": self.level, "warmup_iterations": self.warmup,
                "per_rank_batch": self.per_rank_batch, "committed_iterations": self.iterations,
                "dropped_iterations": 0, "missing_iterations": 0, "dropped_spans": 0,
                "skipped_images": 0})
            scales = {"iteration": arrays["iteration"], "rank": np.arange(self.ranks, dtype="i4"),
                      "layer": list(self.layers), "phase": PHASES, "activity": ACTIVITIES,
                      "bucket": np.arange(self.buckets, dtype="i4"),
                      "op": [f"{layer}/{op}" for layer in self.layers for op in ("main", "relu")]
                      if self.level == "op" else []}
            for name, values in scales.items():
                if len(values):
                    self._create(file, name, values, ["iteration"] if name == "iteration" else [])
                    file[name].make_scale(name)
            for name, values in (self.descriptions() | arrays).items():
                if name != "iteration" and values is not None and np.size(values):
                    self._create(file, name, values, DIMS[name].split())
                    for axis, dim in enumerate(DIMS[name].split()):
                        file[name].dims[axis].attach_scale(file[dim])
            file["iteration_start"].attrs["epoch_ns"] = np.int64(1_000_000_000)
            self._write_facts(file)
        return Path(path)

    def _create(self, file, name, values, dims):
        types = {"iteration": "i8", "iteration_start": "i8", "clock_offset": "i8",
                 "clock_bound": "i8", "layer_parameters": "i8", "epoch": "i4", "local_rank": "i4",
                 "threads": "i4", "op_layer": "i4", "rank": "i4", "bucket": "i4", "warmup": "u1",
                 "profiled": "u1", "layer_flops": "f8", "layer_bytes": "f8", "peak_memory": "f8",
                 "device_memory": "f8", "device_library_memory": "f8",
                 "estimated_memory": "i8"}
        kind = types.get(name, "i8" if name.endswith("_bytes") else "f4")
        if np.asarray(values).dtype.kind in "UO":
            data = file.create_dataset(name, data=values, dtype=h5py.string_dtype())
        else:
            values = np.asarray(values).astype(kind)
            options = {}
            if dims[:1] == ["iteration"]:
                chunk = [self.chunk_iterations, *values.shape[1:]]
                if len(chunk) > 1 and self.chunk_ranks:
                    chunk[1] = self.chunk_ranks
                options = {"chunks": tuple(chunk), "maxshape": (None, *values.shape[1:])}
            if kind == "f4":
                options["fillvalue"] = np.float32(np.nan)
            data = file.create_dataset(name, data=values, **options)
            data.attrs["units"] = UNITS.get(name, "1")
            if kind == "f4":
                data.attrs["_FillValue"] = np.float32(np.nan)
        data.attrs["long_name"] = f"{name} of a made-up run"

    def _write_facts(self, file):
        config = CONFIG | {
            "train.batch_size": str(self.per_rank_batch), "profile.level": self.level,
            "train.iterations": str(self.iterations), "profile.warmup": str(self.warmup),
            "profile.every": str(self.every), **self.config}
        hosts = self.descriptions()["hostname"]
        provenance = PROVENANCE | {"jobsize": str(self.ranks), "hostlist": " ".join(hosts),
                                   "networks": "\n".join(f"{host}: MPI over 10.0.0.{i + 1} (eth0)"
                                                         for i, host in enumerate(dict.fromkeys(hosts))),
                                   **self.provenance}
        for name, facts in {"provenance": provenance, "config": config,
                            "network": NETWORK | dict(self.network),
                            "validation": self.validation, "overhead": self.overhead,
                            "wall_clock": {}}.items():
            group = file.create_group(name, track_order=True)
            for key, value in facts.items():
                is_text = isinstance(value, str)
                data = group.create_dataset(
                    key, data=value, dtype=h5py.string_dtype() if is_text else None)
                if name == "config":
                    data.attrs["origin"] = "default"
                if not is_text:
                    data.attrs.update({"units": "1", "long_name": key})
        file["config"].create_dataset("text", data="", dtype=h5py.string_dtype())
