import numpy as np
import pytest

from analysis.runs import record
from dispatch.analysis import charts
from dispatch.analysis.charts import BIN_MINUTES, run_tables

NAMES = [f"run {number}" for number in range(4)]


@pytest.fixture(scope="module")
def tables():
    return run_tables([record(seed, name) for seed, name in enumerate(NAMES)], "America/Los_Angeles")


def test_demand_counts_every_order_and_ends_with_the_last_request(tables):
    for one, submitted, completed in zip(
        tables, charts.demand(tables)["data"][::2], charts.demand(tables)["data"][1::2], strict=True
    ):
        assert sum(submitted["y"]) == len(one.orders)
        assert sum(completed["y"]) == np.count_nonzero(one.orders.is_completed)
        assert submitted["y"][-1] > 0
        assert len(submitted["x"]) == len(submitted["y"])


def test_drivers_stack_up_to_those_online(tables):
    one = tables[0]
    figure = charts.driver_states(one, tables)
    total = sum(np.array(trace["y"]) for trace in figure["data"])
    online_ms = total.sum() * BIN_MINUTES * 60_000
    before_first_order_ms = one.series.from_at_ms[0] - one.run.events["at_ms"][0]
    assert online_ms <= one.drivers.online_ms.sum() * 1.01 + 1
    assert online_ms >= one.drivers.online_ms.sum() * 0.99 - len(one.drivers) * max(before_first_order_ms, 0)


def test_waits_beyond_half_an_hour_are_in_the_last_bar(tables):
    one = tables[0]
    waits_s = (one.orders.picked_up_at_ms - one.orders.submitted_at_ms)[
        one.orders.picked_up_at_ms != -1
    ] / 1000
    trace = charts.waits([one])["data"][0]
    expected = [np.count_nonzero((waits_s >= 60 * m) & (waits_s < 60 * m + 60)) for m in range(30)]
    expected.append(np.count_nonzero(waits_s >= 1800))
    assert trace["y"] == pytest.approx([100 * count / len(waits_s) for count in expected], abs=0.01)
    assert trace["customdata"][-1] == f"over 30 min: {expected[-1]} orders"


def test_one_run_has_bars_and_several_have_outlines_of_their_own_colour(tables):
    assert charts.waits(tables[:1])["data"][0]["type"] == "bar"
    traces = charts.waits(tables)["data"]
    assert [trace["name"] for trace in traces] == NAMES
    assert (
        len({trace["line"]["color"] for trace in traces})
        == len({trace["line"]["dash"] for trace in traces})
        == 4
    )


def test_hours_are_local_to_the_run_or_else_to_the_city():
    own = run_tables([record(1, "a", timezone="Asia/Tokyo")], "UTC")[0]
    citys = run_tables([record(1, "a")], "UTC")[0]
    difference = (own.series.local_minute[0] - citys.series.local_minute[0]) % 1440
    assert difference == 9 * 60


@pytest.mark.parametrize("what", ["trips", "income"])
def test_every_driver_is_in_one_bar(tables, what):
    figure = charts.per_driver(tables, what)
    for one, trace in zip(tables, figure["data"], strict=True):
        counted = [int(text.split(": ")[1].removesuffix(" drivers")) for text in trace["customdata"]]
        assert sum(counted) == np.count_nonzero(one.drivers.online_ms > 0)
        assert len(counted) <= 30


def test_axes_name_their_unit(tables):
    figures = [charts.demand(tables), charts.waits(tables), charts.driver_states(tables[0], tables)]
    figures += [charts.over_the_day(tables, what) for what in ("response", "wait")]
    figures += [charts.per_driver(tables, what) for what in ("trips", "income")]
    for figure in figures:
        for axis in ("xaxis", "yaxis"):
            assert figure["layout"][axis]["title"]["text"]
