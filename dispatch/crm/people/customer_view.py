"""All about a customer on one page: 360°, over all channels and merged doubles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.loyalty.memberships import Period, measure_in, periods_in
from dispatch.crm.paging import check_page
from dispatch.crm.people.consents import latest_in
from dispatch.crm.people.contacts import Address, Alias, addresses_in, aliases_in, shows
from dispatch.crm.people.customers import Customer, shown_in
from dispatch.crm.people.persons import current_in, family_in
from dispatch.crm.people.timeline import TimelineEntry, timeline_in
from dispatch.crm.service.credit import standing_in
from dispatch.crm.tables.orders import customer_day
from dispatch.store import bulk

SUMS: Final = ("submitted", "completed", "cancelled", "expired", "late", "spend_cents", "trip_m")


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
    """of rows until the instant of the view, by table: orders, entries of points, complaints, …"""
    tiers: tuple[Period, ...]
    """oldest first, of all ids together: at each instant the highest"""
    measure: int
    """what the tier is told by, of all ids together, within the window that ends now"""
    standing: int
    """0 … 100: see :mod:`dispatch.crm.service.credit`"""
    timeline: tuple[TimelineEntry, ...]
    """the latest first, nothing later than the instant of the view"""


class CustomerViews:
    """Gathers what all parts know of a customer."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def view(self, customer_id: int, *, at_ms: int, limit: int = 100) -> CustomerView:
        """Give all about a customer; `limit` is that of the timeline."""
        check_page(limit)
        with self._context.acting("customer.view", ("customer", customer_id), at_ms=at_ms) as connection:
            known = shown_in(connection, self._context, customer_id)
            family = family_in(connection, customer_id)
            sees_places = shows(connection, self._context, "customer.address", customer_id)
            timeline, counts = timeline_in(connection, family, at_ms, limit, sees_places)
            vertical = self._context.vertical
            return CustomerView(
                known,
                tuple(family[1:]),
                tuple(aliases_in(connection, self._context, customer_id)),
                tuple(addresses_in(connection, self._context, customer_id)),
                latest_in(connection, [customer_id])[customer_id],
                _sums(connection, family),
                counts,
                tuple(periods_in(connection, vertical, customer_id)),
                measure_in(connection, vertical, customer_id, at_ms),
                standing_in(connection, vertical.credit, current_in(connection, customer_id)),
                timeline,
            )


def _sums(connection: sa.Connection, family: list[int]) -> dict[str, int]:
    columns = [sa.func.coalesce(sa.func.sum(customer_day.c[name]), 0).label(name) for name in SUMS]
    own = bulk.among(connection, customer_day.c.customer_id, family)
    row = connection.execute(sa.select(*columns).where(own)).one()
    return {name: int(value) for name, value in row._mapping.items()}
