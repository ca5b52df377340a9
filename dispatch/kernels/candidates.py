"""One window: which orders look for a driver, which drivers come into question, and at what pickup ETA."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels import transition
from dispatch.kernels.all_pairs import ALL_PAIRS, AllPairs, pairs
from dispatch.kernels.grid import FRAME_SIZE, Grid, build
from dispatch.kernels.grid_search import Filter, Queries, search
from dispatch.kernels.jit import BOOL, F64, I8, I32, I64, f64, i64, kernel, record
from dispatch.kernels.refusals import REFUSALS, is_refused
from dispatch.units import NO_INDEX, UNREACHABLE_MS

NO_RANK = NO_INDEX
NOT_STARVING = 2**62
FEW_CANDIDATES = 64
"""Up to so many are sorted by insertion; 2,500 orders that look at 2,500 drivers each took 12 s so."""
NEVER, ALWAYS, ON_MISS = range(3)
"""Which orders may change drivers: none, all whose driver is on the way, those of them expected too late."""


class OpenOrders(NamedTuple):
    """Columns of the order table that matching reads, each (orders,)."""

    status: np.ndarray
    """int8"""
    pickup_node: np.ndarray
    """int32"""
    dropoff_node: np.ndarray
    """int32"""
    class_bits: np.ndarray
    """int64, one of which a car must have"""
    wanted_at_ms: np.ndarray
    """int64, from when on the customer waits"""
    driver_idx: np.ndarray
    """int32"""
    picked_up_at_ms: np.ndarray
    """int64"""
    trip_ms: np.ndarray
    """int32"""
    miss_predicted: np.ndarray
    """bool, the driver on the way is expected too late"""
    skills: np.ndarray
    """int64, bits all of which a driver must hold"""


class FreeCars(NamedTuple):
    """Columns of the driver table that matching reads, each (drivers,)."""

    status: np.ndarray
    """int8"""
    node: np.ndarray
    """int32, ``NO_INDEX`` off the network"""
    position_at_ms: np.ndarray
    """int64"""
    class_bits: np.ndarray
    """int64, what the car may serve; 0 where its driver gets no orders"""
    rank: np.ndarray
    """int32, the taxi rank at which the driver queues, ``NO_INDEX`` elsewhere"""
    rank_since_ms: np.ndarray
    """int64, since when"""
    skills: np.ndarray
    """int64, bits that the driver holds"""
    cost_ms: np.ndarray
    """int64, what it costs to give the driver any order, beside the pickup ETA"""


class Places(NamedTuple):
    """Nodes of the network, each (nodes,)."""

    x: np.ndarray
    """float64, metres"""
    y: np.ndarray
    """float64"""
    rank: np.ndarray
    """int32, the taxi rank that the node belongs to; (0,) where there are none"""


class Timetable(NamedTuple):
    """Travel times between all nodes, and their pace."""

    table: AllPairs
    permille: int


class Rules(NamedTuple):
    """What the policy says of candidates, in whole numbers."""

    num_nearest: int
    stale_ms: int
    """A position that is older is not used"""
    lead_ms: int
    """Orders booked ahead look for a driver so long before the wanted pickup"""
    chain_ms: int
    """Drivers who drop off within this time are candidates; 0: none"""
    reassigns: int
    """``NEVER``, ``ALWAYS`` or ``ON_MISS``: which orders take part whose driver is on the way"""
    max_pickup_ms: int
    """Largest pickup ETA"""
    patient_base_ms: int
    """Largest pickup ETA of an order that has not waited; 0: ``max_pickup_ms`` for all"""
    patient_slope: float
    """What it grows by for each unit of time waited"""
    gain_ms: int
    """What a change of drivers must gain"""
    starvation_ms: int
    """Orders that waited longer are starving; 0: none ever are"""


ORDERS = record(OpenOrders, I8, I32, I32, I64, I64, I32, I64, I32, BOOL, I64)
CARS = record(FreeCars, I8, I32, I64, I64, I32, I64, I64, I64)
PLACES = record(Places, F64, F64, I32)
TIMETABLE = record(Timetable, ALL_PAIRS, i64)
RULES = record(Rules, i64, i64, i64, i64, i64, i64, i64, f64, i64, i64)


@kernel((I32, i64, i64, I8, I64, I64, I32, I32))
def survey(live, num_live, now_ms, status, offer_expires_at_ms, expires_at_ms, out_late, out_overdue):
    """Drop finished orders from the list of live ones; find those whose time is up by `now_ms`.

    Parameters
    ----------
    live : (room,) int32
        Rows of orders, the first `num_live` of which mean something; shortened in place.
    num_live, now_ms : int
    status, offer_expires_at_ms, expires_at_ms : (orders,)
    out_late, out_overdue : (room,) int32
        Orders with an offer that timed out, and open orders whose time is up.

    Returns
    -------
    (int, int, int)
        How many are live, late, overdue.
    """
    num_kept, num_late, num_overdue = 0, 0, 0
    for i in range(num_live):
        order = live[i]
        stands = status[order]
        if stands >= transition.FIRST_FINAL:
            continue
        live[num_kept] = order
        num_kept += 1
        if stands == transition.OFFERED and offer_expires_at_ms[order] <= now_ms:
            out_late[num_late] = order
            num_late += 1
        elif stands == transition.OPEN and expires_at_ms[order] <= now_ms:
            out_overdue[num_overdue] = order
            num_overdue += 1
    return num_kept, num_late, num_overdue


@kernel()
def _may_change(order, orders, cars, rules):
    """Tell whether an order's driver is known to be on the road to its pickup, and may be exchanged."""
    if orders.status[order] != transition.ASSIGNED:
        return False
    if rules.reassigns == ON_MISS and not orders.miss_predicted[order]:
        return False
    driver = orders.driver_idx[order]
    return cars.status[driver] == transition.TO_PICKUP and cars.node[driver] != NO_INDEX


@kernel()
def _seekers(live, now_ms, orders, cars, rules, out_order):
    """List the orders that look for a driver: open ones, then those whose driver may change; count both."""
    num = 0
    for order in live:
        if orders.status[order] == transition.OPEN and orders.wanted_at_ms[order] - rules.lead_ms <= now_ms:
            out_order[num] = order
            num += 1
    num_open = num
    if rules.reassigns != NEVER:
        for order in live:
            if _may_change(order, orders, cars, rules):
                out_order[num] = order
                num += 1
    return num, num_open


@kernel((i64, PLACES, CARS))
def queue_up(now_ms, places, out_cars):
    """Let idle drivers (drivers,) join and leave the ranks that they stand at, as it is at `now_ms`."""
    for driver in range(len(out_cars.status)):
        node = out_cars.node[driver]
        waits = out_cars.status[driver] == transition.IDLE and node != NO_INDEX
        rank = places.rank[node] if waits else NO_RANK
        if rank != out_cars.rank[driver]:
            out_cars.rank[driver] = rank
            out_cars.rank_since_ms[driver] = now_ms


@kernel()
def _free(live, now_ms, orders, cars, rules, out_driver, out_node, out_rest_ms):
    """List the drivers that come into question, where they are free and in how long; count them.

    Idle ones with a fresh position, those about to drop off, and those on the way to orders that may be
    given to others. Of those who get no orders only the last: they may keep theirs.
    """
    num = 0
    for driver in range(len(cars.status)):
        if (
            cars.status[driver] == transition.IDLE
            and cars.node[driver] != NO_INDEX
            and cars.class_bits[driver] != 0
            and cars.position_at_ms[driver] >= now_ms - rules.stale_ms
        ):
            out_driver[num], out_node[num], out_rest_ms[num] = driver, cars.node[driver], 0
            num += 1
    if rules.chain_ms == 0 and rules.reassigns == NEVER:
        return num
    for order in live:
        driver = orders.driver_idx[order]
        if (
            rules.chain_ms > 0
            and orders.status[order] == transition.ON_BOARD
            and cars.status[driver] == transition.OCCUPIED
            and cars.class_bits[driver] != 0
        ):
            rest_ms = max(orders.picked_up_at_ms[order] + orders.trip_ms[order] - now_ms, 0)
            if rest_ms <= rules.chain_ms:
                out_driver[num], out_node[num] = driver, orders.dropoff_node[order]
                out_rest_ms[num] = rest_ms
                num += 1
        elif rules.reassigns != NEVER and _may_change(order, orders, cars, rules):
            out_driver[num], out_node[num], out_rest_ms[num] = driver, cars.node[driver], 0
            num += 1
    return num


@kernel(makes_arrays=True)
def _index(x, y):
    """Build a grid over points (n,)."""
    size = len(x)
    grid = Grid(
        np.empty(FRAME_SIZE),
        np.empty(2 * size + 2, np.int32),
        np.empty(2 * size),
        np.empty(size, np.int32),
    )
    scratch, unnamed = np.empty(size, np.int32), np.empty(0, np.int32)
    build(x, y, unnamed, scratch, grid.frame, grid.first_slot, grid.xy, grid.item)
    return grid


@kernel(makes_arrays=True)
def _nearest_skilled(order_idx, driver, index, allowed, queries, orders, cars, k):
    """Do the same where orders ask for skills: a search for each run of orders that ask for the same ones."""
    num_orders, begin, num = len(order_idx), 0, 0
    first = np.zeros(num_orders + 1, np.int32)
    item, distance_m = np.empty(num_orders * k, np.int32), np.empty(num_orders * k)
    available = np.empty(len(driver), np.bool_)
    while begin < num_orders:
        asked, end = orders.skills[order_idx[begin]], begin + 1
        while end < num_orders and orders.skills[order_idx[end]] == asked:
            end += 1
        for j in range(len(driver)):
            available[j] = allowed.available[j] and (cars.skills[driver[j]] & asked) == asked
        run = Queries(queries.x[begin:end], queries.y[begin:end], queries.class_bits[begin:end])
        run_first = np.empty(end - begin + 1, np.int32)
        search(
            index,
            Filter(available, allowed.class_bits),
            run,
            k,
            np.inf,
            run_first,
            item[num:],
            distance_m[num:],
        )
        for i in range(end - begin):
            first[begin + i + 1] = num + run_first[i + 1]
        num, begin = first[end], end
    return first, item


@kernel(makes_arrays=True)
def _nearest(order_idx, driver, node, orders, cars, places, k):
    """Find the `k` nearest of the drivers by air for each order, of those who may serve it."""
    num_orders, num_drivers = len(order_idx), len(driver)
    x, y, bits = np.empty(num_drivers), np.empty(num_drivers), np.empty(num_drivers, np.int64)
    available = np.ones(num_drivers, np.bool_)
    for i in range(num_drivers):
        x[i], y[i], bits[i] = places.x[node[i]], places.y[node[i]], cars.class_bits[driver[i]]
        available[i] = cars.rank[driver[i]] == NO_RANK
    queries = Queries(np.empty(num_orders), np.empty(num_orders), np.empty(num_orders, np.int64))
    are_skills_asked = False
    for i in range(num_orders):
        at = orders.pickup_node[order_idx[i]]
        queries.x[i], queries.y[i] = places.x[at], places.y[at]
        queries.class_bits[i] = orders.class_bits[order_idx[i]]
        are_skills_asked |= orders.skills[order_idx[i]] != 0
    if are_skills_asked:
        return _nearest_skilled(
            order_idx, driver, _index(x, y), Filter(available, bits), queries, orders, cars, k
        )
    first = np.empty(num_orders + 1, np.int32)
    item, distance_m = np.empty(num_orders * k, np.int32), np.empty(num_orders * k)
    search(_index(x, y), Filter(available, bits), queries, k, np.inf, first, item, distance_m)
    return first, item


@kernel((I32, i64, I32, I32), makes_arrays=True)
def find_own(order_idx, num_open, driver_idx, driver_of_order):
    """Give the driver on the way to each order (orders,), row of `driver_idx`; ``NO_INDEX`` for open ones.

    Parameters
    ----------
    order_idx : (orders,) int32
        The first `num_open` are open.
    num_open : int
    driver_idx : (drivers,) int32
    driver_of_order : (rows,) int32
        Column of the order table.
    """
    own = np.full(len(order_idx), NO_INDEX, np.int32)
    for i in range(num_open, len(order_idx)):
        for j in range(len(driver_idx)):
            if driver_idx[j] == driver_of_order[order_idx[i]]:
                own[i] = j
    return own


@kernel()
def may_serve(order, driver, orders, cars):
    """Tell whether a car suits an order, and its driver holds the skills and gets orders at all."""
    asked = orders.skills[order]
    return (cars.class_bits[driver] & orders.class_bits[order]) != 0 and (
        cars.skills[driver] & asked
    ) == asked


@kernel(makes_arrays=True)
def _turns(order_idx, now_ms, orders, rules):
    """Give the sequence (orders,) in which orders choose at ranks: starving ones first, by their wait."""
    key = np.full(len(order_idx), NOT_STARVING)
    if rules.starvation_ms == 0:
        return np.arange(len(order_idx))
    for i in range(len(order_idx)):
        wanted_at_ms = orders.wanted_at_ms[order_idx[i]]
        if now_ms - wanted_at_ms > rules.starvation_ms:
            key[i] = wanted_at_ms
    return np.argsort(key, kind="mergesort")


@kernel(makes_arrays=True)
def _heads(order_idx, now_ms, driver, orders, rules, cars, places, refusals):
    """Give each order at a rank the driver whose turn it is, (orders,) row of `driver`, else ``NO_INDEX``.

    Those who refused it, or may not serve it, are passed over.
    """
    turn = np.full(len(order_idx), NO_INDEX, np.int32)
    if len(places.rank) == 0:
        return turn
    taken = np.zeros(len(driver), np.bool_)
    for i in _turns(order_idx, now_ms, orders, rules):
        order = order_idx[i]
        rank = places.rank[orders.pickup_node[order]]
        if rank == NO_RANK or orders.status[order] != transition.OPEN:
            continue
        best = NO_INDEX
        for j in range(len(driver)):
            row = driver[j]
            if cars.rank[row] != rank or taken[j] or not may_serve(order, row, orders, cars):
                continue
            if is_refused(refusals, order, row):
                continue
            if best == NO_INDEX or cars.rank_since_ms[row] < cars.rank_since_ms[driver[best]]:
                best = j
        if best != NO_INDEX:
            turn[i], taken[best] = best, True
    return turn


@kernel((I32, i64, i64, ORDERS, RULES, PLACES, REFUSALS, CARS), makes_arrays=True)
def find(live, num_live, now_ms, orders, rules, places, refusals, cars):
    """Find the candidates of every order that looks for a driver.

    Parameters
    ----------
    live : (room,) int32
        Rows of orders that are not finished, in the sequence of submission; `num_live` mean something.
    num_live, now_ms : int
    orders : OpenOrders
    rules : Rules
    places : Places
    refusals : Refusals
    cars : FreeCars

    Returns
    -------
    order_idx : (orders,) int32
        Open ones first.
    num_open : int
    driver_idx : (drivers,) int32
    rest_ms : (drivers,) int32
        Time until the driver is free.
    first : (orders + 1,) int32
    candidate_driver, from_node, to_node : (candidates,) int32
        Row of `driver_idx`, where it will be free, the pickup.
    is_cut : (orders,) bool
        There are drivers that were not looked at.
    """
    live = live[:num_live]
    order_idx = np.empty(num_live, np.int32)
    num_orders, num_open = _seekers(live, now_ms, orders, cars, rules, order_idx)
    order_idx = order_idx[:num_orders].copy()
    room = len(cars.status) + num_live
    driver, node, rest_ms = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    num_drivers = 0
    if num_orders > 0:
        num_drivers = _free(live, now_ms, orders, cars, rules, driver, node, rest_ms)
    driver, node = driver[:num_drivers].copy(), node[:num_drivers].copy()
    rest_ms = rest_ms[:num_drivers].copy()
    first = np.zeros(num_orders + 1, np.int32)
    is_cut = np.zeros(num_orders, np.bool_)
    if num_drivers == 0:
        nothing = np.empty(0, np.int32)
        return order_idx, num_open, driver, rest_ms, first, nothing, nothing.copy(), nothing.copy(), is_cut
    near_first, near = _nearest(order_idx, driver, node, orders, cars, places, rules.num_nearest)
    turn = _heads(order_idx, now_ms, driver, orders, rules, cars, places, refusals)
    own = find_own(order_idx, num_open, driver, orders.driver_idx)
    most = near_first[num_orders] + 2 * num_orders
    candidate, from_node = np.empty(most, np.int32), np.empty(most, np.int32)
    to_node = np.empty(most, np.int32)
    num = 0
    for i in range(num_orders):
        order = order_idx[i]
        pickup = orders.pickup_node[order]
        for k in range(near_first[i], near_first[i + 1]):
            j = near[k]
            if turn[i] != NO_INDEX or j == own[i] or is_refused(refusals, order, driver[j]):
                continue
            candidate[num], from_node[num], to_node[num] = j, node[j], pickup
            num += 1
        for j in (turn[i], own[i]):
            if j != NO_INDEX:
                candidate[num], from_node[num], to_node[num] = j, node[j], pickup
                num += 1
        found = near_first[i + 1] - near_first[i]
        is_cut[i] = i < num_open and found == rules.num_nearest and found < num_drivers
        first[i + 1] = num
    return (
        order_idx,
        num_open,
        driver,
        rest_ms,
        first,
        candidate[:num].copy(),
        from_node[:num].copy(),
        to_node[:num].copy(),
        is_cut,
    )


@kernel((I32, i64, ORDERS, RULES, PLACES, REFUSALS, CARS, TIMETABLE), makes_arrays=True)
def find_timed(live, now_ms, orders, rules, places, refusals, cars, times):
    """Find the candidates and their pickup ETAs at one go, where a table of all pairs tells travel times.

    Parameters
    ----------
    live : (orders,) int32
        Rows of orders that are not finished, in the sequence of submission.
    now_ms, orders, rules, places, refusals, cars
        As of :func:`find`.
    times : Timetable

    Returns
    -------
    order_idx, num_open, driver_idx, rest_ms
        As of :func:`find`.
    first, candidate_driver, eta_ms, cost
        As of :func:`weigh`; costs with those of the drivers.
    is_cut : (orders,) bool
    """
    order_idx, num_open, driver, rest_ms, first, candidate, from_node, to_node, is_cut = find(
        live, len(live), now_ms, orders, rules, places, refusals, cars
    )
    travel_ms = np.empty(len(candidate), np.int32)
    pairs(times.table, times.permille, from_node, to_node, travel_ms)
    limit_ms = np.full(len(order_idx), rules.max_pickup_ms, np.int64)
    find_limits(order_idx[:num_open], now_ms, orders.wanted_at_ms, rules, limit_ms)
    own = find_own(order_idx, num_open, driver, orders.driver_idx)
    if rules.reassigns == ON_MISS:
        limit_to_gain(first, candidate, own, rest_ms, travel_ms, rules.gain_ms, limit_ms)
    first, candidate, eta_ms, cost = weigh(first, candidate, own, rest_ms, travel_ms, limit_ms)
    add_driver_costs(candidate, driver, cars.cost_ms, cost)
    return order_idx, num_open, driver, rest_ms, first, candidate, eta_ms, cost, is_cut


@kernel((I32, i64, I64, RULES, I64))
def find_limits(order_idx, now_ms, wanted_at_ms, rules, out_limit_ms):
    """Write the largest pickup ETA of open orders (n,), by the policy's rule for patience."""
    for i in range(len(order_idx)):
        out_limit_ms[i] = rules.max_pickup_ms
        if rules.patient_base_ms > 0:
            waited_ms = max(now_ms - wanted_at_ms[order_idx[i]], 0)
            patient_ms = rules.patient_base_ms + np.int64(rules.patient_slope * waited_ms)
            out_limit_ms[i] = min(patient_ms, rules.max_pickup_ms)


@kernel((I32, I32, I32, I32, I32, i64, I64))
def limit_to_gain(first, candidate_driver, own, rest_ms, travel_ms, gain_ms, out_limit_ms):
    """Limit the pickup ETA of orders that may change drivers to those that gain enough by it.

    Parameters
    ----------
    first, candidate_driver, own, rest_ms, travel_ms
        As of :func:`weigh`.
    gain_ms : int
        How much earlier than its own driver another one must be there.
    out_limit_ms : (orders,) int64
        Largest pickup ETA of each order: lowered where it has a driver.
    """
    for i in range(len(own)):
        if own[i] == NO_INDEX:
            continue
        for k in range(first[i], first[i + 1]):
            if candidate_driver[k] == own[i]:
                own_ms = np.int64(rest_ms[own[i]]) + travel_ms[k]
                out_limit_ms[i] = min(out_limit_ms[i], own_ms - gain_ms)


@kernel((I32, I32, I32, I32, I32, I64), makes_arrays=True)
def weigh(first, candidate_driver, own, rest_ms, travel_ms, limit_ms):
    """Add up pickup ETAs, drop candidates that are too far away, and sort the others, nearest first.

    Parameters
    ----------
    first : (orders + 1,) int32
    candidate_driver : (candidates,) int32
    own : (orders,) int32
        The driver who is on the way: kept, however far away; ``NO_INDEX`` for none.
    rest_ms : (drivers,) int32
        Time until the driver is free.
    travel_ms : (candidates,) int32
        From there to the pickup.
    limit_ms : (orders,) int64
        Largest pickup ETA of each order.

    Returns
    -------
    first, candidate_driver, eta_ms
        Of those that are left.
    cost : (candidates,) int64
        The pickup ETA.
    """
    num_orders = len(first) - 1
    kept_first = np.zeros(num_orders + 1, np.int32)
    driver, eta_ms = np.empty(len(candidate_driver), np.int32), np.empty(len(candidate_driver), np.int32)
    num = 0
    for i in range(num_orders):
        begin, is_short = num, first[i + 1] - first[i] <= FEW_CANDIDATES
        for k in range(first[i], first[i + 1]):
            eta = np.int32(min(rest_ms[candidate_driver[k]] + travel_ms[k], UNREACHABLE_MS))
            if candidate_driver[k] == own[i]:
                eta = min(eta, np.int32(UNREACHABLE_MS - 1))
            elif eta > limit_ms[i] or eta >= UNREACHABLE_MS:
                continue
            at = num
            # Nearly sorted: nearest by air come first.
            while is_short and at > begin and eta_ms[at - 1] > eta:
                eta_ms[at], driver[at] = eta_ms[at - 1], driver[at - 1]
                at -= 1
            eta_ms[at], driver[at] = eta, candidate_driver[k]
            num += 1
        if not is_short:
            by_eta = begin + np.argsort(eta_ms[begin:num], kind="mergesort")
            eta_ms[begin:num], driver[begin:num] = eta_ms[by_eta], driver[by_eta]
        kept_first[i + 1] = num
    eta_ms = eta_ms[:num].copy()
    return kept_first, driver[:num].copy(), eta_ms, eta_ms.astype(np.int64)


@kernel((I32, I32, I64, I64))
def add_driver_costs(candidate_driver, driver_idx, cost_ms, out_cost):
    """Add what each driver costs to its candidates (candidates,).

    Parameters
    ----------
    candidate_driver : (candidates,) int32
        Row of `driver_idx`.
    driver_idx : (drivers,) int32
        Row of the driver table.
    cost_ms : (rows,) int64
        Column of that table.
    out_cost : (candidates,) int64
    """
    for k in range(len(candidate_driver)):
        out_cost[k] += cost_ms[driver_idx[candidate_driver[k]]]
