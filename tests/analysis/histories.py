"""Legal random event logs that the engine's own table of transitions makes: every row of it comes up."""

import random
from collections import defaultdict

import numpy as np

from analysis.logs import ABSENT, K
from dispatch.engine.events import EVENT_DTYPE
from dispatch.engine.lifecycle import FINAL_STATUSES, TRANSITIONS, DriverStatus, OrderStatus
from dispatch.units import NO_VALUE

S, D = OrderStatus, DriverStatus
MISS = K.PICKUP_MISS_PREDICTED
ONE_ON_ONE = {K.ORDER_OFFERED, K.ORDER_ASSIGNED, K.ORDER_REASSIGNED}
SECOND_HALF = {K.OFFER_ACCEPTED: K.ORDER_ASSIGNED, K.ORDER_RELEASED: K.ORDER_REASSIGNED}
PLACED = {K.ORDER_SUBMITTED, K.DRIVER_ARRIVED, K.DROPPED_OFF, K.DRIVER_ONLINE, K.DRIVER_OFFLINE}
LEGS = {K.CRUISING_LEG, K.REPOSITIONING_LEG, K.ABANDONED_LEG}
WEIGHTS = {
    K.PICKED_UP: 6,
    K.DRIVER_ARRIVED: 4,
    K.OFFER_ACCEPTED: 4,
    K.DRIVER_ONLINE: 3,
    K.ORDER_OFFERED: 3,
    K.ORDER_RELEASED: 3,
    K.DROPPED_OFF: 1.5,
    K.DRIVER_OFFLINE: 0.3,
    K.ORDER_EXPIRED: 0.2,
    K.ORDER_CANCELLED: 0.2,
    **dict.fromkeys(LEGS, 0.1),
}
"""How often a transition is chosen where it is legal; 1 where it is not named."""


class History:
    """A log so far, and where its orders and drivers stand."""

    def __init__(self, seed, num_drivers):
        self.random = random.Random(seed)
        self.now = 1_212_200_000_000
        stride = self.random.choice([1, 1, 7, 10**12])
        self.order_ids = (stride * n + 3 for n in self.random.sample(range(5000), 5000))
        self.drivers = {stride * n + 1: D.OFFLINE for n in self.random.sample(range(99), num_drivers)}
        self.seen, self.orders, self.driver_of_order = set(), {}, {}
        self.has_fares, self.tells = self.random.random() < 0.8, self.random.random() < 0.8
        self.rows, self.used, self.missed = [], set(), set()

    def events(self):
        return np.array(self.rows, EVENT_DTYPE)

    def numbers(self, kind):
        """What the event tells beside its parties."""
        number = self.random.randrange
        told = {}
        if kind in PLACED or kind == K.REPOSITION_ADVISED or (kind in LEGS and self.tells):
            told |= {"lon_e6": -122_400_000 + number(30_000), "lat_e6": 37_770_000 + number(30_000)}
        if kind in LEGS or kind in (K.DRIVER_ARRIVED, K.DROPPED_OFF):
            told["leg_m"] = number(9000)
        if kind == K.DROPPED_OFF and self.has_fares:
            told["fare_cents"] = number(3000)
        if kind in ONE_ON_ONE or kind in (K.PICKED_UP, MISS):
            told["eta_ms"] = number(1_300_000)
        if kind in ONE_ON_ONE:
            told["nearest_eta_ms"] = number(-1, told["eta_ms"] + 1)
        if kind == K.CARS_SHOWN:
            told["num_cars"] = number(5)
        if kind == K.ORDER_SUBMITTED and self.tells:
            told |= {"customer_id": number(50), "tier": number(3), "is_first": number(2)}
            told |= {"passengers": number(1, 5), "wanted_after_ms": number(2) * number(3_600_000)}
        if kind in (K.ORDER_SUBMITTED, K.DRIVER_ONLINE) and self.tells:
            told["vehicle_class"] = number(2)
        return told

    def log(self, kind, order=NO_VALUE, driver=NO_VALUE):
        row = {**ABSENT, **self.numbers(kind), "kind": int(kind), "at_ms": self.now}
        row.update(order_id=order, driver_id=driver)
        self.rows.append(tuple(row[name] for name in EVENT_DTYPE.names))

    def submit(self):
        order = next(self.order_ids)
        self.orders[order] = S.OPEN
        self.log(K.ORDER_SUBMITTED, order)

    def pairs(self, only=None, order=None):
        """Every legal (transition, order, driver), by transition; drivers of engaged orders are their own."""
        of_status, found = defaultdict(list), defaultdict(list)
        for driver, status in self.drivers.items():
            of_status[status].append(driver)
        orders = self.orders if order is None else {order: self.orders[order]}
        for number, one in enumerate(TRANSITIONS):
            if (only is not None and one.event != only) or (only is None and one.event == K.ORDER_REASSIGNED):
                continue
            drivers = [None] if one.driver_from is None else of_status[one.driver_from]
            if one.order_from is None:
                known = one.event == K.DRIVER_ONLINE
                found[number] += [(None, driver) for driver in drivers if known or driver in self.seen]
                continue
            for name, status in orders.items():
                if status == one.order_from:
                    own = one.driver_from is None or status == S.OPEN
                    its = drivers if own else [self.driver_of_order[name]]
                    found[number] += [(name, d) for d in its if d in drivers]
        return {number: pairs for number, pairs in found.items() if pairs}

    def apply(self, number, order, driver):
        one = TRANSITIONS[number]
        self.used.add(number)
        self.log(one.event, NO_VALUE if order is None else order, NO_VALUE if driver is None else driver)
        if order is not None:
            self.orders[order] = one.order_to
            self.driver_of_order[order] = driver
        if driver is not None:
            self.drivers[driver] = one.driver_to
            self.seen.add(driver)
        if one.event == MISS:
            self.missed.add(order)
        elif one.event in (K.ORDER_ASSIGNED, K.ORDER_REASSIGNED):
            self.missed.discard(order)
        if one.event in SECOND_HALF:
            self.finish_half(SECOND_HALF[one.event], order, driver)

    def finish_half(self, kind, order, driver):
        """Let what must come in the same instant come: to the same driver, or to any other one."""
        choices = [
            (number, order, other)
            for number, pairs in self.pairs(only=kind, order=order).items()
            for _, other in pairs
            if (other == driver) == (kind == K.ORDER_ASSIGNED)
        ]
        self.apply(*self.random.choice(choices))

    def has_another(self, driver):
        return any(one != driver and status in (D.IDLE, D.OCCUPIED) for one, status in self.drivers.items())

    def step(self, kinds=None):
        """Let one thing happen, chosen among all that may; False if nothing may."""
        choices = {
            number: [pair for pair in pairs if self.may_follow(TRANSITIONS[number].event, pair)]
            for number, pairs in self.pairs().items()
            if kinds is None or TRANSITIONS[number].event in kinds
        }
        choices = {number: pairs for number, pairs in choices.items() if pairs}
        if not choices:
            return False
        weights = [WEIGHTS.get(TRANSITIONS[number].event, 1) for number in choices]
        (number,) = self.random.choices(list(choices), weights)
        self.apply(number, *self.random.choice(choices[number]))
        return True

    def may_follow(self, kind, pair):
        if kind == MISS and pair[0] in self.missed:
            return False
        return kind != K.ORDER_RELEASED or self.has_another(pair[1])

    def finish(self):
        """Bring every order to its end."""
        forward = {K.OFFER_DECLINED, K.ORDER_EXPIRED, K.DRIVER_ARRIVED, K.PICKED_UP, K.DROPPED_OFF}
        while set(self.orders.values()) - set(FINAL_STATUSES):
            self.now += self.random.choice([0, 1000])
            assert self.step(forward | {K.ORDER_CLOSED})


def make_history(seed, num_steps=200, num_drivers=5, complete=True):
    """A history: the same for the same arguments."""
    history = History(seed, num_drivers)
    for _ in range(num_steps):
        history.now += history.random.choice([0, 0, 500, 20_000, 120_000])
        open_orders = sum(status not in FINAL_STATUSES for status in history.orders.values())
        if open_orders < 12 and history.random.random() < 0.2:
            history.submit()
        else:
            history.step()
    if complete:
        history.finish()
    return history


def random_history(seed, num_steps=200, num_drivers=5, complete=True):
    """A legal log that drives the table of transitions."""
    return make_history(seed, num_steps, num_drivers, complete).events()
