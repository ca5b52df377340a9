"""Recorded trips from a table: by coordinates or by nodes, with instants, local times or minutes of a day."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.roads.network_file import NamedNodes, on_globe
from dispatch.roads.snapping import Snapper
from dispatch.roads.tables import Column, Dropped, Sieve, Table, impossible_times, read_table
from dispatch.roads.trips import MS_PER_MINUTE, RecordedTrips, local_to_utc_ms, zone_info
from dispatch.units import MS_PER_S, NO_INDEX, NO_VALUE

MAX_DURATION_S: Final = 2**31 - 1

_COLUMNS: Final = (
    Column(
        "requested_at",
        (
            "pickup_datetime",
            "tpep_pickup_datetime",
            "lpep_pickup_datetime",
            "trip_pickup_datetime",
            "pickup_at",
        ),
        "time",
    ),
    Column(
        "dropoff_at",
        ("dropoff_datetime", "tpep_dropoff_datetime", "lpep_dropoff_datetime", "trip_dropoff_datetime"),
        "time",
    ),
    Column("minute_of_day", (), "whole"),
    Column("duration_s", ("trip_time_in_secs", "duration")),
    Column("pickup_node", (), "whole"),
    Column("dropoff_node", (), "whole"),
    Column("pickup_lon", ("pickup_longitude", "start_lon", "start_lng")),
    Column("pickup_lat", ("pickup_latitude", "start_lat")),
    Column("dropoff_lon", ("dropoff_longitude", "end_lon", "end_lng")),
    Column("dropoff_lat", ("dropoff_latitude", "end_lat")),
    Column("driver_id", ("taxi_id", "vehicle_id"), "whole"),
    Column("passengers", ("passenger_count",), "whole"),
)
_ENDS: Final = ("pickup_lon", "pickup_lat", "dropoff_lon", "dropoff_lat")
_NODES: Final = ("pickup_node", "dropoff_node")

Ends = tuple[NDArray[np.int32], NDArray[np.int32], list[NDArray[np.float64]]]
"""Pickup node, drop-off node; longitude and latitude of pickup and drop-off."""


def load_trips(
    path: Path, snapper: Snapper, timezone: str, nodes: NamedNodes
) -> tuple[RecordedTrips, tuple[Dropped, ...]]:
    """Read recorded trips, among them the public files of New York's taxis as far as they give coordinates.

    Times without zone are local times of the city; of an hour that clocks repeat, the first is taken. A
    coordinate of exactly 0, 0 is a missing one. Without a duration it follows from the drop-off time.

    Parameters
    ----------
    path : Path
        ``.parquet`` or ``.csv``.
    snapper : Snapper
        Gives the nodes of ends that are coordinates, within 200 m.
    timezone : str
        IANA name.
    nodes : NamedNodes
        Gives the nodes of ends that are node ids.

    Returns
    -------
    RecordedTrips
        Every row that makes sense, ordered by request time, also those that leave the network.
    tuple of Dropped
        The rows that do not.

    Raises
    ------
    InputError
        The file is unreadable, lacks a column, or its coordinates are swapped.
    """
    table = read_table(path, _COLUMNS)
    _check_columns(table)
    sieve = Sieve(table.num_rows, table.path.name)
    at_ms, dated = _request_times(table, timezone, sieve)
    duration_s = _durations(table, at_ms, timezone, sieve)
    if all(name in table for name in _NODES):
        pickup, dropoff, ends = _ends_by_node(table, nodes, sieve)
    else:
        pickup, dropoff, ends = _ends_by_coordinates(table, snapper, sieve)
    trips = RecordedTrips(
        requested_at_ms=at_ms,
        pickup_node=pickup,
        dropoff_node=dropoff,
        pickup_lon=ends[0],
        pickup_lat=ends[1],
        dropoff_lon=ends[2],
        dropoff_lat=ends[3],
        duration_s=duration_s,
        driver_id=_wholes_or(table, "driver_id", NO_VALUE),
        passengers=np.minimum(_wholes_or(table, "passengers", 1, least=1), 2**31 - 1).astype(np.int32),
        dated=dated,
        resolution_ms=MS_PER_S if dated else MS_PER_MINUTE,
    )
    order = np.flatnonzero(sieve.keep)
    order = order[np.argsort(at_ms[order], kind="stable")]
    return trips.select(order), (*table.drops(), *sieve.drops)


def _check_columns(table: Table) -> None:
    """Raise an error unless the table says when and where."""
    if "requested_at" not in table and "minute_of_day" not in table:
        names = ", ".join((_COLUMNS[0].name, *_COLUMNS[0].aliases))
        raise InputError(
            f"{table.path}: no column says when trips were requested; looked for {names} and minute_of_day, "
            f"the file has {', '.join(table.present)}"
        )
    missing = [name for name in _ENDS if name not in table]
    if missing and not all(name in table for name in _NODES):
        raise InputError(
            f"{table.path}: no column for {', '.join(missing)} (nor pickup_node and dropoff_node); trips "
            f"need coordinates or nodes, zones are too coarse; the file has {', '.join(table.present)}"
        )


def _request_times(table: Table, timezone: str, sieve: Sieve) -> tuple[NDArray[np.int64], bool]:
    """Give the instants of the requests, and whether they have a date."""
    if "requested_at" in table:
        at_ms, known = _instants_ms(table, "requested_at", timezone, sieve)
        sieve.drop("trips without a request time", ~known)
        return at_ms, True
    minute, known = table.wholes("minute_of_day")
    sieve.drop("trips whose minute_of_day is not in 0…1439", ~known | (minute < 0) | (minute >= 24 * 60))
    return minute * MS_PER_MINUTE, False


def _instants_ms(
    table: Table, name: str, timezone: str, sieve: Sieve
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Give a column of times as milliseconds since the epoch, and which rows have one; drop absurd ones."""
    column = table.columns[name]
    if table.is_text(name):
        column = _times_of_texts(table, name)
    if pa.types.is_null(column.type):
        return np.zeros(table.num_rows, np.int64), np.zeros(table.num_rows, np.bool_)
    if not pa.types.is_timestamp(column.type):
        raise table.wrong(name, "it must hold times such as 2016-06-01 08:30:00")
    has_zone = column.type.tz is not None
    known = np.array(column.is_valid().to_numpy(), np.bool_)
    at_ms = np.array(
        column.cast(pa.timestamp("ms", column.type.tz), safe=False).cast(pa.int64()).fill_null(0)
    )
    wrong = impossible_times(at_ms)
    sieve.drop(f"trips whose {name} is outside of 1970…2199", wrong)
    at_ms = np.where(wrong, 0, at_ms)
    return (at_ms if has_zone else local_to_utc_ms(at_ms, zone_info(timezone))), known


def _times_of_texts(table: Table, name: str) -> pa.ChunkedArray:
    """Read a column of texts as times, all with a zone or all without."""
    texts = table.columns[name].cast(pa.string())
    try:
        return texts.cast(pa.timestamp("us"))
    except pa.ArrowInvalid as error:
        try:
            return texts.cast(pa.timestamp("us", "UTC"))
        except pa.ArrowInvalid:
            raise table.wrong(name, f"it must hold times such as 2016-06-01 08:30:00 ({error})") from error


def _durations(table: Table, at_ms: NDArray[np.int64], timezone: str, sieve: Sieve) -> NDArray[np.int32]:
    """Give the seconds of each trip, NO_VALUE where the table does not say."""
    if "duration_s" in table:
        duration_s = table.floats("duration_s")
    elif "dropoff_at" in table and "requested_at" in table:
        dropoff_ms, known = _instants_ms(table, "dropoff_at", timezone, sieve)
        duration_s = np.where(known, (dropoff_ms - at_ms) / MS_PER_S, np.nan)
    else:
        duration_s = np.full(len(at_ms), np.nan)
    sieve.drop("trips that end before they begin", duration_s < 0)
    sieve.drop("trips of impossible duration", duration_s > MAX_DURATION_S)
    known = np.isfinite(duration_s) & sieve.keep
    return np.where(known, np.rint(np.where(known, duration_s, 0)), NO_VALUE).astype(np.int32)


def _wholes_or(table: Table, name: str, absent: int, least: int = 0) -> NDArray[np.int64]:
    """Give a column of whole numbers; `absent` where it is missing, empty or less than `least`."""
    if name not in table:
        return np.full(table.num_rows, absent, np.int64)
    values, known = table.wholes(name)
    return np.where(known & (values >= least), values, absent)


def _ends_by_node(table: Table, nodes: NamedNodes, sieve: Sieve) -> Ends:
    found, ends = [], []
    for name in _NODES:
        ids, known = table.wholes(name)
        row = np.where(known, nodes.find(ids), NO_INDEX)
        sieve.drop(f"trips whose {name} is unknown", row == NO_INDEX)
        sieve.drop(
            f"trips whose {name} has no possible coordinates", ~on_globe(nodes.lon[row], nodes.lat[row])
        )
        found.append(np.where(row == NO_INDEX, NO_INDEX, nodes.node[row]).astype(np.int32))
        ends += [nodes.lon[row], nodes.lat[row]]
    return found[0], found[1], ends


def _ends_by_coordinates(table: Table, snapper: Snapper, sieve: Sieve) -> Ends:
    ends = [table.floats(name) for name in _ENDS]
    for what, lon, lat in (("pickup", ends[0], ends[1]), ("drop-off", ends[2], ends[3])):
        _check_not_swapped(table, what, lon, lat, snapper)
        missing = ~(np.isfinite(lon) & np.isfinite(lat)) | ((lon == 0) & (lat == 0))
        sieve.drop(f"trips without a {what} position", missing)
        sieve.drop(f"trips with an impossible {what} position", ~on_globe(lon, lat))
    keep = sieve.keep
    nodes = [np.full(table.num_rows, NO_INDEX, np.int32) for _ in range(2)]
    for node, lon, lat in zip(nodes, ends[::2], ends[1::2], strict=True):
        node[keep] = snapper.snap(lon[keep], lat[keep])[0]
    return nodes[0], nodes[1], ends


def _check_not_swapped(
    table: Table, what: str, lon: NDArray[np.float64], lat: NDArray[np.float64], snapper: Snapper
) -> None:
    """Raise an error if no position lies in the city, but most would with longitude and latitude swapped."""
    if np.count_nonzero(snapper.covers(lon, lat)):
        return
    num_rows, num_swapped = len(lon), np.count_nonzero(snapper.covers(lat, lon))
    if 2 * num_swapped > num_rows:
        raise InputError(
            f"{table.path}: the {what} longitude and latitude look swapped: no row lies in the city now, "
            f"{num_swapped} of {num_rows} would with the two swapped (row 0: {lon[0]}, {lat[0]})"
        )
