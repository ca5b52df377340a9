"""What KPIs are read from: the tables of a log, and the samples that several KPIs share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.driver_table import DriverTable, driver_table
from dispatch.analysis.order_table import OrderTable, order_table
from dispatch.engine.events import EventKind, Events
from dispatch.units import MS_PER_S, NO_VALUE

_MS_PER_H: Final = 3600 * MS_PER_S


@dataclass(frozen=True)
class Measured:
    """What KPIs are read from: the log's tables and the counts that no table holds."""

    orders: OrderTable
    drivers: DriverTable
    end_at_ms: int
    """Time of the log's last event, ``NO_VALUE`` of an empty log"""
    driven_m: int
    """Metres of all legs in the log, whatever they were driven for"""
    num_assigned: int
    """Orders given to a driver, also from another one"""
    num_unassigned: int
    """Orders taken from their driver, but not to be given to another one at once"""

    @cached_property
    def response_s(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """(orders,) seconds until accepted or lost from sight, and whether accepted."""
        orders = self.orders
        accepted = orders.is_accepted
        until = np.full(len(orders), self.end_at_ms, np.int64)
        for lost_at_ms in (orders.cancelled_at_ms, orders.expired_at_ms):
            until = np.where(lost_at_ms != NO_VALUE, lost_at_ms, until)
        until = np.where(accepted, orders.first_accepted_at_ms, until)
        return (until - orders.submitted_at_ms) / MS_PER_S, accepted

    def wait_s(self) -> NDArray[np.float64]:
        """(orders picked up,) seconds from the wanted pickup to the boarding, 0 where it was earlier."""
        wait_ms = self.orders.wait_ms
        return np.asarray(wait_ms[wait_ms != NO_VALUE] / MS_PER_S, np.float64)

    def eta_error_s(self) -> NDArray[np.float64]:
        """(orders arrived at with a quoted ETA,) seconds that the driver came later than quoted."""
        orders = self.orders
        known = (orders.arrived_at_ms != NO_VALUE) & (orders.quoted_eta_ms != NO_VALUE)
        late_ms = orders.arrived_at_ms - orders.accepted_at_ms - orders.quoted_eta_ms
        return np.asarray(late_ms[known] / MS_PER_S, np.float64)

    def eta_regret_ms(self) -> NDArray[np.int64]:
        """(orders assigned with both ETAs,) how much farther the driver was than the nearest one."""
        orders = self.orders
        known = (orders.quoted_eta_ms != NO_VALUE) & (orders.nearest_eta_ms != NO_VALUE)
        regret_ms: NDArray[np.int64] = orders.quoted_eta_ms.astype(np.int64) - orders.nearest_eta_ms
        return np.asarray(regret_ms[known], np.int64)

    def income_per_h(self) -> NDArray[np.float64]:
        """(drivers with online time,) cents per hour online."""
        online = self.drivers.online_ms > 0
        return self.drivers.income_cents[online] / (self.drivers.online_ms[online] / _MS_PER_H)

    def of_orders(self, rows: NDArray[np.int64] | slice) -> Measured:
        """Give what can be measured on some of the orders, by their rows (n,) or a slice.

        Drivers serve many orders, and their time and empty kilometres belong to none of them: a part of the
        orders has no drivers, so that what is measured on drivers comes out as nothing measured.
        """
        return Measured(self.orders.take(rows), self.drivers.take(slice(0, 0)), self.end_at_ms, 0, 0, 0)

    @property
    def num_accepted(self) -> int:
        """Orders that a driver accepted at least once."""
        return int(np.count_nonzero(self.orders.is_accepted))


def between_s(from_at_ms: NDArray[np.int64], to_at_ms: NDArray[np.int64]) -> NDArray[np.float64]:
    """Seconds between two instants (orders,) of each order, for the orders that know both."""
    known = (from_at_ms != NO_VALUE) & (to_at_ms != NO_VALUE)
    return np.asarray((to_at_ms - from_at_ms)[known] / MS_PER_S, np.float64)


def measured(events: Events) -> Measured:
    """Read from the log what KPIs are made of."""
    kind, leg_m = events["kind"], events["leg_m"]
    is_assigned = (kind == EventKind.ORDER_ASSIGNED) | (kind == EventKind.ORDER_REASSIGNED)
    return Measured(
        orders=order_table(events),
        drivers=driver_table(events),
        end_at_ms=int(events["at_ms"][-1]) if len(events) else NO_VALUE,
        driven_m=int(leg_m[leg_m != NO_VALUE].sum(dtype=np.int64)),
        num_assigned=int(np.count_nonzero(is_assigned)),
        num_unassigned=int(np.count_nonzero(kind == EventKind.ORDER_UNASSIGNED)),
    )
