"""The command `report`: the page as a browser shows it, its data and its CSV files."""

import base64
import csv
import json
import pathlib
import re
import shutil
import subprocess

import h5py
import numpy as np
import pandas as pd
import pytest

from devtools import Devtools
from layerledger.cli import main
from layerledger.straggler_data import short_names
from synthetic import ACTIVITIES, Synthetic

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


@needs_chromium
@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("width", [1280, 800, 500])
def test_a_browser_shows_it_whole(tmp_path, name, width):
    page = report(tmp_path, RUNS[name])
    found = inspect(tmp_path, page, width)
    assert found["state"] == "ready", found
    assert found["after"] == "ready", found
    assert json.loads(found["wrong"]) == []
    least = {"level iteration": 7, "level off": 4, "one rank": 9, "two ranks": 11}.get(name, 12)
    assert int(found["plots"]) >= least
    assert found.get("picked") == {"12 ": "compute-1", "512": "node1"}.get(name[:3])
    if not name.startswith("level"):
        slowest = pd.read_csv(tmp_path / "out" / "run-csv" / "layers.csv")
        assert found["first"] == slowest.loc[slowest["total_ms"].idxmax(), "layer"]


@needs_chromium
def test_a_picture_of_it_is_not_blank(tmp_path):
    image = pytest.importorskip("PIL.Image")
    page = report(tmp_path, RUNS["two ranks"])
    browse(tmp_path, page, 1280, f"--screenshot={tmp_path / 'page.png'}")
    with image.open(tmp_path / "page.png") as picture:
        colours = picture.convert("RGB").getcolors(1 << 24)
    assert {(0, 114, 178), (230, 159, 0), (0, 158, 115)} <= {colour for _, colour in colours}


@needs_chromium
def test_a_broken_script_would_be_seen(tmp_path):
    page = report(tmp_path, RUNS["two ranks"])
    text = page.read_text()
    assert text.count("function ledger(data) {") == 1
    page.write_text(text.replace("function ledger(data) {", "function ledger(data) { nothing();"))
    assert inspect(tmp_path, page, 1280)["state"] == "failed"


@needs_chromium
def test_cut_and_overlapping_texts_would_be_seen(tmp_path):
    page = report(tmp_path, RUNS["two ranks"])
    text = page.read_text()
    head = "function textWidth(text) {"  # without it no label has its room
    assert text.count(head) == 1
    page.write_text(text.replace(head, f"{head} return 0;"))
    wrong = inspect(tmp_path, page, 1280)["wrong"]
    assert "cut: " in wrong and " over " in wrong


@needs_chromium
def test_keys_alone_sort_the_table_and_choose_a_node(tmp_path):
    page = report(tmp_path, Synthetic(ranks=8, layer_us=[(1, 2, 1), (7, 8, 1), (3, 4, 1)]))
    order = "[...document.querySelectorAll('#layer-table td:first-child')].map(x => x.textContent)"
    with Devtools(CHROMIUM, page, tmp_path / "profile") as browser:
        assert browser.run(order) == ["conv1", "conv2", "fc1", "all layers"]
        browser.run("document.querySelector('#layers .csv').focus()")
        for _ in range(20):
            browser.press("Tab")
            if browser.run("document.activeElement.textContent") == "total ms":
                break
        browser.press("Enter")
        assert browser.run(order) == ["conv2", "fc1", "conv1", "all layers"]
        browser.press("Enter")
        assert browser.run(order) == ["conv1", "fc1", "conv2", "all layers"]
        assert browser.run("document.activeElement.parentNode.ariaSort") == "ascending"
        assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        browser.run("document.getElementById('node-choice').focus()")
        browser.press("ArrowDown")
        assert browser.run("document.getElementById('node-choice').selectedOptions[0].text") == \
            "node0"
        assert browser.run("document.documentElement.dataset.failures") == ""


@needs_chromium
def test_a_system_that_prefers_dark_gets_the_same_light_page(tmp_path):
    page = report(tmp_path, RUNS["12 ranks on 3 nodes in turn"])
    colours = """["body", "section", ".card", "button", "select", "td", "h2", "p"].map((name) => {
        const style = getComputedStyle(document.querySelector(name));
        return style.color + " on " + style.backgroundColor; })"""
    with Devtools(CHROMIUM, page, tmp_path / "profile") as browser:
        light = browser.run(colours)
        browser.call("Emulation.setEmulatedMedia",
                     features=[{"name": "prefers-color-scheme", "value": "dark"}])
        assert browser.run("matchMedia('(prefers-color-scheme: dark)').matches")
        assert browser.run(colours) == light
        assert light[0] == "rgb(29, 36, 51) on rgb(246, 247, 249)"


def test_it_is_one_file_that_needs_no_network(tmp_path):
    text = report(tmp_path, RUNS["two ranks"]).read_text()
    outside = set(re.findall(r"""(?:https?:)?//[\w.-]+\.\w+[^\s"'<>]*""", text))
    assert {address for address in outside if "w3.org" not in address} == set()
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=", text)
    assert "two &lt;ranks&gt; &amp; &quot;more&quot;" in text


def test_texts_of_a_run_cannot_end_its_script(tmp_path):
    page = report(tmp_path, Synthetic(title="</script><b>@STYLE@"))
    assert data_of(page)["title"] == "</script><b>@STYLE@"


def test_every_plot_has_its_csv(tmp_path):
    page = report(tmp_path, RUNS["two ranks"])
    files = {path.stem for path in (tmp_path / "out" / "run-csv").iterdir()}
    assert files == {*SECTIONS, "layers-by-rank"}
    assert list(data_of(page)["sections"]) == SECTIONS
    for path in (tmp_path / "out" / "run-csv").iterdir():
        with path.open() as file:
            head, *rows = csv.reader(file)
        assert rows and all(len(row) == len(head) for row in rows), path


def test_the_ledgers_parts_add_up_to_the_iteration(tmp_path):
    made = Synthetic(ranks=3, noise=0.1, slow={(2, "fc1"): 1.3})
    report(tmp_path, made)
    ledger = pd.read_csv(tmp_path / "out" / "run-csv" / "ledger.csv", index_col="rank")
    parts = ["forward_ms", "backward_ms", "update_ms", "unaccounted_ms"]
    parts += [f"{name}_ms" for name in ACTIVITIES]
    np.testing.assert_allclose(ledger[parts].sum(axis=1), ledger["iteration_ms"], rtol=1e-5)
    expected = made.arrays()["iteration_time"][2:].mean(0) / 1e3
    np.testing.assert_allclose(ledger["iteration_ms"], expected, rtol=1e-5)


def test_the_table_of_layers_is_right(tmp_path):
    report(tmp_path, Synthetic(ranks=2, slow={(1, "conv2"): 1.1}))
    table = pd.read_csv(tmp_path / "out" / "run-csv" / "layers.csv", index_col="layer")
    np.testing.assert_allclose(table["forward_ms"], [0.1, 0.21, 0.3], rtol=1e-5)
    np.testing.assert_allclose(table["total_ms"], [0.31, 0.651, 0.93], rtol=1e-5)
    # 1e6 FLOP and 1e3 byte each us, by the made-up description
    np.testing.assert_allclose(table["gflop_per_s"], [1000, 1000 / 1.05, 1000], rtol=1e-5)
    np.testing.assert_allclose(table["gbyte_per_s"], [1, 1 / 1.05, 1], rtol=1e-5)
    assert table.loc["conv2", "slowest_rank"] == 1
    assert table.loc["conv2", "slowest_excess_percent"] == pytest.approx(10, rel=1e-4)
    iteration_ms = (66 + 20 + 5 + 30 + 8 + 2 + 1 + 310 * 6 - 4) / 1e3
    np.testing.assert_allclose(table["share_percent"], 100 * table["total_ms"] / iteration_ms,
                               rtol=1e-3)
    by_rank = pd.read_csv(tmp_path / "out" / "run-csv" / "layers-by-rank.csv")
    slow = by_rank[(by_rank["rank"] == 1) & (by_rank["layer"] == "conv2")].iloc[0]
    assert slow["above_other_ranks_percent"] == pytest.approx(10, rel=1e-4)


def test_shares_of_layers_add_up_to_what_the_ledger_says(tmp_path):
    def stall(arrays):  # a few long iterations, which medians do not see
        arrays["layer_time"][5:9] *= 4
        arrays["iteration_time"][5:9] += 3 * 1860

    report(tmp_path, Synthetic(ranks=2, noise=0.1), change=stall)
    layers = pd.read_csv(tmp_path / "out" / "run-csv" / "layers.csv")
    ledger = pd.read_csv(tmp_path / "out" / "run-csv" / "ledger.csv")
    work = ledger[["forward_ms", "backward_ms", "update_ms"]].to_numpy().sum()
    assert layers["share_percent"].sum() == pytest.approx(
        100 * work / ledger["iteration_ms"].sum(), rel=1e-4)


def test_a_run_that_was_resumed_shows_its_starts(tmp_path):
    kept = pathlib.Path(__file__).parent / "fixtures" / "run-1.2.0.h5"
    assert main(["report", str(kept), "-o", str(tmp_path)]) == 0
    facts = {title: rows for title, rows, _ in data_of(next(tmp_path.glob("*.html")))["facts"]}
    (_, first), (_, second) = facts["Starts"]
    assert first.startswith("begun, on vm: layerledger train")
    assert second.startswith("after iteration 5 from runs/run-1.2.0.checkpoints/")
    assert ["records lost", "0 iterations, 0 spans"] in facts["Facts"]
    data = data_of(next(tmp_path.glob("*.html")))
    assert data["sections"]["iterations"]["starts"] == [5]
    for window in data["sections"]["timeline"]["windows"]:  # none is of two starts
        assert max(window["iterations"]) < 5 or min(window["iterations"]) >= 5
    titles = {finding["title"]: finding["text"] for finding in data["findings"]}
    assert titles["The run was started 2 times"].startswith("Numbers are over all of its starts.")


@needs_chromium
def test_a_browser_marks_the_starts(tmp_path):
    kept = pathlib.Path(__file__).parent / "fixtures" / "run-1.2.0.h5"
    assert main(["report", str(kept), "-o", str(tmp_path)]) == 0
    found = inspect(tmp_path, tmp_path / "run-1.2.0.html", 1280)
    assert found["state"] == "ready" and json.loads(found["wrong"]) == []
    assert "dotted: started again" in browse(tmp_path, tmp_path / "run-1.2.0.html", 1280,
                                             "--dump-dom")


def test_planted_mistakes_stand_on_the_page(tmp_path):
    made = Synthetic(ranks=4, slow={(1, "conv2"): 1.1}, gaps={(7, 3): 1000})
    titles = [finding["title"] for finding in data_of(report(tmp_path, made))["findings"]]
    assert "conv2 is slow on rank 1" in titles
    assert "Gap in iteration 7 on rank 3" in titles


def test_the_straggler_map_shows_who_and_when(tmp_path):
    def stall(arrays):  # rank 2 takes 20 % longer in iteration 9
        arrays["iteration_time"][9, 2] *= 1.2

    page = report(tmp_path, Synthetic(ranks=3), change=stall)
    table = pd.read_csv(tmp_path / "out" / "run-csv" / "ranks.csv", index_col=["rank", "host"])
    assert table.max(axis=1).idxmax() == (2, "node0")
    assert table.max(axis=0).idxmax() == "iteration_9"
    data = data_of(page)["sections"]
    assert data["ranks"]["shape"] == [3, 18]
    assert "nodes" not in data  # there is one
    assert data["ranks"]["slowest"][0][:2] == [0, "node0"]  # the first of equals


def cells_of(section):
    """[line, column]: deviations as shares, from the page's data."""
    levels = np.frombuffer(base64.b64decode(section["cells"]), np.int8)
    return levels.reshape(section["shape"]) / 127 * section["scale"]


def test_ranks_of_a_node_stand_together_and_nodes_have_a_map(tmp_path):
    def stall(arrays):  # rank 4, on b, takes 30 % longer in iterations 9 and 10
        arrays["iteration_time"][9:11, 4] *= 1.3

    made = Synthetic(ranks=6, hosts=["a.x", "b.x", "c.x"] * 2)
    data = data_of(report(tmp_path, made, change=stall))["sections"]
    assert data["ranks"]["names"] == [0, 3, 1, 4, 2, 5]
    assert data["ranks"]["nodes"] == data["nodes"]["names"] == ["a", "b", "c"]
    assert data["ranks"]["node"] == [0, 0, 1, 1, 2, 2]
    expected = np.zeros((3, 18))
    own = 1860 + 20 + 5 + 8 + 2 + 1
    expected[1, 7:9] = 0.3 * (own + 30) / own  # the whole iteration is longer
    np.testing.assert_allclose(cells_of(data["nodes"]), expected, atol=0.01)
    cells = cells_of(data["ranks"])
    most = data["ranks"]["scale"]  # stronger colours there are none
    np.testing.assert_allclose(cells[3], np.minimum(expected[1], most), atol=0.01)
    np.testing.assert_allclose(cells[[0, 1, 2, 4, 5]], 0, atol=0.01)
    folder = tmp_path / "out" / "run-csv"
    nodes = pd.read_csv(folder / "nodes.csv", index_col="node")
    assert list(nodes.index) == ["a.x", "b.x", "c.x"] and list(nodes["ranks"]) == [2, 2, 2]
    np.testing.assert_allclose(nodes.drop(columns="ranks"), 1 + expected, atol=1e-4)
    assert list(pd.read_csv(folder / "ranks.csv")["rank"]) == [0, 3, 1, 4, 2, 5]


def test_hosts_that_differ_in_their_domains_keep_them():
    assert short_names(["a.x", "b.x"]) == ["a", "b"]
    assert short_names(["a.x", "a.y"]) == ["a.x", "a.y"]


def test_a_long_run_of_many_ranks_keeps_its_stragglers(tmp_path):
    """Cells are merged so that the page stays small, and what deviates most is what they show."""
    def stall(arrays):
        arrays["iteration_time"][777, 900] *= 1.5

    made = Synthetic(ranks=1024, iterations=1000, layers=("fc1",), buckets=1, ranks_per_host=8)
    page = report(tmp_path, made, change=stall)
    assert page.stat().st_size < 3_000_000
    section = data_of(page)["sections"]["ranks"]
    cells = cells_of(section)
    assert cells.shape[0] == 1024 and cells.shape[1] <= 512
    at = np.unravel_index(np.argmax(cells), cells.shape)
    assert section["names"][at[0]] == 900
    assert section["iterations"][at[1]] <= 777 < section["iterations"][at[1]] + section["rowStep"]


def test_buckets_tell_what_was_hidden_and_how_fast_they_travelled(tmp_path):
    report(tmp_path, Synthetic(ranks=4, slow={(1, "fc1"): 1.1}))
    table = pd.read_csv(tmp_path / "out" / "run-csv" / "buckets.csv", index_col="bucket")
    # fc1's two passes take 90 us longer on rank 1, for which three ranks of four wait.
    np.testing.assert_allclose(table["wait_ms"], 0.75 * 0.09, rtol=1e-4)
    np.testing.assert_allclose(table["transfer_ms"], [0.015, 0.03], rtol=1e-4)
    hidden = table["wait_ms"] + table["transfer_ms"] - table["exposed_wait_ms"] - table[
        "exposed_transfer_ms"]
    np.testing.assert_allclose(table["hidden_ms"], hidden, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        table["bus_gbyte_per_s"], 1.5 * table["mbyte"] / table["transfer_ms"], rtol=1e-4)


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
        "iteration": [2, 42], "rank": [5, 1], "layer": [1, -1], "phase": [1, -1], "cause": [4, 0],
        "percent": [12.5, 300.0], "excess": [1250.0, 400.0], "windows": [10, 2],
        "all_windows": [10, 10], "persistence": [0, 2]}),
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


def test_what_makes_ranks_late_is_told_by_rank_and_node(tmp_path):
    section = data_of(late_report(tmp_path))["sections"]["late"]
    assert section["rows"] == [
        [5, "compute-node-0001", "conv2 backward", 1.25, 12.5, "10 of 10", "always", 2],
        [1, "compute-node-0000", "input", 0.4, 300, "2 of 10", "at random", 42]]
    assert section["nodes"] == [["compute-node-0001", 4, 75, 1.25, 1, 0, 0],
                                ["compute-node-0000", 4, 25, 0.08, 0, 0, 1]]
    table = pd.read_csv(tmp_path / "out" / "late-csv" / "late.csv")
    assert table["persistence"].tolist() == ["always", "at random"]
    buckets = pd.read_csv(tmp_path / "out" / "late-csv" / "buckets.csv")
    np.testing.assert_allclose(buckets["zero_skew_ms"], [0.0065, 0.0075])


@needs_chromium
@pytest.mark.parametrize("width", [1280, 800, 500])
def test_tables_of_late_ranks_and_buckets_fit(tmp_path, width):
    found = inspect(tmp_path, late_report(tmp_path), width)
    assert (found["state"], json.loads(found["wrong"])) == ("ready", [])


def test_the_timeline_is_on_one_clock(tmp_path):
    made = Synthetic(ranks=2)
    page = report(tmp_path, made)
    table = pd.read_csv(tmp_path / "out" / "run-csv" / "timeline.csv")
    typical = table[table["window"] == "typical"]
    first = typical["iteration"].min()
    spans = typical[(typical["iteration"] == first) & (typical["rank"] == 1)]
    forward = spans[spans["what"] == "conv2 forward"].iloc[0]
    assert forward["start_ms"] == pytest.approx(0.125, rel=1e-4)
    assert forward["duration_ms"] == pytest.approx(0.2, rel=1e-4)
    following = typical[(typical["iteration"] == first + 1) & (typical["what"] == "conv2 forward")]
    length = made.arrays()["iteration_time"][0, 0] / 1e3
    np.testing.assert_allclose(following["start_ms"], 0.125 + length, rtol=1e-4)
    assert data_of(page)["sections"]["timeline"]["ranks"] == [0, 1]


def test_many_ranks_are_represented_from_slowest_to_fastest(tmp_path):
    made = Synthetic(ranks=64, iterations=6, slow={(33, "fc1"): 1.5, (12, "fc1"): 0.5})
    chosen = data_of(report(tmp_path, made))["sections"]["timeline"]["ranks"]
    assert len(chosen) == 10 and {33, 12} <= set(chosen)


def test_roofs_are_given_or_those_that_the_run_reached(tmp_path, capsys):
    page = report(tmp_path, Synthetic())
    assert "best seen in this run" in data_of(page)["roofText"]
    page = report(tmp_path, Synthetic(), words=["--peak-gflops", "4000", "--peak-gbs", "2"])
    assert data_of(page)["sections"]["roofline"]["roofs"] == [4000, 2]
    assert "given on the command line" in data_of(page)["roofText"]
    table = pd.read_csv(tmp_path / "out" / "run-csv" / "roofline.csv")
    np.testing.assert_allclose(table["of_roof_percent"], 50, rtol=1e-4)  # 1 of 2 GB/s
    run = str(tmp_path / "run.h5")
    assert main(["report", run, "-o", str(tmp_path), "--peak-gflops", "3"]) == 64
    assert "both --peak-gflops and --peak-gbs" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["report", run, "-o", str(tmp_path), "--peak-gflops", "-3", "--peak-gbs", "1"])
    assert stopped.value.code == 64


def test_roofs_can_be_probed(tmp_path, monkeypatch):
    monkeypatch.setattr("layerledger.report.probe", lambda: (123.0, 45.0))
    page = report(tmp_path, Synthetic(), words=["--probe-roofs", "--peak-gbs", "9"])
    assert data_of(page)["sections"]["roofline"]["roofs"] == [123, 9]
    text = data_of(page)["roofText"]
    assert "FLOP/s probed with numpy on all cores of this machine, bytes/s given" in text


def test_probing_measures_something():
    from layerledger.roofs import probe
    gflops, gbs = probe(extent=256, megabytes=8)
    assert gflops > 0 and gbs > 0


@pytest.mark.parametrize(("given", "code", "says"), [
    ({"iterations": 3, "warmup": 3}, 65, "no iterations after warm-up"),
    ({"schema_version": "2.0.0"}, 65, "schema 2.0.0"),
])  # fmt: skip
def test_bad_files_get_one_line(tmp_path, capsys, given, code, says):
    run = Synthetic(**given).write(tmp_path / "run.h5")
    assert main(["report", str(run), "-o", str(tmp_path / "out")]) == code
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and "run.h5" in error[0] and says in error[0]


def test_a_file_that_is_missing(tmp_path, capsys):
    assert main(["report", str(tmp_path / "no.h5"), "-o", str(tmp_path / "out")]) == 66
    assert "no.h5: there is no such file" in capsys.readouterr().err


def test_an_output_that_cannot_be_written(tmp_path, capsys):
    run = Synthetic().write(tmp_path / "run.h5")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.html").mkdir()
    assert main(["report", str(run), "-o", str(tmp_path / "out")]) == 73
    assert "run.html: cannot be written" in capsys.readouterr().err
