"""Whose account a customer's points go to; and the one sequence in which customers are locked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from dispatch.crm.tables.loyalty import referral
from dispatch.crm.tables.people import customer
from dispatch.crm.vertical import Vertical
from dispatch.store import bulk


@dataclass(frozen=True, slots=True)
class Standing:
    """Whose account a customer's points go to."""

    customer_id: int
    """the customer, or the one into whom they were merged"""
    tier: int
    """row of the vertical's tiers"""
    scope_id: int
    is_active: bool


Row = tuple[int | None, str, str | None, int]
"""Of a customer: merged into, status, tier, scope."""
Standings = Mapping[int, Standing]
"""By the ids of customers, those who were merged among them; whom the CRM does not know is left out."""


def standing_in(
    connection: sa.Connection, vertical: Vertical, customer_ids: Iterable[int]
) -> dict[int, Standing]:
    """Lock customers as :func:`lock_in` does, and tell whose accounts they have."""
    found, tier_row = lock_in(connection, customer_ids), vertical.tier_row
    standing = {}
    for told in found:
        last = current_of(found, told)
        _, status, tier, scope_id = found[last]
        standing[told] = Standing(last, tier_row.get(tier or "", 0), scope_id, status == "active")
    return standing


def lock_in(connection: sa.Connection, customer_ids: Iterable[int]) -> dict[int, Row]:
    """Lock customers, those into whom they were merged, and those who won them and wait for a reward.

    All are locked by one statement, ascending: two who did so one after the other, each for customers of its
    own, could wait for each other. Only where one of them is merged just then does a second one follow.
    """
    told = sorted({int(one) for one in customer_ids})
    wanted = sorted({*told, *(row[0] for row in _MEANT.rows(connection, ids=told))})
    found: dict[int, Row] = {}
    while wanted:
        rows = _LOCKED.rows(connection, ids=wanted)
        found.update((row[0], (row[1], row[2], row[3], row[4])) for row in rows)
        wanted = sorted({row[1] for row in rows if row[1] is not None and row[1] not in found})
    return found


def current_of(found: Mapping[int, Row], customer_id: int) -> int:
    """Give the customer that one of those who are locked was merged into, or the same."""
    last = customer_id
    while (into := found[last][0]) is not None and into in found:
        last = into
    return last


_MEANT: Final = bulk.Prepared(
    sa.union_all(
        sa.select(customer.c.merged_into).where(
            bulk.among_told(customer.c.customer_id, "ids"), customer.c.merged_into.is_not(None)
        ),
        sa.select(referral.c.referrer_id).where(
            bulk.among_told(referral.c.referee_id, "ids"), referral.c.state == "waiting"
        ),
    )
)
_LOCKED: Final = bulk.Prepared(
    sa.select(
        customer.c.customer_id,
        customer.c.merged_into,
        customer.c.status,
        customer.c.tier,
        customer.c.scope_id,
    )
    .where(bulk.among_told(customer.c.customer_id, "ids"))
    .order_by(customer.c.customer_id)
    .with_for_update()
)
