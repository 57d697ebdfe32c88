"""What the tests of the command `report` share: made-up runs, their pages, and a browser's view."""

import json
import re
import shutil
import subprocess

import h5py
import numpy as np
import pytest

from layerledger.cli import main
from synthetic import Synthetic

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECTIONS = ["ledger", "layers", "distribution", "timeline", "ranks", "idle", "buckets", "roofline",
            "iterations", "proof"]
LAYERS = [f"conv{i + 1}" for i in range(57)] + ["fc1", "fc2", "output"]

# Looks for what a reader would see as broken: a page wider than its window, texts cut or over each
# other. Writes what it finds into the document.
INSPECTION = """
<script>
setTimeout(() => {
  const wrong = [];
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) wrong.push(`page is ${root.scrollWidth} wide`);
  for (const svg of document.querySelectorAll("figure svg")) {
    const frame = svg.getBoundingClientRect(), label = svg.getAttribute("aria-label");
    if (frame.height < 30 || frame.width < 100) wrong.push(`${label} is empty`);
    const boxes = [...svg.querySelectorAll("text")].filter((text) => text.textContent)
      .map((text) => [text.textContent, text.getBoundingClientRect(),
                      text.hasAttribute("transform")]);
    boxes.forEach(([text, box], i) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 ||
          box.bottom > frame.bottom + 1) wrong.push(`${label}: cut: ${text}`);
      for (const [other, next, turned] of boxes.slice(i + 1)) {
        if (turned || boxes[i][2]) continue;
        const across = Math.min(box.right, next.right) - Math.max(box.left, next.left);
        const along = Math.min(box.bottom, next.bottom) - Math.max(box.top, next.top);
        if (across > 1 && along > 4) wrong.push(`${label}: ${text} over ${other}`);
      }
    });
  }
  for (const table of document.querySelectorAll(".scroll:not([tabindex])")) {
    if (innerWidth >= 800 && table.scrollWidth > table.clientWidth) {
      wrong.push(`a table is cut: ${table.textContent.slice(0, 60)}`);
    }
  }
  for (const canvas of document.querySelectorAll("canvas")) {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    if (new Set(new Uint32Array(pixels.buffer)).size < 5) wrong.push("a canvas is empty");
  }
  root.dataset.wrong = JSON.stringify(wrong);
  root.dataset.plots = document.querySelectorAll("figure").length;
  for (const head of document.querySelectorAll("#layer-table th button")) {
    if (head.textContent.startsWith("total")) { head.click(); break; }
  }
  root.dataset.first = document.querySelector("#layer-table tbody td")?.textContent ?? "";
  document.querySelectorAll(".tools button").forEach((button) => button.click());
  const choice = document.getElementById("node-choice");
  if (choice) {
    pickNode(1);
    root.dataset.picked = choice.selectedOptions[0].textContent;
  }
  root.dataset.after = root.dataset.state;
}, 500);
</script></body>"""


def report(tmp_path, made, name="run", words=(), change=None):
    run = made.write(tmp_path / f"{name}.h5", change=change)
    assert main(["report", str(run), "-o", str(tmp_path / "out"), *words]) == 0
    return tmp_path / "out" / f"{name}.html"


def data_of(page):
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>',
                      page.read_text(), re.DOTALL)
    return json.loads(found[1])


def browse(tmp_path, page, width, *options):
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900",
         "--virtual-time-budget=5000", *options, f"file://{page}"],
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inspect(tmp_path, page, width):
    """data-* attributes of the page's root after INSPECTION."""
    looked_at = page.with_name(f"inspected-{page.name}")
    looked_at.write_text(page.read_text().replace("</body>", INSPECTION))
    dom = browse(tmp_path, looked_at, width, "--dump-dom")
    root = re.search(r"<html[^>]*>", dom)[0]
    found = dict(re.findall(r'data-(\w+)="([^"]*)"', root))
    return {key: value.replace("&quot;", '"') for key, value in found.items()}


needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium (apt-get install chromium)")

RUNS = {
    "two ranks": Synthetic(noise=0.05, level="op", title="two <ranks> & \"more\""),
    "one rank": Synthetic(ranks=1, buckets=0),
    "512 ranks, 60 layers": Synthetic(
        ranks=512, iterations=30, layers=LAYERS, noise=0.03, slow={(77, "conv12"): 1.2}, buckets=6,
        layer_us=np.outer(200 + 37 * (np.arange(60) * 31 % 60), (1, 2.1, 0.05))),
    "12 ranks on 3 nodes in turn": Synthetic(
        ranks=12, iterations=700, noise=0.03,
        hosts=[f"compute-{r % 3}.some-long-domain.example" for r in range(12)]),
    "level iteration": Synthetic(level="iteration"),
    "level off": Synthetic(level="off"),
}


def add_tables(path, **groups):
    """Tables that a run finds out about itself, as group=(prefix, {column: values})."""
    with h5py.File(path, "r+") as file:
        for group, (prefix, columns) in groups.items():
            for name, values in columns.items():
                file[f"{group}/{prefix}_{name}"] = np.array(values)


LATE = {
    "late": ("late", {"iteration": [2, 3, 4, 5], "rank": [5, 5, 1, 5], "by": [90.0] * 4,
                      "layer": [1, 1, -1, 1], "phase": [1, 1, -1, 1], "cause": [4, 4, 0, 4]}),
    "stragglers": ("straggler", {
        "iteration": [2, 42, 2], "rank": [5, 1, 2], "layer": [1, -1, -1], "phase": [1, -1, -1],
        "cause": [4, 0, 4], "percent": [12.5, 300.0, 10.0], "excess": [1250.0, 400.0, 300.0],
        "windows": [10, 2, 10], "all_windows": [10, 10, 10], "persistence": [0, 2, 0]}),
    "sensitivity": ("sensitivity", {"layer": [0, 0], "phase": [0, 1], "percent": [2.5, 6.5]}),
    "anatomy": ("anatomy", {
        "bucket": [0, 1], "hidden": [1.0, 2.0], "exposed": [3.0, 4.0], "wait": [5.0, 6.0],
        "transfer": [7.0, 8.0], "algorithm_bandwidth": [1.0, 1.0], "bus_bandwidth": [1.5, 1.5],
        "zero_skew": [6.5, 7.5]}),
}


def late_report(tmp_path):
    run = Synthetic(ranks=8, iterations=60, hosts=[f"compute-node-{i // 4:04}" for i in range(8)])
    add_tables(run.write(tmp_path / "late.h5"), **LATE)
    assert main(["report", str(tmp_path / "late.h5"), "-o", str(tmp_path / "out")]) == 0
    return tmp_path / "out" / "late.html"
