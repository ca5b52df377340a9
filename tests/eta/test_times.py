from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from cities import grid_city
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.inputs import NewOrders, Positions
from dispatch.engine.params import DispatchParams
from dispatch.errors import InputError
from dispatch.eta.driven_ways import driven_ways
from dispatch.eta.evaluation import seconds_of, trip_features
from dispatch.eta.features import ways_usual_s
from dispatch.eta.live import LiveTraffic
from dispatch.eta.map_matching import match_pings
from dispatch.eta.model import ASSUMED_RATIOS, EtaModel, constant_forest
from dispatch.eta.times import EtaTimes
from dispatch.eta.trip_set import TripSet
from dispatch.kernels.boosted_trees import BLOCK_ROWS
from dispatch.roads.travel_times import NearestFinder, PathFinder, UncertainTimes
from dispatch.units import UNREACHABLE_MS
from eta.eta_city import DAY_MS, MONDAY_MS, eta_city, next_day, trained

AT_MS = MONDAY_MS + 8 * DAY_MS + 8 * 3_600_000 + 30_000
"""Half past eight seconds of the rush hour of the day after the model's last"""


def drives(num, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, eta_city().graph.num_nodes, (2, num)).astype(np.int32)


def as_trips(from_node, to_node, at_ms):
    """The same drives as trips of nobody known."""
    graph, num = eta_city().graph, len(from_node)
    ends = (at[side] for side in (from_node, to_node) for at in (graph.node_lon, graph.node_lat))
    from_lon, from_lat, to_lon, to_lat = ends
    return TripSet(
        np.arange(num),
        np.full(num, at_ms, np.int64),
        np.ones(num),
        *(from_lon, from_lat, to_lon, to_lat, from_node, to_node),
        np.full(num, -1, np.int64),
    )


def ways_before(at_ms):
    pings = next_day().pings
    ways, _ = driven_ways(eta_city(), pings, match_pings(eta_city(), pings))
    return ways.between(0, at_ms)


def live_before(at_ms):
    ways, live = ways_before(at_ms), LiveTraffic(eta_city(), trained().live)
    live.observe(ways, ways_usual_s(eta_city(), ways, trained().ground.probes))
    return live


@pytest.mark.parametrize("num", [1, 7, 11, BLOCK_ROWS, BLOCK_ROWS + 3, 3 * BLOCK_ROWS])
@pytest.mark.parametrize("is_live", [False, True])
def test_they_are_those_of_the_model_s_own_features(num, is_live):
    model, (from_node, to_node) = trained(), drives(num)
    at = EtaTimes(model, live_before(AT_MS) if is_live else None).at(AT_MS)
    ways = ways_before(AT_MS) if is_live else None
    features, _, both = trip_features(model, as_trips(from_node, to_node, AT_MS), ways, None)
    median_s, quantile_s = seconds_of(model, features, both)
    moves = from_node != to_node
    # Live traffic is summed over edges known each for itself: equal but for rounding, which may move a bin.
    tolerance = {"rtol": 5e-3, "atol": 400} if is_live else {"rtol": 0, "atol": 1}
    np.testing.assert_allclose(at.pairs_ms(from_node, to_node)[moves], 1000 * median_s[moves], **tolerance)
    told = at.quantiles_ms(from_node, to_node)
    np.testing.assert_allclose(told[moves], 1000 * quantile_s[moves], **tolerance)
    assert (told[~moves] == 0).all()
    assert (np.diff(told, axis=1) >= 0).all()


def test_the_median_is_one_of_the_quantiles():
    """Also of drives of less than a second."""
    from_node, to_node = drives(500)
    forests = tuple(constant_forest(ratio) for ratio in (1e-4, 1e-4, 1e-4, 1e-4, 1e-4))
    for model in (trained(), replace(trained(), forests=forests)):
        at = EtaTimes(model).at(AT_MS)
        middle = at.quantiles_ms(from_node, to_node)[:, at.levels.index(0.5)]
        assert np.array_equal(at.pairs_ms(from_node, to_node), middle)


def test_live_traffic_moves_them():
    from_node, to_node = drives(200)
    plain, live = (EtaTimes(trained(), one).at(AT_MS) for one in (None, live_before(AT_MS)))
    assert (plain.pairs_ms(from_node, to_node) != live.pairs_ms(from_node, to_node)).any()
    nothing_told = EtaTimes(trained(), LiveTraffic(eta_city())).at(AT_MS)
    assert (plain.pairs_ms(from_node, to_node) == nothing_told.pairs_ms(from_node, to_node)).all()


def test_the_rush_hour_is_slower():
    from_node, to_node = drives(300)
    times = EtaTimes(trained())
    rush, noon = (times.at(MONDAY_MS + 8 * DAY_MS + h * 3_600_000) for h in (8, 12))
    assert rush.pairs_ms(from_node, to_node).sum() > 1.2 * noon.pairs_ms(from_node, to_node).sum()


def test_they_answer_all_questions_of_the_engine():
    at = EtaTimes(trained()).at(AT_MS)
    assert isinstance(at, UncertainTimes)
    assert isinstance(at, PathFinder)
    assert isinstance(at, NearestFinder)
    assert at.num_nodes == eta_city().graph.num_nodes
    near = at.nearest([3, 40, 60], [41], 2, 10**7)
    assert near.ms.tolist() == at.pairs_ms(np.array([3, 40, 60])[near.item], [41] * 2).tolist()
    assert (np.diff(at.nearest(np.arange(81), [41], 40, 10**7).ms) >= 0).all(), "who is first comes first"
    assert at.paths(np.array([0], np.int32), np.array([9], np.int32)).node[-1] == 9


def test_they_hold_for_a_while_and_are_swapped_whole():
    times = EtaTimes(trained(), remake_every_s=60)
    held = times.at(AT_MS - AT_MS % 60_000)
    assert times.at(held.at_ms + 59_999) is held
    assert times.at(held.at_ms + 60_000) is not held
    assert times.at(held.at_ms) is not held  # the present one is kept, no history
    with pytest.raises(InputError, match="remake_every_s is 0"):
        EtaTimes(trained(), remake_every_s=0)


def test_live_traffic_of_another_city_is_refused():
    with pytest.raises(InputError, match=r"live has .* arcs: Gridville has"):
        EtaTimes(trained(), LiveTraffic(grid_city(12, 12)))


def test_who_is_no_node_is_refused():
    at = EtaTimes(trained()).at(AT_MS)
    with pytest.raises(InputError, match=r"to_node\[1\] is 81"):
        at.pairs_ms([0, 1], [2, 81])
    with pytest.raises(InputError, match="pair up"):
        at.quantiles_ms([0, 1], [2])
    assert at.pairs_ms([], []).shape == (0,)
    assert at.quantiles_ms([], []).shape == (0, 4)


def test_where_no_road_leads_there_is_no_time():
    city = eta_city()
    closed = replace(city.graph, head=np.where(city.graph.head == 80, 79, city.graph.head).astype(np.int32))
    model = EtaModel.free_flow(type(city).from_graph("cut", closed, "UTC"))
    at = EtaTimes(model).at(AT_MS)
    assert at.pairs_ms([0, 0, 80], [80, 1, 80]).tolist()[0] == UNREACHABLE_MS
    assert (at.quantiles_ms([0], [80]) == UNREACHABLE_MS).all()
    assert at.pairs_ms([80], [80]).tolist() == [0]


def test_free_flow_is_free_flow():
    city, (from_node, to_node) = eta_city(), drives(500)
    at = EtaTimes(EtaModel.free_flow(city)).at(AT_MS)
    free_ms = city.free_flow().pairs_ms(from_node, to_node)
    np.testing.assert_allclose(at.pairs_ms(from_node, to_node), free_ms, atol=40, rtol=1e-4)
    median, told = at.pairs_ms(from_node, to_node)[:, None], at.quantiles_ms(from_node, to_node)
    expected = np.where(median == 0, 0, np.maximum(median * np.array(ASSUMED_RATIOS), 1000))
    np.testing.assert_allclose(told, np.where(median == 0, 0, expected), atol=1001)


def test_threads_may_ask_at_once():
    times, (from_node, to_node) = EtaTimes(trained()), drives(2000)
    expected = times.at(AT_MS).pairs_ms(from_node, to_node)
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda _: times.at(AT_MS).pairs_ms(from_node, to_node), range(16))
    assert all((one == expected).all() for one in answers)


def test_a_dispatcher_quotes_ranges_and_weighs_risk_with_them():
    city, times = eta_city(), EtaTimes(trained())
    dispatcher = Dispatcher(city, times, DispatchParams("promise", reestimate_every_s=30))
    graph = city.graph
    dispatcher.drivers_online(Positions([1, 2], graph.node_lon[[5, 70]], graph.node_lat[[5, 70]], AT_MS))
    ends = (at[[node]] for node in (40, 12) for at in (graph.node_lon, graph.node_lat))
    order = NewOrders([7], *ends, AT_MS)
    (quote,) = dispatcher.quote(order, AT_MS)
    low, high = quote.pickup_eta_range_ms
    assert low < quote.pickup_eta_ms < high
    dispatcher.submit(order)
    (offer,) = dispatcher.step(AT_MS + 1000)[-1:]
    assert offer["eta_ms"] == times.at(AT_MS).pairs_ms([5, 70], [40, 40]).min()
