"""Time that no layer computes in: waiting, communication, idling, measurement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..bounds import OVERHEAD_PERCENT
from ..reductions import Reduction, mean
from ..runfile import RunFile
from .finding import Finding, time_text

LARGE_SHARE_PERCENT: Final = 5.0
"""So much waiting, communication or idling of an iteration is worth a remark."""
LOST_SHARE_PERCENT: Final = 10.0
"""So much is a problem: a tenth of the machine, as much as a doubling of ranks costs at 90 %
efficiency."""
MEASUREMENT_LOST_PERCENT: Final = 2 * OVERHEAD_PERCENT
"""Measurement itself is a problem from here on; above its bound, as in short iterations, it is
worth a remark."""
ALWAYS: Final = 0.8
"""A rank that is the slowest in this share of the iterations is the one that others wait for."""


def waiting(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    """Ranks that wait for the slowest one, and an all-reduce that no layer hides."""
    shares = _shares(run, reduction)
    wait = shares.get("allreduce_wait", np.nan)
    transfer = shares.get("allreduce_transfer", np.nan)
    if wait > LARGE_SHARE_PERCENT:
        index = run.activities.index("allreduce_wait")
        patient = int(np.nanargmax(reduction.activity[:, index]))
        last = np.nanargmax(reduction.own, axis=1)
        slowest = int(np.bincount(last, minlength=run.ranks).argmax())
        share = float(np.mean(last == slowest))
        who = (
            f"It is mostly for rank {slowest}, the slowest in {100 * share:.0f} % of the iterations"
            if share >= ALWAYS
            else "No rank is always the slowest: they are late by turns, as where other programs "
            f"use the cores; most often, in {100 * share:.0f} % of the iterations, it is rank "
            f"{slowest}"
        )
        yield Finding(
            _weight(wait),
            "Ranks wait for the slowest one",
            f"allreduce_wait takes {wait:.1f} % of the iteration, "
            f"{time_text(float(reduction.activity[patient, index]))} on rank {patient}, which "
            f"waits longest. {who}.",
        )
    hidden = float(mean(reduction.allreduce_hidden))
    if transfer > LARGE_SHARE_PERCENT:
        exposed = float(mean(reduction.activity[:, run.activities.index("allreduce_transfer")]))
        yield Finding(
            _weight(transfer),
            "The all-reduce is exposed",
            f"allreduce_transfer takes {transfer:.1f} % of the iteration while no layer works "
            f"({time_text(exposed)}); {time_text(hidden)} are hidden under layers."
            + _more_overlap(run),
        )


def _more_overlap(run: RunFile) -> str:
    if run.config.get("sync.overlap") == "false":
        return " sync.overlap = true lets it begin under the backward pass."
    if run.buckets == 1:
        return (
            " All gradients are one bucket, which is sent after the backward pass: a smaller "
            "sync.bucket_mb lets the first begin earlier."
        )
    return " Larger batches per rank give it more work to hide under."


_FASTER_INPUT: Final = {
    "folder": "More data.workers help where cores are free; images that `layerledger pack` has "
    "decoded need hardly any",
    "packed": "Storage that is nearer, or free cores, would help",
    "synthetic": "Making synthetic images takes a core: is one free?",
}
_CAUSES: Final = {
    "input_wait": ("Training waits for input", "the next batch was not ready"),
    "memcpy_h2d": ("Copies to the device are exposed", "no layer works while input is copied"),
    "memcpy_d2h": ("Copies to the host are exposed", "no layer works meanwhile"),
    "idle_launch": (
        "The device waits for the host",
        "work is not enqueued fast enough: larger batches help",
    ),
    "idle_sync": (
        "Waking up after communication takes long",
        "the gradients were there, and the training thread did not go on yet. It does where a core "
        "is free for it: fewer ranks or threads per node, or nothing else running there",
    ),
    "idle_other": (
        "Something else used the cores",
        "the kernel had taken the processor from the training thread",
    ),
    "measurement": ("Measurement takes long", "recorder, gather and commits"),
}


def idle(run: RunFile, reduction: Reduction) -> Iterator[Finding]:
    """Input, copies, idling and measurement that take more than their part, each with its cause."""
    for name, percent in _shares(run, reduction).items():
        limit = OVERHEAD_PERCENT if name == "measurement" else LARGE_SHARE_PERCENT
        if name in _CAUSES and percent > limit:
            title, why = _CAUSES[name]
            if name == "input_wait":
                advice = _FASTER_INPUT.get(run.config.get("data.source", ""), "")
                why += f". {advice}" if advice else ""
            us = float(mean(reduction.activity[:, run.activities.index(name)]))
            lost = MEASUREMENT_LOST_PERCENT if name == "measurement" else LOST_SHARE_PERCENT
            yield Finding(
                _weight(percent, lost),
                title,
                f"{name} takes {percent:.1f} % of the iteration ({time_text(us)}): {why}"
                + ("" if why.endswith("?") else "."),
            )


def _shares(run: RunFile, reduction: Reduction) -> dict[str, float]:
    """Each activity in percent of the iteration, mean over ranks."""
    whole = float(mean(reduction.iteration))
    means = mean(reduction.activity, 0)
    return {name: 100 * float(us) / whole for name, us in zip(run.activities, means, strict=True)}


def _weight(percent: float, lost: float = LOST_SHARE_PERCENT) -> str:
    return "problem" if percent > lost else "notice"
