"""In what runs differ: settings, versions, network, hardware. The scale is not among it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .runfile import RunFile

FREE_SETTINGS: Final = frozenset({
    "config.experiment.name", "config.experiment.seed", "config.experiment.repetitions",
    "config.data.root", "config.data.remote", "config.data.remote_timeout_seconds",
    "config.train.batch_size", "config.train.epochs", "config.train.iterations",
    "config.train.learning_rate", "config.train.schedule", "config.train.step_factor",
    "config.train.step_epochs", "config.train.warmup_epochs", "config.train.digest_every",
    "config.train.validate", "config.train.validate_every", "config.train.resume",
    "config.train.checkpoint_every", "config.train.checkpoint_keep",
    "config.profile.twin", "config.profile.warmup", "config.profile.every",
    "config.profile.overhead_check",
    "config.sync.timeout_seconds", "config.sync.rendezvous_seconds",
})  # fmt: skip
"""Settings that may differ between points of a scaling study: the scale itself, how long and how
fast it learns, names and folders. What changes an iteration's time otherwise is not among them."""

FREE_SECTIONS: Final = ("config.output.",)

FREE_PROVENANCE: Final = frozenset({
    "user", "launchdate", "executablepath", "cmdline", "clustername", "jobsize", "hostlist",
    "networks", "environment", "kernel", "git_dirty",
})  # fmt: skip
"""Facts that say when and where a run was, not what it did."""


@dataclass(frozen=True)
class Difference:
    """A key, as in "config.sync.bucket_mb", and its value in each run, None where it has none."""

    key: str
    values: tuple[str | None, ...]

    def __str__(self) -> str:
        kinds = [value for value in dict.fromkeys(self.values) if value is not None]
        shown = " or ".join(repr(_shortened(value)) for value in kinds[:3])
        return f"{self.key} ({shown}{', ...' if len(kinds) > 3 else ''})"

    def between(self, paths: Sequence[str]) -> str:
        """The same with a file for each value, as in "config.x ('1' in a.h5, '2' in b.h5)"."""
        first: dict[str, str] = {}
        for value, path in zip(self.values, paths, strict=True):
            if value is not None:
                first.setdefault(value, path)
        shown = ", ".join(f"'{_shortened(value)}' in {first[value]}" for value in list(first)[:3])
        return f"{self.key} ({shown}{', ...' if len(first) > 3 else ''})"


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def differences(runs: Sequence[RunFile]) -> list[Difference]:
    """What differs between runs besides their scale, names, folders and length.

    Runs that do not have a key, because another version wrote them or because it has no meaning for
    them, do not count for it.
    """
    facts = [_facts(run) for run in runs]
    found = []
    for key in dict.fromkeys(key for each in facts for key in each):
        values = tuple(each.get(key) for each in facts)
        if len({value for value in values if value is not None}) > 1:
            found.append(Difference(key, values))
    return found


def _facts(run: RunFile) -> dict[str, str]:
    facts = {f"config.{key}": value for key, value in run.config.items()}
    facts = {
        key: value
        for key, value in facts.items()
        if key not in FREE_SETTINGS and not key.startswith(FREE_SECTIONS)
    }
    facts |= {f"network.{key}": value for key, value in run.network.items()}
    if run.ranks == 1:
        facts.pop("network.collective", None)  # a single rank needs none
    facts |= {
        f"provenance.{key}": value
        for key, value in run.provenance.items()
        if key not in FREE_PROVENANCE
    }
    facts["layers"] = " ".join(run.layers)
    facts["device_name"] = ", ".join(sorted(set(run.rank_table["device_name"])))
    facts["threads"] = ", ".join(str(n) for n in sorted(set(run.rank_table["threads"])))
    facts["level"] = run.level
    return facts
