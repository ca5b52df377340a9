"""The readers of logs on a log that the engine and the simulator made."""

import numpy as np
import pytest

from dispatch.analysis import check_invariants, driver_table, kpis, order_table, write_report
from dispatch.analysis.run_record import RunRecord
from dispatch.sim.runner import run
from dispatch.sim.scenario import synthetic_scenario
from naive.replay import drivers_in_plain_python, orders_in_plain_python, replay


@pytest.fixture(scope="module")
def simulated():
    return run(synthetic_scenario(seed=3, num_orders=600, num_drivers=40))


def test_invariants_and_oracle_agree_on_a_simulated_run(simulated):
    report = check_invariants(simulated.events)
    state, breach = replay(simulated.events)
    assert breach is None
    assert report.num_orders == 600
    assert report.num_closed == list(state.order_state.values()).count("closed") > 300
    assert report.num_online == 0, "everybody goes home"


def test_tables_agree_with_the_oracle_on_a_simulated_run(simulated):
    table, drivers = order_table(simulated.events), driver_table(simulated.events)
    orders = orders_in_plain_python(simulated.events)
    for name in (
        "accepted_at_ms",
        "picked_up_at_ms",
        "quoted_eta_ms",
        "trip_m",
        "fare_cents",
        "num_cars_shown",
    ):
        assert getattr(table, name).tolist() == [row.get(name, -1) for row in orders], name
    totals = drivers_in_plain_python(simulated.events)
    assert drivers.occupied_ms.tolist() == [
        totals[driver]["occupied_ms"] for driver in drivers.driver_id.tolist()
    ]


def test_drivers_arrive_exactly_as_predicted_in_a_simulation(simulated):
    got = kpis(simulated.events)
    assert (got["pickup_eta_mae_s"], got["pickup_late5_share"]) == (0.0, 0.0)


def test_a_stopped_run_is_legal_so_far(simulated):
    for length in np.linspace(1, len(simulated.events), 5).astype(int):
        check_invariants(simulated.events[:length], complete=False)


def test_a_report_of_a_simulated_run(simulated, tmp_path):
    measured = kpis(simulated.events, travel_is_predicted=True)
    record = RunRecord("batch", {"policy": "batch", "timezone": "UTC"}, simulated.events, measured)
    write_report(tmp_path / "report.html", simulated.scenario.city, [record])
    assert (tmp_path / "report.html").stat().st_size < 8_000_000
