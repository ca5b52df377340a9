"""What a dispatcher remembers and does, in plain Python: dictionaries, one order and one driver at a time."""

from dataclasses import dataclass, field

NEVER = -(2**62)
ACTIVE = ("offered", "assigned", "arrived", "on_board")
FINAL = ("closed", "cancelled", "expired")
DRIVER_OF = {
    "offered": "offered",
    "assigned": "to_pickup",
    "arrived": "at_pickup",
    "on_board": "occupied",
}
"""Status of an order → status of its driver; idle for all others."""
MOVES = {
    # command: {order before: order after}
    "cancel": dict.fromkeys(("open", "offered", "assigned", "arrived"), "cancelled"),
    "accept": {"offered": "assigned"},
    "decline": {"offered": "open"},
    "assign": {"open": "assigned"},
    "unassign": {"assigned": "open", "arrived": "open"},
    "arrive": {"assigned": "arrived"},
    "pick_up": {"arrived": "on_board"},
    "drop_off": {"on_board": "dropped_off"},
    "close": {"dropped_off": "closed"},
}


@dataclass
class Order:
    pickup: int
    dropoff: int
    changed: int
    expires: int
    status: str = "open"
    driver: int | None = None
    offer_expires: int = 0
    refused: set = field(default_factory=set)
    shown: bool = False


@dataclass
class Driver:
    status: str = "offline"
    changed: int = NEVER
    node: int | None = None
    heard_at: int = NEVER


class EngineModel:
    """Every command tells whether it is legal, and is applied only if it is."""

    def __init__(self, travel_ms, *, offer_timeout, max_wait, stale, max_pickup):
        self.travel_ms = travel_ms
        self.offer_timeout, self.max_wait = offer_timeout, max_wait
        self.stale, self.max_pickup = stale, max_pickup
        self.orders, self.drivers = {}, {}
        self.clock = self.latest = NEVER

    # --- drivers ---

    def online(self, ids, nodes, at):
        known = [self.drivers.get(one, Driver()) for one in ids]
        early = any(at < max(self.clock, driver.changed) for driver in known)
        if early or len(set(ids)) < len(ids) or any(driver.status != "offline" for driver in known):
            return False
        for one, node in zip(ids, nodes, strict=True):
            self.drivers[one] = Driver("idle", at, node, at)
        self.latest = max(self.latest, at)
        return True

    def offline(self, ids, at):
        known = [self.drivers.get(one) for one in ids]
        if None in known or len(set(ids)) < len(ids):
            return False
        if any(driver.status != "idle" or at < max(self.clock, driver.changed) for driver in known):
            return False
        for driver in known:
            driver.status, driver.changed = "offline", at
        self.latest = max(self.latest, at)
        return True

    def positions(self, ids, nodes, at):
        if len(set(ids)) < len(ids) or not set(ids) <= self.drivers.keys():
            return False
        for one, node in zip(ids, nodes, strict=True):
            if at >= self.drivers[one].heard_at:
                self.drivers[one].node, self.drivers[one].heard_at = node, at
        return True

    # --- orders ---

    def submit(self, ids, ends, at):
        if len(set(ids)) < len(ids) or set(ids) & self.orders.keys() or at < self.clock:
            return False
        for one, (pickup, dropoff) in zip(ids, ends, strict=True):
            self.orders[one] = Order(pickup, dropoff, at, at + self.max_wait)
        self.latest = max(self.latest, at)
        return True

    def on_orders(self, command, ids, drivers, at):
        """Any command of MOVES; `drivers` counts for those that name one."""
        named = command in ("accept", "decline", "assign")
        rows = list(zip(ids, drivers if named else [None] * len(ids), strict=True))
        if not all(self._legal(command, order, driver, at) for order, driver in rows):
            return False
        if len(set(ids)) < len(ids) or (named and len(set(drivers)) < len(ids)):
            return False
        for order, driver in rows:
            self._move(command, order, driver, at)
        self.latest = max(self.latest, at)
        return True

    def _legal(self, command, order_id, driver_id, at):
        order = self.orders.get(order_id)
        if order is None or order.status not in MOVES[command] or at < max(self.clock, order.changed):
            return False
        if driver_id is not None and driver_id not in self.drivers:
            return False
        if command in ("accept", "decline") and (order.driver != driver_id or at >= order.offer_expires):
            return False
        engaged = driver_id if command == "assign" else order.driver
        if engaged is not None and command != "close" and at < self.drivers[engaged].changed:
            return False
        if command == "assign":
            return self.drivers[driver_id].status == "idle" and self.drivers[driver_id].node is not None
        return True

    def _move(self, command, order_id, driver_id, at):
        order = self.orders[order_id]
        driver_id = driver_id if command == "assign" else order.driver
        order.status, order.changed = MOVES[command][order.status], at
        order.driver = driver_id if order.status in (*ACTIVE, "dropped_off") else None
        if command in ("decline", "unassign"):
            order.refused.add(driver_id)
        if driver_id is not None and command != "close":
            driver = self.drivers[driver_id]
            driver.status, driver.changed = DRIVER_OF.get(order.status, "idle"), at
            if command == "drop_off" and at >= driver.heard_at:
                driver.node, driver.heard_at = order.dropoff, at

    def forget(self):
        finished = [one for one, order in self.orders.items() if order.status in FINAL]
        for one in finished:
            del self.orders[one]
        return len(finished)

    # --- time ---

    def time_out(self, now):
        """What a step at `now` ends: {(event, order, driver, instant)}."""
        ended = set()
        for one, order in self.orders.items():
            if order.status == "offered" and order.offer_expires <= now:
                at = max(order.offer_expires, self.clock)
                ended.add(("offer_expired", one, order.driver, at))
                order.refused.add(order.driver)
                driver = self.drivers[order.driver]
                driver.status, driver.changed = "idle", at
                order.status, order.driver, order.changed = "open", None, at
            if order.status == "open" and order.expires <= now:
                at = max(order.expires, self.clock, order.changed)
                ended.add(("order_expired", one, -1, at))
                order.status, order.changed = "expired", at
        return ended

    def candidates(self, now):
        """{open order: {eligible driver: pickup ETA}}."""
        free = {
            one: driver.node
            for one, driver in self.drivers.items()
            if driver.status == "idle" and driver.node is not None and driver.heard_at >= now - self.stale
        }
        return {
            one: {
                driver: self.travel_ms[order.pickup][node]
                for driver, node in free.items()
                if driver not in order.refused and self.travel_ms[order.pickup][node] <= self.max_pickup
            }
            for one, order in self.orders.items()
            if order.status == "open"
        }

    def offer(self, order_id, driver_id, now):
        order, driver = self.orders[order_id], self.drivers[driver_id]
        order.status, order.driver, order.changed = "offered", driver_id, now
        order.offer_expires = now + self.offer_timeout
        driver.status, driver.changed = "offered", now
