"""What a missed promise costs, on a line of nodes 10 s apart."""

import numpy as np
import pytest

from cities import T0, new_orders, positions
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import POLICIES, Policy
from dispatch.errors import InputError
from dispatch.roads.pace import PaceOfDay
from dispatch.roads.spread_times import SpreadByTime, SpreadTimes
from engine.riding import LINE, line_dispatcher, offers, ride

LEVELS = (0.1, 0.5, 0.9)
METRIC = LINE.free_flow()


class DoubtfulFrom:
    """Certain times, but from one node: those may take five times as long."""

    levels = LEVELS

    def __init__(self, node, rows=None):
        self.node, self.rows, self.num_nodes = node, rows, METRIC.num_nodes

    def pairs_ms(self, from_node, to_node):
        return METRIC.pairs_ms(from_node, to_node)

    def quantiles_ms(self, from_node, to_node):
        median = METRIC.pairs_ms(from_node, to_node)
        late = np.where(from_node == self.node, 5 * median, median)
        return np.stack([median, median, late], axis=1) if self.rows is None else self.rows


def dispatched(times, policy, drivers, pickups, at_ms=T0, **params):
    dispatcher = Dispatcher(LINE, times, DispatchParams(policy, **params))
    dispatcher.drivers_online(positions(LINE, range(1, len(drivers) + 1), drivers, at_ms))
    dispatcher.submit(new_orders(LINE, range(70, 70 + len(pickups)), pickups, [19] * len(pickups), T0))
    return [(order, driver) for order, driver, *_ in offers(dispatcher.step(at_ms))]


PROMISE = Policy(risk_cost_s=300.0, promise_s=100.0)


def test_a_sure_driver_is_worth_a_longer_way():
    """Driver 1 needs 50 s, perhaps 250; driver 2 surely 60."""
    for times in (DoubtfulFrom(5), SpreadTimes(METRIC, LEVELS, np.ones(3))):
        assert dispatched(times, "batch", [5, 16], [10]) == [(70, 1)]
    assert dispatched(DoubtfulFrom(5), PROMISE, [5, 16], [10]) == [(70, 2)]
    assert dispatched(SpreadTimes(METRIC, LEVELS, np.ones(3)), PROMISE, [5, 16], [10]) == [(70, 1)]
    spread = SpreadTimes(METRIC, LEVELS, np.array([0.9, 1.0, 1.1]))
    assert dispatched(spread, PROMISE, [5, 16], [10], candidates_by="road") == [(70, 1)]


def test_what_is_missed_whoever_comes_is_given_to_the_nearest():
    late = T0 + 101_000
    assert dispatched(DoubtfulFrom(5), PROMISE, [5, 16], [10], late) == [(70, 1)]


def test_drivers_are_shared_out_by_risk():
    """Both ways to do it take 160 s in all; one misses the promise of an order, the other keeps both."""
    policy = Policy(risk_cost_s=300.0, promise_s=90.0)
    times = SpreadTimes(METRIC, LEVELS, np.ones(3))
    assert dispatched(times, policy, [0, 2], [10, 8]) == [(70, 2), (71, 1)]


@pytest.mark.parametrize(("risk_cost_s", "driver"), [(0.0, 5), (300.0, 4)])
def test_the_rest_of_a_trip_counts_as_certain(risk_cost_s, driver):
    """Driver 4 drops off in 50 s, 20 s away: late with 0.2; driver 5 is 60 s away, all of it unsure: 1/3."""
    times = SpreadTimes(METRIC, LEVELS, np.array([1.0, 1.0, 2.0]))
    policy = Policy(risk_cost_s=risk_cost_s, promise_s=85.0, chain_before_dropoff_s=120.0)
    dispatcher = Dispatcher(LINE, times, DispatchParams(policy))
    ride(dispatcher, 1, 4, 5, 10)
    dispatcher.drivers_online(positions(LINE, [5], [18]))
    dispatcher.submit(new_orders(LINE, [2], [12], [3]))
    assert [one[:2] for one in offers(dispatcher.step(T0))] == [(2, driver)]


@pytest.mark.parametrize("times", [None, METRIC, PaceOfDay(METRIC, np.array([1000, 2000]), 60_000, 0)])
def test_without_uncertain_times_there_is_no_risk_to_weigh(times):
    with pytest.raises(
        InputError, match=r"risk_cost_s is 300.0 and travel_times a .*: only .*UncertainTimes"
    ):
        Dispatcher(LINE, times, DispatchParams("promise"))


def test_times_that_change_with_time_may_be_uncertain():
    pace = PaceOfDay(METRIC, np.array([1000, 2000]), 60_000, 0)
    times = SpreadByTime(pace, lambda base: SpreadTimes(base, LEVELS, np.array([0.5, 1.0, 2.0])))
    dispatcher = Dispatcher(LINE, times, DispatchParams("promise"))
    assert dispatcher.travel_times is times
    for at_ms, seconds in ((T0 // 120_000 * 120_000, 50), (T0 // 120_000 * 120_000 + 60_000, 100)):
        dispatcher.drivers_online(positions(LINE, [at_ms % 7], [5], at_ms))
        (told,) = dispatcher.quote(new_orders(LINE, [1], [10], [15], at_ms), at_ms)
        assert told.pickup_eta_range_ms == (500 * seconds, 2000 * seconds)
        dispatcher.drivers_offline([at_ms % 7], at_ms)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((1, 2), int), r"quantiles_ms gave int64 of shape \(1, 2\): .* of shape \(1, 3\)"),
        (np.zeros((1, 3)), "quantiles_ms gave float64 of shape"),
        (np.array([[3, 2, 4]]), r"gave \[3, 2, 4\] ms from node 5 to 10: they must ascend from 0 to"),
        (np.array([[1, 2, 2**40]]), "they must ascend from 0 to"),
    ],
)
def test_what_the_callers_own_times_say_is_checked(rows, message):
    with pytest.raises(InputError, match=message):
        dispatched(DoubtfulFrom(5, rows), PROMISE, [5], [10])


def test_levels_are_checked():
    times = DoubtfulFrom(5)
    times.levels = (0.5, 0.5)
    with pytest.raises(
        InputError, match=r"levels is \(0.5, 0.5\): it must hold at least two numbers that ascend"
    ):
        Dispatcher(LINE, times)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("promise_s", -1, "promise_s is -1: it must be a number from 0 to 86400 seconds"),
        ("risk_cost_s", np.nan, "risk_cost_s is nan"),
        ("reassign_on_miss", 1, "reassign_on_miss is 1: it must be true or false"),
    ],
)
def test_out_of_range(name, value, message):
    with pytest.raises(InputError, match=message):
        Policy(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("risk_cost_s", 5.0), ("reassign_on_miss", True)])
def test_nearest_first_cannot_weigh_it(name, value):
    with pytest.raises(InputError, match=f"{name} is {value} and matching 'nearest': only 'batch' weighs"):
        Policy(matching="nearest", **{name: value})


def test_a_policy_of_ones_own_sees_the_cost():
    class Own(Policy):
        def choose(self, window):
            seen.append(window)
            return np.full(len(window.order_id), -1)

    seen = []
    dispatched(DoubtfulFrom(5), Own(risk_cost_s=300.0, promise_s=100.0), [5, 16], [10])
    assert seen[0].eta_ms.tolist() == [50_000, 60_000]
    assert seen[0].cost.tolist() == [50_000 + 300_000 * 4 // 10, 60_000]


def test_its_name():
    assert POLICIES["promise"] == Policy("promise", risk_cost_s=300.0)
    assert POLICIES["rescue"] == Policy("rescue", reassign_on_miss=True)
    assert not line_dispatcher("rescue")._world.is_plain
