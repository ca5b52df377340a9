"""Lists as files, CSV or Parquet: what an actor reaches, and of persons only what the actor may see."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import sqlalchemy as sa

from dispatch.crm.context import Context, check_instant
from dispatch.crm.objects import scope_place
from dispatch.crm.people.phones import masked
from dispatch.crm.rules import check_one_of
from dispatch.crm.tables.fleet import energy_purchase
from dispatch.crm.tables.orders import orders, scope
from dispatch.crm.tables.people import customer, driver
from dispatch.crm.tables.service import complaint, rating
from dispatch.crm.vault import unseal_text
from dispatch.errors import InputError, StoreError

_AT_ONCE: Final = 20_000
_PRECISE: Final = ("pickup_lon_e6", "pickup_lat_e6", "dropoff_lon_e6", "dropoff_lat_e6")
FORMATS: Final = (".csv", ".parquet")


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
    with context.listing(told.action, told.table.c.scope_id, at_ms=at_ms, details=noted) as (_, within):
        pass  # The entry of the audit; the reading, which may take long, holds up no writer.
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with context.database.reading() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(told.table).where(within)) or 0
            done = 0
            columns = _columns(told, personal)
            schema = pa.schema([(name, kind) for name, kind in columns.items()])
            with _new_file(unfinished) as file, _writer(file, path.suffix.lower(), schema) as write:
                for batch in _batches(connection, context, told, within, columns):
                    write(pa.record_batch(batch, schema=schema))
                    done += len(batch[0])
                    if on_progress is not None:
                        on_progress(done, total)
        unfinished.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: it cannot be written ({error})") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return done


def _columns(told: _List, personal: bool) -> dict[str, pa.DataType]:
    """Give names and types of the columns of a file."""
    columns: dict[str, pa.DataType] = {}
    for column in told.table.columns:
        if column.info.get("personal"):
            if personal and column.name in told.opened:
                columns[column.name] = pa.string()
        elif personal or column.name not in told.only_personal:
            columns[column.name] = pa.int64() if isinstance(column.type, sa.Integer) else pa.string()
    return columns


def _new_file(path: Path) -> IO[bytes]:
    """Open a new file for the owner's eyes only: who may read the folder need not see who is in a list."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR), "wb")


@contextmanager
def _writer(file: IO[bytes], suffix: str, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    if suffix == ".csv":
        with pyarrow.csv.CSVWriter(file, schema) as table:
            yield table.write_batch
    else:
        with pq.ParquetWriter(file, schema, compression="zstd") as table:
            yield table.write_batch


def _batches(
    connection: sa.Connection,
    context: Context,
    told: _List,
    within: sa.ColumnElement[bool],
    columns: Mapping[str, pa.DataType],
) -> Iterator[list[pa.Array]]:
    """Give the columns of some rows at a time, persons' values opened where they may be seen."""
    table = told.table
    opened = [name for name in columns if name in told.opened]
    hidden = _Sight(connection, context, told)
    wanted = sa.select(table).where(within).order_by(*table.primary_key.columns)
    for rows in connection.execute(wanted.execution_options(yield_per=_AT_ONCE)).mappings().partitions():
        keys: Mapping[int, bytes] = {}
        if opened:
            ids = [row[f"{told.person}_id"] for row in rows]
            keys = context.vault.keys(connection, told.person, ids)
        arrays = []
        for name, kind in columns.items():
            if name in told.opened:
                values = [hidden.opened(name, row, keys) for row in rows]
            elif name in told.only_personal:
                values = [row[name] if hidden.may(name, row) else None for row in rows]
            else:
                values = [row[name] for row in rows]
            arrays.append(pa.array(values, kind))
        yield arrays


class _Sight:
    """What the actor may see of persons, by where they belong."""

    def __init__(self, connection: sa.Connection, context: Context, told: _List) -> None:
        self._context, self._person = context, told.person
        ids = (*connection.scalars(sa.select(scope.c.scope_id)), None)
        self._places = {one: scope_place(connection, one) for one in ids}
        self._may = cache(lambda field, scope_id: context.may_see(field, self._places[scope_id]))

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
