"""What the engine is told of people: numbers, capped, each by a published rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import ArrayLike, NDArray

from dispatch.crm.context import Context, check_instant
from dispatch.crm.coupling.pairs import apart_in
from dispatch.crm.fleet.scores import driver_terms_in
from dispatch.crm.people.persons import current_among
from dispatch.crm.shops.deliveries import Readiness, readiness_in
from dispatch.crm.tables import orders as of_orders, people, service
from dispatch.crm.vertical import Vertical
from dispatch.engine.inputs import ORDER_LIMITS, as_new_ids, as_whole, as_whole_in, check_as_many
from dispatch.engine.lifecycle import OrderStatus
from dispatch.engine.pair_terms import PairTerms
from dispatch.engine.terms import DriverTerms
from dispatch.errors import StateError
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY, NO_VALUE

PERMILLE: Final = 1000
ORDINARY_HAZARD_PER_MS: Final = 0.1 / 60_000
"""How likely a customer gives up in a millisecond where no history at all tells: once in ten minutes. An
assumption."""
PRIOR_GAVE_UP: Final = 3.0
"""So many orders given up of the average customer stand beside a customer's own. An assumption."""
LONGEST_PATIENCE_MS: Final = 7_200_000
HISTORY_DAYS: Final = 365
NUM_RECENT: Final = 5_000
"""So many latest orders tell how patient customers are in general."""

Wholes = NDArray[np.int64]


@dataclass(frozen=True)
class OrderInputs:
    """Numbers of orders for :class:`dispatch.NewOrders`, each (n,) int64."""

    customer_id: Wholes
    tier: Wholes
    """row of the vertical's tiers, 0 the lowest"""
    priority: Wholes
    """permille of an ordinary order's weight: the sum of the three terms, capped"""
    patience_ms: Wholes
    """how long the customer may be expected to wait"""
    tier_permille: Wholes
    complaint_permille: Wholes
    prebooked_permille: Wholes
    may_upgrade: Wholes
    """1 where the tier entitles to a better class of car at the ordinary price, 0 elsewhere"""


@dataclass(frozen=True)
class DeliveryInputs:
    """Numbers of deliveries for :class:`dispatch.NewOrders`, each (n,) int64."""

    wanted_after_ms: Wholes
    """time until the order is ready for its courier; 0 where it is, or where no merchant prepares it"""
    readiness: Readiness
    """what that follows from"""


class DispatchInputs:
    """Gives the engine arrays on customers, drivers and deliveries."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def of_orders(
        self,
        customer_id: ArrayLike,
        *,
        at_ms: int,
        is_prebooked: ArrayLike | None = None,
        order_id: ArrayLike | None = None,
    ) -> OrderInputs:
        """Give what steers the matching of new orders.

        Parameters
        ----------
        customer_id : (n,) int64
            Who asks, ``NO_VALUE`` for nobody known; a customer may stand in several rows.
        at_ms : int
        is_prebooked : (n,) of 0 and 1, optional
            Which were booked ahead.
        order_id : (n,) int64, optional
            Their names: the terms are kept, for :meth:`Crm.explain`.

        Notes
        -----
        The priority is the tier's weight, plus ``complaint_bonus`` for each complaint upheld for the customer
        within ``complaint_days``, plus ``prebooked_bonus``, at most ``cap``. To have filed a complaint lowers
        nothing. Patience is the mean of a waiting time at whose end the customer gives up, exponential and
        censored by drivers' acceptances: total time waited over orders given up, shrunk to that of all the
        latest orders by as much as :data:`PRIOR_GAVE_UP` orders given up weigh (a gamma prior's posterior
        mean). Who was merged into another customer counts as that one.
        """
        check_instant("at_ms", at_ms)
        asked = as_whole("customer_id", customer_id)
        booked = np.zeros(len(asked), np.int64)
        if is_prebooked is not None:
            booked = as_whole_in("is_prebooked", np.asarray(is_prebooked).astype(np.int64), len(asked), 0, 1)
        told = None
        if order_id is not None:
            told = as_new_ids("order_id", order_id)
            check_as_many("order_id", told, "customer_id", asked)
        if told is None:
            with self._context.looking("dispatch.inputs") as connection:
                return order_inputs_in(connection, self._context.vertical, asked, booked, at_ms)
        with self._context.acting("dispatch.inputs", at_ms=at_ms) as connection:
            found = order_inputs_in(connection, self._context.vertical, asked, booked, at_ms)
            _keep(connection, told, found, at_ms)
            return found

    def of_deliveries(self, order_id: ArrayLike, *, at_ms: int) -> DeliveryInputs:
        """Give when couriers are wanted for orders (n,) that are submitted at `at_ms`: when they are ready.

        That is the estimate with which the order was placed, and as much later as is usual for the merchant,
        see :func:`dispatch.crm.shops.deliveries.usual_delay_in`. The engine begins to look for a courier
        ``prebook_lead_s`` before: what a courier usually takes to the merchant.

        Raises
        ------
        StateError
            The delivery of an order is cancelled.
        """
        check_instant("at_ms", at_ms)
        asked = as_new_ids("order_id", order_id)
        with self._context.looking("dispatch.inputs") as connection:
            found = readiness_in(connection, asked.tolist(), at_ms)
        if found.is_cancelled.any():
            row = int(found.is_cancelled.argmax())
            raise StateError(
                f"order_id[{row}] is {asked[row]}: its delivery is cancelled, no courier is wanted"
            )
        until_ms = np.clip(found.ready_at_ms - at_ms, 0, ORDER_LIMITS["wanted_after_ms"][1])
        return DeliveryInputs(until_ms, found)

    def of_pairs(self, order_id: ArrayLike, customer_id: ArrayLike, *, at_ms: int) -> PairTerms:
        """Give which drivers had better not serve orders (n,) of customers (n,), or must not.

        Those whom the customer has rated low of late, who have rated it low, or of whom a complaint of the
        customer was upheld: :class:`dispatch.crm.rules.PairRule`. For :meth:`Dispatcher.set_pair_terms`, once
        the orders are submitted. What an appeal took out does not count; nobody is told who said what.
        """
        check_instant("at_ms", at_ms)
        orders, asked = as_new_ids("order_id", order_id), as_whole("customer_id", customer_id)
        check_as_many("customer_id", asked, "order_id", orders)
        with self._context.looking("dispatch.inputs") as connection:
            customers, row = _current(connection, asked)
            counts_as = {one: one for one in customers.tolist()} | _merged_into(connection, customers)
            found = apart_in(connection, self._context.vertical.pairs, counts_as, at_ms)
        first, last = (np.searchsorted(found.customer_id, customers[row], side) for side in ("left", "right"))
        order = np.repeat(np.arange(len(orders)), last - first)
        pair = np.arange(len(order)) - np.repeat(np.cumsum(last - first) - last, last - first)
        return PairTerms(orders[order], found.driver_id[pair], found.cost_ms[pair], found.may_meet[pair])

    def of_drivers(self, driver_id: ArrayLike, *, at_ms: int) -> DriverTerms:
        """Give what the engine is to know of drivers (n,): score, fairness, eligibility, skills.

        Not eligible are those without papers, blocked ones and, where the vertical's ``duty`` asks for it,
        those outside of their shifts or beyond their hours; :class:`EligibilityCheck` tells why.
        """
        check_instant("at_ms", at_ms)
        asked = as_new_ids("driver_id", driver_id)
        with self._context.looking("dispatch.inputs") as connection:
            terms = driver_terms_in(connection, self._context.vertical, asked.tolist(), at_ms)
        return DriverTerms(asked, *terms)


def order_inputs_in(
    connection: sa.Connection, vertical: Vertical, customer_id: Wholes, is_prebooked: Wholes, at_ms: int
) -> OrderInputs:
    """Give the numbers of orders on a connection; see :meth:`DispatchInputs.of_orders`."""
    customers, row = _current(connection, customer_id)
    tier = _tiers(connection, vertical, customers)
    rule = vertical.priority
    weight = np.array([round(one.weight * PERMILLE) for one in vertical.tiers], np.int64)
    upgrades = np.array([one.free_upgrade for one in vertical.tiers], np.int64)
    since_ms = at_ms - rule.complaint_days * MS_PER_DAY
    upheld = _upheld(connection, customers, since_ms, at_ms)
    of_complaints = upheld * round(rule.complaint_bonus * PERMILLE)
    patience = patience_in(connection, customers, at_ms)
    booked = is_prebooked * round(rule.prebooked_bonus * PERMILLE)
    total = weight[tier][row] + of_complaints[row] + booked
    return OrderInputs(
        customer_id,
        tier[row],
        np.minimum(total, round(rule.cap * PERMILLE)),
        patience[row],
        weight[tier][row],
        of_complaints[row],
        booked,
        upgrades[tier][row],
    )


def patience_in(connection: sa.Connection, customers: Wholes, at_ms: int) -> Wholes:
    """Estimate how long customers (n,) wait before they give up, in milliseconds."""
    table = of_orders.customer_day
    since = at_ms // MS_PER_DAY - HISTORY_DAYS
    merged = _merged_into(connection, customers)
    counts_as = {one: one for one in customers.tolist()} | merged
    gave_up, waited = sa.func.sum(table.c.gave_up), sa.func.sum(table.c.unanswered_ms)
    num, waited_ms = _RECENT.rows(connection, until=at_ms)[0]
    # A little of the assumption stays, so that a database with one order says nothing wild.
    prior_ms = PRIOR_GAVE_UP / ORDINARY_HAZARD_PER_MS
    hazard = (int(num or 0) + PRIOR_GAVE_UP) / (int(waited_ms or 0) + prior_ms)
    of_each = sa.select(table.c.customer_id, gave_up, waited).where(
        bulk.among(connection, table.c.customer_id, list(counts_as)), table.c.day >= since
    )
    own = np.zeros((2, len(customers)))
    rows = connection.execute(of_each.group_by(table.c.customer_id)).all()
    if rows:
        told = np.array([[counts_as[row[0]], int(row[1]), int(row[2])] for row in rows], np.int64)
        np.add.at(own.T, np.searchsorted(customers, told[:, 0]), told[:, 1:])
    patience = (own[1] + PRIOR_GAVE_UP / hazard) / (own[0] + PRIOR_GAVE_UP)
    rounded: Wholes = np.rint(np.clip(patience, 1, LONGEST_PATIENCE_MS)).astype(np.int64)
    return rounded


def _recent() -> sa.Select[tuple[int, int]]:
    """Ask how many of the latest orders were given up, and how long all of them waited for a driver.

    Of the days of all customers the same would be summed, which takes a quarter of a second where a month of
    a city of 20,000 lies behind.
    """
    order = of_orders.orders.c
    latest = (
        sa.select(order.stage, order.wanted_at_ms, order.accepted_at_ms, order.ended_at_ms)
        .where(order.submitted_at_ms <= sa.bindparam("until", type_=sa.BigInteger))
        .order_by(order.submitted_at_ms.desc())
        .limit(sa.literal_column(str(NUM_RECENT)))
        .subquery()
    )
    told = latest.c
    gave_up = sa.and_(told.accepted_at_ms.is_(None), told.stage == int(OrderStatus.CANCELLED))
    waited_ms = sa.func.coalesce(told.accepted_at_ms, told.ended_at_ms) - told.wanted_at_ms
    return sa.select(
        sa.func.sum(sa.case((gave_up, 1), else_=0)), sa.func.sum(sa.case((waited_ms > 0, waited_ms), else_=0))
    )


_RECENT: Final = bulk.Prepared(_recent())


def _current(connection: sa.Connection, customer_id: Wholes) -> tuple[Wholes, NDArray[np.intp]]:
    """Give the customers that those told (n,) are now, ascending, and the row of each of those told.

    The engine may know somebody by the name from before a merge.
    """
    told, row = np.unique(customer_id, return_inverse=True)
    merged = current_among(connection, told.tolist())
    if not merged:
        return told, row
    customers, now = np.unique([merged.get(one, one) for one in told.tolist()], return_inverse=True)
    return customers, now[row]


def _merged_into(connection: sa.Connection, customers: Wholes) -> dict[int, int]:
    """Give who was merged into customers (n,), each with that one: orders keep the earlier name."""
    table = people.customer.c
    found = sa.select(table.customer_id, table.merged_into).where(
        bulk.among(connection, table.merged_into, customers)
    )
    return {row[0]: row[1] for row in connection.execute(found)}


def _tiers(connection: sa.Connection, vertical: Vertical, customers: Wholes) -> Wholes:
    """Give the tier of customers (n,) ascending; of those without a membership, the lowest."""
    table = people.customer
    tier = np.zeros(len(customers), np.int64)
    found = sa.select(table.c.customer_id, table.c.tier).where(
        bulk.among(connection, table.c.customer_id, customers), table.c.tier.is_not(None)
    )
    for customer, name in connection.execute(found):
        tier[np.searchsorted(customers, customer)] = vertical.tier_row.get(name, 0)
    return tier


def _upheld(connection: sa.Connection, customers: Wholes, since_ms: int, at_ms: int) -> Wholes:
    """Count the complaints of customers (n,) ascending that were upheld since an instant."""
    table = service.complaint
    count = np.zeros(len(customers), np.int64)
    counts_as = {one: one for one in customers.tolist()} | _merged_into(connection, customers)
    found = sa.select(table.c.customer_id, sa.func.count()).where(
        table.c.verdict == "upheld",
        table.c.resolved_at_ms >= since_ms,
        table.c.resolved_at_ms <= at_ms,
        bulk.among(connection, table.c.customer_id, list(counts_as)),
    )
    for customer, num in connection.execute(found.group_by(table.c.customer_id)):
        count[np.searchsorted(customers, counts_as[customer])] += num
    return count


def _keep(connection: sa.Connection, order_id: Wholes, found: OrderInputs, at_ms: int) -> None:
    columns: dict[str, Any] = {
        "order_id": order_id,
        "at_ms": np.full(len(order_id), at_ms),
        "tier": found.tier,
        "tier_permille": found.tier_permille,
        "complaint_permille": found.complaint_permille,
        "prebooked_permille": found.prebooked_permille,
        "priority": found.priority,
        "patience_ms": found.patience_ms,
    }
    bulk.upsert(connection, of_orders.order_priority, columns)


NOBODY: Final = NO_VALUE
"""The customer of an order of whom nothing is known."""
