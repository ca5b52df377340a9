import pytest

from analysis.histories import random_history
from analysis.logs import event, log_of, random_log
from dispatch.analysis.kpi_list import KPI, KPIS
from dispatch.analysis.measured import measured
from dispatch.engine.events import EventKind as K

NEED_CANCELLING = {
    "customer_cancel_share",
    "customer_cancel_before_acceptance_share",
    "customer_cancel_after_acceptance_share",
    "customer_cancel_after_arrival_share",
    "driver_cancel_share",
}
TOTAL = "processing_mean_s"
NEED_DRIVEN_TRAVEL = {"pickup_eta_mae_s", "pickup_eta_bias_s", "pickup_late5_share", "pickup_late10_share"}


@pytest.mark.parametrize("kpi", KPIS, ids=lambda kpi: kpi.name)
def test_each_kpi_has_a_unit_a_definition_and_a_format(kpi):
    assert kpi.name.endswith(("_share", "_s", "_per_order", "_cents_per_h", "_gini", "_gap"))
    assert kpi.definition.endswith(".")
    assert "nan" not in kpi.format(0.123).lower()
    assert kpi.format(None) == "–"


def test_names_are_unique_and_labels_tell_kpis_apart():
    assert len(KPI) == len(KPIS) == len({kpi.label for kpi in KPIS}) == len({kpi.definition for kpi in KPIS})


def test_eta_errors_are_what_needs_driven_travel():
    assert {kpi.name for kpi in KPIS if kpi.needs_driven_travel} == NEED_DRIVEN_TRAVEL


def test_what_needs_cancelling_says_when_it_is_empty():
    told = {kpi.name for kpi in KPIS if "empty where nobody can cancel" in kpi.definition}
    assert {kpi.name for kpi in KPIS if kpi.needs_cancelling} == told == NEED_CANCELLING


def test_income_rests_on_the_declared_fare_rule():
    income = [kpi for kpi in KPIS if "income" in kpi.name]
    assert len(income) == 4
    assert all("by the declared fare rule" in kpi.definition for kpi in income)


@pytest.mark.parametrize("seed", range(3))
def test_empty_driving_is_the_sum_of_what_it_is_split_into(seed):
    tables = measured(random_history(seed, num_steps=400))
    parts = ("idle", "pickup", "repositioning")
    shares = [KPI[f"empty_km_{part}_share"].measure(tables) for part in parts]
    assert all(shares)
    assert sum(shares) == pytest.approx(KPI["empty_km_share"].measure(tables))
    trip_m = int(tables.drivers.trip_m.sum())
    assert KPI["empty_km_share"].measure(tables) == pytest.approx(1 - trip_m / tables.driven_m)


def test_ways_to_pickups_that_were_not_reached_are_ways_to_pickups():
    legs = ((K.CRUISING_LEG, 100), (K.REPOSITIONING_LEG, 200), (K.ABANDONED_LEG, 300))
    told = [event(kind, 5, driver_id=1, leg_m=metres) for kind, metres in legs]
    tables = measured(log_of(event(K.DRIVER_ONLINE, 0, driver_id=1), *told))
    assert [
        KPI[f"empty_km_{part}_share"].measure(tables) for part in ("idle", "pickup", "repositioning")
    ] == [
        100 / 600,
        300 / 600,
        200 / 600,
    ]
    assert KPI["empty_km_share"].measure(tables) == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_customers_cancel_in_one_of_three_stages(seed):
    tables = measured(random_history(seed, num_steps=400))
    stages = ("before_acceptance", "after_acceptance", "after_arrival")
    shares = [KPI[f"customer_cancel_{stage}_share"].measure(tables) for stage in stages]
    assert sum(shares) == pytest.approx(KPI["customer_cancel_share"].measure(tables))


@pytest.mark.parametrize("make_log", [random_log, random_history])
@pytest.mark.parametrize("seed", range(5))
def test_shares_lie_between_none_and_all(seed, make_log):
    tables = measured(make_log(seed))
    shares = {kpi.name: kpi.measure(tables) for kpi in KPIS if kpi.name.endswith("_share")}
    assert all(value is None or 0 <= value <= 1 for value in shares.values()), shares


def test_what_is_measured_on_drivers_is_nothing_for_a_part_of_the_orders():
    """The rule behind ``Kpi.of``: a new KPI of drivers fails here until it is listed as one."""
    logs = [measured(random_log(seed)) for seed in range(1, 12)]
    for kpi in KPIS:
        # All orders, but taken as a part: figures of orders stay as they are.
        parts = [kpi.measure(tables.of_orders(slice(None))) for tables in logs]
        if kpi.of == "orders":
            assert parts == [kpi.measure(tables) for tables in logs], kpi.name
            assert any(value is not None for value in parts), kpi.name
        else:
            assert parts == [None] * len(logs), kpi.name


@pytest.mark.parametrize("seed", range(1, 4))
def test_stages_of_processing_add_up(seed):
    tables = measured(random_log(seed))
    stages = [kpi.measure(tables) for kpi in KPIS if kpi.name.startswith("processing_") and kpi.name != TOTAL]
    assert len(stages) == 5
    assert sum(stages) == pytest.approx(KPI[TOTAL].measure(tables))


def test_regret_has_a_distribution():
    tables = measured(random_log(5))
    regret_s = sorted(tables.eta_regret_ms() / 1000)
    for percent in (50, 90, 99):
        got = KPI[f"eta_regret_p{percent}_s"].measure(tables)
        assert regret_s[0] <= got <= regret_s[-1]
        assert sum(one <= got for one in regret_s) >= percent / 100 * (len(regret_s) - 1)
