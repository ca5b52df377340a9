"""Oracle: the life cycle of orders and drivers replayed event by event, in plain Python."""

from dataclasses import dataclass, field

from dispatch.engine.events import EventKind as K

DRIVER_EVENTS = {
    # kind: (order before, driver before, order after, driver after)
    K.OFFER_ACCEPTED: [("offered", "offered", "accepted", "accepted")],
    K.OFFER_DECLINED: [("offered", "offered", "open", "idle")],
    K.OFFER_EXPIRED: [("offered", "offered", "open", "idle")],
    K.ORDER_UNASSIGNED: [("assigned", "to pickup", "open", "idle"), ("arrived", "at pickup", "open", "idle")],
    K.DRIVER_ARRIVED: [("assigned", "to pickup", "arrived", "at pickup")],
    K.PICKED_UP: [("arrived", "at pickup", "on board", "occupied")],
    K.DROPPED_OFF: [("on board", "occupied", "dropped off", "idle")],
    K.ORDER_OFFERED: [("open", "idle", "offered", "offered")],
    K.ORDER_ASSIGNED: [
        ("open", "idle", "assigned", "to pickup"),
        ("accepted", "accepted", "assigned", "to pickup"),
    ],
    K.ORDER_CANCELLED: [
        ("offered", "offered", "cancelled", "idle"),
        ("assigned", "to pickup", "cancelled", "idle"),
        ("arrived", "at pickup", "cancelled", "idle"),
    ],
}
ORDER_EVENTS = {
    K.ORDER_SUBMITTED: (None, "open"),
    K.CARS_SHOWN: ("open", "open"),
    K.ORDER_CLOSED: ("dropped off", "closed"),
    K.ORDER_CANCELLED: ("open", "cancelled"),
    K.ORDER_EXPIRED: ("open", "expired"),
}
FINAL = ("closed", "cancelled", "expired")


@dataclass
class Replay:
    """State after the events so far."""

    order_state: dict = field(default_factory=dict)
    driver_state: dict = field(default_factory=dict)
    driver_of_order: dict = field(default_factory=dict)
    order_of_driver: dict = field(default_factory=dict)
    accepted_at: dict = field(default_factory=dict)
    pickup_m: dict = field(default_factory=dict)
    trip_m: dict = field(default_factory=dict)
    trips_have_fares: bool | None = None
    now: int | None = None

    def step(self, event) -> bool:
        """Apply one event; False, and nothing applied, where it is illegal."""
        kind, order, driver = int(event["kind"]), int(event["order_id"]), int(event["driver_id"])
        if not 0 <= kind < len(K) or (self.now is not None and event["at_ms"] < self.now):
            return False
        kind = K(kind)
        at_ms = int(event["at_ms"])
        if not numbers_are_plausible(kind, event):
            return False
        has_fare = int(event["fare_cents"]) != -1
        if kind == K.DROPPED_OFF and self.trips_have_fares not in (None, has_fare):
            return False
        legal = self._apply(kind, order, driver, at_ms)
        if legal:
            self.now = at_ms
            if kind == K.DROPPED_OFF:
                self.trips_have_fares = has_fare
            leg_m = int(event["leg_m"])
            if leg_m != -1:
                metres = self.pickup_m if kind == K.DRIVER_ARRIVED else self.trip_m
                metres[driver] = metres.get(driver, 0) + leg_m
        return legal

    def _apply(self, kind, order, driver, at_ms) -> bool:
        if kind in (K.DRIVER_ONLINE, K.DRIVER_OFFLINE):
            before, after = ("offline", "idle") if kind == K.DRIVER_ONLINE else ("idle", "offline")
            if order != -1 or driver == -1 or self.driver_state.get(driver, "offline") != before:
                return False
            if kind == K.DRIVER_OFFLINE and driver not in self.driver_state:
                return False
            self.driver_state[driver] = after
            return True
        if order == -1:
            return False
        if driver == -1:
            if kind not in ORDER_EVENTS or self.order_state.get(order) != ORDER_EVENTS[kind][0]:
                return False
            self.order_state[order] = ORDER_EVENTS[kind][1]
            return True
        return self._apply_to_both(kind, order, driver, at_ms)

    def _apply_to_both(self, kind, order, driver, at_ms) -> bool:
        for order_before, driver_before, order_after, driver_after in DRIVER_EVENTS.get(kind, ()):
            if self.order_state.get(order) != order_before or self.driver_state.get(driver) != driver_before:
                continue
            engaged = order_before != "open"
            if engaged and (self.driver_of_order[order] != driver or self.order_of_driver[driver] != order):
                return False
            if order_before == "accepted" and self.accepted_at[order] != at_ms:
                return False
            self.order_state[order], self.driver_state[driver] = order_after, driver_after
            self.driver_of_order[order], self.order_of_driver[driver] = driver, order
            if order_after == "accepted":
                self.accepted_at[order] = at_ms
            return True
        return False


def numbers_are_plausible(kind, event) -> bool:
    """Are metres, ETAs and the fare where they belong, and nowhere else?"""
    leg_m, fare_cents = int(event["leg_m"]), int(event["fare_cents"])
    if (leg_m >= 0) != (kind in (K.DRIVER_ARRIVED, K.DROPPED_OFF)) or leg_m < -1:
        return False
    if fare_cents < -1 or (fare_cents != -1 and kind != K.DROPPED_OFF):
        return False
    eta_ms, nearest_eta_ms = int(event["eta_ms"]), int(event["nearest_eta_ms"])
    if nearest_eta_ms < -1:
        return False
    return kind not in (K.ORDER_OFFERED, K.ORDER_ASSIGNED) or (eta_ms >= 0 and eta_ms >= nearest_eta_ms)


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
            row.pop("arrived_at_ms", None)
            row.pop("pickup_m", None)
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


def drivers_in_plain_python(events):
    """Totals of each driver as dictionaries by id."""
    state, totals, since = Replay(), {}, {}
    end = int(events[-1]["at_ms"]) if len(events) else 0
    names = {"to pickup": "to_pickup_ms", "at pickup": "at_pickup_ms", "occupied": "occupied_ms"}
    columns = ("online_ms", *names.values(), "pickup_m", "trip_m", "num_trips", "income_cents")

    def spend(driver, until):
        doing = state.driver_state.get(driver, "offline")
        if doing != "offline":
            totals[driver]["online_ms"] += until - since[driver]
        if doing in names:
            totals[driver][names[doing]] += until - since[driver]
        since[driver] = until

    for event in events:
        driver = int(event["driver_id"])
        if driver != -1:
            totals.setdefault(driver, dict.fromkeys(columns, 0))
            spend(driver, int(event["at_ms"]))
        assert state.step(event)
        if event["kind"] == K.DROPPED_OFF:
            totals[driver]["num_trips"] += 1
            totals[driver]["income_cents"] += max(int(event["fare_cents"]), 0)
    for driver in totals:
        spend(driver, end)
        totals[driver]["pickup_m"] = state.pickup_m.get(driver, 0)
        totals[driver]["trip_m"] = state.trip_m.get(driver, 0)
    return totals
