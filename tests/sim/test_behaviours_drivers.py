"""What drivers do, measured from the log."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cities import T0, places, random_trips, shifts_of, small_scenario
from dispatch.engine.events import EventKind as K
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import policy_named
from dispatch.sim.cells import cut_into_cells
from dispatch.sim.runner import run
from dispatch.sim.scenario import SimParams
from dispatch.units import NO_INDEX
from simulated import (
    GRID,
    GRID_TIMES,
    LINE,
    assert_drawn_from,
    assert_share,
    at_of,
    behaving,
    busy_day,
    line_scenario,
    of_kind,
)

HOUR_MS = 3_600_000
MINUTE = 60_000
BUSY = (K.ORDER_OFFERED, K.OFFER_ACCEPTED)


def by_driver(events):
    """Events of each driver, in their sequence."""
    mine = {}
    for event in events[events["driver_id"] >= 0]:
        mine.setdefault(int(event["driver_id"]), []).append(event)
    return mine


def answers_of(events):
    """Offers with their answers: (offer, answer), in the sequence of the answers."""
    pending, answered = {}, []
    for event in of_kind(events, K.ORDER_OFFERED, K.OFFER_ACCEPTED, K.OFFER_DECLINED):
        pair = int(event["order_id"]), int(event["driver_id"])
        if event["kind"] == K.ORDER_OFFERED:
            pending[pair] = event
        else:
            answered.append((pending.pop(pair), event))
    return answered


# --- answers ----------------------------------------------------------------------------------------


def test_the_nearer_the_pickup_and_the_better_the_fare_the_more_accept():
    """Shares of acceptances by pickup time, and by fare, are those of the logit."""
    drivers = {"accept_bias": 0.2, "accept_per_pickup_min": 0.9, "accept_per_fare": 0.12}
    day = busy_day(1500, 150, behaviour=behaving(drivers=drivers))
    fare, orders = day.fare, day.orders
    paths = GRID_TIMES.paths(orders.pickup_node, orders.dropoff_node)
    trip_m, trip_ms = (column[paths.first[1:] - 1] for column in (paths.at_m, paths.at_ms.astype(np.int64)))
    fares = fare.fare_cents(trip_m, trip_ms) / 100
    answered = answers_of(run(day).events)
    eta_min = np.array([offer["eta_ms"] for offer, _ in answered]) / MINUTE
    order = np.array([offer["order_id"] for offer, _ in answered])
    accepts = np.array([answer["kind"] == K.OFFER_ACCEPTED for _, answer in answered])
    expected = 1 / (1 + np.exp(-(0.2 - 0.9 * eta_min + 0.12 * fares[order])))
    assert len(accepts) > 1500
    assert np.ptp(expected) > 0.5
    for steers in (eta_min, fares[order], expected):
        for rows in np.array_split(np.argsort(steers, kind="stable"), 8):
            off = accepts[rows].sum() - expected[rows].sum()
            assert abs(off) < 3.5 * np.sqrt((expected[rows] * (1 - expected[rows])).sum())


def test_who_always_accepts_never_declines():
    events = run(busy_day(300, 30, behaviour=behaving(drivers={"accept_bias": 100.0}))).events
    assert not len(of_kind(events, K.OFFER_DECLINED))
    assert len(of_kind(events, K.OFFER_ACCEPTED)) > 200


def test_what_was_declined_is_never_offered_again():
    events = run(busy_day(300, 12, behaviour=behaving(drivers={"accept_bias": -1.0}))).events
    offers = of_kind(events, K.ORDER_OFFERED)[["order_id", "driver_id"]].tolist()
    declined = of_kind(events, K.OFFER_DECLINED)
    assert len(declined) > 300
    assert len(offers) == len(set(offers))


@pytest.mark.parametrize("span", [(0.0, 0.0), (2.0, 9.0), (5.0, 25.0)])
def test_answers_come_within_their_time(span):
    behaviour = behaving(drivers={"answer_s": span, "accept_bias": 1.0})
    answered = answers_of(run(busy_day(400, 40, behaviour=behaviour)).events)
    took_ms = np.array([answer["at_ms"] - offer["at_ms"] for offer, answer in answered])
    assert took_ms.min() >= 1000 * span[0]
    assert took_ms.max() <= 1000 * span[1]
    if span[1]:
        assert_drawn_from(took_ms, "uniform", 1000 * span[0], 1000 * (span[1] - span[0]))


def test_offers_that_nobody_answers_in_time_expire():
    """Answers within 5 to 25 s, offers for 15 s: half come too late, and count as declined."""
    behaviour = behaving(drivers={"answer_s": (5.0, 25.0)})
    params = DispatchParams(offer_timeout_s=15.0, max_wait_s=300.0)
    events = run(busy_day(400, 60, behaviour=behaviour, params=params)).events
    expired, offered = of_kind(events, K.OFFER_EXPIRED), of_kind(events, K.ORDER_OFFERED)
    assert_share(len(expired), len(offered), 0.5)
    assert not len(of_kind(events, K.OFFER_DECLINED))
    pairs = offered[["order_id", "driver_id"]].tolist()
    assert len(pairs) == len(set(pairs))


# --- giving up --------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_so_many_give_an_order_up_on_the_way(share):
    events = run(busy_day(700, 60, behaviour=behaving(drivers={"cancel_share": share}))).events
    assigned, unassigned = of_kind(events, K.ORDER_ASSIGNED), of_kind(events, K.ORDER_UNASSIGNED)
    assert_share(len(unassigned), len(assigned), share)
    pairs = of_kind(events, K.ORDER_OFFERED)[["order_id", "driver_id"]].tolist()
    assert len(pairs) == len(set(pairs)), "never offered to the same driver again"
    began = {(int(e["order_id"]), int(e["driver_id"])): e for e in assigned}
    along = []
    for event in unassigned:
        start = began[int(event["order_id"]), int(event["driver_id"])]
        if start["eta_ms"] > 20_000:
            along.append((event["at_ms"] - start["at_ms"]) / start["eta_ms"])
    if share:
        assert_drawn_from(along, "uniform")
        # What was driven for nothing is told; the order is open again, and served by somebody else or not.
        assert len(of_kind(events, K.ABANDONED_LEG)) == len(unassigned)
        ends = of_kind(events, K.DROPPED_OFF, K.ORDER_EXPIRED)["order_id"]
        assert set(unassigned["order_id"].tolist()) <= set(ends.tolist())
        again = set(unassigned["order_id"].tolist()) & set(
            of_kind(events, K.DROPPED_OFF)["order_id"].tolist()
        )
        assert bool(again) == (share < 1)


# --- duty -------------------------------------------------------------------------------------------


def test_drivers_take_breaks_after_so_many_hours():
    behaviour = behaving(drivers={"break_after_h": 0.75, "break_min": 12.0})
    events = run(busy_day(500, 20, hours=3.0, behaviour=behaviour)).events
    num_breaks = num_ends = 0
    for mine in by_driver(events).values():
        since_ms = off_ms = None
        for event, after in zip(mine, [*mine[1:], None], strict=True):
            at_ms, kind = int(event["at_ms"]), event["kind"]
            if kind == K.DRIVER_ONLINE:
                if off_ms is not None:
                    assert at_ms - off_ms == 12 * MINUTE
                    num_breaks += 1
                since_ms = at_ms
            elif kind == K.DRIVER_OFFLINE:
                off_ms = at_ms
            elif kind == K.DROPPED_OFF and after is not None:
                rests = after["kind"] == K.DRIVER_OFFLINE and after["at_ms"] == at_ms
                assert rests == (at_ms - since_ms >= 0.75 * HOUR_MS)
                num_ends += 1
    assert num_breaks > 40
    assert num_ends > 300


def test_without_breaks_nobody_goes_off_before_the_end():
    events = run(busy_day(300, 20, behaviour=behaving())).events
    assert len(of_kind(events, K.DRIVER_ONLINE)) == 20


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_so_many_wind_down_before_their_shift_ends(share):
    """Asked after each trip that ends in the last half hour, each time anew."""
    random = np.random.default_rng(6)
    ends = {5 * i + 2: T0 + round(random.uniform(0.8, 2.5) * HOUR_MS) for i in range(150)}
    shifts = shifts_of([(i, T0, end, int(random.integers(81))) for i, end in ends.items()])
    behaviour = behaving(drivers={"wind_down_min": 30.0, "wind_down_share": share})
    events = run(busy_day(2500, 0, hours=2.6, shifts=shifts, behaviour=behaviour)).events
    num_asked = num_gone = 0
    for driver, mine in by_driver(events).items():
        for event, after in zip(mine, [*mine[1:], None], strict=True):
            left_ms = ends[driver] - int(event["at_ms"])
            gone = after is not None and (after["kind"], after["at_ms"]) == (K.DRIVER_OFFLINE, event["at_ms"])
            if event["kind"] == K.DROPPED_OFF and left_ms < 30 * MINUTE:
                if left_ms > 0:
                    num_asked, num_gone = num_asked + 1, num_gone + gone
                else:
                    assert gone
            elif event["kind"] == K.DROPPED_OFF:
                assert not gone
    assert_share(num_gone, num_asked, share)


def test_nobody_is_given_an_order_off_duty():
    random = np.random.default_rng(2)
    spells = {}
    for driver in range(30):
        cuts = np.sort(random.choice(120, 4, replace=False)) * MINUTE + T0
        spells[driver] = cuts.reshape(2, 2).tolist()
    shifts = shifts_of(
        [(i, *spell, int(random.integers(81))) for i, both in spells.items() for spell in both]
    )
    events = run(busy_day(400, 0, shifts=shifts, behaviour=behaving())).events
    given = of_kind(events, K.ORDER_OFFERED)
    assert len(given) > 200
    for event in given:
        assert any(begin <= event["at_ms"] < end for begin, end in spells[int(event["driver_id"])])
    for event in of_kind(events, K.DRIVER_ONLINE):
        begins = [begin for begin, _ in spells[int(event["driver_id"])]]
        assert event["at_ms"] in begins


# --- between trips ----------------------------------------------------------------------------------

CELLS = cut_into_cells(GRID)


def idle_legs(day, events):
    """Cells of the start and the end of each leg of an idle driver that ended where it was to."""
    legs = []
    node_of = dict(zip(day.shifts.driver_id.tolist(), day.shifts.node.tolist(), strict=True))
    for driver, mine in by_driver(events).items():
        node = node_of[driver]
        for event, after in zip(mine, [*mine[1:], None], strict=True):
            if event["kind"] not in (K.CRUISING_LEG, K.DROPPED_OFF):
                continue
            (end,), _ = GRID.snap([event["lon_e6"] / 1e6], [event["lat_e6"] / 1e6], np.inf)
            broken_off = after is not None and (
                after["kind"] in (K.OFFER_ACCEPTED, K.DRIVER_OFFLINE) and after["at_ms"] == event["at_ms"]
            )
            if event["kind"] == K.CRUISING_LEG and not broken_off:
                legs.append((int(CELLS.of_node[node]), int(CELLS.of_node[end]), driver))
            node = end
    return np.array(legs)


def cruising_day(cruising, home_share=0.0, **parts):
    behaviour = behaving(drivers={"cruising": cruising, "home_share": home_share})
    day = busy_day(250, 40, hours=2.0, behaviour=behaviour, **parts)
    return replace(day, sim=replace(day.sim, cruising_told_s=0.0))


def test_parked_drivers_drive_to_pickups_only():
    events = run(cruising_day("park")).events
    assert not len(of_kind(events, K.CRUISING_LEG, K.REPOSITIONING_LEG))


def test_a_random_walk_leads_to_squares_around():
    day = cruising_day("random_walk")
    legs = idle_legs(day, run(day).events)
    assert len(legs) > 500
    around = CELLS.neighbours()
    assert around[legs[:, 0], legs[:, 1]].all()
    middle = np.bincount(legs[:, 0]).argmax()
    ends = legs[legs[:, 0] == middle, 1]
    times = np.bincount(ends, minlength=len(CELLS))[around[middle]]
    assert stats.chisquare(times).pvalue > 0.001, "each of the squares around is as likely"


def test_drifting_drivers_are_where_orders_are():
    """All orders begin in one corner."""
    corner = int(CELLS.of_node[0])
    there = np.flatnonzero(CELLS.of_node == corner).astype(np.int32)
    orders = random_trips(GRID, 250, 3, T0, 7200)
    pickup = np.random.default_rng(1).choice(there, 250)
    lon, lat = places(GRID, pickup)
    orders = replace(orders, pickup_node=pickup, pickup_lon=lon, pickup_lat=lat)
    share = {}
    for cruising in ("drift", "random_walk"):
        day = cruising_day(cruising, orders=orders)
        legs = idle_legs(day, run(day).events)
        share[cruising] = (legs[:, 1] == corner).mean()
    assert share["drift"] > 0.8
    assert share["random_walk"] < 0.3


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_so_many_moves_lead_home(share):
    day = cruising_day("random_walk", share)
    legs = idle_legs(day, run(day).events)
    home = dict(zip(day.shifts.driver_id.tolist(), CELLS.of_node[day.shifts.node].tolist(), strict=True))
    home_cell = np.array([home[driver] for driver in legs[:, 2].tolist()])
    # From farther away than the next square, only a move home leads into the cell of home; and away: never.
    around = CELLS.neighbours()
    is_far = ~around[legs[:, 0], home_cell] & (legs[:, 0] != home_cell)
    if share == 1.0:
        assert (legs[:, 1] == home_cell).all()
        assert len(legs) > 200
    else:
        assert_share((legs[is_far, 1] == home_cell[is_far]).sum(), is_far.sum(), share)


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_so_much_advice_is_followed(share):
    policy = policy_named("preposition", preposition_every_s=120.0)
    behaviour = behaving(drivers={"follow_share": share})
    orders = random_trips(GRID, 900, 3, T0, 3 * 3600)
    # Everybody leaves one corner, so that cars are missing there.
    pickup = np.where(np.arange(900) % 4, orders.pickup_node % 20, orders.pickup_node).astype(np.int32)
    lon, lat = places(GRID, pickup)
    orders = replace(orders, pickup_node=pickup, pickup_lon=lon, pickup_lat=lat)
    day = busy_day(
        900, 80, hours=3.0, behaviour=behaviour, orders=orders, params=DispatchParams(policy=policy)
    )
    events = run(day).events
    num_advised = num_followed = 0
    for mine in by_driver(events).values():
        for i, event in enumerate(mine):
            if event["kind"] != K.REPOSITION_ADVISED or event["eta_ms"] <= 0:
                continue
            follows = None
            for later in mine[i + 1 :]:
                if later["kind"] == K.REPOSITIONING_LEG:
                    follows = True
                elif later["kind"] in (K.REPOSITION_ADVISED, K.DRIVER_ARRIVED, K.DRIVER_OFFLINE):
                    follows = False
                if follows is not None:
                    break
            assert follows is not None
            num_advised, num_followed = num_advised + 1, num_followed + follows
    assert_share(num_followed, num_advised, share)


# --- ranks ------------------------------------------------------------------------------------------


def ranked_day(node_rank):
    """Ten drivers come to node 5, one after the other, ids against the order; then ten orders from there."""
    orders = [(400 + 60 * i, 5, 15 + i % 5) for i in range(10)]
    shifts = sorted((100 - i, 20 * i + 1, 7200, 5) for i in range(10))
    return line_scenario(orders, shifts, node_rank=node_rank, sim=SimParams(window_s=10.0))


def test_the_queue_of_a_rank_is_first_come_first_served():
    rank = np.full(LINE.graph.num_nodes, NO_INDEX, np.int32)
    rank[5] = 0
    offered = of_kind(run(ranked_day(rank)).events, K.ORDER_OFFERED)
    assert offered["driver_id"].tolist() == [100 - i for i in range(10)]
    without = of_kind(run(ranked_day(None)).events, K.ORDER_OFFERED)
    assert without["driver_id"].tolist() != offered["driver_id"].tolist(), "no queue where there is no rank"


def test_who_queues_at_a_rank_is_not_called_away():
    """A driver at the rank is nearer, the one beside it takes the order from elsewhere."""
    rank = np.full(LINE.graph.num_nodes, NO_INDEX, np.int32)
    rank[5] = 0
    shifts = [(1, 0, 7200, 5), (2, 0, 7200, 12)]
    for node_rank, driver in ((rank, 2), (None, 1)):
        events = run(line_scenario([(60, 6, 9)], shifts, node_rank=node_rank)).events
        assert of_kind(events, K.ORDER_ASSIGNED)["driver_id"].tolist() == [driver]


def test_a_small_scenario_has_neither_ranks_nor_zones():
    day = small_scenario()
    assert day.node_rank is None
    assert day.zones is None
    assert at_of(run(day).events, K.ORDER_ASSIGNED)
