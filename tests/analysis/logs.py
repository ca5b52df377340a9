"""Legal random event logs: a small world that picks among what is legal at each moment."""

import random

import numpy as np

from dispatch.engine.events import EVENT_DTYPE, EventKind, make_events
from dispatch.units import NO_COORDINATE, NO_VALUE

K = EventKind
ABSENT = {name: NO_COORDINATE if name.endswith("_e6") else NO_VALUE for name in EVENT_DTYPE.names}


def event(kind, at_ms, order_id=NO_VALUE, driver_id=NO_VALUE, **columns):
    """One event as a log of length one."""
    return make_events(kind, 1, at_ms=at_ms, order_id=order_id, driver_id=driver_id, **columns)


def log_of(*events):
    """Join events to a log."""
    return np.concatenate(events) if events else np.empty(0, EVENT_DTYPE)


class World:
    """Orders and drivers of a random log."""

    def __init__(self, seed, num_drivers, start_ms=1_212_200_000_000):
        self.random = random.Random(seed)
        self.now = start_ms
        # Ids far apart and out of order now and then: they are the caller's names.
        stride = self.random.choice([1, 1, 7, 10**12])
        self.order_ids = (stride * n + 3 for n in self.random.sample(range(5000), 5000))
        self.drivers = {stride * n + 1: "new" for n in range(num_drivers)}
        self.orders = {}
        # Some logs tell nothing about customers.
        self.people = random.Random(seed) if seed % 4 else None
        self.misses = random.Random(seed)
        self.fares = self.random.random() < 0.8
        self.rows = []

    def log(self, kind, order_id=NO_VALUE, driver_id=NO_VALUE, **columns):
        row = {**ABSENT, **columns, "kind": int(kind), "at_ms": self.now}
        row.update(order_id=order_id, driver_id=driver_id)
        self.rows.append(tuple(row[name] for name in EVENT_DTYPE.names))

    def place(self):
        return {
            "lon_e6": -122_400_000 + self.random.randrange(-30_000, 30_000),
            "lat_e6": 37_770_000 + self.random.randrange(-30_000, 30_000),
        }

    def request(self):
        """Who asks for what; drawn apart, so that the same things happen whoever asks."""
        if self.people is None:
            return {}
        draw = self.people.choice
        return {
            "customer_id": self.people.randrange(1000),
            "tier": draw([0, 0, 1, 2]),
            "is_first": draw([0, 0, 1]),
            "passengers": draw([1, 1, 4]),
            "vehicle_class": draw([0, 0, 0, 1]),
            "wanted_after_ms": draw([0, 0, 0, 60_000, 600_000]),
        }

    def events(self):
        return np.array(self.rows, EVENT_DTYPE)

    def idle(self):
        return [driver for driver, state in self.drivers.items() if state == "idle"]

    def submit(self):
        order = next(self.order_ids)
        self.orders[order] = ("open", NO_VALUE)
        self.log(K.ORDER_SUBMITTED, order, **self.place(), **self.request())
        if self.random.random() < 0.8:
            self.log(K.CARS_SHOWN, order, num_cars=self.random.choice([0, 0, 1, 4]))

    def move(self, kind, order, order_state, driver, driver_state, **columns):
        self.log(kind, order, driver, **columns)
        self.orders[order] = (order_state, driver if driver_state != "idle" else NO_VALUE)
        self.drivers[driver] = driver_state

    def assign(self, order, driver):
        eta_ms = self.random.randrange(1_300_000)
        self.move(
            K.ORDER_ASSIGNED,
            order,
            "assigned",
            driver,
            "to pickup",
            eta_ms=eta_ms,
            nearest_eta_ms=self.random.randrange(eta_ms + 1),
        )
        if self.misses.random() < 0.3:
            self.log(K.PICKUP_MISS_PREDICTED, order, driver, eta_ms=self.misses.randrange(1_300_000))

    def advance_order(self, order, *, finish=False):
        """Let one thing happen to an order that is not finished."""
        state, driver = self.orders[order]
        chance = self.random.random()
        if state == "open":
            self._advance_open(order, 0.0 if finish else chance)
        elif state == "offered" and chance < 0.6:
            self.log(K.OFFER_ACCEPTED, order, driver)
            self.assign(order, driver)
        elif state == "offered":
            kind = self.random.choice([K.OFFER_DECLINED, K.OFFER_EXPIRED])
            self.move(kind, order, "open", driver, "idle")
        elif state in ("assigned", "arrived") and chance < 0.12:
            kind = K.ORDER_UNASSIGNED if chance < 0.05 else K.ORDER_CANCELLED
            self.move(kind, order, "open" if chance < 0.05 else "done", driver, "idle")
        elif state == "assigned":
            leg_m = self.random.randrange(4000)
            self.move(K.DRIVER_ARRIVED, order, "arrived", driver, "at pickup", leg_m=leg_m, **self.place())
        elif state == "arrived":
            eta_ms = self.random.randrange(1_000_000)
            self.move(K.PICKED_UP, order, "on board", driver, "occupied", eta_ms=eta_ms)
        elif state == "on board":
            leg = {"leg_m": self.random.randrange(9000), "fare_cents": NO_VALUE}
            if self.fares:
                leg["fare_cents"] = self.random.randrange(3000)
            self.move(K.DROPPED_OFF, order, "dropped off", driver, "idle", **leg, **self.place())
        elif state == "dropped off":
            self.log(K.ORDER_CLOSED, order)
            self.orders[order] = ("done", NO_VALUE)

    def _advance_open(self, order, chance):
        idle = self.idle()
        if chance < 0.1 or (not idle and chance < 0.3):
            self.log(self.random.choice([K.ORDER_CANCELLED, K.ORDER_EXPIRED]), order)
            self.orders[order] = ("done", NO_VALUE)
        elif idle and chance < 0.15:
            self.assign(order, self.random.choice(idle))
        elif idle:
            driver, eta_ms = self.random.choice(idle), self.random.randrange(1_300_000)
            etas = {"eta_ms": eta_ms, "nearest_eta_ms": self.random.randrange(eta_ms + 1)}
            self.move(K.ORDER_OFFERED, order, "offered", driver, "offered", **etas)

    def toggle_driver(self):
        driver = self.random.choice(list(self.drivers))
        if self.drivers[driver] in ("new", "offline"):
            self.log(K.DRIVER_ONLINE, NO_VALUE, driver, **self.place())
            self.drivers[driver] = "idle"
        elif self.drivers[driver] == "idle":
            self.log(K.DRIVER_OFFLINE, NO_VALUE, driver, **self.place())
            self.drivers[driver] = "offline"

    def unfinished(self):
        return [order for order, (state, _) in self.orders.items() if state != "done"]


def random_log(seed, num_steps=200, num_drivers=5, complete=True):
    """A legal log: the same for the same arguments."""
    world = World(seed, num_drivers)
    for _ in range(num_steps):
        world.now += world.random.choice([0, 0, 500, 20_000, 120_000])
        chance, unfinished = world.random.random(), world.unfinished()
        if chance < 0.15 and world.drivers:
            world.toggle_driver()
        elif chance < 0.35 or not unfinished:
            world.submit()
        else:
            world.advance_order(world.random.choice(unfinished))
    while complete and (unfinished := world.unfinished()):
        world.now += world.random.choice([0, 1000])
        world.advance_order(unfinished[0], finish=True)
    return world.events()
