"""Enquiries of members: their points, and what fuel costs; for a public account, a till, a telephone menu."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_instant
from dispatch.crm.loyalty.points import Points
from dispatch.crm.rules import check_name
from dispatch.crm.shops.merchants import offers_in
from dispatch.crm.tables.fleet import merchant
from dispatch.crm.tables.people import customer
from dispatch.errors import InputError


@dataclass(frozen=True)
class MemberBalance:
    """What a member is told; who asks by a number is told nothing that names a person."""

    points: int
    cents: int
    """what they are worth"""
    tier: str


@dataclass(frozen=True)
class FuelPrice:
    """What a product costs at a station."""

    station: str
    product: str
    cents: int
    per: str
    """litre or kwh"""


class EnquiryPort(Protocol):
    """Whatever answers members in words: a public account, a till, a telephone menu."""

    def answer(self, text: str, at_ms: int) -> str:
        """Answer what a member typed."""


class BalanceEnquiry:
    """Answers from the CRM."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def balance(self, scope_id: int, member_no: str, at_ms: int) -> MemberBalance:
        """Give points and tier of a member.

        Raises
        ------
        InputError
            No active member has that number; the number is not repeated.
        """
        check_instant("at_ms", at_ms)
        with self._context.looking("balance.enquire", scope_id=scope_id) as connection:
            row = connection.execute(
                sa.select(customer.c.customer_id, customer.c.tier).where(
                    customer.c.scope_id == scope_id,
                    customer.c.member_no == str(member_no),
                    customer.c.status == "active",
                )
            ).one_or_none()
        if row is None:
            raise InputError("member_no is not known here")
        found = Points(self._context).balance(row.customer_id, at_ms=at_ms)
        return MemberBalance(found.points, found.cents, row.tier or self._context.vertical.tiers[0].name)

    def prices(self, scope_id: int, product: str, at_ms: int, limit: int = 10) -> list[FuelPrice]:
        """Give what a product costs at the open stations of a place, cheapest first."""
        check_id("scope_id", scope_id)
        check_instant("at_ms", at_ms)
        check_name("product", product)
        found: list[FuelPrice] = []
        with self._context.looking("balance.enquire", scope_id=scope_id) as connection:
            stations = connection.execute(
                sa.select(merchant.c.merchant_id, merchant.c.name).where(
                    merchant.c.scope_id == scope_id, merchant.c.kind == "station", merchant.c.status == "open"
                )
            ).all()
            for station_id, name in stations:
                found += [
                    FuelPrice(name, product, offer.cents, offer.per)
                    for offer in offers_in(connection, station_id, at_ms)
                    if offer.product == product and offer.available
                ]
        return sorted(found, key=lambda one: (one.cents, one.station))[:limit]


class CommandDesk:
    """Answers text commands, ``points NUMBER`` and ``price PRODUCT``; connected to no public account."""

    def __init__(self, enquiry: BalanceEnquiry, scope_id: int) -> None:
        self._enquiry, self._scope_id = enquiry, scope_id

    def answer(self, text: str, at_ms: int) -> str:
        """Answer one command."""
        command, _, told = text.strip().partition(" ")
        try:
            if command == "points":
                found = self._enquiry.balance(self._scope_id, told.strip(), at_ms)
                return f"{found.points} points, worth {found.cents / 100:.2f}; tier {found.tier}"
            if command == "price":
                prices = self._enquiry.prices(self._scope_id, told.strip(), at_ms, limit=3)
                lines = [f"{one.station}: {one.cents / 100:.2f} per {one.per}" for one in prices]
                return "\n".join(lines) or "no station sells that now"
        except InputError:
            return "not known"
        return "points NUMBER, or price PRODUCT"
