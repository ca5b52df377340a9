"""Where each object belongs: one table, by which permissions are judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.permissions import Place
from dispatch.crm.tables import engagement, fleet, loyalty, orders as of_orders, people, service
from dispatch.crm.tables.orders import scope
from dispatch.errors import InputError


@dataclass(frozen=True)
class ObjectKind:
    """How an object's place is found: in its own row, or in the row that it refers to."""

    table: sa.Table
    key: str
    owners: tuple[tuple[str, str], ...] = ()
    """(kind of person, column that names it)"""
    within: tuple[str, str] | None = None
    """(kind of the object that it belongs to, column that names it), where it has no scope of its own"""


KINDS: Final = {
    "customer": ObjectKind(people.customer, "customer_id", (("customer", "customer_id"),)),
    "driver": ObjectKind(people.driver, "driver_id", (("driver", "driver_id"),)),
    "alias": ObjectKind(people.alias, "alias_id", within=("customer", "customer_id")),
    "address": ObjectKind(people.address, "address_id", within=("customer", "customer_id")),
    "consent": ObjectKind(people.consent, "consent_id", within=("customer", "customer_id")),
    "order": ObjectKind(of_orders.orders, "order_id", (("customer", "customer_id"), ("driver", "driver_id"))),
    "segment": ObjectKind(engagement.segment, "segment_id"),
    "campaign": ObjectKind(engagement.campaign, "campaign_id"),
    "coupon": ObjectKind(loyalty.coupon, "coupon_id"),
    "payment": ObjectKind(engagement.payment, "payment_id", within=("order", "order_id")),
    "vehicle": ObjectKind(fleet.vehicle, "vehicle_id", within=("driver", "driver_id")),
    "licence": ObjectKind(fleet.licence, "licence_id", within=("driver", "driver_id")),
    "shift": ObjectKind(fleet.shift, "shift_id", within=("driver", "driver_id")),
    "block": ObjectKind(fleet.driver_block, "block_id", within=("driver", "driver_id")),
    "merchant": ObjectKind(fleet.merchant, "merchant_id"),
    "incident": ObjectKind(
        service.incident, "incident_id", (("customer", "customer_id"), ("driver", "driver_id"))
    ),
    "complaint": ObjectKind(
        service.complaint, "complaint_id", (("customer", "customer_id"), ("driver", "driver_id"))
    ),
    "appeal": ObjectKind(service.appeal, "appeal_id"),
    "feedback": ObjectKind(service.feedback, "feedback_id", (("customer", "customer_id"),)),
    "survey": ObjectKind(service.survey, "survey_id"),
    "call_back": ObjectKind(service.call_back, "call_id", (("customer", "customer_id"),)),
}
"""By the name that actions and the audit use."""


def place_of(connection: sa.Connection, kind: str, object_id: int) -> tuple[int | None, Place] | None:
    """Give the scope's id and the place of an object, None if there is no such object."""
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}: it must be one of {', '.join(KINDS)}")
    told = KINDS[kind]
    names = {column for _, column in told.owners} | {"scope_id" if told.within is None else told.within[1]}
    wanted = sa.select(*(told.table.c[name] for name in sorted(names)))
    row = connection.execute(wanted.where(told.table.c[told.key] == object_id)).one_or_none()
    if row is None:
        return None
    mapping: Any = row._mapping
    owners = frozenset(
        (person, mapping[column]) for person, column in told.owners if mapping[column] is not None
    )
    if kind != "customer":
        owners |= _merged(connection, owners)
    if told.within is not None:
        outer_kind, column = told.within
        outer = place_of(connection, outer_kind, mapping[column])
        if outer is None:
            return None
        return outer[0], Place(outer[1].tenant, outer[1].city, outer[1].owners | owners)
    scope_id = mapping["scope_id"]
    return scope_id, scope_place(connection, scope_id, owners)


def _merged(connection: sa.Connection, owners: Iterable[tuple[str, int]]) -> frozenset[tuple[str, int]]:
    """Give the customers that owners were merged into: what was theirs is those's own now."""
    ids = [person_id for person, person_id in owners if person == "customer"]
    if not ids:
        return frozenset()
    table = people.customer
    into = sa.select(table.c.merged_into).where(
        table.c.customer_id.in_(ids), table.c.merged_into.is_not(None)
    )
    return frozenset(("customer", int(one)) for one in connection.scalars(into))


def scope_place(
    connection: sa.Connection, scope_id: int | None, owners: Iterable[tuple[str, int]] = ()
) -> Place:
    """Give the place that a scope's id names; rows without one belong to no company."""
    known = None if scope_id is None else known_scope(connection, scope_id)
    return Place(
        "" if known is None else known.tenant, "" if known is None else known.city, frozenset(owners)
    )


def known_scope(connection: sa.Connection, scope_id: int) -> Place | None:
    """Give the place that a scope's id names, None if there is none."""
    row = connection.execute(sa.select(scope).where(scope.c.scope_id == scope_id)).one_or_none()
    return None if row is None else Place(row.tenant, row.city)


def check_place(tenant: object, city: object) -> None:
    """Raise :class:`InputError` unless these can name a company and a city of it."""
    for name, value in (("tenant", tenant), ("city", city)):
        if not isinstance(value, str) or len(value) > 64 or not value.isprintable():
            raise InputError(f"{name} is {value!r}: it must be a text of at most 64 printable letters")
    if not tenant:
        raise InputError("tenant is '': it must name a company; rows without one are within nobody's reach")


def scope_named(connection: sa.Connection, tenant: str, city: str) -> int:
    """Give the id of a company and a city of it, entered at its first use."""
    check_place(tenant, city)
    found = sa.select(scope.c.scope_id).where(scope.c.tenant == tenant, scope.c.city == city)
    known = connection.execute(found).scalar_one_or_none()
    if known is not None:
        return int(known)
    added = connection.execute(sa.insert(scope).values(tenant=tenant, city=city))
    return int(added.inserted_primary_key[0])  # type: ignore[index]  # an insertion of one row has one
