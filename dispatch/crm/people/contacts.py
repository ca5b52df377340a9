"""Contacts: the other names, addresses and doubles of a customer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_not_before
from dispatch.crm.objects import place_of
from dispatch.crm.people.consents import latest_in, record_in
from dispatch.crm.people.customer_details import LONGEST_NAME, check_text, normal_email
from dispatch.crm.people.persons import locked_in, refuse_held
from dispatch.crm.people.phones import normal_phone
from dispatch.crm.people.sealed_texts import key_in, sealed_field
from dispatch.crm.permissions import Place
from dispatch.crm.rules import check_name
from dispatch.crm.tables.people import address, alias, consent, customer
from dispatch.crm.vault import seal_text, unseal_text
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk

LONGEST_ADDRESS: Final = 500
MergeHook = Callable[[sa.Connection, Context, int, int, int], None]
"""Moves what another part keeps of a customer: ``merge_in(connection, context, from_id, into_id, at_ms)``."""


@dataclass(frozen=True)
class Alias:
    """Another name under which a customer is known; its value is None for who may not see it."""

    alias_id: int
    kind: str
    value: str | None
    added_at_ms: int


@dataclass(frozen=True)
class Address:
    """A place of a customer; text and coordinates are None for who may not see them."""

    address_id: int
    label: str
    text: str | None
    lon_e6: int | None
    lat_e6: int | None
    changed_at_ms: int


class Contacts:
    """Adds and removes aliases and addresses, and merges customers who are one.

    Parameters
    ----------
    context : Context
    hooks : sequence of MergeHook
        Of the parts that keep something of customers, called within the transaction of a merge.
    """

    def __init__(self, context: Context, hooks: Sequence[MergeHook] = ()) -> None:
        self._context, self._hooks = context, tuple(hooks)

    def add_alias(self, customer_id: int, kind: str, value: str, *, at_ms: int, region: str = "") -> int:
        """Add another name of a customer; gives its id.

        Parameters
        ----------
        customer_id : int
        kind : str
            ``phone``, ``email``, ``card``, ``app``, …
        value : str
            No two customers of a place have the same of a kind.
        at_ms : int
        region : str
            Country of a phone number without a country code.

        Raises
        ------
        StateError
            Another customer has it; or this one is merged, restricted or erased.
        """
        check_name("kind", kind)
        normal = _normal(kind, value, region)
        with self._context.acting(
            "alias.add", ("customer", customer_id), at_ms=at_ms, details={"kind": kind}
        ) as connection:
            row = locked_in(connection, "customer", customer_id)
            if kind == "phone":
                self._check_free(connection, normal, row.scope_id, customer_id)
            return self._add_in(connection, customer_id, row.scope_id, kind, normal, at_ms)

    def remove_alias(self, alias_id: int, *, at_ms: int) -> None:
        """Remove another name of a customer; :class:`StateError` under a legal hold."""
        with self._context.acting("alias.remove", ("alias", alias_id), at_ms=at_ms) as connection:
            _remove(connection, alias.c.alias_id, alias_id)

    def aliases_of(self, customer_id: int, *, at_ms: int) -> list[Alias]:
        """Give the other names of a customer, the oldest first."""
        with self._context.acting("alias.read", ("customer", customer_id), at_ms=at_ms) as connection:
            return aliases_in(connection, self._context, customer_id)

    def add_address(
        self,
        customer_id: int,
        label: str,
        text: str,
        *,
        at_ms: int,
        lon_e6: int | None = None,
        lat_e6: int | None = None,
    ) -> int:
        """Add an address of a customer, ``home`` or ``work``; gives its id."""
        check_name("label", label)
        told = check_text(text, "text", LONGEST_ADDRESS, lines=True)
        if (lon_e6 is None) != (lat_e6 is None):
            raise InputError("lon_e6 and lat_e6 must be told together")
        if lon_e6 is not None:
            check_whole("lon_e6", lon_e6, -180_000_000, 180_000_000)
            check_whole("lat_e6", lat_e6, -90_000_000, 90_000_000)  # type: ignore[arg-type]  # told together
        with self._context.acting("address.add", ("customer", customer_id), at_ms=at_ms) as connection:
            locked_in(connection, "customer", customer_id)
            key = key_in(connection, self._context.vault, "customer", customer_id)
            (address_id,) = bulk.take_ids(connection, address.c.address_id, 1)
            place = None if lon_e6 is None else f"{int(lon_e6)} {int(lat_e6 or 0)}"
            sealed = {
                column.name: seal_text(key, "customer", customer_id, sealed_field(column, address_id), value)
                for column, value in ((address.c.value, told), (address.c.place, place))
            }
            row = {"address_id": address_id, "customer_id": customer_id, "label": label}
            connection.execute(sa.insert(address).values(**row, **sealed, changed_at_ms=at_ms))
        return address_id

    def remove_address(self, address_id: int, *, at_ms: int) -> None:
        """Remove an address of a customer; :class:`StateError` under a legal hold."""
        with self._context.acting("address.remove", ("address", address_id), at_ms=at_ms) as connection:
            _remove(connection, address.c.address_id, address_id)

    def addresses_of(self, customer_id: int, *, at_ms: int) -> list[Address]:
        """Give the addresses of a customer, the oldest first."""
        with self._context.acting("address.read", ("customer", customer_id), at_ms=at_ms) as connection:
            return addresses_in(connection, self._context, customer_id)

    def merge(self, from_id: int, into_id: int, *, at_ms: int) -> None:
        """Make one customer of two who are the same person.

        The first one's phone number and address of mail become aliases of the second, its aliases and
        addresses move; orders keep the id they were made under, views and sums go over both. What either
        refused to consent to is refused. Other parts move what they keep. There is no way back.

        Raises
        ------
        StateError
            They belong to different companies; one is merged, restricted or erased; or the first one is
            under a legal hold, so that nothing of it may be lost.
        """
        if from_id == into_id:
            raise InputError(f"into_id is {into_id}: a customer cannot be merged into itself")
        context = self._context
        with context.acting(
            "customer.merge", ("customer", from_id), ("customer", into_id), at_ms=at_ms
        ) as connection:
            rows = {}
            for customer_id in sorted((from_id, into_id)):  # in one sequence, or two merges lock each other
                rows[customer_id] = row = locked_in(connection, "customer", customer_id)
                check_not_before("at_ms", at_ms, row.changed_at_ms, f"the last change of {customer_id}")
            refuse_held(connection, from_id, "it cannot be merged into another")
            # A refusal that is moved must be the latest word, or it would not count.
            of_both = consent.c.customer_id.in_((from_id, into_id))
            spoken = connection.scalar(sa.select(sa.func.max(consent.c.at_ms)).where(of_both))
            check_not_before("at_ms", at_ms, spoken or 0, "the last word on a consent")
            scope_id = _common_scope(connection, from_id, into_id)
            names = self._names_in(connection, from_id, rows[from_id])
            _empty(connection, from_id, into_id, at_ms)
            for kind, value in names:
                if not _is_own(connection, context, into_id, kind, value):
                    self._add_in(connection, into_id, scope_id, kind, value, at_ms)
            self._move_addresses(connection, from_id, into_id)
            refused = [
                purpose for purpose, given in latest_in(connection, [from_id])[from_id].items() if not given
            ]
            record_in(connection, [into_id] * len(refused), refused, False, at_ms, "merge")
            for hook in self._hooks:
                hook(connection, context, from_id, into_id, at_ms)

    def _add_in(
        self, connection: sa.Connection, customer_id: int, scope_id: int, kind: str, value: str, at_ms: int
    ) -> int:
        vault = self._context.vault
        key = key_in(connection, vault, "customer", customer_id)
        (alias_id,) = bulk.take_ids(connection, alias.c.alias_id, 1)
        sealed = seal_text(key, "customer", customer_id, sealed_field(alias.c.value, alias_id), value)
        connection.execute(
            sa.insert(alias).values(
                alias_id=alias_id,
                customer_id=customer_id,
                scope_id=scope_id,
                kind=kind,
                value=sealed,
                value_index=vault.find_by(f"alias.{kind}", value),
                added_at_ms=at_ms,
            )
        )
        return alias_id

    def _check_free(self, connection: sa.Connection, phone: str, scope_id: int, customer_id: int) -> None:
        """A number that finds one customer must not find another."""
        taken = sa.select(customer.c.customer_id).where(
            customer.c.scope_id == scope_id,
            customer.c.phone_index == self._context.vault.find_by("customer.phone", phone),
            customer.c.customer_id != customer_id,
        )
        if connection.execute(taken).first() is not None:
            raise StateError(
                "this phone is another customer's: merge the two, or take it from that one first"
            )

    def _names_in(self, connection: sa.Connection, from_id: int, row: sa.Row[Any]) -> list[tuple[str, str]]:
        """Open the aliases, phone number and address of mail of a customer who goes; kind and value."""
        keys = self._context.vault.keys(connection, "customer", [from_id])
        if from_id not in keys:
            return []
        key, names = keys[from_id], []
        for kind in ("phone", "email"):
            value = unseal_text(key, "customer", from_id, kind, row._mapping[kind])
            if value is not None:
                names.append((kind, value))
        names += [
            (known.kind, value)
            for known, value in _opened_aliases(connection, from_id, key)
            if value is not None
        ]
        return list(dict.fromkeys(names))

    def _move_addresses(self, connection: sa.Connection, from_id: int, into_id: int) -> None:
        rows = connection.execute(sa.select(address).where(address.c.customer_id == from_id)).all()
        if not rows:
            return
        old = self._context.vault.key(connection, "customer", from_id)
        new = key_in(connection, self._context.vault, "customer", into_id)
        for row in rows:
            sealed = {}
            for column in (address.c.value, address.c.place):
                field = sealed_field(column, row.address_id)
                text = unseal_text(old, "customer", from_id, field, row._mapping[column.name])
                sealed[column.name] = seal_text(new, "customer", into_id, field, text)
            connection.execute(
                sa.update(address)
                .where(address.c.address_id == row.address_id)
                .values(customer_id=into_id, **sealed)
            )


def aliases_in(connection: sa.Connection, context: Context, customer_id: int) -> list[Alias]:
    """Read the aliases of a customer, as far as the actor may see them."""
    seen = shows(connection, context, "customer.alias", customer_id)
    keys = context.vault.keys(connection, "customer", [customer_id]) if seen else {}
    return [
        Alias(row.alias_id, row.kind, value, row.added_at_ms)
        for row, value in _opened_aliases(connection, customer_id, keys.get(customer_id))
    ]


def addresses_in(connection: sa.Connection, context: Context, customer_id: int) -> list[Address]:
    """Read the addresses of a customer, as far as the actor may see them."""
    seen = shows(connection, context, "customer.address", customer_id)
    keys = context.vault.keys(connection, "customer", [customer_id]) if seen else {}
    rows = connection.execute(
        sa.select(address).where(address.c.customer_id == customer_id).order_by(address.c.address_id)
    )
    found = []
    for row in rows:
        text = lon_e6 = lat_e6 = None
        if customer_id in keys:
            text, place = (
                unseal_text(
                    keys[customer_id],
                    "customer",
                    customer_id,
                    sealed_field(column, row.address_id),
                    row._mapping[column.name],
                )
                for column in (address.c.value, address.c.place)
            )
            if place is not None:
                lon_e6, lat_e6 = map(int, place.split())
        found.append(Address(row.address_id, row.label, text, lon_e6, lat_e6, row.changed_at_ms))
    return found


def _remove(connection: sa.Connection, key: sa.Column[Any], row_id: int) -> None:
    """Delete a row of a customer's of whom nothing must be kept."""
    table = key.table
    customer_id = connection.scalar(sa.select(table.c.customer_id).where(key == row_id))
    if customer_id is not None:
        locked_in(connection, "customer", customer_id)
        refuse_held(connection, customer_id, "nothing of it can be removed")
    connection.execute(sa.delete(table).where(key == row_id))


def _opened_aliases(
    connection: sa.Connection, customer_id: int, key: bytes | None
) -> list[tuple[sa.Row[Any], str | None]]:
    rows = connection.execute(
        sa.select(alias).where(alias.c.customer_id == customer_id).order_by(alias.c.alias_id)
    )
    opened = []
    for row in rows:
        field = sealed_field(alias.c.value, row.alias_id)
        value = None if key is None else unseal_text(key, "customer", customer_id, field, row.value)
        opened.append((row, value))
    return opened


def shows(connection: sa.Connection, context: Context, field: str, customer_id: int) -> bool:
    """Tell whether the actor may see a field of a customer; of a restricted one, only who keeps it may."""
    found = place_of(connection, "customer", customer_id)
    place = Place("", "") if found is None else found[1]
    status = connection.scalar(sa.select(customer.c.status).where(customer.c.customer_id == customer_id))
    kept = status != "restricted" or context.may_see("customer.restricted", place)
    return kept and context.may_see(field, place)


def _normal(kind: str, value: object, region: str) -> str:
    if kind == "phone":
        return normal_phone(value, region)
    return normal_email(value) if kind == "email" else check_text(value, "value", LONGEST_NAME)


def _common_scope(connection: sa.Connection, from_id: int, into_id: int) -> int:
    """Give the scope of the second customer; :class:`StateError` if the first is another company's."""
    places = [place_of(connection, "customer", one) for one in (from_id, into_id)]
    tenants = {None if place is None else place[1].tenant for place in places}
    if len(tenants) != 1 or places[1] is None or places[1][0] is None:
        raise StateError(f"customers {from_id} and {into_id} belong to different companies: not merged")
    return places[1][0]


def _empty(connection: sa.Connection, from_id: int, into_id: int, at_ms: int) -> None:
    """Leave of a merged customer the row alone, and let earlier merges into it lead to the other."""
    personal = {column.name: None for column in customer.c if column.info.get("personal")}
    connection.execute(
        sa.update(customer)
        .where(customer.c.customer_id == from_id)
        .values(
            **personal,
            birthday_mmdd=None,
            member_no=None,
            status="merged",
            merged_into=into_id,
            changed_at_ms=at_ms,
            version=customer.c.version + 1,
        )
    )
    connection.execute(
        sa.update(customer).where(customer.c.merged_into == from_id).values(merged_into=into_id)
    )
    connection.execute(sa.delete(alias).where(alias.c.customer_id == from_id))


def _is_own(connection: sa.Connection, context: Context, customer_id: int, kind: str, value: str) -> bool:
    """Tell whether a value is known of a customer already."""
    row = connection.execute(sa.select(customer).where(customer.c.customer_id == customer_id)).one()._mapping
    if kind in ("phone", "email") and row[f"{kind}_index"] == context.vault.find_by(
        f"customer.{kind}", value
    ):
        return True
    known = sa.select(alias.c.alias_id).where(
        alias.c.scope_id == row["scope_id"],
        alias.c.kind == kind,
        alias.c.value_index == context.vault.find_by(f"alias.{kind}", value),
    )
    return connection.execute(known).first() is not None
