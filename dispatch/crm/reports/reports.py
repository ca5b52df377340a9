"""Operating reports: what a business did by day, week or month, as tables of plain columns.

Whoever counts people here sees numbers alone. A row of a table is a period, a channel, an hour; money is in
cents, durations in milliseconds, a share is of one.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from dispatch.crm.context import Context, check_instant
from dispatch.crm.exchange.spreadsheets import guarded_table
from dispatch.crm.reports import report_money, report_orders, report_service
from dispatch.crm.reports.periods import Periods
from dispatch.crm.reports.report_source import Source, chosen_places
from dispatch.crm.tables.orders import scope
from dispatch.errors import InputError

TITLES: Final = MappingProxyType(
    {
        "orders": "Orders by period",
        "channels": "Orders by channel",
        "hours": "Orders by local hour",
        "classes": "Orders by class of service",
        "customers": "Customers by period",
        "concentration": "Spend by share of customers",
        "coupons": "Coupons and passes by period",
        "coupon_names": "Coupons by name",
        "points": "Points by period",
        "complaints": "Complaints and service levels by period",
        "problems": "Complaints by problem",
        "energy": "Energy sold by product and hour",
    }
)
"""The tables of a report, by their names."""


@dataclass(frozen=True)
class Report:
    """Tables about a span of time.

    Parameters
    ----------
    periods : Periods
    places : tuple of str
        Cities that are counted, as ``tenant/city``.
    vertical : str
    at_ms : int
        When it was made: what is due later is not missed yet.
    tables : mapping of str to pyarrow.Table
        By the names of :data:`TITLES`.
    """

    periods: Periods
    places: tuple[str, ...]
    vertical: str
    at_ms: int
    tables: Mapping[str, pa.Table]

    def write(self, path: Path) -> list[Path]:
        """Write each table to a file of its own: ``crm.csv`` tells ``crm_orders.csv``, and so on.

        Parameters
        ----------
        path : Path
            Its ending tells the format: ``.csv`` or ``.parquet``.

        Returns
        -------
        list of Path
            What was written, each whole or not at all.

        Raises
        ------
        InputError
            The ending is another one, or the folder is not there.
        """
        write = _WRITERS.get(path.suffix.lower())
        if write is None:
            raise InputError(f"{path}: cannot tell the format by its ending; use {' or '.join(_WRITERS)}")
        if not path.absolute().parent.is_dir():
            raise InputError(f"{path}: its folder does not exist")
        written = []
        for name, table in self.tables.items():
            target = path.with_name(f"{path.stem}_{name}{path.suffix}")
            unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")  # no link waits there
            write(table, unfinished)
            written.append(unfinished.replace(target))
        return written


def _write_csv(table: pa.Table, path: Path) -> None:
    pyarrow.csv.write_csv(guarded_table(table), path)


_WRITERS: Final[Mapping[str, Callable[[pa.Table, Path], None]]] = MappingProxyType(
    {".csv": _write_csv, ".parquet": pq.write_table}
)


def report(
    context: Context,
    period: str,
    since: datetime.date,
    until: datetime.date,
    *,
    at_ms: int,
    timezone: str = "UTC",
    places: Sequence[tuple[str, str]] = (),
) -> Report:
    """Count what was done from one local day to another, the last one included.

    Parameters
    ----------
    context : Context
        Cities that the actor reaches are counted, no others.
    period : str
        ``day``, ``week`` or ``month``.
    since, until : datetime.date
    at_ms : int
    timezone : str
        IANA name of the clock that days and hours are of.
    places : sequence of (str, str), optional
        Tenants and cities, to count no others.

    Raises
    ------
    AuthError
        The actor may not.
    InputError
        The period, the time zone or a place is none, or `until` is before `since`.
    """
    check_instant("at_ms", at_ms)
    periods = Periods(period, since, until, timezone)
    with context.listing("report.read", scope.c.scope_id) as (connection, within):
        chosen = chosen_places(connection, within, places)
        everything = not places and context.reaches("report.read") == "all"
        source = Source(
            connection, context.vertical, periods, None if everything else list(chosen.values()), at_ms
        )
        tables = {**report_orders.tables(source), **report_money.tables(source)}
        tables.update(report_service.tables(source))
    names = tuple("/".join(place) for place in chosen)
    return Report(periods, names, context.vertical.name, at_ms, {name: tables[name] for name in TITLES})
