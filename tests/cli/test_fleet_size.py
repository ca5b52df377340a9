import json

import pyarrow.parquet as pq
import pytest

from cli.said import assert_one_line
from sim.tiny_sweeps import TINY


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenarios") / "tiny.toml"
    path.write_text(TINY.to_toml())
    return path


def test_the_least_fleet_the_curve_and_the_files(dispatch, scenario, tmp_path):
    files = {name: tmp_path / name for name in ("fleet.json", "fleet.html")}
    folder = tmp_path / "runs"
    command = (
        "fleet-size", scenario, "--target", "golden10=0.9", "--target", "completion=0.9", "--seeds", 2,
        "--step", 2, "--high", 60, "--out", folder,
    )  # fmt: skip
    files_told = ("--json", files["fleet.json"], "--report", files["fleet.html"])
    status, out, err = dispatch(*command, *files_told)
    assert (status, err) == (0, "")
    told = json.loads(files["fleet.json"].read_text())
    found = told["drivers"]
    assert f"{found} drivers: the least fleet found for Golden ten minutes ≥ 90.0 % and Completed" in out
    assert f"{found - 2} drivers fail" in out
    assert "Orders whose last acceptance quoted" in " ".join(out.split())
    curve = {one["drivers"]: one for one in told["fleets"]}
    for fleet, one in curve.items():
        reached = one["kpis"]["golden10_share"] >= 0.9 and one["kpis"]["completion_share"] >= 0.9
        assert one["passes"] == reached
        assert f"│ {fleet:>7} │" in out
    assert curve[found]["passes"]
    assert not curve[found - 2]["passes"]
    assert told["larger_failing"] == [n for n, one in curve.items() if n > found and not one["passes"]]
    assert ("Not monotone" in out) == bool(told["larger_failing"])
    assert "Fleet size" in files["fleet.html"].read_text()
    # All runs are kept, also for sweeps of the same scenario.
    assert pq.read_table(folder / "runs.parquet").num_rows == 2 * len(curve)
    before = (folder / "runs.parquet").stat().st_mtime_ns
    assert dispatch(*command)[0] == 0
    assert dispatch("sweep", scenario, "--vary", f"drivers={found}", "--seeds", 2, "--out", folder)[0] == 0
    assert (folder / "runs.parquet").stat().st_mtime_ns == before


def test_what_cannot_be_reached_tells_the_best(dispatch, scenario):
    status, out, _ = dispatch(
        "fleet-size", scenario, "--target", "utilisation=0.99", "--low", 8, "--high", 16, "--step", 8,
        "--seeds", 1,
    )  # fmt: skip
    assert status == 1
    assert "no fleet from 8 to 16 drivers reaches Utilisation ≥ 99.0 %" in out
    assert "Utilisation, best: " in out
    assert "with 8 drivers (one seed)." in out


def test_the_worse_end_of_the_interval(dispatch, scenario, tmp_path):
    shares = {}
    for confidence in ((), ("--confidence", 0.9)):
        status, out, _ = dispatch(
            "fleet-size", scenario, "--target", "completion=0.5", "--low", 10, "--high", 10, "--seeds", 2,
            "--json", tmp_path / "one.json", "--out", tmp_path / "runs", *confidence,
        )  # fmt: skip
        assert status == 0
        assert "It is the least that was allowed" in out
        shares[confidence] = json.loads((tmp_path / "one.json").read_text())["confidence"]
    assert list(shares.values()) == [None, 0.9]
    assert "worse ends of 90 % intervals over 2 seeds" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--target", "golden11=0.9"],
            "--target names golden11: there is no such KPI; did you mean",
        ),
        (["--target", "golden10=95"], "--target golden10_share is 95.0: it must be a number from 0 to 1"),
        (["--target", "golden10=1", "--low", "9", "--high", "3"], "--high is 3"),
        (["--target", "golden10=1", "--step", "0"], "--step is 0"),
        (
            ["--target", "golden10=1", "--seeds", "1", "--confidence", "0.95"],
            "--seeds is 1: an interval",
        ),
        (["--target", "golden10=1", "--seeds", "2", "--confidence", "95"], "--confidence is 95.0"),
    ],
)
def test_what_is_wrong_is_told(dispatch, scenario, options, message):
    assert_one_line(dispatch("fleet-size", scenario, *options), message)
