"""Puts a report's page together: one HTML file with its style, scripts and data inside."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any, Final

import numpy as np

from ..findings import Finding, time_text
from ..page_data import Section
from ..reductions import Reduction, mean
from ..runfile import RunFile

_SCRIPTS: Final = ("draw.js", "charts.js", "tables.js", "map.js", "timeline.js", "main.js")


def assemble(
    run: RunFile,
    reduction: Reduction,
    findings: Sequence[Finding],
    sections: Mapping[str, Section],
    folder: str,
) -> str:
    """The page's text.

    Args:
        run: the run.
        reduction: what it was reduced to.
        findings: what stands out.
        sections: data of each plot, by the section's id.
        folder: where the CSV files are, as seen from the page.
    """
    data = {
        "title": run.title,
        "subtitle": _subtitle(run),
        "ranks": run.ranks,
        "folder": folder,
        "cards": _cards(run, reduction),
        "findings": [asdict(finding) for finding in findings],
        "sections": {name: section.data for name, section in sections.items()},
        "roofText": _roof_text(sections.get("roofline")),
        "iterationsText": _iterations_text(run, reduction),
        "facts": _facts(run),
        "footer": f"Written by {run.creator}. Run {run.run_id}.",
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    parts = {
        "TITLE": html.escape(f"{run.title}: where the time went"),
        "STYLE": _part("page.css"),
        "SCRIPT": "\n".join(_part(name).replace('"use strict";', "", 1) for name in _SCRIPTS),
        "DATA": text.replace("<", "\\u003c"),  # no text of the run ends the script
    }
    page = _part("page.html")
    for name, part in parts.items():
        page = page.replace(f"@{name}@", part, 1)
    return page


def _part(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def _subtitle(run: RunFile) -> str:
    ranks = "1 rank" if run.ranks == 1 else f"{run.ranks} ranks"
    parts = [
        f"{run.network.get('name', 'a network')}, {ranks} \u00d7 batch {run.per_rank_batch} = "
        f"{run.global_batch} images an iteration, on {_hosts(run)}",
        run.network.get("backend", ""),
        run.network.get("precision", ""),
        run.date_created.replace("T", " ").removesuffix("Z") + " UTC",
        f"run {run.status}",
    ]
    return " \u00b7 ".join(part for part in parts if part)


def _rate(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f") if value >= 100 else f"{value:.3g}"


def _hosts(run: RunFile) -> str:
    names = run.rank_table["hostname"]
    return f"{names.nunique()} hosts" if names.nunique() > 1 else str(names.iloc[0])


def _cards(run: RunFile, reduction: Reduction) -> list[list[str]]:
    """[value, what it is, more]."""
    slowest = reduction.slowest
    typical = float(np.nanmedian(slowest))
    low, high = np.nanquantile(slowest, (0.1, 0.9))
    cards = [
        [time_text(typical), "iteration, median of the slowest rank",
         f"80 %: {time_text(low)} to {time_text(high)}"],
        [f"{_rate(run.global_batch / typical * 1e6)}/s", "images",
         f"{reduction.rows.size} iterations counted"],
    ]  # fmt: skip
    whole = float(mean(reduction.iteration))
    if reduction.layers is not None:
        share = 100 * float(mean(reduction.layers)) / whole
        cards.append([f"{share:.1f} %", "of the iteration in layers", ""])
    if run.level != "off" and run.ranks > 1:
        of = {
            name: 100 * float(mean(reduction.activity[:, i])) / whole
            for i, name in enumerate(run.activities)
        }
        wait, transfer = of["allreduce_wait"], of["allreduce_transfer"]
        exposed = (wait + transfer) / 100 * whole
        hidden = float(mean(reduction.allreduce_hidden))
        cards.append([
            f"{wait + transfer:.1f} %", "exposed all-reduce",
            f"{wait:.1f} % wait, {transfer:.1f} % transfer; "
            f"{100 * hidden / max(1e-9, hidden + exposed):.0f} % of it all is hidden",
        ])  # fmt: skip
    if reduction.unaccounted is not None:
        percent = reduction.unaccounted_percent
        cards.append([f"{np.nanmedian(percent):.2g} %", "unaccounted, median iteration",
                      f"worst {np.nanmax(percent):.2g} %"])  # fmt: skip
    if run.overhead:
        cards.append(
            [
                f"{float(run.overhead['percent']):+.2f} %",
                "cost of profiling",
                f"{float(run.overhead['low']):+.2f} to {float(run.overhead['high']):+.2f} %",
            ]
        )
    if "top1" in run.validation:
        cards.append([f"{100 * float(run.validation['top1']):.2f} %", "validation top-1",
                      f"{run.validation.get('images', '')} images"])  # fmt: skip
    return cards


def _roof_text(section: Section | None) -> str:
    if section is None:
        return ""
    text = (
        "Rate of each layer and phase on one rank against its FLOPs per byte, both logarithmic; "
        "larger marks take more time."
    )
    if section.data["roofs"]:
        text += f" Roofs: {section.data['origin']}."
    if section.data["above"]:
        text += (
            f" {section.data['above']} marks lie above a roof: it is too low, or a cache saved "
            "traffic that was counted."
        )
    return text


def _iterations_text(run: RunFile, reduction: Reduction) -> str:
    left_out = run.committed - reduction.rows.size
    warmup = int(np.count_nonzero(run.warmup))
    text = (
        f"All {run.committed} committed iterations. Numbers elsewhere on this page count "
        f"{reduction.rows.size} of them: without {warmup} of warm-up"
    )
    unprofiled = left_out - warmup
    return text + (f" and {unprofiled} that were not profiled." if unprofiled > 0 else ".")


def _facts(run: RunFile) -> list[list[Any]]:
    """[title, [[key, value]...], whether it is open]."""
    facts = [
        ["status", run.status],
        ["level", run.level],
        ["file", run.path],
        ["schema", run.schema_version],
        ["ranks", f"{run.ranks} on {_hosts(run)}"],
        ["device", ", ".join(dict.fromkeys(run.rank_table["device_name"].tolist()))],
        ["batch", f"{run.per_rank_batch} per rank, {run.global_batch} in all"],
        ["iterations", f"{run.committed} committed, {int(run.warmup.sum())} of them warm-up"],
        [
            "records lost",
            f"{run.dropped_iterations + run.missing_iterations} iterations, "
            f"{run.dropped_spans} spans",
        ],
        ["clock error", f"at most {time_text(run.rank_table['clock_bound'].max() / 1e3)}"],
    ]
    groups: list[list[Any]] = [["Facts", facts, True]]
    if len(run.starts) > 1:
        groups.append(["Starts", [_start(row) for row in run.starts.itertuples()], True])
    for title, group in (
        ("Network", run.network),
        ("Validation", run.validation),
        ("Settings", {key: _with_origin(run, key) for key in run.config}),
        ("Provenance", run.provenance),
    ):
        if group:
            groups.append([title, [[key, str(value)] for key, value in group.items()], False])
    return groups


def _start(row: Any) -> list[str]:  # noqa: ANN401 (a named tuple of pandas)
    whence = f"after iteration {row.iteration} from {row.checkpoint}" if row.checkpoint else "begun"
    return [
        row.date,
        f"{whence}, on {' '.join(dict.fromkeys(row.hostlist.split()))}: {row.cmdline}",
    ]


def _with_origin(run: RunFile, key: str) -> str:
    origin = run.config_origin[key]
    value = run.config[key] or "(empty)"
    return value if origin in ("", "default") else f"{value}   ({origin})"
