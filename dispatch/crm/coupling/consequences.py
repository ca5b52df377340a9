"""What follows from orders that ended, in the same transaction: points, coupons, tiers, standing."""

from __future__ import annotations

from typing import Any

import numpy as np
import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.coupling.folding import Folded
from dispatch.crm.loyalty.ledger import earn_trips_in
from dispatch.crm.loyalty.memberships import progress_in
from dispatch.crm.loyalty.redemptions import settle_in
from dispatch.crm.loyalty.referrals import reward_in
from dispatch.crm.service.credit import credit_orders_in
from dispatch.engine.lifecycle import OrderStatus
from dispatch.units import NO_VALUE


def draw_in(connection: sa.Connection, context: Context, folded: Folded) -> None:
    """Let the parts of the CRM draw their consequences from the orders of a batch that ended.

    A closed order earns points, keeps its coupon redeemed, may raise the tier, and rewards who referred the
    customer; one that came to nothing gives the coupon back. An order of nobody known has none of these.
    """
    orders = folded.orders
    ended = folded.ended[np.argsort(orders["ended_at_ms"][folded.ended], kind="stable")]
    if not len(ended):
        return
    is_closed = orders["stage"][ended] == OrderStatus.CLOSED
    order_id, at_ms = orders["order_id"][ended].tolist(), orders["ended_at_ms"][ended].tolist()
    has_customer = orders["customer_id"][ended] != NO_VALUE
    closed = _listed(orders, ended[is_closed & has_customer])
    if closed["order_id"]:
        told = (closed["customer_id"], closed["order_id"])
        cents = [max(fare, 0) for fare in closed["fare_cents"]]
        earn_trips_in(connection, context.vertical, *told, cents, closed["ended_at_ms"])
        progress_in(connection, context, closed["customer_id"], closed["ended_at_ms"][-1])
        reward_in(connection, context, *told, closed["ended_at_ms"])
    # Customers are locked before coupons, as wherever both are.
    settle_in(connection, order_id, is_closed.tolist(), at_ms)
    gave_up_late = (orders["stage"][ended] == OrderStatus.CANCELLED) & (
        orders["driver_id"][ended] != NO_VALUE
    )
    counts = _listed(orders, ended[has_customer & (is_closed | gave_up_late)])
    reasons = ["completed" if stage == OrderStatus.CLOSED else "cancelled_late" for stage in counts["stage"]]
    credit_orders_in(
        connection,
        context.vertical.credit,
        counts["customer_id"],
        counts["order_id"],
        reasons,
        counts["ended_at_ms"],
    )


def _listed(orders: dict[str, Any], rows: Any) -> dict[str, list[int]]:
    names = ("order_id", "customer_id", "fare_cents", "ended_at_ms", "stage")
    return {name: orders[name][rows].tolist() for name in names}
