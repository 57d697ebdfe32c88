"""The command `report`: its page, the page's data and its CSV files."""

import csv
import pathlib
import re

import numpy as np
import pandas as pd
import pytest

from layerledger.cli import main
from report_pages import RUNS, SECTIONS, data_of, report
from synthetic import ACTIVITIES, Synthetic


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
