"""Recorded GPS pings of drivers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.roads.network_file import check_latitudes
from dispatch.roads.tables import (
    END_OF_TIMES_MS,
    Column,
    Dropped,
    Sieve,
    Table,
    impossible_times,
    match_columns,
)
from dispatch.units import MS_PER_S

_COLUMNS: Final = (
    Column("driver_id", ("taxi_id", "vehicle_id"), required=True),
    Column("at", ("timestamp", "time"), required=True),
    Column("lon_e5"),
    Column("lat_e5"),
    Column("lon", ("longitude",)),
    Column("lat", ("latitude",)),
    Column("occupied", required=True),
)
_DEGREES_PER_E5: Final = 1e5


@dataclass(frozen=True)
class RecordedPings:
    """Pings sorted by driver, then time; no two are equal.

    Arrays are C-contiguous, writable and of one length; they are never written after construction.
    """

    driver_id: NDArray[np.int64]
    """(pings,)"""
    at_ms: NDArray[np.int64]
    """(pings,) milliseconds since the epoch"""
    lon: NDArray[np.float64]
    """(pings,) degrees, WGS84"""
    lat: NDArray[np.float64]
    """(pings,)"""
    occupied: NDArray[np.bool_]
    """(pings,) a passenger was aboard"""
    drops: tuple[Dropped, ...] = ()
    """Rows of the file that were left out"""

    def __post_init__(self) -> None:
        """Refuse columns that differ in length: kernels read them by one row."""
        shape = np.shape(self.at_ms)
        for name in ("driver_id", "lon", "lat", "occupied"):
            own = np.shape(getattr(self, name))
            if own != shape or len(shape) != 1:
                raise InputError(f"{name} has the shape {own} and at_ms {shape}: both must be (pings,)")

    def __len__(self) -> int:
        return len(self.at_ms)

    def between(self, from_at_ms: int, to_at_ms: int) -> RecordedPings:
        """Give the pings from one instant to before another."""
        inside = (self.at_ms >= from_at_ms) & (self.at_ms < to_at_ms)
        return replace(
            self,
            driver_id=self.driver_id[inside],
            at_ms=self.at_ms[inside],
            lon=self.lon[inside],
            lat=self.lat[inside],
            occupied=self.occupied[inside],
        )

    @classmethod
    def load(
        cls, path: str | Path, from_at_ms: int | None = None, to_at_ms: int | None = None
    ) -> RecordedPings:
        """Read the pings of a time span from a Parquet file.

        Columns: ``driver_id``; ``at``, whole seconds since the epoch or times with zone; ``lon_e5`` and
        ``lat_e5`` in 1e-5 degrees, or ``lon`` and ``lat`` in degrees; ``occupied``, bool or 0 and 1.

        Parameters
        ----------
        path : path
        from_at_ms, to_at_ms : int, optional
            First instant, and the first one no longer; milliseconds since the epoch. By default all.

        Returns
        -------
        RecordedPings
            Perhaps none at all.

        Raises
        ------
        InputError
            The file is missing, truncated, lacks a column or has one of a wrong type; longitude and latitude
            are swapped, or times are not in seconds.
        """
        table = _read(Path(path), from_at_ms, to_at_ms)
        driver_id, has_driver = table.wholes("driver_id")
        at_ms, has_time = _at_ms(table)
        lon, lat = _coordinates(table)
        check_latitudes(table.path, lon, lat)
        occupied, has_state = _occupied(table)
        sieve = Sieve(table.num_rows, table.path.name)
        sieve.drop("pings without driver, time or state", ~(has_driver & has_time & has_state))
        sieve.drop("pings at times outside of 1970…2199", impossible_times(at_ms))
        sieve.drop("pings without a possible position", ~((np.abs(lon) <= 180) & (np.abs(lat) <= 90)))
        columns: list[NDArray[Any]] = [driver_id, at_ms, lon, lat, occupied]
        if sieve.drops:
            columns = [values[sieve.keep] for values in columns]
        columns, num_equal = _sorted_and_unique(columns)
        equal = (Dropped("pings equal to another", num_equal, table.path.name),) if num_equal else ()
        driver_id, at_ms, lon, lat, occupied = columns
        return cls(driver_id, at_ms, lon, lat, occupied, (*sieve.drops, *equal))


def _read(path: Path, from_at_ms: int | None, to_at_ms: int | None) -> Table:
    """Read the rows of a time span; row groups that lie outside of it are not opened."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        schema = pq.read_schema(path)
        found = match_columns(path, _COLUMNS, schema.names)
        names = {name: schema.names[i] for name, i in found.items()}
        _check_positions(path, names, schema.names)
        span = _span(path, names["at"], schema.field(names["at"]).type, from_at_ms, to_at_ms)
        read = pq.read_table(path, columns=list(names.values()), filters=span)
        if not read.num_rows:
            _check_seconds(path, names["at"])
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: no readable Parquet file, perhaps truncated ({error})") from error
    columns = {name: read.column(found_as) for name, found_as in names.items()}
    return Table(path, columns, names, schema.names, read.num_rows, 0)


def _check_seconds(path: Path, name: str) -> None:
    """Raise an error if the whole numbers of a column are all too large to be seconds."""
    column = pq.read_table(path, columns=[name]).column(name)
    if pa.types.is_integer(column.type):
        least = pc.min(column).as_py()
        if least is not None and least >= END_OF_TIMES_MS // MS_PER_S:
            raise InputError(
                f"{path}: column {name!r} starts at {least}, after the year 2200: it must hold whole seconds "
                "since the epoch, not milliseconds"
            )


def _check_positions(path: Path, names: dict[str, str], present: list[str]) -> None:
    if not ({"lon_e5", "lat_e5"} <= names.keys() or {"lon", "lat"} <= names.keys()):
        raise InputError(
            f"{path}: missing column lon_e5 and lat_e5 (or lon and lat); the file has {', '.join(present)}"
        )


def _span(
    path: Path, name: str, kind: pa.DataType, from_at_ms: int | None, to_at_ms: int | None
) -> pc.Expression | None:
    """Make the condition on the column of times; whole seconds are rounded up on both sides."""
    if not (pa.types.is_integer(kind) or (pa.types.is_timestamp(kind) and kind.tz is not None)):
        raise InputError(f"{path}: column {name!r} holds {kind}; it must hold seconds or times with zone")

    def bound(at_ms: int) -> Any:
        return (
            -(-at_ms // MS_PER_S)
            if pa.types.is_integer(kind)
            else pa.scalar(at_ms, pa.timestamp("ms", "UTC"))
        )

    conditions = []
    if from_at_ms is not None:
        conditions.append(pc.field(name) >= bound(from_at_ms))
    if to_at_ms is not None:
        conditions.append(pc.field(name) < bound(to_at_ms))
    return (
        None if not conditions else conditions[0] if len(conditions) == 1 else conditions[0] & conditions[1]
    )


def _at_ms(table: Table) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    if not pa.types.is_timestamp(table.columns["at"].type):
        at_s, known = table.wholes("at")
        return np.clip(at_s, -1, END_OF_TIMES_MS // MS_PER_S) * MS_PER_S, known
    column = table.columns["at"].cast(pa.timestamp("ms", "UTC"), safe=False).cast(pa.int64())
    return np.array(column.fill_null(0).to_numpy(), np.int64), table.filled("at")


def _coordinates(table: Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if "lon_e5" in table and "lat_e5" in table:
        return table.floats("lon_e5") / _DEGREES_PER_E5, table.floats("lat_e5") / _DEGREES_PER_E5
    return table.floats("lon"), table.floats("lat")


def _occupied(table: Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    if not pa.types.is_boolean(table.columns["occupied"].type):
        state, known = table.wholes("occupied")
        return state != 0, known
    return np.array(table.columns["occupied"].fill_null(False).to_numpy(), np.bool_), table.filled("occupied")


def order_of(driver_id: NDArray[np.int64], at_ms: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Give the rows (n,) by driver, then time, None where they are in that order already."""
    same = driver_id[1:] == driver_id[:-1]
    if np.all((driver_id[1:] > driver_id[:-1]) | (same & (at_ms[1:] >= at_ms[:-1]))):
        return None
    return np.lexsort((at_ms, driver_id))


def _sorted_and_unique(columns: list[NDArray[Any]]) -> tuple[list[NDArray[Any]], int]:
    """Sort by driver, then time (stable), and leave out rows equal to one before; give their number too."""
    driver_id, at_ms = columns[:2]
    same_driver = driver_id[1:] == driver_id[:-1]
    if not np.all((driver_id[1:] > driver_id[:-1]) | (same_driver & (at_ms[1:] > at_ms[:-1]))):
        # Equal rows must become neighbours, so all columns are keys.
        order = np.lexsort(columns[::-1])
        columns = [values[order] for values in columns]
        equal = np.logical_and.reduce([values[1:] == values[:-1] for values in columns])
        keep = np.concatenate([np.ones(min(1, len(order)), np.bool_), ~equal])
        return [values[keep] for values in columns], int(np.count_nonzero(equal))
    return columns, 0
