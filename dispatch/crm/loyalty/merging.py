"""What loyalty keeps of two customers who turn out to be one."""

from __future__ import annotations

import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.loyalty import ledger, memberships, redemptions, referrals


def merge_in(connection: sa.Connection, context: Context, from_id: int, into_id: int, at_ms: int) -> None:
    """Move points, coupons, passes and referrals to the customer who is left; the higher tier stays."""
    memberships.merge_in(connection, context, from_id, into_id, at_ms)
    ledger.merge_in(connection, context.vertical, from_id, into_id, at_ms)
    redemptions.merge_in(connection, from_id, into_id)
    referrals.merge_in(connection, from_id, into_id)
