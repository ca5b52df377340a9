"""Care: wishes and reminders by date and by what customers and drivers did, once per occasion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.engagement.campaigns import MARKETING, open_complaints_in
from dispatch.crm.engagement.wishes import date_of, mmdds_of, years_since
from dispatch.crm.loyalty import coupons
from dispatch.crm.outbox import announce_many_in
from dispatch.crm.people.consents import agreeing_in
from dispatch.crm.people.persons import current_among
from dispatch.crm.rules import CareRule, check_name
from dispatch.crm.tables.engagement import care_sent
from dispatch.crm.tables.orders import customer_day, driver_day
from dispatch.crm.tables.people import customer, driver
from dispatch.errors import InputError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

_MOST_YEARS: Final = 50
_AFTER: Final = ("long_unused", "driver_absent")
"""Triggers that are so many days after what happened last."""
_LAST_DAY: Final = 84_006
"""31 December 2199."""


@dataclass(frozen=True)
class Festival:
    """A day on which a company greets its customers.

    Parameters
    ----------
    name : str
    day : int
        Days since 1970, UTC: festivals of a lunar calendar have another date each year, so a list tells them.
    template : str
    """

    name: str
    day: int
    template: str

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_name("name", self.name)
        check_whole("day", self.day, 0, _LAST_DAY)
        check_name("template", self.template)


Occasions = dict[int, int]
"""Who is meant, and on which occasion: a birthday's year, the day of the last order."""


class Care:
    """Finds who is due for what, and leaves a message in the outbox.

    Customers get it who consented to marketing and have no open complaint; drivers, who work with the
    company, get theirs without. It is left once per occasion, however often and late this runs; after
    `catch_up_days` not any more: nobody wants last month's birthday wish.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def run(self, at_ms: int, catch_up_days: int = 3) -> dict[str, int]:
        """Send what the vertical's rules of care tell; gives how many by trigger.

        Parameters
        ----------
        at_ms : int
            The day of it, UTC, and the `catch_up_days` before count.
        catch_up_days : int
        """
        check_whole("catch_up_days", catch_up_days, 0, 30)
        with self._context.acting("care.run", at_ms=at_ms) as connection:
            last = at_ms // MS_PER_DAY
            first = max(last - catch_up_days, 0)
            sent: dict[str, int] = {}
            for rule in self._context.vertical.care:
                after = rule.after_days if rule.trigger in _AFTER else 0
                found = _FINDERS[rule.trigger](connection, first - after, last - after)
                num = self._send_in(connection, rule, found, at_ms)
                sent[rule.trigger] = sent.get(rule.trigger, 0) + num
        return sent

    def greet(
        self, scope_id: int, festivals: Iterable[Festival], at_ms: int, catch_up_days: int = 1
    ) -> dict[str, int]:
        """Greet all customers of a scope on the festivals that are today, or were within few days before."""
        check_whole("catch_up_days", catch_up_days, 0, 30)
        told, last = list(festivals), at_ms // MS_PER_DAY
        if len({(one.name, one.day) for one in told}) != len(told):
            raise InputError("festivals holds one twice")
        with self._context.acting("care.run", at_ms=at_ms, scope_id=scope_id) as connection:
            rows = connection.execute(
                sa.select(customer.c.customer_id).where(
                    customer.c.scope_id == scope_id, customer.c.status == "active"
                )
            )
            ids, sent = list(rows.scalars()), {}
            for one in told:
                if last - catch_up_days <= one.day <= last:
                    rule = _Wish(f"festival.{one.name}", one.template)
                    sent[one.name] = self._send_in(connection, rule, dict.fromkeys(ids, one.day), at_ms)
        return sent

    def _send_in(
        self, connection: sa.Connection, rule: CareRule | _Wish, occasions: Occasions, at_ms: int
    ) -> int:
        """Announce to those who may get it and have not got it; gives how many."""
        kind = "driver" if rule.trigger.startswith("driver_") else "customer"
        occasions = _active_in(connection, kind, occasions)
        ids = sorted(occasions)
        if kind == "customer":
            allowed = agreeing_in(connection, MARKETING, ids)
            troubled = open_complaints_in(connection, ids)
            ids = [one for one in ids if one in allowed and one not in troubled]
        got = connection.execute(
            sa.select(care_sent.c.person_id, care_sent.c.occasion).where(
                care_sent.c.kind == kind,
                care_sent.c.trigger == rule.trigger,
                bulk.among(connection, care_sent.c.person_id, ids),
            )
        )
        known = {(row.person_id, row.occasion) for row in got}
        ids = [one for one in ids if (one, occasions[one]) not in known]
        num, cents = len(ids), rule.coupon_cents if kind == "customer" else 0
        if not num:
            return 0
        told = {
            "kind": [kind] * num,
            "person_id": ids,
            "trigger": [rule.trigger] * num,
            "occasion": [occasions[one] for one in ids],
            "at_ms": [at_ms] * num,
            "coupon_cents": [cents] * num,
        }
        bulk.insert(connection, care_sent, told)
        if cents:
            coupons.grant_in(connection, self._context, ids, f"care.{rule.trigger}", cents, at_ms)
        data = {"template": rule.template, "coupon_cents": cents}
        announce_many_in(connection, f"care.{rule.trigger}", kind, ids, at_ms, data)
        return num


@dataclass(frozen=True)
class _Wish:
    """What a festival is in place of a rule."""

    trigger: str
    template: str
    coupon_cents: int = 0


def _active_in(connection: sa.Connection, kind: str, occasions: Occasions) -> Occasions:
    """Leave out who is not active; who was merged counts as the one that is left."""
    table, column = (customer, "customer_id") if kind == "customer" else (driver, "driver_id")
    if kind == "customer":
        merged = current_among(connection, occasions)
        left: Occasions = {}
        for person, occasion in occasions.items():
            now = merged.get(person, person)
            left[now] = max(occasion, left.get(now, occasion))
        occasions = left
    rows = connection.execute(
        sa.select(table.c[column]).where(
            table.c.status == "active", bulk.among(connection, table.c[column], list(occasions))
        )
    )
    return {person: occasions[person] for person in rows.scalars()}


def _birthdays(table: sa.Table, column: str) -> Callable[[sa.Connection, int, int], Occasions]:
    def find(connection: sa.Connection, first: int, last: int) -> Occasions:
        # A wish of which the day was longer ago gives way to the nearer one: that of 29 February.
        year = {mmdd: date_of(day).year for day in range(first, last + 1) for mmdd in mmdds_of(day)}
        rows = connection.execute(
            sa.select(table.c[column], table.c.birthday_mmdd).where(table.c.birthday_mmdd.in_(sorted(year)))
        )
        return {person: year[mmdd] for person, mmdd in rows}

    return find


def _long_unused(connection: sa.Connection, first: int, last: int) -> Occasions:
    last_day = sa.func.max(customer_day.c.day)
    rows = connection.execute(
        sa.select(customer_day.c.customer_id, last_day)
        .where(customer_day.c.completed > 0)
        .group_by(customer_day.c.customer_id)
    ).all()
    merged = current_among(connection, [row[0] for row in rows])
    latest: Occasions = {}
    for person, day in rows:
        now = merged.get(person, person)
        latest[now] = max(day, latest.get(now, day))
    return {person: day for person, day in latest.items() if first <= day <= last}


def _first_order(connection: sa.Connection, first: int, last: int) -> Occasions:
    first_day = sa.func.min(customer_day.c.day)
    rows = connection.execute(
        sa.select(customer_day.c.customer_id)
        .where(customer_day.c.completed > 0)
        .group_by(customer_day.c.customer_id)
        .having(first_day.between(first, last))
    )
    return dict.fromkeys(rows.scalars(), 0)


def _anniversary(connection: sa.Connection, first: int, last: int) -> Occasions:
    at_ms, due = customer.c.created_at_ms, np.arange(first, last + 1)
    begun = _same_days_before(due.tolist())
    rows = connection.execute(
        sa.select(customer.c.customer_id, at_ms).where(
            bulk.among(connection, at_ms // MS_PER_DAY, sorted(begun))
        )
    )
    return {person: years_since(begin_ms, last) for person, begin_ms in rows}


def _same_days_before(days: list[int]) -> set[int]:
    """Give the days on which somebody can have begun who has a jubilee on one of some days."""
    found: set[int] = set()
    for day in days:
        year = date_of(day).year
        for mmdd in mmdds_of(day):
            for begun in range(max(1970, year - _MOST_YEARS), year):
                month, of_month = divmod(mmdd, 100)
                is_leap = begun % 4 == 0 and (begun % 100 != 0 or begun % 400 == 0)
                if mmdd != 229 or is_leap:
                    found.add((date_of(0).replace(begun, month, of_month) - date_of(0)).days)
    return found


def _driver_absent(connection: sa.Connection, first: int, last: int) -> Occasions:
    table = driver_day.c
    last_day = sa.func.max(table.day)
    rows = connection.execute(
        sa.select(table.driver_id, last_day)
        .where((table.online_ms > 0) | (table.completed > 0))
        .group_by(table.driver_id)
        .having(last_day.between(first, last))
    )
    return {row[0]: row[1] for row in rows}


_FINDERS: Final[dict[str, Callable[[Any, int, int], Occasions]]] = {
    "birthday": _birthdays(customer, "customer_id"),
    "long_unused": _long_unused,
    "first_order": _first_order,
    "anniversary": _anniversary,
    "driver_birthday": _birthdays(driver, "driver_id"),
    "driver_absent": _driver_absent,
}
