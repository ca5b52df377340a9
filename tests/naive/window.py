"""Who comes into question for whom, in plain Python: one order and one driver at a time."""

from naive.neighbours import neighbours

OPEN, ASSIGNED, ON_BOARD = 0, 2, 4
IDLE, TO_PICKUP, OCCUPIED = 1, 3, 5
NOWHERE = -1
UNREACHABLE_MS = 2**29


def may_change(order, orders, cars, rules):
    """Its driver is on the road; 1: any such order, 2: those expected too late."""
    driver = orders.driver_idx[order]
    is_asked = rules.reassigns == 1 or (rules.reassigns == 2 and orders.miss_predicted[order])
    is_assigned = orders.status[order] == ASSIGNED
    return is_asked and is_assigned and cars.status[driver] == TO_PICKUP and cars.node[driver] != NOWHERE


def seekers(live, now_ms, orders, cars, rules):
    """Open orders that may be served by now, then those whose driver may change."""
    is_open = [
        row
        for row in live
        if orders.status[row] == OPEN and orders.wanted_at_ms[row] - rules.lead_ms <= now_ms
    ]
    on_their_way = [row for row in live if may_change(row, orders, cars, rules)]
    return is_open, on_their_way


def free_drivers(live, now_ms, orders, cars, rules):
    """[(driver, where it will be free, in how long)]: idle ones first, others as their orders come.

    Who gets no orders is not among them, but for those whose orders may go to others.
    """
    free = [
        (row, cars.node[row], 0)
        for row in range(len(cars.status))
        if cars.status[row] == IDLE
        and cars.node[row] != NOWHERE
        and gets_orders(row, cars)
        and cars.position_at_ms[row] >= now_ms - rules.stale_ms
    ]
    for order in live:
        driver = orders.driver_idx[order]
        is_riding = orders.status[order] == ON_BOARD and cars.status[driver] == OCCUPIED
        if rules.chain_ms and is_riding and gets_orders(driver, cars):
            rest_ms = max(orders.picked_up_at_ms[order] + orders.trip_ms[order] - now_ms, 0)
            if rest_ms <= rules.chain_ms:
                free.append((driver, orders.dropoff_node[order], rest_ms))
        if may_change(order, orders, cars, rules):
            free.append((driver, cars.node[driver], 0))
    return free


def gets_orders(driver, cars):
    return cars.class_bits[driver] != 0


def suits(order, driver, orders, cars):
    """The car is of a class asked for, and no skill asked for is missing."""
    return (
        cars.class_bits[driver] & orders.class_bits[order] and not orders.skills[order] & ~cars.skills[driver]
    )


def may_meet(order, driver, orders, cars, refused):
    return suits(order, driver, orders, cars) and (order, driver) not in refused


def in_turn(is_open, now_ms, orders, rules):
    """Those who waited beyond the bound first, by their wait; the others as they are."""

    def key(order):
        waited_ms = now_ms - orders.wanted_at_ms[order]
        return -waited_ms if 0 < rules.starvation_ms < waited_ms else 1

    return sorted(is_open, key=key)


def heads(in_sequence, free, orders, cars, places, refused):
    """{order at a rank: the first in its queue who suits, and is not taken by an order before}."""
    turn = {}
    for order in in_sequence:
        rank = places.rank[orders.pickup_node[order]] if len(places.rank) else NOWHERE
        queue = [
            (cars.rank_since_ms[driver], place, driver)
            for place, (driver, _, _) in enumerate(free)
            if rank != NOWHERE
            and cars.rank[driver] == rank
            and driver not in turn.values()
            and may_meet(order, driver, orders, cars, refused)
        ]
        if queue:
            turn[order] = min(queue)[2]
    return turn


def candidates(live, now_ms, orders, rules, places, refused, cars):
    """Open orders, others, free drivers, and {order: drivers, nearest by air first}; who has more of them."""
    is_open, on_their_way = seekers(live, now_ms, orders, cars, rules)
    free = free_drivers(live, now_ms, orders, cars, rules) if is_open or on_their_way else []
    turn = heads(in_turn(is_open, now_ms, orders, rules), free, orders, cars, places, refused)
    nodes = [node for _, node, _ in free]
    x, y = places.x[nodes].tolist(), places.y[nodes].tolist()
    found, cut = {}, set()
    for order in [*is_open, *on_their_way]:
        at = orders.pickup_node[order]
        available = [
            bool(cars.rank[driver] == NOWHERE and suits(order, driver, orders, cars)) for driver, _, _ in free
        ]
        near = neighbours(x, y, places.x[at], places.y[at], rules.num_nearest, available=available)
        if order in is_open and rules.num_nearest == len(near) < len(free):
            cut.add(order)
        if order in turn:
            found[order] = [turn[order]]
            continue
        own = [orders.driver_idx[order]] if order in on_their_way else []
        drivers = [free[item][0] for _, item in near]
        found[order] = [one for one in drivers if one not in own and (order, one) not in refused] + own
    return is_open, on_their_way, free, found, cut


def limit_ms(order, now_ms, orders, rules):
    """Largest pickup ETA of an open order."""
    if not rules.patient_base_ms:
        return rules.max_pickup_ms
    waited_ms = max(now_ms - orders.wanted_at_ms[order], 0)
    return min(rules.patient_base_ms + int(rules.patient_slope * waited_ms), rules.max_pickup_ms)


def in_time(drivers, own, largest_ms, eta_of):
    """[(ETA, driver)] of those who come in time, soonest first; the one on the way stays in any case."""
    kept = []
    for driver in drivers:
        eta_ms = min(eta_of(driver), UNREACHABLE_MS)
        if driver == own:
            kept.append((min(eta_ms, UNREACHABLE_MS - 1), driver))
        elif eta_ms <= largest_ms and eta_ms < UNREACHABLE_MS:
            kept.append((eta_ms, driver))
    return sorted(kept, key=lambda entry: entry[0])
