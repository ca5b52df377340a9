"""Who is passed over though it waited longest: judged from the event log and what was told, order by order.

Nothing of the engine is used but the numbers of its events: positions, cars, skills and answers are followed
in plain dictionaries.
"""

from dataclasses import dataclass, field

from dispatch.engine.events import EventKind as K

MATCHED = (K.CARS_SHOWN, K.ORDER_RELEASED, K.ORDER_REASSIGNED, K.ORDER_OFFERED)
"""The first of these in a step comes after all that time brought about."""
STATUS_AFTER = {
    K.ORDER_SUBMITTED: "open",
    K.ORDER_OFFERED: "offered",
    K.OFFER_DECLINED: "open",
    K.OFFER_EXPIRED: "open",
    K.ORDER_ASSIGNED: "assigned",
    K.ORDER_REASSIGNED: "assigned",
    K.ORDER_UNASSIGNED: "open",
    K.DRIVER_ARRIVED: "arrived",
    K.PICKED_UP: "on board",
    K.DROPPED_OFF: "dropped off",
    K.ORDER_CLOSED: "closed",
    K.ORDER_CANCELLED: "cancelled",
    K.ORDER_EXPIRED: "expired",
}
NODE_LESS = None


@dataclass
class Driver:
    vehicle_class: int
    seats: int
    skills: int
    eligible: bool = True
    node: int | None = NODE_LESS
    heard_at: int = -(2**62)
    order: int | None = None
    next_order: int | None = None


@dataclass
class Order:
    row: int
    pickup: int
    dropoff: int
    wanted_at: int
    vehicle_class: int
    passengers: int
    skills: int
    status: str = "told"
    driver: int | None = None
    picked_up_at: int = 0
    refused: set = field(default_factory=set)


@dataclass
class Watch:
    """Follows a dispatcher's log, and notes each driver who was given past a starving order."""

    to_node: list
    """travel times [to][from]"""
    bound_ms: int
    max_pickup_ms: int
    patient_base_ms: int
    patient_slope: float
    chain_ms: int
    stale_ms: int
    lead_ms: int
    drivers: dict = field(default_factory=dict)
    orders: dict = field(default_factory=dict)
    passed_over: list = field(default_factory=list)
    num_starving: int = 0
    num_given: int = 0

    def step(self, events, now_ms):
        """Take in what a step or the commands before it brought about."""
        rows = [
            (K(one["kind"]), int(one["at_ms"]), int(one["order_id"]), int(one["driver_id"])) for one in events
        ]
        matched = [i for i, (kind, at_ms, *_) in enumerate(rows) if kind in MATCHED and at_ms == now_ms]
        begin = matched[0] if matched else len(rows)
        for row in rows[:begin]:
            self.follow(*row)
        given = {
            order: driver
            for kind, _, order, driver in rows[begin:]
            if kind in (K.ORDER_OFFERED, K.ORDER_REASSIGNED)
        }
        self.judge(given, now_ms)
        for row in rows[begin:]:
            self.follow(*row)

    def follow(self, kind, at_ms, order_id, driver_id):
        order, driver = self.orders.get(order_id), self.drivers.get(driver_id)
        if kind in (K.OFFER_DECLINED, K.OFFER_EXPIRED, K.ORDER_UNASSIGNED):
            order.refused.add(driver_id)
        if kind == K.PICKED_UP:
            order.picked_up_at = at_ms
        if kind == K.DROPPED_OFF and at_ms >= driver.heard_at:
            driver.node, driver.heard_at = order.dropoff, at_ms
        if kind in STATUS_AFTER:
            order.status = STATUS_AFTER[kind]
            order.driver = (
                driver_id if order.status in ("offered", "assigned", "arrived", "on board") else None
            )

    def judge(self, given, now_ms):
        """Compare what was given with every order that waits longer than the bound and got nobody."""
        waiting = [
            order
            for order_id, order in self.orders.items()
            if order.status == "open" and order_id not in given and now_ms - order.wanted_at > self.bound_ms
        ]
        self.num_starving += len(waiting)
        self.num_given += len(given)
        for order_id, driver_id in given.items():
            later = self.orders[order_id]
            for order in waiting:
                is_earlier = (order.wanted_at, order.row) < (later.wanted_at, later.row)
                if is_earlier and self.could_have(order, driver_id, now_ms):
                    self.passed_over.append((now_ms, order.row, later.row, driver_id))

    def could_have(self, order, driver_id, now_ms):
        driver = self.drivers[driver_id]
        suits = driver.vehicle_class >= order.vehicle_class and driver.seats >= order.passengers
        if not suits or not driver.eligible or order.skills & ~driver.skills or driver_id in order.refused:
            return False
        node, rest_ms = self.free_at(driver_id, now_ms)
        if node is NODE_LESS:
            return False
        largest_ms = self.max_pickup_ms
        if self.patient_base_ms:
            patient_ms = self.patient_base_ms + int(self.patient_slope * (now_ms - order.wanted_at))
            largest_ms = min(largest_ms, patient_ms)
        return rest_ms + self.to_node[order.pickup][node] <= largest_ms

    def free_at(self, driver_id, now_ms):
        """Where a driver whom a step gave to somebody is free, and in how long; else nowhere."""
        driver = self.drivers[driver_id]
        own = [order for order in self.orders.values() if order.driver == driver_id]
        if not own:
            is_fresh = driver.heard_at >= now_ms - self.stale_ms
            return (driver.node, 0) if is_fresh else (NODE_LESS, 0)
        if [order.status for order in own] == ["on board"]:
            (ride,) = own
            rest_ms = max(ride.picked_up_at + self.to_node[ride.dropoff][ride.pickup] - now_ms, 0)
            return (ride.dropoff, rest_ms) if rest_ms <= self.chain_ms else (NODE_LESS, 0)
        if [order.status for order in own] == ["assigned"]:
            return driver.node, 0
        return NODE_LESS, 0
