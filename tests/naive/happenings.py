"""Telling events one by one, in plain Python: a second writing of the rules."""

from dispatch.engine.events import EventKind as K
from dispatch.engine.lifecycle import TRANSITIONS
from dispatch.kernels.event_log import EVENT_DTYPE
from dispatch.units import LATEST_MS, NO_COORDINATE

STEPS = {(one.event, one.order_from, one.driver_from): (one.order_to, one.driver_to) for one in TRANSITIONS}
OF_DRIVERS = (K.DRIVER_ONLINE, K.DRIVER_OFFLINE)
ANSWERS = (K.OFFER_ACCEPTED, K.OFFER_DECLINED)
LEGS = (K.CRUISING_LEG, K.REPOSITIONING_LEG, K.ABANDONED_LEG)
OF_ORDERS = (
    *ANSWERS,
    K.ORDER_UNASSIGNED,
    K.DRIVER_ARRIVED,
    K.PICKED_UP,
    K.DROPPED_OFF,
    K.ORDER_CLOSED,
    K.ORDER_CANCELLED,
)
WITH_PLACE = (K.DRIVER_ONLINE, *LEGS)
WITH_METRES = (K.DRIVER_ARRIVED, K.DROPPED_OFF, *LEGS)


class RefusedError(Exception):
    """Row and reason."""

    def __init__(self, row, reason):
        self.row, self.reason = row, reason


def e6(degrees):
    return round(float(degrees) * 1e6)


def who(row, event, parties):
    """The rows of order and driver, None for nobody."""
    kind = int(event["kind"])
    orders, drivers = parties.order_id.tolist(), parties.driver_id.tolist()
    order = driver = None
    if kind in OF_ORDERS:
        if event["order_id"] not in orders:
            raise RefusedError(row, "order")
        order = orders.index(event["order_id"])
    if kind == K.ORDER_CLOSED:
        return order, None
    if event["driver_id"] == -1 and order is not None and kind not in ANSWERS:
        driver = int(parties.order_driver[order])
        return order, None if driver == -1 else driver
    if event["driver_id"] not in drivers:
        raise RefusedError(row, "driver")
    driver = drivers.index(event["driver_id"])
    if order is not None and kind not in ANSWERS and parties.order_driver[order] != driver:
        raise RefusedError(row, "other")
    return order, driver


def judge_numbers(row, event, node, num_nodes):
    """Instant, node and metres."""
    kind, at_ms = K(event["kind"]), event["at_ms"]
    if not -LATEST_MS <= at_ms <= LATEST_MS:
        raise RefusedError(row, "instant")
    if not -1 <= node < num_nodes:
        raise RefusedError(row, "node")
    if kind in WITH_PLACE and node == -1:
        raise RefusedError(row, "place")
    if kind in WITH_METRES and event["leg_m"] < 0:
        raise RefusedError(row, "metres")


def judge(row, event, order, driver, clock_ms, parties, tables):
    """What becomes of both."""
    kind, at_ms = K(event["kind"]), event["at_ms"]
    if kind in ANSWERS:
        is_live = parties.order_status[order] == 1 and parties.order_driver[order] == driver
        if not is_live or at_ms >= tables.offer_expires_at_ms[order]:
            raise RefusedError(row, "dead")
    earliest = [clock_ms]
    statuses = [None, None]
    if order is not None:
        statuses[0] = int(parties.order_status[order])
        earliest.append(parties.order_changed_at_ms[order])
    if driver is not None:
        statuses[1] = int(parties.driver_status[driver])
        earliest.append(parties.driver_changed_at_ms[driver])
    if (kind, *statuses) not in STEPS:
        raise RefusedError(row, "status")
    if at_ms < max(earliest):
        raise RefusedError(row, "time")


def move(kind, at_ms, order, driver, parties):
    statuses = (
        None if order is None else int(parties.order_status[order]),
        None if driver is None else int(parties.driver_status[driver]),
    )
    order_to, driver_to = STEPS[(kind, *statuses)]
    if order is not None:
        parties.order_status[order], parties.order_changed_at_ms[order] = order_to, at_ms
        if order_to == 0:
            parties.order_driver[order] = -1
        elif driver is not None:
            parties.order_driver[order] = driver
    if driver is not None:
        parties.driver_status[driver], parties.driver_changed_at_ms[driver] = driver_to, at_ms


def put(driver, at_ms, node, known, tables):
    tables.lon[driver], tables.lat[driver] = known.node_lon[node], known.node_lat[node]
    tables.x[driver], tables.y[driver] = known.node_x[node], known.node_y[node]
    tables.node[driver], tables.position_at_ms[driver] = node, at_ms


def details(event, order, driver, node, known, tables, fare):
    """What the log tells beside kind, instant and ids; positions change on the way."""
    kind, at_ms, leg_m = K(event["kind"]), int(event["at_ms"]), int(event["leg_m"])
    if kind == K.DRIVER_ARRIVED:
        where = tables.pickup_lon[order], tables.pickup_lat[order]
        return {"leg_m": leg_m}, where
    if kind == K.PICKED_UP:
        tables.picked_up_at_ms[order] = at_ms
        return {"eta_ms": int(tables.trip_ms[order])}, None
    if kind == K.DROPPED_OFF:
        where = tables.dropoff_lon[order], tables.dropoff_lat[order]
        minutes = (at_ms - tables.picked_up_at_ms[order]) / 60_000
        metered = fare.base_cents + fare.per_km_cents * leg_m / 1000 + fare.per_minute_cents * minutes
        if at_ms >= tables.position_at_ms[driver]:
            put(driver, at_ms, tables.dropoff_node[order], known, tables)
            tables.lon[driver], tables.lat[driver] = where
        return {"leg_m": leg_m, "fare_cents": max(round(metered), fare.minimum_cents)}, where
    if kind in WITH_PLACE:
        if kind == K.DRIVER_ONLINE or at_ms >= tables.position_at_ms[driver]:
            put(driver, at_ms, node, known, tables)
        more = {"leg_m": leg_m} if kind in LEGS else {"vehicle_class": int(tables.vehicle_class[driver])}
        return more, (known.node_lon[node], known.node_lat[node])
    if kind == K.DRIVER_OFFLINE:
        return {}, (tables.lon[driver], tables.lat[driver])
    return {}, None


def logged(kind, at_ms, order, driver, parties, more, where):
    blank = {name: NO_COORDINATE if name.endswith("_e6") else -1 for name in EVENT_DTYPE.names}
    named = {"kind": int(kind), "at_ms": int(at_ms)}
    if order is not None:
        named["order_id"] = int(parties.order_id[order])
    if driver is not None:
        named["driver_id"] = int(parties.driver_id[driver])
    if where is not None:
        named |= {"lon_e6": e6(where[0]), "lat_e6": e6(where[1])}
    return blank | named | more


def tell(*args):
    """Apply events in place, one by one, unless one of them is refused.

    Gives the log, the pairs (order, driver) that were refused, and the reason and row of a refusal.
    """
    try:
        return *_tell(*args), None
    except RefusedError as why:
        return [], [], (why.reason, why.row)


def _tell(events, node, known, clock_ms, parties, tables, fare):
    log, refused = [], []
    for row, event in enumerate(events):
        if event["kind"] not in (*OF_DRIVERS, *OF_ORDERS, *LEGS):
            raise RefusedError(row, "kind")
        kind, at_ms = K(event["kind"]), int(event["at_ms"])
        order, driver = who(row, event, parties)
        judge_numbers(row, event, node[row], len(known.node_lon))
        judge(row, event, order, driver, clock_ms, parties, tables)
        move(kind, at_ms, order, driver, parties)
        log.append(
            logged(
                kind,
                at_ms,
                order,
                driver,
                parties,
                *details(event, order, driver, node[row], known, tables, fare),
            )
        )
        if kind == K.OFFER_ACCEPTED:
            move(K.ORDER_ASSIGNED, at_ms, order, driver, parties)
            more = {name: int(getattr(tables, name)[order]) for name in ("eta_ms", "nearest_eta_ms")}
            log.append(logged(K.ORDER_ASSIGNED, at_ms, order, driver, parties, more, None))
            tables.promised_at_ms[order] = at_ms + more["eta_ms"]
            tables.miss_predicted[order] = False
        if kind in (K.OFFER_DECLINED, K.ORDER_UNASSIGNED):
            refused.append((order, driver))
    return log, refused
