"""A dispatcher with two orders in each status and two drivers in each status, on a line of nodes."""

from collections import Counter
from itertools import count

import numpy as np

from cities import T0, dispatcher_on, line_city, new_orders, positions
from dispatch.engine.commit import Happening, commit
from dispatch.engine.events import EventKind
from dispatch.engine.lifecycle import DriverStatus, OrderStatus

CITY = line_city()
NOW = T0 + 100_000
"""Later than all that happened so far."""

S, D = OrderStatus, DriverStatus
LEGAL = {
    "cancel": (S.OPEN, S.OFFERED, S.ASSIGNED, S.ARRIVED),
    "accept": (S.OFFERED,),
    "decline": (S.OFFERED,),
    "assign": (S.OPEN,),
    "unassign": (S.ASSIGNED, S.ARRIVED),
    "arrive": (S.ASSIGNED,),
    "pick_up": (S.ARRIVED,),
    "drop_off": (S.ON_BOARD,),
    "close": (S.DROPPED_OFF,),
}
"""Command on orders → the statuses in which it is legal."""


class Stages:
    """Orders and drivers by status."""

    def __init__(self):
        self.dispatcher = dispatcher_on(CITY, offer_timeout_s=600.0)
        self.orders, self.drivers, self.driver_of_order = {}, {}, {}
        self.next_orders, self.num_chained = {}, Counter()
        self._order_ids, self._driver_ids = count(501), count(71)
        self._expire()
        self._offer()
        self._by_hand(S.ASSIGNED, D.TO_PICKUP)
        self._by_hand(S.ARRIVED, D.AT_PICKUP, "arrive")
        self._by_hand(S.ON_BOARD, D.OCCUPIED, "arrive", "pick_up")
        self._by_hand(S.DROPPED_OFF, None, "arrive", "pick_up", "drop_off")
        self._by_hand(S.CLOSED, None, "arrive", "pick_up", "drop_off", "close")
        self._by_hand(S.CANCELLED, None, "cancel")
        self._chain(D.OCCUPIED_OFFERED, S.OFFERED)
        self._chain(D.OCCUPIED_ASSIGNED, S.ASSIGNED)
        self.drivers[D.OFFLINE] = self.online(2)
        self.dispatcher.drivers_offline(self.drivers[D.OFFLINE], T0)
        self.drivers[D.IDLE] = self.online(2)
        self.orders[S.OPEN] = self.submit(2)
        self.dispatcher.take_events()

    def online(self, num_drivers):
        ids = [next(self._driver_ids) for _ in range(num_drivers)]
        self.dispatcher.drivers_online(positions(CITY, ids, np.arange(num_drivers) + 4))
        return ids

    def submit(self, num_orders, at_ms=T0):
        ids = [next(self._order_ids) for _ in range(num_orders)]
        self.dispatcher.submit(new_orders(CITY, ids, np.arange(num_orders), np.arange(num_orders) + 9, at_ms))
        return ids

    def _expire(self):
        self.orders[S.EXPIRED] = self.submit(2, T0 - 1_800_000)
        self.dispatcher.step(T0)

    def _offer(self):
        self.drivers[D.OFFERED], self.orders[S.OFFERED] = self.online(2), self.submit(2)
        events = self.dispatcher.step(T0)
        offered = events[events["num_cars"] < 0]
        pairs = dict(zip(offered["order_id"].tolist(), offered["driver_id"].tolist(), strict=True))
        self.driver_of_order |= {order: pairs[order] for order in self.orders[S.OFFERED]}

    def _by_hand(self, order_status, driver_status, *commands):
        orders, drivers = self.submit(2), self.online(2)
        self.driver_of_order |= dict(zip(orders, drivers, strict=True))
        self.dispatcher.assign(orders, drivers, T0)
        for command in commands:
            self.call(command, orders, T0)
        self.orders[order_status] = orders
        if driver_status is not None:
            self.drivers[driver_status] = drivers

    def _chain(self, driver_status, order_status):
        """Drivers with a passenger and a next order; both orders of each are beside those of `orders`."""
        aboard, following, drivers = self.submit(2), self.submit(2), self.online(2)
        self.driver_of_order |= dict(zip([*aboard, *following], [*drivers, *drivers], strict=True))
        self.dispatcher.assign(aboard, drivers, T0)
        self.call("arrive", aboard, T0)
        self.call("pick_up", aboard, T0)
        if order_status == S.ASSIGNED:
            self.dispatcher.assign(following, drivers, T0)
        else:
            state = self.dispatcher._state
            rows = [
                table.ids.rows(np.array(ids)).astype(np.int32)
                for table, ids in ((state.orders, following), (state.fleet, drivers))
            ]
            offered = Happening(EventKind.ORDER_OFFERED, np.full(2, T0), *rows)
            commit(state, offered, eta_ms=1000, nearest_eta_ms=1000)
        self.drivers[driver_status], self.next_orders[driver_status] = drivers, following
        self.num_chained += Counter({S.ON_BOARD: 2, order_status: 2})

    def call(self, command, orders, at_ms=NOW):
        """Give a command on orders, with the drivers and metres that it wants."""
        idle = iter(self.drivers.get(D.IDLE, []))
        drivers = [self.driver_of_order[o] if o in self.driver_of_order else next(idle, 71) for o in orders]
        more = {
            "accept": (drivers, at_ms),
            "decline": (drivers, at_ms),
            "assign": (drivers, at_ms),
            "arrive": (at_ms, np.full(len(orders), 120)),
            "drop_off": (at_ms, np.full(len(orders), 900)),
        }
        getattr(self.dispatcher, command)(orders, *more.get(command, (at_ms,)))
