"""Customers and drivers as persons: their rows, locked before anything personal of them changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.tables.people import customer, driver, legal_hold
from dispatch.errors import InputError, StateError
from dispatch.store import bulk

TABLE: Final = {"customer": customer, "driver": driver}
ID_COLUMN: Final = {"customer": "customer_id", "driver": "driver_id"}
"""The name by which other tables refer to a person."""


def check_kind(kind: object) -> None:
    """Raise :class:`InputError` unless `kind` is a kind of person."""
    if kind not in TABLE:
        raise InputError(f"kind is {kind!r}: it must be one of {', '.join(TABLE)}")


def locked_in(
    connection: sa.Connection, kind: str, person_id: int, statuses: Iterable[str] | None = ("active",)
) -> sa.Row[Any]:
    """Give a person's row, which nobody else changes until the transaction ends.

    Parameters
    ----------
    connection, kind, person_id
    statuses : of str, optional
        Those in which the action is legal; None: in all.

    Raises
    ------
    InputError
        There is no such person.
    StateError
        It is merged, restricted or erased.
    """
    check_kind(kind)
    table, column = TABLE[kind], TABLE[kind].c[ID_COLUMN[kind]]
    row = connection.execute(sa.select(table).where(column == person_id).with_for_update()).one_or_none()
    if row is None:
        raise InputError(f"{kind} {person_id} is not known")
    if statuses is not None and row.status not in set(statuses):
        into = f" into {row.merged_into}" if row.status == "merged" else ""
        raise StateError(f"{kind} {person_id} is {row.status}{into}: this cannot be done any more")
    return row


def held_in(connection: sa.Connection, kind: str, person_id: int) -> bool:
    """Tell whether a legal hold of a person is in force."""
    open_ = sa.select(legal_hold.c.hold_id).where(
        legal_hold.c.kind == kind,
        legal_hold.c.person_id == person_id,
        legal_hold.c.released_at_ms.is_(None),
    )
    return connection.execute(open_).first() is not None


def refuse_held(connection: sa.Connection, customer_id: int, what: str) -> None:
    """Raise :class:`StateError` where a legal hold forbids that something known of a customer is lost."""
    if held_in(connection, "customer", customer_id):
        raise StateError(f"customer {customer_id} is under a legal hold: {what} until it is released")


def current_in(connection: sa.Connection, customer_id: int) -> int:
    """Give the customer that one was merged into, or the same."""
    into = connection.scalar(sa.select(customer.c.merged_into).where(customer.c.customer_id == customer_id))
    return customer_id if into is None else int(into)


def family_in(connection: sa.Connection, customer_id: int) -> list[int]:
    """Give a customer and all who were merged into it: orders keep the id that they were made under."""
    merged = sa.select(customer.c.customer_id).where(customer.c.merged_into == customer_id)
    return [customer_id, *connection.scalars(merged.order_by(customer.c.customer_id))]


def current_among(connection: sa.Connection, customer_ids: Iterable[int]) -> dict[int, int]:
    """Give, for those of many customers (n,) who were merged, the customer that they are now."""
    rows = connection.execute(
        sa.select(customer.c.customer_id, customer.c.merged_into).where(
            bulk.among(connection, customer.c.customer_id, list(customer_ids)),
            customer.c.merged_into.is_not(None),
        )
    )
    return {row.customer_id: row.merged_into for row in rows}


def rows_of(
    connection: sa.Connection, table: sa.Table, kind: str, ids: Sequence[int], *, written: bool = False
) -> sa.ColumnElement[bool] | None:
    """Give the condition of a table's rows that are persons', None where a table has none.

    Parameters
    ----------
    connection, table, kind
    ids : sequence of int
        (n,) of the persons, all of one kind.
    written : bool
        Only rows whose texts are the persons' own: what a customer wrote of a driver is the customer's.
    """
    if ID_COLUMN[kind] in table.c:
        where = bulk.among(connection, table.c[ID_COLUMN[kind]], ids)
        if written and kind == "driver" and ID_COLUMN["customer"] in table.c:
            where = sa.and_(where, table.c[ID_COLUMN["customer"]].is_(None))
        return where
    if "person_id" in table.c and "kind" in table.c:
        return sa.and_(table.c.kind == kind, bulk.among(connection, table.c.person_id, ids))
    if not any(column.info.get("sealed") for column in table.c):
        return None
    # Notes to what is the person's: found by the row that they belong to.
    for column in table.c:
        for outer in table.metadata.sorted_tables:
            keys = [key.name for key in outer.primary_key.columns]
            if outer is not table and keys == [column.name] and ID_COLUMN[kind] in outer.c:
                mine = rows_of(connection, outer, kind, ids, written=written)
                return None if mine is None else column.in_(sa.select(outer.c[column.name]).where(mine))
    return None
