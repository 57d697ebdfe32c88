"""The pages of the command `report` as a browser shows them."""

import json
import pathlib

import pandas as pd
import pytest

from devtools import Devtools
from layerledger.cli import main
from report_pages import CHROMIUM, RUNS, browse, inspect, late_report, needs_chromium, report
from synthetic import Synthetic


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


@needs_chromium
def test_a_browser_marks_the_starts(tmp_path):
    kept = pathlib.Path(__file__).parent / "fixtures" / "run-1.2.0.h5"
    assert main(["report", str(kept), "-o", str(tmp_path)]) == 0
    found = inspect(tmp_path, tmp_path / "run-1.2.0.html", 1280)
    assert found["state"] == "ready" and json.loads(found["wrong"]) == []
    assert "dotted: started again" in browse(tmp_path, tmp_path / "run-1.2.0.html", 1280,
                                             "--dump-dom")


@needs_chromium
@pytest.mark.parametrize("width", [1280, 800, 500])
def test_tables_of_late_ranks_and_buckets_fit(tmp_path, width):
    found = inspect(tmp_path, late_report(tmp_path), width)
    assert (found["state"], json.loads(found["wrong"])) == ("ready", [])
