"""Random legal logs of everything that a driver may do, by walking along the table of transitions."""

import random

import numpy as np

from dispatch.engine.events import EVENT_DTYPE, EventKind
from dispatch.engine.lifecycle import TRANSITIONS, DriverStatus, OrderStatus
from dispatch.units import NO_COORDINATE, NO_VALUE

K, S, D = EventKind, OrderStatus, DriverStatus
LEGS = (K.CRUISING_LEG, K.REPOSITIONING_LEG, K.ABANDONED_LEG)
HELD = (S.OFFERED, S.ASSIGNED, S.ARRIVED)
ABSENT = {name: NO_COORDINATE if name.endswith("_e6") else NO_VALUE for name in EVENT_DTYPE.names}


class Walk:
    """Drivers and orders, and what happened to them so far; ids are far apart and need 64 bits."""

    def __init__(self, seed, city, num_drivers, start_at_ms=1_465_000_000_000):
        self.random = random.Random(seed)
        self.city, self.now = city, start_at_ms
        self.status = {10**15 + 7 * n: D.OFFLINE for n in range(num_drivers)}
        self.held, self.aboard = {}, {}
        self.orders, self.pickup = {}, {}
        self.rows = []

    def place(self):
        node = self.random.randrange(self.city.graph.num_nodes)
        lon, lat = self.city.graph.node_lon[node], self.city.graph.node_lat[node]
        off = self.random.choice([0, 0, 30]) * self.random.uniform(-1, 1)
        return {"lon_e6": round(lon * 1e6 + off), "lat_e6": round(lat * 1e6 + off)}

    def log(self, kind, order=NO_VALUE, driver=NO_VALUE, **columns):
        row = {**ABSENT, **columns, "kind": int(kind), "at_ms": self.now}
        row.update(order_id=order, driver_id=driver)
        self.rows.append(tuple(row[name] for name in EVENT_DTYPE.names))

    def submit(self):
        order = len(self.orders) * 3 + 2**40
        self.orders[order], self.pickup[order] = S.OPEN, self.place()
        wanted = {"wanted_after_ms": self.random.choice([0, 0, 600_000])}
        self.log(K.ORDER_SUBMITTED, order, **self.pickup[order], **wanted)

    def parties(self, one):
        """A random order and driver to whom a transition may happen, None where there are none."""
        drivers = [d for d, status in self.status.items() if status == one.driver_from]
        orders = [o for o, status in self.orders.items() if status == one.order_from]
        if one.driver_from is None:
            return (self.random.choice(orders), NO_VALUE) if orders else None
        if not drivers:
            return None
        driver = self.random.choice(drivers)
        if one.order_from is None:
            return NO_VALUE, driver
        if one.order_from == S.OPEN:
            return (self.random.choice(orders), driver) if orders else None
        order = (self.aboard if one.order_from == S.ON_BOARD else self.held).get(driver)
        return (order, driver) if order is not None and self.orders[order] == one.order_from else None

    def happen(self, one, order, driver):
        columns = {}
        if one.event in (*LEGS, K.DRIVER_ONLINE, K.DRIVER_OFFLINE, K.DROPPED_OFF, K.REPOSITION_ADVISED):
            columns = self.place()
        if one.event == K.DRIVER_ARRIVED:
            columns = self.pickup[order]
        if one.event in (*LEGS, K.DRIVER_ARRIVED, K.DROPPED_OFF):
            columns = {**columns, "leg_m": self.random.randrange(5000)}
        if one.event in (K.ORDER_OFFERED, K.ORDER_ASSIGNED, K.ORDER_REASSIGNED):
            columns = {"eta_ms": self.random.randrange(1_200_000), "nearest_eta_ms": 0}
        self.log(one.event, order, driver, **columns)
        if order != NO_VALUE:
            self.orders[order] = one.order_to
        if driver != NO_VALUE:
            self.status[driver] = one.driver_to
        if NO_VALUE not in (order, driver):
            self.held.pop(driver, None)
            if one.order_to in HELD:
                self.held[driver] = order
            if one.order_to == S.ON_BOARD:
                self.aboard[driver] = order
            if one.event == K.DROPPED_OFF:
                before = self.kept.pop(driver, None)
                self.aboard.pop(driver)
                if before is not None:
                    self.held[driver] = before

    def step(self):
        self.now += self.random.choice([0, 0, 1, 5_000, 60_000])
        if self.random.random() < 0.12 or not self.orders:
            self.submit()
            return
        one = self.random.choice(TRANSITIONS)
        found = self.parties(one)
        if found is None or (
            one.event in (K.DRIVER_OFFLINE, K.ORDER_REASSIGNED) and self.random.random() < 0.8
        ):
            return
        self.kept = {d: o for d, o in self.held.items() if self.orders[o] in (S.OFFERED, S.ASSIGNED)}
        self.happen(one, *found)
        if one.event == K.OFFER_ACCEPTED:
            order, driver = found
            (assign,) = [
                t for t in TRANSITIONS if t.event == K.ORDER_ASSIGNED and t.driver_from == self.status[driver]
            ]
            self.happen(assign, order, driver)


def walked_log(seed, city, num_steps=400, num_drivers=4):
    """A legal log: the same for the same arguments."""
    walk = Walk(seed, city, num_drivers)
    for _ in range(num_steps):
        walk.step()
    return np.array(walk.rows, EVENT_DTYPE)
