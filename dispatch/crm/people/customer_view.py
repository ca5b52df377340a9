"""All about a customer on one page: 360°, over all channels and merged doubles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.paging import check_page
from dispatch.crm.people.consents import latest_in
from dispatch.crm.people.contacts import Address, Alias, addresses_in, aliases_in, shows
from dispatch.crm.people.customers import Customer, shown_in
from dispatch.crm.people.persons import family_in
from dispatch.crm.tables.everything import metadata
from dispatch.crm.tables.orders import customer_day
from dispatch.store import bulk

APART: Final = ("customer", "alias", "address", "consent", "customer_day", "idempotency")
"""Tables that are told in a form of their own, or not at all."""
SUMS: Final = ("submitted", "completed", "cancelled", "expired", "late", "spend_cents", "trip_m")


@dataclass(frozen=True)
class TimelineEntry:
    """Something that happened with a customer."""

    at_ms: int
    what: str
    """the table"""
    facts: Mapping[str, Any]
    """columns by their names, nothing personal"""


@dataclass(frozen=True)
class CustomerView:
    """All about a customer, as far as the actor may see it."""

    customer: Customer
    merged_ids: tuple[int, ...]
    """earlier ids, of doubles that were merged into this one"""
    aliases: tuple[Alias, ...]
    addresses: tuple[Address, ...]
    consents: Mapping[str, bool]
    sums: Mapping[str, int]
    """of all days: orders submitted, completed, cancelled, expired, late; cents and metres"""
    counts: Mapping[str, int]
    """of rows, by table: orders, points, complaints, …"""
    timeline: tuple[TimelineEntry, ...]
    """the latest first"""


class CustomerViews:
    """Gathers what all parts know of a customer."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def view(self, customer_id: int, *, at_ms: int, limit: int = 100) -> CustomerView:
        """Give all about a customer; `limit` is that of the timeline, and of each part of it."""
        check_page(limit)
        with self._context.acting("customer.view", ("customer", customer_id), at_ms=at_ms) as connection:
            known = shown_in(connection, self._context, customer_id)
            family = family_in(connection, customer_id)
            sees_places = shows(connection, self._context, "customer.address", customer_id)
            counts, timeline = _parts(connection, family, limit, sees_places)
            return CustomerView(
                known,
                tuple(family[1:]),
                tuple(aliases_in(connection, self._context, customer_id)),
                tuple(addresses_in(connection, self._context, customer_id)),
                latest_in(connection, [customer_id])[customer_id],
                _sums(connection, family),
                counts,
                timeline,
            )


def _sums(connection: sa.Connection, family: list[int]) -> dict[str, int]:
    columns = [sa.func.coalesce(sa.func.sum(customer_day.c[name]), 0).label(name) for name in SUMS]
    own = bulk.among(connection, customer_day.c.customer_id, family)
    row = connection.execute(sa.select(*columns).where(own)).one()
    return {name: int(value) for name, value in row._mapping.items()}


def _parts(
    connection: sa.Connection, family: list[int], limit: int, sees_places: bool
) -> tuple[dict[str, int], tuple[TimelineEntry, ...]]:
    """Give rows of all tables that name the customer: their numbers, and the latest ones."""
    counts: dict[str, int] = {}
    timeline: list[TimelineEntry] = []
    for table in metadata.sorted_tables:
        instant = next((column for column in table.c if column.name.endswith("at_ms")), None)
        if table.name in APART or "customer_id" not in table.c or instant is None:
            continue
        own = bulk.among(connection, table.c.customer_id, family)
        num = connection.scalar(sa.select(sa.func.count()).select_from(table).where(own))
        if not num:
            continue
        counts[table.name] = int(num)
        shown = [
            column
            for column in table.c
            if not column.info.get("personal") and (sees_places or not column.name.endswith("_e6"))
        ]
        latest = sa.select(*shown).where(own, instant.is_not(None)).order_by(instant.desc()).limit(limit)
        timeline += [
            TimelineEntry(row._mapping[instant.name], table.name, dict(row._mapping))
            for row in connection.execute(latest)
        ]
    timeline.sort(key=lambda entry: -entry.at_ms)
    return counts, tuple(timeline[:limit])
