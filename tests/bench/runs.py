"""Runs layerledger for the benchmarks and reads its run files."""

import os
import pathlib
import subprocess
import tempfile

import h5py
import numpy as np

ENVIRONMENT = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


class Run:
    """One training run in a folder of its own, which goes away with it."""

    def __init__(self, program, ranks=1, threads=0, bind="none", **settings):
        self._folder = tempfile.TemporaryDirectory(prefix="layerledger-bench-")
        self.path = pathlib.Path(self._folder.name) / "run.h5"
        command = ["mpirun", "--oversubscribe", "--bind-to", bind, "-n", str(ranks), program,
                   "train", "--output.directory", self._folder.name, "--output.file", "run.h5",
                   "--output.progress", "none", "--device.backend", "cpu"]
        if threads:
            command += ["--device.threads", str(threads)]
        for key, value in settings.items():
            section, _, name = key.partition("__")
            command += [f"--{section}.{name}", str(value)]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}\nfailed ({done.returncode}):\n{done.stderr}")
        self.file = h5py.File(self.path, "r")

    def measured(self):
        """Indices of profiled iterations after warm-up."""
        return np.flatnonzero((self.file["warmup"][:] == 0) & (self.file["profiled"][:] == 1))

    def iteration_ms(self):
        """[iteration] after warm-up, the largest over ranks."""
        return self.file["iteration_time"][self.measured()].max(axis=1) / 1e3

    def unaccounted_percent(self):
        """[iteration, rank] after warm-up."""
        rows = self.measured()
        return 100 * self.file["unaccounted"][rows] / self.file["iteration_time"][rows]

    def activity_percent(self, activity):
        """[iteration, rank] after warm-up."""
        rows = self.measured()
        column = self.file["activity"].asstr()[:].tolist().index(activity)
        return 100 * self.file["activity_time"][rows][..., column] / self.file["iteration_time"][rows]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self._folder.cleanup()
