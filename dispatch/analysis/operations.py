"""What a day cost its operator, and how much of it went without a dispatcher; read from an event log."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from dispatch.analysis.measured import measured
from dispatch.analysis.statistics import share
from dispatch.engine.events import EventKind, Events
from dispatch.limits import check_range
from dispatch.units import MS_PER_S

MOST_CENTS = 10_000_000
_M_PER_KM = 1000
_MS_PER_H = 3600 * MS_PER_S


@dataclass(frozen=True)
class CostRule:
    """What operations cost, in cents; a declared rule, as the fare's. Costs of all else are the caller's.

    Parameters
    ----------
    per_hour_cents : float
        Of a driver's time online.
    per_km_cents : float
        Of a car, with and without a passenger.
    per_order_cents : float
        Of each order submitted, as a platform's own costs are.
    """

    per_hour_cents: float = 1500.0
    per_km_cents: float = 30.0
    per_order_cents: float = 20.0

    def __post_init__(self) -> None:
        """Refuse costs out of range."""
        for one in fields(self):
            check_range(one.name, getattr(self, one.name), 0, MOST_CENTS, "cents")


@dataclass(frozen=True)
class OperatingCost:
    """Costs of a log, in cents."""

    drivers_cents: int
    driving_cents: int
    orders_cents: int
    num_completed: int
    fares_cents: int
    """of completed orders, by the declared fare rule"""

    @property
    def total_cents(self) -> int:
        """All of them."""
        return self.drivers_cents + self.driving_cents + self.orders_cents

    @property
    def per_completed_cents(self) -> float | None:
        """The cost of an order that was completed; None where none was."""
        return share(self.total_cents, self.num_completed)


def operating_cost(events: Events, rule: CostRule) -> OperatingCost:
    """Price a log (events,) by a rule: hours online, kilometres driven, orders submitted."""
    tables = measured(events)
    online_h = int(tables.drivers.online_ms.sum()) / _MS_PER_H
    return OperatingCost(
        round(online_h * rule.per_hour_cents),
        round(tables.driven_m / _M_PER_KM * rule.per_km_cents),
        round(len(tables.orders) * rule.per_order_cents),
        int(np.count_nonzero(tables.orders.is_completed)),
        int(tables.drivers.income_cents.sum()),
    )


def auto_dispatch_share(events: Events) -> float | None:
    """Tell the share of assigned orders that nobody assigned by hand; None where none was assigned.

    An assignment that follows an accepted offer, or a change of drivers, is the engine's; any other one of
    an order in the log (events,) is a dispatcher's.
    """
    parties = ["order_id", "driver_id", "at_ms"]
    assigned = events[parties][events["kind"] == EventKind.ORDER_ASSIGNED]
    accepted = events[parties][events["kind"] == EventKind.OFFER_ACCEPTED]
    by_hand = np.unique(assigned["order_id"][~np.isin(assigned, accepted)])
    num_orders = len(np.unique(assigned["order_id"]))
    return share(num_orders - len(by_hand), num_orders)
