"""Drivers with passengers on a line of nodes, 10 s apart."""

import numpy as np

from cities import T0, line_city, new_orders, positions
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EventKind as K
from dispatch.engine.params import DispatchParams

LINE = line_city()


def line_dispatcher(policy, node_rank=None, **params):
    return Dispatcher(LINE, None, DispatchParams(policy, **params), node_rank=node_rank)


def ride(dispatcher, order, driver, start, dropoff, at_ms=T0):
    """A driver comes on duty and sets out with a passenger at once."""
    dispatcher.drivers_online(positions(LINE, [driver], [start], at_ms))
    dispatcher.submit(new_orders(LINE, [order], [start], [dropoff], at_ms))
    dispatcher.assign([order], [driver], at_ms)
    dispatcher.arrive([order], at_ms, [0])
    dispatcher.pick_up([order], at_ms)


def offers(events):
    """[(order, driver, ETA in seconds, of the nearest in seconds)]."""
    made = events[events["kind"] == K.ORDER_OFFERED]
    columns = ("order_id", "driver_id", "eta_ms", "nearest_eta_ms")
    rows = np.stack([made[name].astype(int) for name in columns], axis=1).tolist()
    return [(order, driver, eta / 1000, nearest / 1000) for order, driver, eta, nearest in rows]


def named(events):
    return [K(kind).name.lower() for kind in events["kind"]]
