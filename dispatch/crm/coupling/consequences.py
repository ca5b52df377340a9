"""What follows from orders that ended, in the same transaction: points, coupons, tiers, standing."""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.coupling.folding import Folded
from dispatch.crm.loyalty.climbing import Trips
from dispatch.crm.loyalty.closing import Ended, follow_in
from dispatch.crm.loyalty.redemptions import settle_in
from dispatch.crm.loyalty.standing import standing_in
from dispatch.crm.service.credit import credit_orders_in
from dispatch.engine.lifecycle import OrderStatus
from dispatch.units import NO_VALUE


def draw_in(connection: sa.Connection, context: Context, folded: Folded) -> None:
    """Let the parts of the CRM draw their consequences from the orders of a batch that ended.

    A closed order earns points, keeps its coupon redeemed, may raise the tier, and rewards who referred the
    customer; one that came to nothing gives back the coupon and the points that were redeemed on it. An order
    of nobody known has none of these. What follows is the same however a log is cut into batches: each order
    finds what those before it left. All customers are locked at once, before anything else.
    """
    orders, rows = folded.orders, folded.ended
    if not len(rows):
        return
    stage, customer = orders["stage"][rows], orders["customer_id"][rows]
    has_customer, is_closed = customer != NO_VALUE, stage == OrderStatus.CLOSED
    standing = standing_in(connection, context.vertical, customer[has_customer].tolist())
    ended = Ended(
        customer.tolist(),
        orders["order_id"][rows].tolist(),
        np.maximum(orders["fare_cents"][rows], 0).tolist(),
        orders["ended_at_ms"][rows].tolist(),
        folded.ended_place.tolist(),
        is_closed.tolist(),
    )
    trips = folded.trips
    columns = (trips["customer_id"], trips["fare_cents"], trips["dropped_off_at_ms"])
    follow_in(connection, context, ended, Trips(*columns, folded.trip_place), standing)
    # Customers are locked before coupons, as wherever both are.
    settle_in(connection, ended.order_id, ended.is_closed, ended.at_ms)
    gave_up_late = (stage == OrderStatus.CANCELLED) & (orders["driver_id"][rows] != NO_VALUE)
    is_known = np.array([one in standing for one in ended.customer_id])
    counts = ended.chosen(np.flatnonzero(is_known & (is_closed | gave_up_late)).tolist())
    credit_orders_in(
        connection,
        context.vertical.credit,
        counts.customer_id,
        counts.order_id,
        ["completed" if is_closed else "cancelled_late" for is_closed in counts.is_closed],
        counts.at_ms,
        {told: one.customer_id for told, one in standing.items()},
    )
