"""Tables and key figures as files: Parquet, CSV or JSON, by the file's ending."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from dispatch.analysis.driver_table import DriverTable
from dispatch.analysis.groups import By, KpiGroups, has_first_orders, has_tiers, kpis_by
from dispatch.analysis.kpis import Kpis
from dispatch.analysis.measured import measured
from dispatch.analysis.order_table import OrderTable
from dispatch.analysis.run_record import RunRecord
from dispatch.engine.events import write_log
from dispatch.errors import InputError
from dispatch.roads.zones import Zones
from dispatch.units import NO_COORDINATE, NO_VALUE

Exportable = Kpis | KpiGroups | DriverTable | OrderTable
_JSON_ROWS: Final = 10_000
"""Rows made to text at once"""


def as_table(what: Exportable) -> pa.Table:
    """Lay out what analysis gives as columns.

    Parameters
    ----------
    what : Kpis, KpiGroups, DriverTable or OrderTable

    Returns
    -------
    pyarrow.Table
        KPIs as ``kpi`` and ``value``; groups as :meth:`KpiGroups.table`; the tables of drivers and orders
        with their own columns, and the order's ``wait_ms``. What was not told, or did not happen, is empty
        rather than a sentinel.
    """
    if isinstance(what, KpiGroups):
        return what.table()
    if isinstance(what, Kpis):
        values = pa.array(what.values(), pa.float64())
        return pa.table({"kpi": pa.array(list(what), pa.string()), "value": values})
    columns = {one.name: getattr(what, one.name) for one in fields(what)}
    if isinstance(what, OrderTable):
        columns["wait_ms"] = what.wait_ms
    return pa.table({name: _column(name, values) for name, values in columns.items()})


def _column(name: str, values: Any) -> pa.Array:
    sentinel = NO_COORDINATE if name.endswith("_e6") else NO_VALUE
    return pa.array(np.ascontiguousarray(values), mask=np.asarray(values == sentinel))


def write_table(what: Exportable, path: str | Path) -> None:
    """Write a table to a file, whole or not at all.

    Parameters
    ----------
    what : Kpis, KpiGroups, DriverTable or OrderTable
    path : str or Path
        ``.parquet``, ``.csv`` or ``.json``. JSON is a list of rows, but of KPIs an object of values by name.

    Raises
    ------
    InputError
        The ending is none of these, or the folder does not exist.
    """
    path = Path(path)
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise InputError(f"{path}: cannot tell the format by its ending; use one of {', '.join(_WRITERS)}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: its folder does not exist")
    unfinished = path.with_name(path.name + ".part")
    if isinstance(what, Kpis) and path.suffix.lower() == ".json":
        _write_object(dict(what), unfinished)
    else:
        write(as_table(what), unfinished)
    unfinished.replace(path)


def _write_object(values: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _write_json(table: pa.Table, path: Path) -> None:
    """One row a line; a large table is never in memory as text."""
    with path.open("w", encoding="utf-8") as file:
        separator = "[\n"
        for batch in table.to_batches(_JSON_ROWS):
            for row in batch.to_pylist():
                file.write(separator + json.dumps(row, allow_nan=False, ensure_ascii=False))
                separator = ",\n"
        file.write("[]\n" if separator == "[\n" else "\n]\n")


_WRITERS: Final[Mapping[str, Callable[[pa.Table, Path], None]]] = {
    ".parquet": pq.write_table,
    ".csv": pyarrow.csv.write_csv,
    ".json": _write_json,
}


def export_run(
    folder: str | Path, record: RunRecord, zones: Zones | None = None, timezone: str | None = None
) -> list[Path]:
    """Write everything that is known of a run into a folder.

    These are ``kpis.json``; ``kpis_by_hour.parquet`` and, where there are any, the same by ``zone``, by
    ``tier`` and for ``first`` orders; ``drivers.parquet`` and ``drivers.csv``; ``orders.parquet``;
    ``events.parquet``. Files of these names are replaced, others are left alone.

    Parameters
    ----------
    folder : str or Path
        Made if it does not exist; the folder that it lies in must.
    record : RunRecord
    zones : Zones, optional
        By default nothing is told by zone.
    timezone : str, optional
        IANA name in which hours are told; by default the run's, else UTC.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        The folder cannot be made, or the time zone is unknown.
    """
    folder = Path(folder)
    if not folder.is_dir():
        if folder.exists() or not folder.absolute().parent.is_dir():
            raise InputError(
                f"{folder} is no folder and cannot be made: name a new one in an existing folder"
            )
        folder.mkdir()
    tables = measured(record.events)
    written: list[Path] = []

    def put(what: Exportable, name: str) -> None:
        write_table(what, folder / name)
        written.append(folder / name)

    put(Kpis(dict(record.kpis)), "kpis.json")
    timezone = timezone or str(record.meta.get("timezone") or "UTC")
    for by in _told_groupings(tables.orders, zones):
        groups = kpis_by(tables, by, zones=zones, timezone=timezone, **record.void)
        put(groups, f"kpis_by_{by}.parquet")
    put(tables.drivers, "drivers.parquet")
    put(tables.drivers, "drivers.csv")
    put(tables.orders, "orders.parquet")
    unfinished = folder / "events.parquet.part"
    write_log(record.events, unfinished)
    written.append(unfinished.replace(folder / "events.parquet"))
    return written


def _told_groupings(orders: OrderTable, zones: Zones | None) -> list[By]:
    """Groupings that the log tells anything of."""
    told: dict[By, bool] = {
        "hour": True,
        "zone": zones is not None,
        "tier": has_tiers(orders),
        "first": has_first_orders(orders),
    }
    return [by for by, is_told in told.items() if is_told]
