"""What follows from orders that ended, in the same transaction: points, coupons, tiers, standing."""

from __future__ import annotations

from typing import Any

import numpy as np
import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.coupling.folding import Folded
from dispatch.crm.loyalty.ledger import earn_trips_in
from dispatch.crm.loyalty.memberships import progress_in
from dispatch.crm.loyalty.points import give_back_orders_in
from dispatch.crm.loyalty.redemptions import settle_in
from dispatch.crm.loyalty.referrals import reward_in
from dispatch.crm.loyalty.standing import standing_in
from dispatch.crm.service.credit import credit_orders_in
from dispatch.engine.lifecycle import OrderStatus
from dispatch.units import NO_VALUE


def draw_in(connection: sa.Connection, context: Context, folded: Folded) -> None:
    """Let the parts of the CRM draw their consequences from the orders of a batch that ended.

    A closed order earns points, keeps its coupon redeemed, may raise the tier, and rewards who referred the
    customer; one that came to nothing gives back the coupon and the points that were redeemed on it. An order
    of nobody known has none of these. All customers are locked at once, before anything else.
    """
    orders = folded.orders
    ended = folded.ended[np.argsort(orders["ended_at_ms"][folded.ended], kind="stable")]
    if not len(ended):
        return
    stage, customer = orders["stage"][ended], orders["customer_id"][ended]
    is_closed, has_customer = stage == OrderStatus.CLOSED, customer != NO_VALUE
    standing = standing_in(connection, context.vertical, customer[has_customer].tolist())
    is_known = np.array([one in standing for one in customer.tolist()])
    closed = _listed(orders, ended[is_closed & is_known])
    if closed["order_id"]:
        told = (closed["customer_id"], closed["order_id"])
        cents = [max(fare, 0) for fare in closed["fare_cents"]]
        earn_trips_in(connection, context.vertical, *told, cents, closed["ended_at_ms"], standing)
        progress_in(connection, context, closed["customer_id"], closed["ended_at_ms"][-1], standing)
        reward_in(connection, context, *told, closed["ended_at_ms"], standing)
    # Customers are locked before coupons, as wherever both are.
    every = _listed(orders, ended)
    settle_in(connection, every["order_id"], is_closed.tolist(), every["ended_at_ms"])
    vain = _listed(orders, ended[~is_closed])
    give_back_orders_in(connection, context, vain["order_id"], vain["ended_at_ms"])
    gave_up_late = (stage == OrderStatus.CANCELLED) & (orders["driver_id"][ended] != NO_VALUE)
    counts = _listed(orders, ended[is_known & (is_closed | gave_up_late)])
    reasons = ["completed" if stage == OrderStatus.CLOSED else "cancelled_late" for stage in counts["stage"]]
    credit_orders_in(
        connection,
        context.vertical.credit,
        counts["customer_id"],
        counts["order_id"],
        reasons,
        counts["ended_at_ms"],
        {told: one.customer_id for told, one in standing.items()},
    )


def _listed(orders: dict[str, Any], rows: Any) -> dict[str, list[int]]:
    names = ("order_id", "customer_id", "fare_cents", "ended_at_ms", "stage")
    return {name: orders[name][rows].tolist() for name in names}
