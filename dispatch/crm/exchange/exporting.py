"""Lists as files, CSV or Parquet: what an actor reaches, and of persons only what the actor may see.

CSV is for people: instants as ISO 8601, UTC, places, stages, tiers and classes by their names, birthdays as
month and day. Parquet is for programs: columns of the tables in types of their own, and the names of places.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import sqlalchemy as sa

from dispatch.crm.context import Context, check_instant
from dispatch.crm.exchange.spreadsheets import guarded
from dispatch.crm.objects import scope_place
from dispatch.crm.people.phones import masked
from dispatch.crm.rules import check_one_of
from dispatch.crm.tables.fleet import energy_purchase
from dispatch.crm.tables.loyalty import coupon, membership, points_entry, redemption
from dispatch.crm.tables.orders import orders, scope
from dispatch.crm.tables.people import customer, driver
from dispatch.crm.tables.service import complaint, rating
from dispatch.crm.vault import unseal_text
from dispatch.crm.vertical import Vertical
from dispatch.engine.lifecycle import OrderStatus
from dispatch.errors import InputError, StoreError

_AT_ONCE: Final = 20_000
_PRECISE: Final = ("pickup_lon_e6", "pickup_lat_e6", "dropoff_lon_e6", "dropoff_lat_e6")
FORMATS: Final = (".csv", ".parquet")
_LEFT_OUT: Final = ("key", "code")
"""Keys of requests are of no use to others, and codes are as good as money."""
_IS_INSTANT: Final = re.compile(r"(?:.*_)?(?:at|by|since|from|until)_ms")


@dataclass(frozen=True)
class _List:
    """What can be listed."""

    table: sa.Table
    action: str
    person: str = ""
    """kind of person that the rows are, whose sealed fields may be opened; empty: orders and the like"""
    opened: tuple[str, ...] = ()
    """sealed fields, given where they are asked for and may be seen"""
    only_personal: tuple[str, ...] = ()
    """plain columns that are given with personal ones alone"""

    @property
    def scope_id(self) -> sa.ColumnElement[Any]:
        """Column of the place: the row's own, or that of the customer whom it belongs to."""
        return self.table.c.get("scope_id", customer.c.scope_id)

    @property
    def source(self) -> sa.FromClause:
        """The table, with the customers where they tell the place."""
        if "scope_id" in self.table.c:
            return self.table
        return self.table.outerjoin(customer, customer.c.customer_id == self.table.c.customer_id)


LISTS: Final[Mapping[str, _List]] = MappingProxyType(
    {
        "customers": _List(
            customer,
            "customer.list_out",
            "customer",
            ("name", "phone", "email"),
            ("birthday_mmdd", "member_no"),
        ),
        "drivers": _List(
            driver, "driver.list_out", "driver", ("name", "phone", "address"), ("birthday_mmdd",)
        ),
        # Where somebody is picked up is where they live or work: for those who may see addresses.
        "orders": _List(orders, "order.list_out", only_personal=_PRECISE),
        "complaints": _List(complaint, "complaint.list_out"),
        "ratings": _List(rating, "rating.list_out"),
        "energy": _List(energy_purchase, "energy.list_out"),
        "points": _List(points_entry, "points.list_out"),
        "memberships": _List(membership, "membership.list_out"),
        "coupons": _List(coupon, "coupon.list_out"),
        "redemptions": _List(redemption, "coupon.list_out"),
    }
)
"""By their names."""


def export_list(
    context: Context,
    what: str,
    path: Path,
    *,
    at_ms: int,
    personal: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write all rows of a list that the actor reaches to a file: whole, or not at all; gives how many.

    An import reads lists of customers and drivers that were written with personal values.
    In CSV, what a spreadsheet would take for a formula has an apostrophe in front, which the import takes off
    again (:mod:`dispatch.crm.exchange.spreadsheets`); Parquet holds values as they are.

    Parameters
    ----------
    context : Context
    what : str
        One of :data:`LISTS`.
    path : Path
        ``.csv`` or ``.parquet``.
    at_ms : int
    personal : bool
        With names, phone numbers, addresses, birthdays and precise places; what the actor may not see is left
        empty, and of a phone number the last digits are shown to those who may see them.
    on_progress : callable, optional
        Told how many rows of how many.

    Raises
    ------
    InputError
        There is no such list, the ending is another one, or the folder is not there.
    AuthError
        The actor may not.
    """
    check_one_of("what", what, tuple(LISTS))
    check_instant("at_ms", at_ms)
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: cannot tell the format by its ending; use {' or '.join(FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: its folder does not exist")
    told = LISTS[what]
    noted = {"list": what, "personal": personal}
    with context.listing(told.action, told.scope_id, at_ms=at_ms, details=noted) as (_, within):
        pass  # The entry of the audit; the reading, which may take long, holds up no writer.
    with context.database.reading() as connection:
        total = connection.scalar(sa.select(sa.func.count()).select_from(told.source).where(within)) or 0
        done = 0
        columns = _columns(told, personal)
        if path.suffix.lower() == ".csv":
            columns = [_said(column, context.vertical) for column in columns]
        columns = _with_places(columns, connection, path.suffix.lower() == ".csv")
        schema = pa.schema([(column.name, column.type) for column in columns])
        with whole_file(path) as file, _writer(file, path.suffix.lower(), schema) as write:
            for batch in _batches(connection, context, told, within, columns):
                write(pa.record_batch(batch, schema=schema))
                done += len(batch[0])
                if on_progress is not None:
                    on_progress(done, total)
    return done


@dataclass(frozen=True)
class _Column:
    """A column of a file."""

    source: str
    """what the table calls it"""
    name: str
    type: pa.DataType
    say: Callable[[Any], Any] | None = None
    """what is written for a value that is told; None: the value"""

    def array(self, values: Sequence[Any]) -> pa.Array:
        """Give values (n,) of the table as they are written."""
        if self.say is not None:
            values = [None if value is None else self.say(value) for value in values]
        if pa.types.is_string(self.type) and _IS_INSTANT.fullmatch(self.source):
            return pc.strftime(pa.array(values, pa.timestamp("ms")), format="%Y-%m-%dT%H:%M:%SZ")
        return pa.array(values, self.type)


def _columns(told: _List, personal: bool) -> list[_Column]:
    """Give the columns of a file for programs."""
    columns = []
    for column in told.table.columns:
        name = column.name
        if column.info.get("personal"):
            if personal and name in told.opened:
                columns.append(_Column(name, name, pa.string()))
        elif name not in _LEFT_OUT and (personal or name not in told.only_personal):
            kind = pa.int64() if isinstance(column.type, sa.Integer) else pa.string()
            if _IS_INSTANT.fullmatch(name):
                kind = pa.timestamp("ms", "UTC")
            elif name == "day":
                kind = pa.date32()
            columns.append(_Column(name, name, kind))
    if "scope_id" not in told.table.c:
        columns.insert(1, _Column("scope_id", "scope_id", pa.int64()))
    return columns


def _said(column: _Column, vertical: Vertical) -> _Column:
    """Give a column as people read it."""
    if _IS_INSTANT.fullmatch(column.source):
        return replace(column, name=column.name.removesuffix("_ms"), type=pa.string())
    if column.source == "birthday_mmdd":
        return _Column(column.source, "birthday", pa.string(), _month_and_day)
    names: Sequence[str] = ()
    if column.source == "stage":
        names = [status.name.lower() for status in OrderStatus]
    elif column.source in ("tier", "least_tier"):
        names = [tier.name for tier in vertical.tiers]
    elif column.source == "vehicle_class":
        names = vertical.classes
    if not names or not pa.types.is_integer(column.type):
        return column
    return replace(column, type=pa.string(), say=partial(_named, names))


def _month_and_day(mmdd: int) -> str:
    return f"{mmdd // 100:02}-{mmdd % 100:02}"


def _named(names: Sequence[str], row: int) -> str:
    """Give the name of a row; a vertical that was changed since may have fewer."""
    return names[row] if 0 <= row < len(names) else str(row)


def _with_places(columns: Sequence[_Column], connection: sa.Connection, instead: bool) -> list[_Column]:
    """Give columns with that of places' names after, or instead of, that of their numbers."""
    places = {row.scope_id: f"{row.tenant}/{row.city}" for row in connection.execute(sa.select(scope)).all()}
    told: list[_Column] = []
    for column in columns:
        if column.source != "scope_id" or not instead:
            told.append(column)
        if column.source == "scope_id":
            # Events may tell of places that nobody entered.
            told.append(_Column("scope_id", "place", pa.string(), lambda one: places.get(one, str(one))))
    return told


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Give a new file that takes a name once it is whole, and vanishes where anything raises.

    It is for its owner's eyes only: who may read the folder need not see who is in a list. Nor can who may
    write there foretell its name, and lay a link to another file.

    Raises
    ------
    StoreError
        It cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    mode = stat.S_IRUSR | stat.S_IWUSR
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            yield file
        unfinished.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: it cannot be written ({error})") from error
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _writer(file: IO[bytes], suffix: str, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    if suffix == ".csv":
        with pyarrow.csv.CSVWriter(file, schema) as table:
            yield lambda batch: table.write_batch(
                pa.record_batch([guarded(column) for column in batch.columns], schema=schema)
            )
    else:
        with pq.ParquetWriter(file, schema, compression="zstd") as table:
            yield table.write_batch


def _batches(
    connection: sa.Connection,
    context: Context,
    told: _List,
    within: sa.ColumnElement[bool],
    columns: Sequence[_Column],
) -> Iterator[list[pa.Array]]:
    """Give the columns of some rows at a time, persons' values opened where they may be seen."""
    table = told.table
    opened = [column.source for column in columns if column.source in told.opened]
    hidden = _Sight(connection, context, told)
    wanted = sa.select(table, told.scope_id).select_from(told.source).where(within)
    wanted = wanted.order_by(*table.primary_key.columns).execution_options(yield_per=_AT_ONCE)
    for rows in connection.execute(wanted).mappings().partitions():
        keys: Mapping[int, bytes] = {}
        if opened:
            ids = [row[f"{told.person}_id"] for row in rows]
            keys = context.vault.keys(connection, told.person, ids)
        arrays = []
        for column in columns:
            name = column.source
            if name in told.opened:
                values = [hidden.opened(name, row, keys) for row in rows]
            elif name in told.only_personal:
                values = [row[name] if hidden.may(name, row) else None for row in rows]
            else:
                values = [row[name] for row in rows]
            arrays.append(column.array(values))
        yield arrays


class _Sight:
    """What the actor may see of persons, by where they belong."""

    def __init__(self, connection: sa.Connection, context: Context, told: _List) -> None:
        self._context, self._person = context, told.person
        ids = (*connection.scalars(sa.select(scope.c.scope_id)), None)
        places = {one: scope_place(connection, one) for one in ids}
        # Events may tell of places that nobody entered: those rows belong to no company.
        self._may = cache(lambda field, scope_id: context.may_see(field, places.get(scope_id, places[None])))

    def may(self, name: str, row: Mapping[Any, Any]) -> bool:
        """Tell whether a field of a person's row, or of an order the places, may be seen."""
        field = f"{self._person}.{name.removesuffix('_mmdd')}" if self._person else "customer.address"
        return self._kept(row) and bool(self._may(field, row["scope_id"]))

    def opened(self, name: str, row: Mapping[Any, Any], keys: Mapping[int, bytes]) -> str | None:
        """Open a sealed value as far as it may be seen."""
        person = row[f"{self._person}_id"]
        sealed = row[name]
        if sealed is None or person not in keys:
            return None
        whole = self.may(name, row)
        end = (
            name == "phone"
            and self._person == "customer"
            and self._kept(row)
            and self._may("customer.phone_end", row["scope_id"])
        )
        if not whole and not end:
            return None
        text = unseal_text(keys[person], self._person, person, name, sealed)
        return text if whole or text is None else masked(text)

    def _kept(self, row: Mapping[Any, Any]) -> bool:
        """Tell whether a restricted customer may be seen at all."""
        if self._person != "customer" or row["status"] != "restricted":
            return True
        return bool(self._may("customer.restricted", row["scope_id"]))
