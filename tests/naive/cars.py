"""Oracle: what a player shows of each car, replayed event by event, in plain Python."""

from collections import Counter

from dispatch.analysis.player_tracks import CarState
from dispatch.engine.events import EventKind as K
from dispatch.engine.lifecycle import TRANSITIONS, DriverStatus as D

DRIVER_TO = {
    (one.event, one.driver_from): one.driver_to for one in TRANSITIONS if one.driver_from is not None
}
SHOWN = {
    D.OFFLINE: CarState.OFF_DUTY,
    D.IDLE: CarState.IDLE,
    D.OFFERED: CarState.OFFERED,
    D.TO_PICKUP: CarState.TO_PICKUP,
    D.AT_PICKUP: CarState.AT_PICKUP,
    D.OCCUPIED: CarState.OCCUPIED,
    D.OCCUPIED_OFFERED: CarState.OCCUPIED,
    D.OCCUPIED_ASSIGNED: CarState.OCCUPIED_NEXT,
}
PLACES = (
    *(K.DRIVER_ONLINE, K.DRIVER_OFFLINE, K.DRIVER_ARRIVED, K.DROPPED_OFF),
    *(K.CRUISING_LEG, K.REPOSITIONING_LEG, K.ABANDONED_LEG),
)
FREED = (K.ORDER_UNASSIGNED, K.ORDER_CANCELLED, K.ORDER_RELEASED, K.REPOSITION_ADVISED, K.PICKED_UP)
STARTED_BY = {
    K.DRIVER_ARRIVED: (K.ORDER_ASSIGNED, K.ORDER_REASSIGNED),
    K.ABANDONED_LEG: (K.ORDER_ASSIGNED, K.ORDER_REASSIGNED),
    K.DROPPED_OFF: (K.PICKED_UP,),
}


def events_of_drivers(events):
    """Kind, instant and place of each driver's events, in their sequence."""
    of_driver = {}
    for event in events:
        if event["driver_id"] != -1:
            place = (int(event["lon_e6"]), int(event["lat_e6"]))
            of_driver.setdefault(int(event["driver_id"]), []).append(
                (K(int(event["kind"])), int(event["at_ms"]), place)
            )
    return of_driver


def drives(own):
    """(kind, from, to, to place) of one driver's drives."""
    found, was_at = [], None
    for number, (kind, at_ms, place) in enumerate(own):
        if kind not in PLACES:
            continue
        start = at_ms
        if was_at is not None and kind != K.DRIVER_ONLINE:
            starters = STARTED_BY.get(kind, (*PLACES, *FREED))
            before = [at for other, at, _ in own[:number] if other in starters]
            start = max(was_at, before[-1]) if before else was_at
        found.append((kind, start, at_ms, place))
        was_at = at_ms
    return found


def state_at(own, at_ms):
    """CarState of one driver after everything of that instant."""
    status = D.OFFLINE
    for kind, when, _ in own:
        if when <= at_ms:
            status = DRIVER_TO[kind, status]
    state = SHOWN[status]
    if state == CarState.IDLE:
        for kind, start, stop, _ in drives(own):
            if start <= at_ms < stop and kind == K.CRUISING_LEG:
                state = CarState.CRUISING
            if start <= at_ms < stop and kind == K.REPOSITIONING_LEG:
                state = CarState.REPOSITIONING
    return state


def state_counts(events, at_ms):
    """Number of cars in each state."""
    return Counter(state_at(own, at_ms) for own in events_of_drivers(events).values())


def place_at(columns, car, at_ms):
    """Where the packed columns put a car at an instant since the start, None before it appeared."""
    begin, end = columns["leg_first"][car], columns["leg_first"][car + 1]
    legs = [leg for leg in range(begin, end) if columns["leg_from"][leg] <= at_ms]
    if not legs:
        return None
    leg = legs[-1]
    points = range(columns["point_first"][leg], columns["point_first"][leg + 1])
    x, y, share = (columns[f"point_{name}"] for name in ("x", "y", "share"))
    start, stop = int(columns["leg_from"][leg]), int(columns["leg_to"][leg])
    if at_ms >= stop:
        return float(x[points[-1]]), float(y[points[-1]])
    now = 65535 * (at_ms - start) / (stop - start)
    after = next(point for point in points if share[point] > now)
    part = (now - share[after - 1]) / (share[after] - share[after - 1])
    return tuple(float(axis[after - 1] + part * (axis[after] - axis[after - 1])) for axis in (x, y))
