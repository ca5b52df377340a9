"""What events make of the CRM's tables, one at a time, in plain Python."""

from collections import defaultdict

from dispatch.engine.events import EventKind as Kind
from dispatch.units import NO_VALUE

DAY_MS = 86_400_000
STAGE = {
    Kind.ORDER_SUBMITTED: 0,
    Kind.ORDER_OFFERED: 1,
    Kind.OFFER_ACCEPTED: 0,
    Kind.OFFER_DECLINED: 0,
    Kind.OFFER_EXPIRED: 0,
    Kind.ORDER_ASSIGNED: 2,
    Kind.ORDER_REASSIGNED: 2,
    Kind.ORDER_UNASSIGNED: 0,
    Kind.ORDER_RELEASED: 0,
    Kind.DRIVER_ARRIVED: 3,
    Kind.PICKED_UP: 4,
    Kind.DROPPED_OFF: 5,
    Kind.ORDER_CLOSED: 6,
    Kind.ORDER_CANCELLED: 7,
    Kind.ORDER_EXPIRED: 8,
}


class Replay:
    """Tables as dicts; unknown is None."""

    def __init__(self, late_after_ms):
        self.late_after_ms = late_after_ms
        self.orders, self.offers, self.trips, self.duty = {}, {}, {}, {}
        self.customer_day = defaultdict(lambda: defaultdict(int))
        self.driver_day = defaultdict(lambda: defaultdict(int))

    def tell(self, event):
        event = {name: int(event[name]) for name in event.dtype.names}
        kind, at_ms = Kind(event["kind"]), event["at_ms"]
        driver = None if event["driver_id"] == NO_VALUE else event["driver_id"]
        if kind == Kind.DRIVER_ONLINE:
            self.duty[driver] = at_ms
        elif kind == Kind.DRIVER_OFFLINE:
            self._off_duty(driver, at_ms)
        if kind in (Kind.CRUISING_LEG, Kind.REPOSITIONING_LEG, Kind.ABANDONED_LEG, Kind.DRIVER_ARRIVED):
            self.driver_day[driver, at_ms // DAY_MS]["empty_m"] += event["leg_m"]
        if event["order_id"] == NO_VALUE:
            return
        order = self.orders.setdefault(event["order_id"], {"stage": 0, "num_offers": 0})
        if kind in STAGE:
            order["stage"] = STAGE[kind]
        getattr(self, f"_{kind.name.lower()}", self._nothing)(event, order, driver, at_ms)

    def _nothing(self, event, order, driver, at_ms):
        """Of this kind the tables keep the stage alone."""

    def _off_duty(self, driver, at_ms):
        since = self.duty.pop(driver)
        while since < at_ms:
            midnight = (since // DAY_MS + 1) * DAY_MS
            self.driver_day[driver, since // DAY_MS]["online_ms"] += min(midnight, at_ms) - since
            since = midnight

    def _of_customer(self, order, at_ms, **amounts):
        if order.get("customer_id") is not None:
            for name, amount in amounts.items():
                self.customer_day[order["customer_id"], at_ms // DAY_MS][name] += amount

    def _of_driver(self, driver, at_ms, **amounts):
        for name, amount in amounts.items():
            self.driver_day[driver, at_ms // DAY_MS][name] += amount

    def _waited(self, order, at_ms):
        wanted = order.get("wanted_at_ms")
        return 0 if wanted is None else max(at_ms - wanted, 0)

    def _order_submitted(self, event, order, driver, at_ms):
        order["customer_id"] = None if event["customer_id"] == NO_VALUE else event["customer_id"]
        order["submitted_at_ms"] = at_ms
        order["wanted_at_ms"] = at_ms + event["wanted_after_ms"]
        order |= {"pickup_lon_e6": event["lon_e6"], "pickup_lat_e6": event["lat_e6"]}
        order |= {name: event[name] for name in ("tier", "is_first", "passengers", "vehicle_class")}
        self._of_customer(order, at_ms, submitted=1)

    def _order_offered(self, event, order, driver, at_ms):
        order.setdefault("first_offered_at_ms", at_ms)
        order["num_offers"] += 1
        self.offers[event["order_id"], driver, at_ms] = [None, None, event["eta_ms"]]
        self._of_driver(driver, at_ms, offered=1)

    def _answered(self, event, driver, name, at_ms):
        for (order_id, who, _), offer in self.offers.items():
            if (order_id, who) == (event["order_id"], driver) and offer[0] is None:
                offer[:2] = event["kind"], at_ms
        self._of_driver(driver, at_ms, **{name: 1})

    def _offer_accepted(self, event, order, driver, at_ms):
        self._answered(event, driver, "accepted", at_ms)

    def _offer_declined(self, event, order, driver, at_ms):
        self._answered(event, driver, "declined", at_ms)

    def _offer_expired(self, event, order, driver, at_ms):
        self._answered(event, driver, "offer_expired", at_ms)

    def _order_assigned(self, event, order, driver, at_ms):
        if order.get("accepted_at_ms") is None:
            self._of_customer(order, at_ms, unanswered_ms=self._waited(order, at_ms))
        order |= {"driver_id": driver, "accepted_at_ms": at_ms, "quoted_eta_ms": event["eta_ms"]}

    _order_reassigned = _order_assigned

    def _order_unassigned(self, event, order, driver, at_ms):
        order["driver_id"] = None
        self._of_driver(driver, at_ms, unassigned=1)

    def _order_released(self, event, order, driver, at_ms):
        order["driver_id"] = None

    def _driver_arrived(self, event, order, driver, at_ms):
        order |= {"arrived_at_ms": at_ms, "pickup_m": event["leg_m"]}
        late_ms = max(at_ms - order["accepted_at_ms"] - order["quoted_eta_ms"], 0)
        is_late = int(late_ms > self.late_after_ms)
        self._of_driver(driver, at_ms, arrived=1, late=is_late, late_ms=late_ms)
        self._of_customer(order, at_ms, late=is_late)

    def _picked_up(self, event, order, driver, at_ms):
        order["picked_up_at_ms"] = at_ms
        self._of_customer(order, at_ms, picked_up=1, wait_ms=self._waited(order, at_ms))

    def _dropped_off(self, event, order, driver, at_ms):
        fare, trip_m = event["fare_cents"], event["leg_m"]
        order |= {"dropped_off_at_ms": at_ms, "trip_m": trip_m, "fare_cents": fare}
        order |= {"dropoff_lon_e6": event["lon_e6"], "dropoff_lat_e6": event["lat_e6"]}
        self.trips[event["order_id"]] = (
            order.get("customer_id"),
            driver,
            order["picked_up_at_ms"],
            at_ms,
            trip_m,
            fare,
        )
        self._of_customer(order, at_ms, completed=1, spend_cents=fare, trip_m=trip_m)
        occupied_ms = at_ms - order["picked_up_at_ms"]
        self._of_driver(driver, at_ms, completed=1, income_cents=fare, trip_m=trip_m, occupied_ms=occupied_ms)

    def _order_closed(self, event, order, driver, at_ms):
        order["ended_at_ms"] = at_ms

    def _order_cancelled(self, event, order, driver, at_ms):
        order["ended_at_ms"] = at_ms
        self._of_customer(order, at_ms, cancelled=1, cancelled_late=int(order.get("driver_id") is not None))
        if order.get("accepted_at_ms") is None:
            self._of_customer(order, at_ms, gave_up=1, unanswered_ms=self._waited(order, at_ms))
        for (order_id, *_), offer in self.offers.items():
            if order_id == event["order_id"] and offer[0] is None:
                offer[0] = int(Kind.ORDER_CANCELLED)

    def _order_expired(self, event, order, driver, at_ms):
        order["ended_at_ms"] = at_ms
        self._of_customer(order, at_ms, expired=1)
        if order.get("accepted_at_ms") is None:
            self._of_customer(order, at_ms, unanswered_ms=self._waited(order, at_ms))
