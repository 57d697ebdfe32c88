"""The page of a scaling study: its table, its plots, and links to their numbers."""

from __future__ import annotations

import html
import math

from .study import Study

STYLE = """
:root { color-scheme: light }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff }
h1 { font-size: 1.4rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd }
img { max-width: 100%; height: auto }
figure { margin: 2rem 0 }
figcaption { color: #555; font-size: .9rem }
"""

CAPTIONS = {
    "iteration_time": "Median over iterations of the slowest rank's iteration time.",
    "speedup": "Throughput relative to the base's throughput per rank, both axes logarithmic.",
    "efficiency": "Ideal over measured iteration time. The axis of ranks is logarithmic, that of "
    "efficiency is not, so that a loss shows at its size.",
    "waterfall": "What each part of an iteration has more, or less, than its ideal share: means "
    "over ranks, in the fifth of the iterations nearest to the median. Compute is the layers' "
    "work; spread is what the slowest rank's median has over that mean.",
    "layer_efficiency": "Ideal over measured time of each layer (forward, backward and update). "
    "Above 100 % the layer gains, as where its data fits into a cache.",
}


def page(study: Study, stems: list[str]) -> str:
    """HTML that shows the files lying beside it.

    Args:
        study: the numbers.
        stems: names of the plots without their endings.
    """
    columns = {
        "ranks": ("ranks", "{:.0f}", 1),
        "nodes": ("nodes", "{:.0f}", 1),
        "runs": ("runs", "{:.0f}", 1),
        "per_rank_batch": ("batch per rank", "{:.0f}", 1),
        "iterations": ("iterations", "{:.0f}", 1),
        "iteration_us": ("iteration, ms", "{:.3f}", 1e-3),
        "iteration_low_us": ("95 % from", "{:.3f}", 1e-3),
        "iteration_high_us": ("to", "{:.3f}", 1e-3),
        "images_per_s": ("images/s", "{:,.1f}", 1),
        "speedup": ("speed-up", "{:.2f}", 1),
        "efficiency": ("efficiency, %", "{:.1f}", 100),
        "efficiency_low": ("95 % from", "{:.1f}", 100),
        "efficiency_high": ("to", "{:.1f}", 100),
    }
    head = "".join(f"<th>{title}</th>" for title, _, _ in columns.values())
    body = "".join(
        "<tr>"
        + "".join(
            f"<td>{shape.format(row[name] * scale) if not math.isnan(row[name]) else ''}</td>"
            for name, (_, shape, scale) in columns.items()
        )
        + "</tr>"
        for _, row in study.table().iterrows()
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in study.notes)
    figures = "".join(
        f'<figure><img src="{stem}.svg" alt="{html.escape(CAPTIONS[stem])}">'
        f"<figcaption>{html.escape(CAPTIONS[stem])} "
        f'<a href="{stem}.csv">CSV</a> <a href="{stem}.png">PNG</a></figcaption></figure>'
        for stem in stems
    )
    title = html.escape(study.title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f'<p><a href="scaling.csv">All numbers as CSV</a></p><ul>{notes}</ul>'
        f"{figures}</body></html>\n"
    )
