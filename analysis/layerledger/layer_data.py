"""What the report shows of layers: their table, spread and roofline; see page_data."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from .findings import excess_over_others
from .page_data import Section, rounded
from .reductions import Reduction, mean
from .runfile import RunFile

MOST_BINS: Final = 48
DISTRIBUTION: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def layers_section(run: RunFile, reduction: Reduction) -> Section:
    """One row a layer, and one an operation where those were recorded."""
    time = reduction.layer_time  # [layer, phase], us
    # Shares are of means, which add up as in the ledger; medians do not.
    whole = float(mean(reduction.iteration))
    share = 100 * np.nansum(mean(reduction.layer_mean, 0), axis=1) / whole
    facts = run.layer_table
    flops = facts[[f"flops_{phase}" for phase in run.phases]].to_numpy()
    least = facts[[f"bytes_{phase}" for phase in run.phases]].to_numpy()
    total = np.nansum(time, axis=1)
    counted = ~np.isnan(time)
    excess = np.zeros((run.ranks, len(run.layers)))
    if run.ranks > 1:
        excess = excess_over_others(np.nansum(reduction.layer_median, axis=2))
    slow = np.argmax(np.nan_to_num(excess), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        table = pd.DataFrame(
            {
                "layer": run.layers,
                "kind": facts["kind"].to_numpy(),
                **{f"{phase}_ms": time[:, p] / 1e3 for p, phase in enumerate(run.phases)},
                "total_ms": total / 1e3,
                "share_percent": share,
                "gflop_per_s": (flops * counted).sum(axis=1) / total / 1e3,
                "gbyte_per_s": (least * counted).sum(axis=1) / total / 1e3,
                "parameters": facts["parameters"].to_numpy(),
                "activation_mb": facts["activation_bytes"].to_numpy() / 1e6,
                "workspace_mb": facts["workspace_bytes"].to_numpy() / 1e6,
                "slowest_rank": slow,
                "slowest_excess_percent": 100 * np.take_along_axis(excess, slow[None], 0)[0],
                "algorithm": facts["algorithm"].to_numpy(),
            }
        )
    data: dict[str, Any] = {
        "rows": [
            [rounded(value) if isinstance(value, float) else value for value in row]
            for row in table.astype(object).itertuples(index=False, name=None)
        ],
        "columns": list(table.columns),
        "ops": [],
    }
    if reduction.op_median is not None:
        data["ops"] = [
            [int(run.op_table["layer"].iloc[o]), name, *rounded(reduction.op_median[o] / 1e3)]
            for o, name in enumerate(run.ops)
        ]
    return Section(data, table)


def layers_by_rank_table(run: RunFile, reduction: Reduction) -> pd.DataFrame:
    """Medians over iterations [rank x layer], and how far above the other ranks each is."""
    medians = reduction.layer_median
    total = np.nansum(medians, axis=2)
    excess = excess_over_others(total)
    ranks, layers = total.shape
    return pd.DataFrame(
        {
            "rank": np.repeat(np.arange(ranks), layers),
            "layer": np.tile(run.layers, ranks),
            **{f"{phase}_ms": medians[:, :, p].ravel() / 1e3 for p, phase in enumerate(run.phases)},
            "total_ms": total.ravel() / 1e3,
            "above_other_ranks_percent": 100 * excess.ravel(),
        }
    )


def distribution_section(run: RunFile, reduction: Reduction) -> Section:
    """Of each layer and phase over iterations and ranks: quantiles; density over the log."""
    histograms = reduction.layer_histograms
    assert histograms is not None
    records, data = [], []
    for layer, name in enumerate(run.layers):
        of_layer: list[dict[str, Any] | None] = []
        for p, phase in enumerate([*run.phases, "total"]):
            quantiles = histograms.quantiles(layer * 4 + p, DISTRIBUTION) / 1e3
            records.append((name, phase, *quantiles))
            if np.isnan(quantiles).any():
                of_layer.append(None)
                continue
            low, high = quantiles[0], max(quantiles[-1], quantiles[0] * 1.001)
            density = histograms.densities(layer * 4 + p, MOST_BINS, low * 1e3, high * 1e3)
            peak = density.max() or 1.0
            of_layer.append(
                {"q": rounded(quantiles), "d": [round(99 * float(d / peak)) for d in density]}
            )
        data.append(of_layer)
    names = [f"p{round(100 * q):02d}_ms" for q in DISTRIBUTION]
    table = pd.DataFrame(records, columns=["layer", "phase", *names])
    return Section({"layers": run.layers, "phases": [*run.phases, "total"], "of": data}, table)


def roofline_section(
    run: RunFile, reduction: Reduction, roofs: tuple[float, float] | None, origin: str
) -> Section:
    """FLOP/s over FLOP/byte of each layer and phase, from counted FLOPs and least bytes."""
    time = reduction.layer_time
    facts = run.layer_table
    records = []
    for layer, name in enumerate(run.layers):
        for p, phase in enumerate(run.phases):
            flops = float(facts[f"flops_{phase}"].iloc[layer])
            least = float(facts[f"bytes_{phase}"].iloc[layer])
            us = float(time[layer, p])
            if us > 0 and flops > 0 and least > 0:
                records.append((name, phase, flops / least, flops / us / 1e3, least / us / 1e3,
                                us / 1e3))  # fmt: skip
    columns = ["layer", "phase", "flop_per_byte", "gflop_per_s", "gbyte_per_s", "time_ms"]
    table = pd.DataFrame(records, columns=columns)
    if roofs is None and len(table):
        roofs = (float(table["gflop_per_s"].max()), float(table["gbyte_per_s"].max()))
        origin = "best seen in this run, which is not the machine's peak"
    if roofs is not None and len(table):
        roof = np.minimum(roofs[0], table["flop_per_byte"] * roofs[1])
        table["roof_gflop_per_s"] = roof
        table["of_roof_percent"] = 100 * table["gflop_per_s"] / roof
    return Section(
        {
            "points": [
                [row.layer, row.phase, rounded(row.flop_per_byte), rounded(row.gflop_per_s),
                 rounded(row.time_ms)]
                for row in table.itertuples()
            ],
            "roofs": rounded(roofs) if roofs is not None else None,
            "origin": origin,
            "above": int((table["of_roof_percent"] > 100.5).sum()) if "of_roof_percent" in table
            else 0,
        },
        table,
    )  # fmt: skip
