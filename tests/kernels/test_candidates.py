"""Candidates of random windows against plain Python."""

from typing import NamedTuple

import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels import transition
from dispatch.kernels.all_pairs import NO_ARC, AllPairs
from dispatch.kernels.candidates import (
    FEW_CANDIDATES,
    ON_MISS,
    FreeCars,
    OpenOrders,
    Places,
    Rules,
    Timetable,
    add_driver_costs,
    find,
    find_limits,
    find_own,
    find_timed,
    limit_to_gain,
    queue_up,
    survey,
    weigh,
)
from dispatch.kernels.refusals import Refusals, refuse
from dispatch.units import NO_INDEX, UNREACHABLE_MS
from naive import window as naive

NOW_MS = 1_000_000
NUM_NODES = 12


class Drawn(NamedTuple):
    """A window, as kernels take it."""

    live: np.ndarray
    orders: OpenOrders
    rules: Rules
    places: Places
    refusals: Refusals
    cars: FreeCars
    refused: set

    @property
    def arguments(self):
        return (self.live, len(self.live), NOW_MS, *self[1:6])

    def as_plain_python_has_it(self):
        return naive.candidates(
            self.live.tolist(), NOW_MS, self.orders, self.rules, self.places, self.refused, self.cars
        )


def some_cars(random, num_drivers, ranked):
    status = random.choice(np.array([0, 1, 1, 1, 2, 3, 5], np.int8), num_drivers)
    rank = random.integers(-1, 2, num_drivers) if ranked else np.full(num_drivers, NO_INDEX)
    return FreeCars(
        status,
        np.where(
            random.random(num_drivers) < 0.1, NO_INDEX, random.integers(0, NUM_NODES, num_drivers)
        ).astype(np.int32),
        NOW_MS - random.choice([0, 500, 1000, 1001], num_drivers),
        random.choice([0, 1, 3, 7, 7, 7], num_drivers),
        np.where(status == naive.IDLE, rank, NO_INDEX).astype(np.int32),
        random.integers(0, 4, num_drivers),
        random.choice([0, 1, 3, 3, 3], num_drivers),
        random.integers(0, 900, num_drivers),
    )


def some_orders(random, num_orders, cars):
    """Orders in many statuses; each busy driver has at most one."""
    status = random.choice(np.array([0, 0, 0, 1, 2, 4, 6, 7], np.int8), num_orders)
    driver = np.full(num_orders, NO_INDEX, np.int32)
    wanted = {naive.ASSIGNED: naive.TO_PICKUP, naive.ON_BOARD: naive.OCCUPIED}
    free = {one: np.flatnonzero(cars.status == one).tolist() for one in wanted.values()}
    for row in range(num_orders):
        if status[row] in wanted:
            if free[wanted[status[row]]]:
                driver[row] = free[wanted[status[row]]].pop()
            else:
                status[row] = naive.OPEN
    return OpenOrders(
        status,
        random.integers(0, NUM_NODES, num_orders).astype(np.int32),
        random.integers(0, NUM_NODES, num_orders).astype(np.int32),
        random.choice([1, 1, 2, 4], num_orders),
        NOW_MS + random.choice([-5000, -1000, 0, 300, 301], num_orders),
        driver,
        NOW_MS - random.integers(0, 1000, num_orders),
        random.integers(0, 2000, num_orders).astype(np.int32),
        random.random(num_orders) < 0.7,
        random.choice([0, 0, 0, 1, 2, 3], num_orders) * int(random.random() < 0.7),
    )


def drawn(seed, num_orders, num_drivers):
    random = np.random.default_rng(seed)
    ranked = bool(random.integers(0, 2))
    cars = some_cars(random, num_drivers, ranked)
    orders = some_orders(random, num_orders, cars)
    num = num_orders * num_drivers // 4
    pairs = [random.integers(0, max(n, 1), num).astype(np.int32) for n in (num_orders, num_drivers)]
    refusals = Refusals(
        np.full(num_orders, NO_INDEX, np.int32), np.empty(num, np.int32), np.empty(num, np.int32)
    )
    refuse(*pairs, 0, refusals)
    rank = random.integers(-1, 2, NUM_NODES) if ranked else np.empty(0)
    rules = Rules(
        int(random.integers(1, 6)),
        1000,
        300,
        int(random.choice([0, 400, 5000])),
        int(random.integers(0, 3)),
        int(random.choice([300, 600, 2000])),
        int(random.choice([0, 200])),
        float(random.choice([0.0, 0.1, 3.0])),
        int(random.choice([0, 100])),
        int(random.choice([0, 500])),
    )
    places = Places(*random.uniform(0, 1000, (2, NUM_NODES)), rank.astype(np.int32))
    # Kernels take contiguous arrays.
    places = Places(*(np.ascontiguousarray(column) for column in places))
    live = np.flatnonzero(random.random(num_orders) < 0.9).astype(np.int32)
    refused = set(zip(*(one.tolist() for one in pairs), strict=True))
    return Drawn(live, orders, rules, places, refusals, cars, refused)


WINDOWS = given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(0, 12))


@settings(max_examples=300)
@WINDOWS
def test_candidates_are_those_of_plain_python(seed, num_orders, num_drivers):
    window = drawn(seed, num_orders, num_drivers)
    order_idx, num_open, driver_idx, rest_ms, first, candidate, from_node, to_node, is_cut = find(
        *window.arguments
    )
    is_open, on_their_way, free, found, cut = window.as_plain_python_has_it()
    assert (order_idx.tolist(), num_open) == (is_open + on_their_way, len(is_open))
    assert list(zip(driver_idx.tolist(), rest_ms.tolist(), strict=True)) == [(d, ms) for d, _, ms in free]
    free_at = {driver: node for driver, node, _ in free}
    for i, order in enumerate(order_idx.tolist()):
        mine = slice(first[i], first[i + 1])
        drivers = driver_idx[candidate[mine]].tolist()
        assert drivers == found[order]
        assert from_node[mine].tolist() == [free_at[driver] for driver in drivers]
        assert set(to_node[mine].tolist()) <= {window.orders.pickup_node[order]}
    if len(driver_idx):
        assert set(order_idx[is_cut].tolist()) == cut


def test_windows_hold_all_that_can_be():
    """Orders at ranks, chained drivers, changes of drivers, looks cut short."""
    seen = set()
    for seed in range(200):
        window = drawn(seed, 8, 10)
        is_open, on_their_way, free, found, cut = window.as_plain_python_has_it()
        sequence = naive.in_turn(is_open, NOW_MS, window.orders, window.rules)
        turn = naive.heads(sequence, free, window.orders, window.cars, window.places, window.refused)
        told = {
            "turn": turn,
            "queue passed over": any(
                window.places.rank[window.orders.pickup_node[order]] != NO_INDEX and order not in turn
                for order in is_open
                if len(window.places.rank)
            ),
            "chained": any(rest_ms for _, _, rest_ms in free),
            "overdue": any(window.cars.status[one] == naive.OCCUPIED and not ms for one, _, ms in free),
            "on their way": on_their_way,
            "expected too late": on_their_way and window.rules.reassigns == ON_MISS,
            "cut": cut,
            "nobody": not all(found.values()),
            "skills asked for": any(window.orders.skills[order] for order in is_open),
            "gets no orders": any(
                window.cars.status[d] == naive.IDLE and not window.cars.class_bits[d] for d in range(10)
            ),
            "may leave one who gets no orders": any(not window.cars.class_bits[d] for d, _, _ in free),
            "starving at a rank": sequence != is_open and turn,
        }
        seen |= {name for name, value in told.items() if value}
    assert seen == told.keys()


def table_of(random):
    """Random travel times, [to][from], and the same with their columns in another sequence, for kernels."""
    to_ms = random.integers(0, 900, (NUM_NODES, NUM_NODES)).astype(np.int32)
    to_ms[random.random(to_ms.shape) < 0.05] = UNREACHABLE_MS
    place = random.permutation(NUM_NODES).astype(np.int32)
    by_column = np.empty_like(to_ms)
    by_column[:, place] = to_ms
    nothing = np.empty(0, np.int32)
    no_arcs = np.full(to_ms.shape, NO_ARC, np.uint8)
    return to_ms, AllPairs(by_column, no_arcs, place, nothing, nothing, nothing, np.empty(0, np.float64))


@settings(max_examples=150)
@WINDOWS
def test_with_a_table_of_all_pairs_they_come_with_their_etas_soonest_first(seed, num_orders, num_drivers):
    window, random = drawn(seed, num_orders, num_drivers), np.random.default_rng(seed)
    (to_ms, table), permille = table_of(random), int(random.choice([500, 1000, 1730]))
    order_idx, num_open, driver_idx, _, first, candidate, eta_ms, cost, _ = find_timed(
        window.live, NOW_MS, *window[1:6], Timetable(table, permille)
    )
    _, _, free, found, _ = window.as_plain_python_has_it()
    where = {driver: (node, rest_ms) for driver, node, rest_ms in free}
    for i, order in enumerate(order_idx.tolist()):
        pickup = window.orders.pickup_node[order]

        def eta_of(driver, pickup=pickup):
            node, rest_ms = where[driver]
            told_ms = int(to_ms[pickup, node])
            paced_ms = told_ms if told_ms == UNREACHABLE_MS else (told_ms * permille + 500) // 1000
            return rest_ms + paced_ms

        is_moved = i >= num_open
        own = window.orders.driver_idx[order] if is_moved else None
        largest_ms = (
            window.rules.max_pickup_ms
            if is_moved
            else naive.limit_ms(order, NOW_MS, window.orders, window.rules)
        )
        if is_moved and window.rules.reassigns == ON_MISS:
            largest_ms = min(largest_ms, eta_of(own) - window.rules.gain_ms)
        expected = naive.in_time(found[order], own, largest_ms, eta_of)
        mine = slice(first[i], first[i + 1])
        told = zip(eta_ms[mine].tolist(), driver_idx[candidate[mine]].tolist(), strict=True)
        assert list(told) == expected
    assert cost.tolist() == (eta_ms + window.cars.cost_ms[driver_idx[candidate]]).tolist()


@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(1, 6))
def test_each_candidate_costs_what_its_driver_does(seed, num_candidates, num_drivers):
    random = np.random.default_rng(seed)
    driver_idx = random.permutation(num_drivers + 2)[:num_drivers].astype(np.int32)
    candidate = random.integers(0, num_drivers, num_candidates).astype(np.int32)
    cost_ms, cost = random.integers(0, 99, num_drivers + 2), random.integers(0, 99, num_candidates)
    before = cost.tolist()
    add_driver_costs(candidate, driver_idx, cost_ms, cost)
    assert cost.tolist() == [
        told + cost_ms[driver_idx[j]] for told, j in zip(before, candidate.tolist(), strict=True)
    ]


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.sampled_from([6, 6, 3 * FEW_CANDIDATES]))
def test_weighing_drops_who_is_late_but_for_the_one_on_the_way(seed, most):
    random = np.random.default_rng(seed)
    num_orders, num_drivers = random.integers(0, 6), random.integers(1, most)
    rows = [random.permutation(num_drivers)[: random.integers(0, num_drivers + 1)] for _ in range(num_orders)]
    first = np.cumsum([0, *map(len, rows)]).astype(np.int32)
    candidate = np.concatenate([np.empty(0, int), *rows]).astype(np.int32)
    own = random.integers(-1, num_drivers, num_orders).astype(np.int32)
    rest_ms = random.integers(0, 3, num_drivers).astype(np.int32)
    travel_ms = random.choice([0, 1, 2, 5, UNREACHABLE_MS], len(candidate)).astype(np.int32)
    limit_ms = random.integers(0, 6, num_orders)
    told_first, told_driver, eta_ms, cost = weigh(first, candidate, own, rest_ms, travel_ms, limit_ms)
    for i in range(num_orders):
        times = dict(zip(rows[i].tolist(), travel_ms[first[i] : first[i + 1]].tolist(), strict=True))
        eta_ms_of = {j: int(rest_ms[j]) + ms for j, ms in times.items()}
        expected = naive.in_time(rows[i].tolist(), own[i], limit_ms[i], eta_ms_of.get)
        mine = slice(told_first[i], told_first[i + 1])
        assert list(zip(eta_ms[mine].tolist(), told_driver[mine].tolist(), strict=True)) == expected
    assert cost.tolist() == eta_ms.tolist()


def test_a_change_must_gain_as_much_as_told():
    """Order 0 is open; the driver of order 1 is free in 5 and drives for 20."""
    first, candidate = np.array([0, 1, 3], np.int32), np.array([1, 1, 0], np.int32)
    own, rest_ms, travel_ms = (np.array(row, np.int32) for row in ([-1, 0], [5, 0], [9, 3, 20]))
    limit_ms = np.array([100, 100])
    limit_to_gain(first, candidate, own, rest_ms, travel_ms, 10, limit_ms)
    assert limit_ms.tolist() == [100, 15]
    limit_to_gain(first, candidate, own, rest_ms, travel_ms, 0, limit_ms)
    assert limit_ms.tolist() == [100, 15]


@WINDOWS
def test_the_driver_on_the_way_is_found(seed, num_orders, num_drivers):
    random = np.random.default_rng(seed)
    order_idx = random.permutation(num_orders + 3)[:num_orders].astype(np.int32)
    driver_idx = random.permutation(num_drivers + 3)[:num_drivers].astype(np.int32)
    driver_of_order = random.integers(-1, num_drivers + 3, num_orders + 3).astype(np.int32)
    num_open = int(random.integers(0, num_orders + 1))
    own = find_own(order_idx, num_open, driver_idx, driver_of_order)
    drivers = driver_idx.tolist()
    for i, order in enumerate(order_idx):
        driver = driver_of_order[order]
        assert own[i] == (drivers.index(driver) if i >= num_open and driver in drivers else NO_INDEX)


@WINDOWS
def test_patience_grows_with_the_wait(seed, num_orders, num_drivers):
    window = drawn(seed, num_orders, num_drivers)
    rows = np.arange(num_orders, dtype=np.int32)
    limit_ms = np.zeros(num_orders, np.int64)
    find_limits(rows, NOW_MS, window.orders.wanted_at_ms, window.rules, limit_ms)
    assert limit_ms.tolist() == [naive.limit_ms(one, NOW_MS, window.orders, window.rules) for one in rows]


@WINDOWS
def test_idle_drivers_queue_at_the_ranks_where_they_stand(seed, num_orders, num_drivers):
    random = np.random.default_rng(seed)
    cars = some_cars(random, num_drivers, True)
    rank = random.integers(-1, 2, NUM_NODES).astype(np.int32)
    before = FreeCars(*(column.copy() for column in cars))
    queue_up(NOW_MS, Places(np.zeros(NUM_NODES), np.zeros(NUM_NODES), rank), cars)
    for driver in range(num_drivers):
        stands = before.status[driver] == naive.IDLE and before.node[driver] != NO_INDEX
        expected = rank[before.node[driver]] if stands else NO_INDEX
        assert cars.rank[driver] == expected
        stayed = before.rank[driver] == expected
        assert cars.rank_since_ms[driver] == (before.rank_since_ms[driver] if stayed else NOW_MS)


@given(st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_the_survey_drops_what_is_finished_and_finds_what_is_up(seed, num_orders):
    random = np.random.default_rng(seed)
    status = random.integers(0, 9, num_orders).astype(np.int8)
    offer_ms, order_ms = (NOW_MS + random.integers(-1, 2, num_orders) for _ in range(2))
    listed = random.permutation(num_orders)[: random.integers(0, num_orders + 1)].tolist()
    live = np.array([*listed, 99], np.int32)
    late, overdue = np.empty(num_orders, np.int32), np.empty(num_orders, np.int32)
    counts = survey(live, len(listed), NOW_MS, status, offer_ms, order_ms, late, overdue)
    kept = [row for row in listed if status[row] < 6]
    up = [row for row in kept if status[row] == 1 and offer_ms[row] <= NOW_MS]
    old = [row for row in kept if status[row] == 0 and order_ms[row] <= NOW_MS]
    assert counts == (len(kept), len(up), len(old))
    assert (live[: len(kept)].tolist(), late[: len(up)].tolist()) == (kept, up)
    assert overdue[: len(old)].tolist() == old


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3), st.integers(0, 3)), max_size=20))
def test_finished_orders_leave_and_those_whose_time_is_up_are_told(orders):
    """Rows are (status, when its offer times out, when it expires); it is 2 now."""
    status, offer_ms, expires_ms = (
        np.array([one[k] for one in orders], dtype) for k, dtype in enumerate((np.int8, np.int64, np.int64))
    )
    live = np.random.default_rng(len(orders)).permutation(len(orders)).astype(np.int32)
    rows = live.tolist()
    late, overdue = np.empty((2, len(orders)), np.int32)
    num_live, num_late, num_overdue = survey(live, len(rows), 2, status, offer_ms, expires_ms, late, overdue)
    assert live[:num_live].tolist() == [row for row in rows if status[row] < transition.FIRST_FINAL]
    assert late[:num_late].tolist() == [
        row for row in rows if status[row] == transition.OFFERED and offer_ms[row] <= 2
    ]
    assert overdue[:num_overdue].tolist() == [
        row for row in rows if status[row] == transition.OPEN and expires_ms[row] <= 2
    ]
