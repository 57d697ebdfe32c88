"""What the command `report` says of ranks that are late and of the buckets they wait for."""

import base64

import numpy as np
import pandas as pd

from layerledger.runfile import RunFile
from layerledger.straggler_data import short_names
from report_pages import data_of, late_report, report
from synthetic import Synthetic


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


def test_what_makes_ranks_late_is_told_by_rank_and_node(tmp_path):
    section = data_of(late_report(tmp_path))["sections"]["late"]
    assert section["rows"] == [
        [5, "compute-node-0001", "conv2 backward", 1.25, 12.5, "10 of 10", "always", 2],
        [1, "compute-node-0000", "input", 0.4, 300, "2 of 10", "at random", 42],
        [2, "compute-node-0000", "all layers", 0.3, 10, "10 of 10", "always", 2]]
    assert section["nodes"] == [["compute-node-0001", 4, 75, 1.25, 1, 0, 0],
                                ["compute-node-0000", 4, 25, 0.38, 1, 0, 1]]
    with RunFile(tmp_path / "late.h5") as run:
        assert run.sensitivity["percent"].tolist() == [2.5, 6.5]
    table = pd.read_csv(tmp_path / "out" / "late-csv" / "late.csv")
    assert table["persistence"].tolist() == ["always", "at random", "always"]
    buckets = pd.read_csv(tmp_path / "out" / "late-csv" / "buckets.csv")
    np.testing.assert_allclose(buckets["zero_skew_ms"], [0.0065, 0.0075])
