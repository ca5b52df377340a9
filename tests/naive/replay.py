"""Oracle: the life cycle of orders and drivers replayed event by event, in plain Python."""

from dataclasses import dataclass, field

from dispatch.engine.events import EventKind as K

TOGETHER = {
    # kind: (order before, driver before, order after, driver after)
    K.OFFER_ACCEPTED: [
        ("offered", "offered", "accepted", "accepted"),
        ("offered", "occupied, offered", "accepted", "occupied, accepted"),
    ],
    K.ORDER_OFFERED: [
        ("open", "idle", "offered", "offered"),
        ("open", "occupied", "offered", "occupied, offered"),
    ],
    K.ORDER_ASSIGNED: [
        ("open", "idle", "assigned", "to pickup"),
        ("open", "occupied", "assigned", "occupied, assigned"),
        ("accepted", "accepted", "assigned", "to pickup"),
        ("accepted", "occupied, accepted", "assigned", "occupied, assigned"),
    ],
    K.ORDER_UNASSIGNED: [
        ("assigned", "to pickup", "open", "idle"),
        ("assigned", "occupied, assigned", "open", "occupied"),
        ("arrived", "at pickup", "open", "idle"),
    ],
    K.ORDER_RELEASED: [
        ("assigned", "to pickup", "released", "idle"),
        ("assigned", "occupied, assigned", "released", "occupied"),
    ],
    K.ORDER_REASSIGNED: [
        ("released", "idle", "assigned", "to pickup"),
        ("released", "occupied", "assigned", "occupied, assigned"),
    ],
    K.PICKUP_MISS_PREDICTED: [
        ("assigned", "to pickup", "assigned", "to pickup"),
        ("assigned", "occupied, assigned", "assigned", "occupied, assigned"),
    ],
    K.DRIVER_ARRIVED: [("assigned", "to pickup", "arrived", "at pickup")],
    K.PICKED_UP: [("arrived", "at pickup", "on board", "occupied")],
    K.DROPPED_OFF: [
        ("on board", "occupied", "dropped off", "idle"),
        ("on board", "occupied, offered", "dropped off", "offered"),
        ("on board", "occupied, accepted", "dropped off", "accepted"),
        ("on board", "occupied, assigned", "dropped off", "to pickup"),
    ],
    K.ORDER_CANCELLED: [
        ("offered", "offered", "cancelled", "idle"),
        ("offered", "occupied, offered", "cancelled", "occupied"),
        ("assigned", "to pickup", "cancelled", "idle"),
        ("assigned", "occupied, assigned", "cancelled", "occupied"),
        ("arrived", "at pickup", "cancelled", "idle"),
    ],
}
for _kind in (K.OFFER_DECLINED, K.OFFER_EXPIRED):
    TOGETHER[_kind] = [
        ("offered", "offered", "open", "idle"),
        ("offered", "occupied, offered", "open", "occupied"),
    ]
ORDER_ALONE = {
    K.ORDER_SUBMITTED: (None, "open"),
    K.CARS_SHOWN: ("open", "open"),
    K.ORDER_CLOSED: ("dropped off", "closed"),
    K.ORDER_CANCELLED: ("open", "cancelled"),
    K.ORDER_EXPIRED: ("open", "expired"),
}
LEGS = {
    K.DRIVER_ARRIVED: "pickup_m",
    K.DROPPED_OFF: "trip_m",
    K.CRUISING_LEG: "cruising_m",
    K.REPOSITIONING_LEG: "repositioning_m",
    K.ABANDONED_LEG: "abandoned_m",
}
DRIVER_ALONE = (
    *(K.DRIVER_ONLINE, K.DRIVER_OFFLINE, K.REPOSITION_ADVISED),
    *(K.CRUISING_LEG, K.REPOSITIONING_LEG, K.ABANDONED_LEG),
)
QUOTES = (K.ORDER_OFFERED, K.ORDER_ASSIGNED, K.ORDER_REASSIGNED, K.PICKUP_MISS_PREDICTED)
HALF_DONE = ("accepted", "released")
FINAL = ("closed", "cancelled", "expired")
TOLD = ("customer_id", "tier", "is_first", "passengers", "wanted_after_ms", "vehicle_class")
NOWHERE = 2**31 - 1


@dataclass
class Replay:
    """State after the events so far."""

    order_state: dict = field(default_factory=dict)
    driver_state: dict = field(default_factory=dict)
    driver_of_order: dict = field(default_factory=dict)
    metres: dict = field(default_factory=lambda: {name: {} for name in LEGS.values()})
    trips_have_fares: bool | None = None
    half_done: set = field(default_factory=set)
    missed: set = field(default_factory=set)
    now: int | None = None

    def step(self, event) -> bool:
        """Apply one event; False, and nothing applied, where it is illegal."""
        kind, order, driver = int(event["kind"]), int(event["order_id"]), int(event["driver_id"])
        at_ms = int(event["at_ms"])
        if not 0 <= kind < len(K) or (self.now is not None and at_ms < self.now):
            return False
        if self.half_done and at_ms > self.now:
            return False
        kind = K(kind)
        if not numbers_are_plausible(kind, event):
            return False
        has_fare = int(event["fare_cents"]) != -1
        if kind == K.DROPPED_OFF and self.trips_have_fares not in (None, has_fare):
            return False
        if kind == K.PICKUP_MISS_PREDICTED and order in self.missed:
            return False
        if not self._apply(kind, order, driver):
            return False
        if kind == K.PICKUP_MISS_PREDICTED:
            self.missed.add(order)
        elif kind in (K.ORDER_ASSIGNED, K.ORDER_REASSIGNED):
            self.missed.discard(order)
        self.now = at_ms
        if kind == K.DROPPED_OFF:
            self.trips_have_fares = has_fare
        if kind in LEGS:
            metres = self.metres[LEGS[kind]]
            metres[driver] = metres.get(driver, 0) + int(event["leg_m"])
        self.half_done.discard(order)
        if self.order_state.get(order) in HALF_DONE:
            self.half_done.add(order)
        return True

    def _apply(self, kind, order, driver) -> bool:
        if kind in DRIVER_ALONE:
            return order == -1 and driver != -1 and self._apply_to_driver(kind, driver)
        if order == -1:
            return False
        if driver == -1:
            if kind not in ORDER_ALONE or self.order_state.get(order) != ORDER_ALONE[kind][0]:
                return False
            self.order_state[order] = ORDER_ALONE[kind][1]
            return True
        return self._apply_to_both(kind, order, driver)

    def _apply_to_driver(self, kind, driver) -> bool:
        state = self.driver_state.get(driver)
        if kind == K.DRIVER_ONLINE:
            self.driver_state[driver] = "idle"
            legal = state in (None, "offline")
            if not legal:
                self.driver_state[driver] = state
            return legal
        if kind == K.DRIVER_OFFLINE and state == "idle":
            self.driver_state[driver] = "offline"
            return True
        return state == "idle" if kind == K.REPOSITION_ADVISED else kind in LEGS and state is not None

    def _apply_to_both(self, kind, order, driver) -> bool:
        states = self.order_state.get(order), self.driver_state.get(driver)
        for order_before, driver_before, order_after, driver_after in TOGETHER.get(kind, ()):
            if states != (order_before, driver_before):
                continue
            if order_before == "released" and self.driver_of_order[order] == driver:
                return False
            if order_before not in ("open", "released") and self.driver_of_order[order] != driver:
                return False
            self.order_state[order], self.driver_state[driver] = order_after, driver_after
            self.driver_of_order[order] = driver
            return True
        return False


def numbers_are_plausible(kind, event) -> bool:
    """Are metres, ETAs, the fare, the place and what is told where they belong, and nowhere else?"""
    leg_m, fare_cents = int(event["leg_m"]), int(event["fare_cents"])
    if (leg_m >= 0) != (kind in LEGS) or leg_m < -1:
        return False
    if fare_cents < -1 or (fare_cents != -1 and kind != K.DROPPED_OFF):
        return False
    if kind == K.REPOSITION_ADVISED and NOWHERE in (int(event["lon_e6"]), int(event["lat_e6"])):
        return False
    for name in TOLD:
        tellers = [K.ORDER_SUBMITTED] + [K.DRIVER_ONLINE] * (name == "vehicle_class")
        if event[name] < -1 or (event[name] != -1 and kind not in tellers):
            return False
    if event["is_first"] > 1:
        return False
    eta_ms, nearest_eta_ms = int(event["eta_ms"]), int(event["nearest_eta_ms"])
    if nearest_eta_ms < -1:
        return False
    return kind not in QUOTES or (eta_ms >= 0 and eta_ms >= nearest_eta_ms)


def replay(events):
    """Replay a log: the state at its end, and the row of the first illegal event (None if all are legal)."""
    state = Replay()
    for row, event in enumerate(events):
        if not state.step(event):
            return state, row
    return state, None


def orders_in_plain_python(events):
    """Rows of the order table as dictionaries, in order of submission."""
    rows = {}
    for event in events:
        kind, order, at = K(int(event["kind"])), int(event["order_id"]), int(event["at_ms"])
        if kind == K.ORDER_SUBMITTED:
            rows[order] = {
                "order_id": order,
                "customer_id": int(event["customer_id"]),
                "tier": int(event["tier"]),
                "is_first": int(event["is_first"]),
                "passengers": int(event["passengers"]),
                "vehicle_class": int(event["vehicle_class"]),
                "submitted_at_ms": at,
                "wanted_at_ms": at + max(int(event["wanted_after_ms"]), 0),
                "pickup_lon_e6": int(event["lon_e6"]),
                "pickup_lat_e6": int(event["lat_e6"]),
                "num_offers": 0,
            }
        if order == -1:
            continue
        row = rows[order]
        if kind == K.CARS_SHOWN:
            row["num_cars_shown"] = int(event["num_cars"])
        elif kind == K.ORDER_OFFERED:
            row["num_offers"] += 1
        elif kind == K.OFFER_ACCEPTED:
            row.setdefault("first_accepted_at_ms", at)
        elif kind in (K.ORDER_ASSIGNED, K.ORDER_REASSIGNED):
            row.setdefault("first_accepted_at_ms", at)
            row["accepted_at_ms"] = at
            row["driver_id"] = int(event["driver_id"])
            row["quoted_eta_ms"], row["nearest_eta_ms"] = int(event["eta_ms"]), int(event["nearest_eta_ms"])
            row.pop("miss_predicted_at_ms", None)
            row.pop("arrived_at_ms", None)
            row.pop("pickup_m", None)
        elif kind == K.PICKUP_MISS_PREDICTED:
            row["miss_predicted_at_ms"] = at
        elif kind == K.DRIVER_ARRIVED:
            row["arrived_at_ms"], row["pickup_m"] = at, int(event["leg_m"])
        elif kind == K.PICKED_UP:
            row["picked_up_at_ms"] = at
        elif kind == K.DROPPED_OFF:
            row["dropped_off_at_ms"] = at
            row["trip_m"], row["fare_cents"] = int(event["leg_m"]), int(event["fare_cents"])
        elif kind in (K.ORDER_CLOSED, K.ORDER_CANCELLED, K.ORDER_EXPIRED):
            name = kind.name.lower().removeprefix("order_")
            row[f"{name}_at_ms"] = at
    return list(rows.values())


COUNTED = {
    K.DROPPED_OFF: "num_trips",
    K.ORDER_ASSIGNED: "num_accepted",
    K.ORDER_REASSIGNED: "num_accepted",
    K.OFFER_DECLINED: "num_declined",
    K.OFFER_EXPIRED: "num_declined",
    K.ORDER_UNASSIGNED: "num_cancelled",
}
TIMES = ("online_ms", "to_pickup_ms", "at_pickup_ms", "occupied_ms", "break_ms")


def time_columns(doing):
    """Columns of the driver table that time in a state counts for."""
    if doing == "offline":
        return []
    named = {"to pickup": ["to_pickup_ms"], "at pickup": ["at_pickup_ms"]}
    return ["online_ms", *(["occupied_ms"] if doing.startswith("occupied") else named.get(doing, []))]


def drivers_in_plain_python(events):
    """Totals of each driver as dictionaries by id."""
    state, totals, since, left, given = Replay(), {}, {}, {}, {}
    columns = (*TIMES, *LEGS.values(), "driven_m", *COUNTED.values(), "num_short_arrivals", "income_cents")

    def spend(driver, until):
        for name in time_columns(state.driver_state.get(driver, "offline")):
            totals[driver][name] += until - since[driver]
        since[driver] = until

    for event in events:
        kind, driver, at = K(int(event["kind"])), int(event["driver_id"]), int(event["at_ms"])
        if driver != -1:
            totals.setdefault(driver, dict.fromkeys(columns, 0))
            spend(driver, at)
        assert state.step(event)
        if kind in COUNTED:
            totals[driver][COUNTED[kind]] += 1
        if kind in (K.ORDER_ASSIGNED, K.ORDER_REASSIGNED):
            given[driver, int(event["order_id"])] = at
        if kind == K.DRIVER_ARRIVED and at - given[driver, int(event["order_id"])] <= 300_000:
            totals[driver]["num_short_arrivals"] += 1
        if kind == K.DRIVER_OFFLINE:
            left[driver] = at
        if kind == K.DRIVER_ONLINE and driver in left:
            totals[driver]["break_ms"] += at - left[driver]
        if kind == K.DROPPED_OFF:
            totals[driver]["income_cents"] += max(int(event["fare_cents"]), 0)
    for driver, row in totals.items():
        spend(driver, int(events[-1]["at_ms"]))
        row |= {name: state.metres[name].get(driver, 0) for name in LEGS.values()}
        row["driven_m"] = sum(row[name] for name in LEGS.values())
    return totals
