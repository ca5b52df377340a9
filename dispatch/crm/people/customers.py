"""Customers: registered, changed, found and listed; what is personal of them is sealed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_instant, check_new_id, check_not_before
from dispatch.crm.objects import place_of
from dispatch.crm.paging import Page, after, check_page, page_of
from dispatch.crm.people import idempotency
from dispatch.crm.people.customer_details import (
    FIELDS,
    INDEXED,
    SEALED,
    CustomerDetails,
    check_member_no,
    check_text,
    normal_columns,
    normal_email,
)
from dispatch.crm.people.persons import family_in, locked_in, refuse_held
from dispatch.crm.people.phones import masked, normal_phone
from dispatch.crm.permissions import Place, permissions
from dispatch.crm.rules import check_name, check_one_of
from dispatch.crm.tables.orders import orders, scope
from dispatch.crm.tables.people import alias, customer
from dispatch.crm.vault import seal_columns, seal_text, unseal_row
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import LATEST_MS

_IN_QUESTION: Final = 5_000
"""Values of one look-up; SQLite takes 32,766 at most."""
STATUSES: Final = ("active", "merged", "restricted", "erased")
_FIELD_OF: Final = {
    "name": "customer.name",
    "phone": "customer.phone",
    "email": "customer.email",
    "custom": "customer.custom",
    "birthday_mmdd": "customer.birthday",
    "member_no": "customer.member_no",
}
_GIVEN: Final = frozenset(("member_no", "channel", "custom"))
"""What the business says of a customer: not changed by the customer themself."""


@dataclass(frozen=True)
class Customer:
    """A customer as the actor may see it; what is personal is None where it is unknown or not to be seen."""

    customer_id: int
    scope_id: int
    status: str
    """active, merged, restricted or erased"""
    version: int
    created_at_ms: int
    changed_at_ms: int
    merged_into: int | None = None
    tier: str | None = None
    member_no: str | None = None
    channel: str | None = None
    language: str | None = None
    name: str | None = None
    phone: str | None = None
    """with its last digits alone, ``…671``, for who may see no more"""
    email: str | None = None
    birthday_mmdd: int | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    """fields that are known, but not shown"""


@dataclass(frozen=True)
class CustomerLine:
    """A row of a list of customers: nothing personal."""

    customer_id: int
    scope_id: int
    status: str
    tier: str | None
    channel: str | None
    language: str | None
    created_at_ms: int


@dataclass(frozen=True)
class OrderLine:
    """A row of a customer's history."""

    order_id: int
    customer_id: int
    """under which the order was made: another one's, who was merged into this one later"""
    stage: int
    """one of the engine's ``OrderStatus``"""
    submitted_at_ms: int | None
    ended_at_ms: int | None
    driver_id: int | None
    trip_m: int | None
    fare_cents: int | None
    channel: str | None


class Customers:
    """Registers customers, changes and reads what is known of them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def register(
        self,
        details: CustomerDetails,
        *,
        scope_id: int,
        at_ms: int,
        customer_id: int | None = None,
        region: str = "",
        key: str | None = None,
    ) -> int:
        """Enter a customer; gives the id, which is the engine's.

        Parameters
        ----------
        details : CustomerDetails
        scope_id, at_ms : int
        customer_id : int, optional
            By default the next one.
        region : str
            Country of phone numbers without a country code, as ``US``; empty: each must have one.
        key : str, optional
            A request that is sent again with the same key is answered again, and enters nobody. It must hold
            nothing personal.

        Raises
        ------
        InputError
            A value breaks a rule, or the key was used with others.
        StateError
            A customer of this id, phone number or card is there already; or the id is that of whom another
            company had orders from.
        """
        context = self._context
        told = details.columns(_rules(context), region)
        if customer_id is not None:
            check_new_id("customer_id", customer_id)
        noted: dict[str, Any] = {"fields": sorted(told)}
        with context.acting("customer.register", scope_id=scope_id, at_ms=at_ms, details=noted) as connection:
            parameters = {"told": told, "scope_id": scope_id, "customer_id": customer_id}
            known = idempotency.answered_in(connection, context, key, "customer.register", parameters, at_ms)
            if known is not None:
                noted |= {"customer_id": known["customer_id"], "repeated": True}
                return int(known["customer_id"])
            columns: dict[str, Any] = {name: [value] for name, value in told.items()}
            if customer_id is not None:
                columns["customer_id"] = [customer_id]
            (made,) = _insert_in(connection, context, columns, 1, scope_id, at_ms)
            idempotency.keep_answer_in(connection, context, key, {"customer_id": made}, made)
            noted["customer_id"] = made
        return made

    def register_many(
        self, columns: Mapping[str, Sequence[Any]], *, scope_id: int, at_ms: int, region: str = ""
    ) -> list[int]:
        """Enter many customers at once, all of them or none.

        Parameters
        ----------
        columns : mapping of str to sequence
            (n,) each, by the names of the fields of :class:`CustomerDetails`, and ``customer_id``; None where
            something is not told.
        scope_id, at_ms, region
            As of :meth:`register`.

        Returns
        -------
        list of int
            (n,) ids.

        Raises
        ------
        InputError
            A value breaks a rule: the field and the row are named.
        StateError
            One is there already, or two of them have the same phone number.
        """
        noted: dict[str, Any] = {"fields": sorted(columns)}
        try:
            with self._context.acting(
                "customer.register_many", scope_id=scope_id, at_ms=at_ms, details=noted
            ) as connection:
                made = register_many_in(connection, self._context, columns, scope_id, at_ms, region)
                noted["num"] = len(made)
        except StateError as error:
            if not isinstance(error.__cause__, sa.exc.IntegrityError):
                raise
            with self._context.database.reading() as connection:
                which = _doubled(connection, self._context, columns, scope_id, region)
            raise StateError(f"{which}; nothing was changed" if which else str(error)) from error
        return made

    def update(
        self,
        customer_id: int,
        changes: CustomerDetails,
        *,
        at_ms: int,
        version: int | None = None,
        forget: Sequence[str] = (),
        region: str = "",
    ) -> int:
        """Change what is told of a customer; gives the new version.

        Parameters
        ----------
        customer_id : int
        changes : CustomerDetails
            What is None stays as it is.
        at_ms : int
        version : int, optional
            Which the change was made to; another one by now is an error.
        forget : sequence of str, optional
            Fields that are not known any more.
        region : str
            As of :meth:`register`.

        Raises
        ------
        AuthError
            The actor may not; nor may customers themselves change card, channel and custom fields.
        StateError
            Somebody else changed it meanwhile; it is merged, restricted or erased; the phone number is
            another customer's; or something is to be forgotten under a legal hold.
        """
        context = self._context
        told = changes.columns(_rules(context), region)
        for name in forget:
            check_one_of("forget", name, FIELDS)
            if name in told:
                raise InputError(f"forget has {name!r}: it is told as well")
        if version is not None:
            check_whole("version", version, 1, 2**62)
        noted = {"fields": sorted(told), "forgotten": sorted(forget)}
        with context.acting(
            "customer.update", ("customer", customer_id), at_ms=at_ms, details=noted
        ) as connection:
            row = locked_in(connection, "customer", customer_id)
            if _GIVEN & {*told, *forget}:
                place = place_of(connection, "customer", customer_id)
                permissions().check(context.actor, "customer.classify", [None if place is None else place[1]])
            check_not_before("at_ms", at_ms, row.changed_at_ms, f"the last change of customer {customer_id}")
            if version is not None and version != row.version:
                raise StateError(
                    f"customer {customer_id} has version {row.version}, the change is to {version}: "
                    "read it again"
                )
            if forget:
                refuse_held(connection, customer_id, "nothing of it can be forgotten")
            _refuse_aliases(connection, context, [told.get("phone")], row.scope_id, but=customer_id)
            values = dict.fromkeys(forget) | _sealed(connection, context, customer_id, told)
            values |= {f"{name}_index": None for name in forget if name in INDEXED}
            connection.execute(
                sa.update(customer)
                .where(customer.c.customer_id == customer_id)
                .values(**values, changed_at_ms=at_ms, version=row.version + 1)
            )
        return int(row.version) + 1

    def get(self, customer_id: int, *, at_ms: int) -> Customer:
        """Give what is known of a customer, as far as the actor may see it; the audit notes what was shown.

        Raises
        ------
        AuthError, InputError
            It is not within reach, or not there.
        """
        noted: dict[str, Any] = {}
        with self._context.acting(
            "customer.get", ("customer", customer_id), at_ms=at_ms, details=noted
        ) as connection:
            found = shown_in(connection, self._context, customer_id)
            noted["shown"] = [name for name in _FIELD_OF if name not in found.hidden]
        return found

    def find(self, by: str, value: str, *, scope_id: int, at_ms: int, region: str = "") -> int | None:
        """Find a customer of a place by something that it has alone; None if there is none.

        Parameters
        ----------
        by : str
            ``phone``, ``email``, ``member_no``, or the kind of an alias, ``alias.card``. Phone numbers and
            addresses of mail are sought among the aliases as well.
        value : str
        scope_id, at_ms, region
            As of :meth:`register`.
        """
        if by == "phone":
            value = normal_phone(value, region)
        elif by == "email":
            value = normal_email(value)
        elif by == "member_no":
            value = check_member_no(value)
        elif isinstance(by, str) and by.startswith("alias."):
            check_name("by", by.removeprefix("alias."))
            value = check_text(value, by)
        else:
            raise InputError(f"by is {by!r}: it must be phone, email, member_no or alias.KIND")
        noted: dict[str, Any] = {"by": by}
        with self._context.acting(
            "customer.find", scope_id=scope_id, at_ms=at_ms, details=noted
        ) as connection:
            noted["customer_id"] = found = find_in(connection, self._context, by, value, scope_id)
        return found

    def list(
        self,
        *,
        scope_id: int | None = None,
        status: str | None = None,
        tier: str | None = None,
        limit: int = 100,
        token: str | None = None,
    ) -> Page[CustomerLine]:
        """List customers within reach, by their ids; `token` is that of the page before."""
        check_page(limit)
        if scope_id is not None:
            check_id("scope_id", scope_id)
        if status is not None:
            check_one_of("status", status, STATUSES)
        if tier is not None:
            self._context.vertical.tier(tier)
        what = ["customers", scope_id, status, tier]
        place = after(self._context.vault, what, token)
        names = ("customer_id", "scope_id", "status", "tier", "channel", "language", "created_at_ms")
        wanted = sa.select(*(customer.c[name] for name in names)).order_by(customer.c.customer_id)
        for column, told in (
            (customer.c.scope_id, scope_id),
            (customer.c.status, status),
            (customer.c.tier, tier),
        ):
            if told is not None:
                wanted = wanted.where(column == told)
        if place is not None:
            wanted = wanted.where(customer.c.customer_id > place[0])
        with self._context.listing(
            "customer.list", customer.c.scope_id, {"customer": customer.c.customer_id}
        ) as (connection, within):
            rows = [CustomerLine(*row) for row in connection.execute(wanted.where(within).limit(limit + 1))]
        return page_of(self._context.vault, what, rows, limit, [[row.customer_id] for row in rows])

    def orders_of(self, customer_id: int, *, limit: int = 100, token: str | None = None) -> Page[OrderLine]:
        """List a customer's orders, the latest first, those of merged customers among them."""
        check_page(limit)
        what = ["orders_of", customer_id]
        place = after(self._context.vault, what, token)
        with self._context.looking("customer.orders", ("customer", customer_id)) as connection:
            family = family_in(connection, customer_id)
            rows = _order_lines(connection, family, place, limit + 1)
        places = [[_when(row), row.order_id] for row in rows]
        return page_of(self._context.vault, what, rows, limit, places)


def register_many_in(
    connection: sa.Connection,
    context: Context,
    columns: Mapping[str, Sequence[Any]],
    scope_id: int,
    at_ms: int,
    region: str = "",
) -> list[int]:
    """Enter many customers; see :meth:`Customers.register_many`. For imports, several calls a transaction."""
    check_instant("at_ms", at_ms)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"columns have {lengths} rows: all must have equally many")
    told = {name: values for name, values in columns.items() if name != "customer_id"}
    normal: dict[str, Any] = dict(normal_columns(told, _rules(context), region))
    if "customer_id" in columns:
        normal["customer_id"] = list(columns["customer_id"])
        for row, value in enumerate(normal["customer_id"]):
            check_new_id(f"customer_id[{row}]", value)
    num = next(iter(lengths.values()), 0)
    return _insert_in(connection, context, normal, num, scope_id, at_ms) if num else []


def find_in(connection: sa.Connection, context: Context, by: str, value: str, scope_id: int) -> int | None:
    """Find a customer of a place by a value in its one form; see :meth:`Customers.find`."""
    if by == "member_no":
        known = sa.select(customer.c.customer_id).where(customer.c.member_no == value)
        known = known.where(customer.c.scope_id == scope_id)
        return connection.execute(known).scalar_one_or_none()
    if by in INDEXED:
        index = context.vault.find_by(f"customer.{by}", value)
        known = sa.select(customer.c.customer_id).where(
            customer.c.scope_id == scope_id, customer.c[f"{by}_index"] == index
        )
        found = connection.scalar(known.order_by(customer.c.customer_id).limit(1))
        if found is not None:
            return int(found)
    kind = by.removeprefix("alias.")
    other = sa.select(alias.c.customer_id).where(
        alias.c.scope_id == scope_id,
        alias.c.kind == kind,
        alias.c.value_index == context.vault.find_by(f"alias.{kind}", value),
    )
    return connection.execute(other).scalar_one_or_none()


def shown_in(connection: sa.Connection, context: Context, customer_id: int) -> Customer:
    """Read a customer who is known to be there, as far as the actor may see it."""
    row = connection.execute(sa.select(customer).where(customer.c.customer_id == customer_id)).one()._mapping
    found = place_of(connection, "customer", customer_id)
    place = Place("", "") if found is None else found[1]
    keys = context.vault.keys(connection, "customer", [customer_id])
    opened: dict[str, Any] = {}
    if customer_id in keys:
        sealed = {name: row[name] for name in SEALED}
        opened = unseal_row(keys[customer_id], "customer", customer_id, sealed)
    opened["custom"] = json.loads(opened.get("custom") or "{}")
    opened |= {name: row[name] for name in ("birthday_mmdd", "member_no")}
    names = [name for name in vars(Customer(0, 0, "", 0, 0, 0)) if name in row and name not in opened]
    known = Customer(**{name: row[name] for name in names if name not in _FIELD_OF}, **opened)
    return _masked(context, known, place)


def _masked(context: Context, known: Customer, place: Place) -> Customer:
    """Hide what the actor may not see; of a restricted customer, all but from those who keep it."""
    kept = known.status != "restricted" or context.may_see("customer.restricted", place)
    hidden: list[str] = []
    changes: dict[str, Any] = {}
    for name, what in _FIELD_OF.items():
        value = getattr(known, name)
        if not value or (kept and context.may_see(what, place)):
            continue
        hidden.append(name)
        changes[name] = None
        if name == "custom":
            plain = {rule.name for rule in _rules(context) if not rule.personal} if kept else set()
            changes[name] = {key: told for key, told in value.items() if key in plain}
        elif name == "phone" and kept and context.may_see("customer.phone_end", place):
            changes[name] = masked(value)
    return replace(known, **changes, hidden=tuple(hidden))


def _rules(context: Context) -> Sequence[Any]:
    return context.vertical.custom_fields


def _insert_in(
    connection: sa.Connection,
    context: Context,
    columns: Mapping[str, Sequence[Any]],
    num: int,
    scope_id: int,
    at_ms: int,
) -> list[int]:
    """Insert customers (num,) of columns in their one form; gives their ids."""
    told = dict(columns)
    if "customer_id" in told:
        _refuse_others_ids(connection, told["customer_id"], scope_id)
    ids = told.pop("customer_id", None) or bulk.take_ids(connection, customer.c.customer_id, num)
    _refuse_aliases(connection, context, told.get("phone", ()), scope_id)
    keys = context.vault.give_keys(connection, "customer", ids)
    if len(keys) != num:
        row = next(row for row, one in enumerate(ids) if one in set(ids[:row]))
        raise InputError(f"customer_id[{row}] is {ids[row]}: it is that of row {ids.index(ids[row])} as well")
    sealed = seal_columns(keys, "customer", {name: told[name] for name in SEALED if name in told})
    indexes = {
        f"{name}_index": context.vault.keyring.find_by_many(f"customer.{name}", told[name])
        for name in INDEXED
        if name in told
    }
    same = {"scope_id": scope_id, "created_at_ms": at_ms, "changed_at_ms": at_ms}
    rows: dict[str, Any] = {"customer_id": ids} | {name: [value] * num for name, value in same.items()}
    bulk.insert(connection, customer, rows | told | sealed | indexes)
    return list(ids)


def _doubled(
    connection: sa.Connection,
    context: Context,
    columns: Mapping[str, Sequence[Any]],
    scope_id: int,
    region: str,
) -> str | None:
    """Name the first row, from 0, that tells what another has already; the value itself is not said.

    Asked for where the database has refused rows: it tells the rule alone.
    """
    told = {name: values for name, values in columns.items() if name in ("phone", "member_no")}
    normal = dict(normal_columns(told, _rules(context), region))
    sought: dict[str, tuple[sa.Column[Any], Sequence[Any]]] = {}
    if "customer_id" in columns:
        sought["customer_id"] = customer.c.customer_id, list(map(int, columns["customer_id"]))
    if "phone" in normal:
        hashes = context.vault.keyring.find_by_many("customer.phone", normal["phone"])
        sought["phone"] = customer.c.phone_index, hashes
    if "member_no" in normal:
        sought["member_no"] = customer.c.member_no, normal["member_no"]
    for name, (column, values) in sought.items():
        first_row: dict[Any, int] = {}
        for row, value in enumerate(values):
            if value is not None and first_row.setdefault(value, row) != row:
                return f"{name}[{row}] is that of row {first_row[value]} as well: no two may share it"
        wanted = list(first_row)
        known: set[Any] = set()
        for first in range(0, len(wanted), _IN_QUESTION):
            query = sa.select(column).where(column.in_(wanted[first : first + _IN_QUESTION]))
            if name != "customer_id":
                query = query.where(customer.c.scope_id == scope_id)
            known.update(connection.scalars(query))
        if known:
            row = min(first_row[value] for value in known)
            return f"{name}[{row}] is that of a customer who is there already: no two may share it"
    return None


def _refuse_others_ids(connection: sa.Connection, ids: Sequence[int], scope_id: int) -> None:
    """Raise :class:`StateError` where an id that was told is one under which another company has orders.

    The engine's ids are kept whether or not anybody entered the customer: who does so takes the orders over.
    """
    own = sa.select(scope.c.tenant).where(scope.c.scope_id == scope_id).scalar_subquery()
    others = (
        sa.select(orders.c.customer_id)
        .join(scope, scope.c.scope_id == orders.c.scope_id)
        .where(bulk.among(connection, orders.c.customer_id, ids), scope.c.tenant != own)
        .limit(1)
    )
    found = connection.scalar(others)
    if found is not None:
        raise StateError(f"customer_id {found} is taken: take another one, or none to get the next")


def _refuse_aliases(
    connection: sa.Connection,
    context: Context,
    phones: Sequence[str | None],
    scope_id: int,
    but: int | None = None,
) -> None:
    """A number that finds one customer, as an alias of theirs, must not find another."""
    known = (
        sa.select(alias.c.customer_id)
        .where(alias.c.scope_id == scope_id, alias.c.kind == "phone", alias.c.customer_id != (but or -1))
        .limit(1)
    )
    if connection.scalar(known) is None:
        return
    hashes = [one for one in context.vault.keyring.find_by_many("alias.phone", phones) if one is not None]
    for first in range(0, len(hashes), _IN_QUESTION):
        some = alias.c.value_index.in_(hashes[first : first + _IN_QUESTION])
        if connection.scalar(known.where(some)) is not None:
            raise StateError(
                "a phone number is an alias of another customer: merge the two, or remove the alias first"
            )


def _sealed(
    connection: sa.Connection, context: Context, customer_id: int, told: Mapping[str, Any]
) -> dict[str, Any]:
    """Give the values of columns for what is told of one customer."""
    values = dict(told)
    key = context.vault.key(connection, "customer", customer_id) if set(SEALED) & set(told) else b""
    for name in SEALED:
        if name in told:
            values[name] = seal_text(key, "customer", customer_id, name, told[name])
    for name in INDEXED:
        if name in told:
            values[f"{name}_index"] = context.vault.find_by(f"customer.{name}", told[name])
    return values


def _when(row: OrderLine) -> int:
    return LATEST_MS if row.submitted_at_ms is None else row.submitted_at_ms


def _order_lines(
    connection: sa.Connection, family: list[int], place: list[int] | None, limit: int
) -> list[OrderLine]:
    names = list(OrderLine.__dataclass_fields__)
    when = sa.func.coalesce(orders.c.submitted_at_ms, LATEST_MS)
    wanted = (
        sa.select(*(orders.c[name] for name in names))
        .where(bulk.among(connection, orders.c.customer_id, family))
        .order_by(when.desc(), orders.c.order_id.desc())
        .limit(limit)
    )
    if place is not None:
        wanted = wanted.where(
            sa.or_(when < place[0], sa.and_(when == place[0], orders.c.order_id < place[1]))
        )
    return [OrderLine(*row) for row in connection.execute(wanted)]
