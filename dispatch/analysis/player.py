"""One self-contained HTML page that plays a day on the city's map, opened without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

import dispatch
from dispatch.analysis.city_map import Frame, frame_of, street_paths, water_path
from dispatch.analysis.kpi_list import GOLDEN_ETA_MS, GOLDEN_RESPONSE_MS
from dispatch.analysis.order_table import OrderTable, order_table
from dispatch.analysis.page_file import json_for_script, write_whole
from dispatch.analysis.player_codec import Column, Header, encode_columns
from dispatch.analysis.player_tracks import (
    CarState,
    Legs,
    driver_events,
    legs_of,
    order_rows,
    state_changes,
)
from dispatch.analysis.player_ways import ways_between
from dispatch.analysis.run_record import RunRecord
from dispatch.engine.events import EventKind, Events
from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.units import MS_PER_DAY, MS_PER_S, NO_COORDINATE, NO_VALUE

TOLERANCES_M: Final = (10.0, 20.0, 40.0)
"""How far a drawn way may lie from the driven one; the next where the page would be too large."""
MAX_SPAN_MS: Final = 2**31 - 1
"""Instants are counted from the log's first event in 32 bits, 24 days."""
STATE_LABELS: Final = {
    CarState.IDLE: "idle",
    CarState.CRUISING: "cruising",
    CarState.REPOSITIONING: "repositioning",
    CarState.OFFERED: "has an offer",
    CarState.TO_PICKUP: "to pickup",
    CarState.AT_PICKUP: "at pickup",
    CarState.OCCUPIED: "occupied",
    CarState.OCCUPIED_NEXT: "occupied + next order",
}
_DEGREES_PER_E6: Final = 1e-6
_MS_PER_H: Final = 3600 * MS_PER_S
_DATELESS_MS: Final = 366 * MS_PER_DAY
_AROUND: Final = 1.0
"""Streets and water are drawn so far around what is shown at first, as a share of it"""
_STREET_SHARE: Final = 1 / 4000
"""Streets are simplified to this share of the width shown at first: one comes nearer than in a report."""
_SIZE: Final = "{{file size}}"


def write_player(
    path: str | Path,
    city: City,
    record_or_events: RunRecord | Events,
    *,
    title: str | None = None,
    max_bytes: int | None = None,
) -> int:
    """Write a page that plays a log on the map: every car, every waiting order, the key figures so far.

    Cars are where the log tells; between two told places they drive the fastest way at free-flow speeds,
    stretched to the time that the log tells.

    Parameters
    ----------
    path : str or Path
        HTML file to write; written whole or not at all.
    city : City
        Where it took place: streets, water, time zone.
    record_or_events : RunRecord or (events,) EVENT_DTYPE
        A finished or interrupted run, or a legal log from its beginning.
    title : str, optional
        By default the city, with the run's date and label.
    max_bytes : int, optional
        Largest file; ways are simplified more where the page would be larger.

    Returns
    -------
    int
        Size of the file, bytes.

    Raises
    ------
    InputError
        The log spans more than 24 days, mentions an order that was never submitted, or does not fit into
        `max_bytes`.

    Complexity
    ----------
    A shortest path for each drive: 6 to 11 s and 9.7 MB for a day of Manhattan, 79,618 orders and 2,500 cars.
    """
    record = record_or_events if isinstance(record_or_events, RunRecord) else None
    events = record.events if record is not None else record_or_events
    timezone = str(record.meta.get("timezone", city.timezone)) if record is not None else city.timezone
    day = _Day(city, np.asarray(events))
    for tolerance_m in TOLERANCES_M:
        header, text = encode_columns(day.columns(tolerance_m))
        page = _page(title or _title(city, record), day.facts(timezone, header), text)
        if max_bytes is None or len(page) <= max_bytes:
            write_whole(Path(path), page.decode("utf-8"))
            return len(page)
    raise InputError(
        f"max_bytes is {max_bytes}: the page has {len(page)} bytes even with ways simplified to "
        f"{TOLERANCES_M[-1]:g} m; allow more, or give the log of a shorter time"
    )


class _Day:
    """A log as the page's columns."""

    def __init__(self, city: City, events: Events) -> None:
        self.city, self.events = city, events
        self.start_at_ms = int(events["at_ms"][0]) if len(events) else 0
        self.length_ms = int(events["at_ms"][-1]) - self.start_at_ms if len(events) else 0
        if self.length_ms > MAX_SPAN_MS:
            raise InputError(
                f"events span {self.length_ms / _MS_PER_H / 24:.1f} days: a page shows up to 24; cut the log"
            )
        mentioned = events["driver_id"][events["driver_id"] != NO_VALUE]
        self.driver_id = np.unique(mentioned)
        self.drivers = driver_events(events, self.driver_id)
        self.legs: Legs = legs_of(events, self.drivers)
        self.x, self.y = self._plane()
        orders = order_table(events)
        submitted = np.flatnonzero(events["kind"] == EventKind.ORDER_SUBMITTED)
        wanted_ms = np.maximum(events["wanted_after_ms"][submitted], 0).astype(np.int64)
        # Booked ahead, an order waits from the time for which it was booked.
        self.waits_at_ms = orders.submitted_at_ms + wanted_ms
        self.orders: OrderTable = orders
        self.order_x, self.order_y = self.x[submitted], self.y[submitted]
        self.view, self.world = self._frames()

    def _plane(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Project all places of the log; NaN where an event has none."""
        events = self.events
        known = (events["lon_e6"] != NO_COORDINATE) & (events["lat_e6"] != NO_COORDINATE)
        x, y = np.full((2, len(events)), np.nan)
        lon, lat = (events[name][known] * _DEGREES_PER_E6 for name in ("lon_e6", "lat_e6"))
        x[known], y[known] = self.city.projection.to_plane(lon, lat)
        return x, y

    def _frames(self) -> tuple[Frame, Frame]:
        """What is shown at first, and how much of the city is drawn around it."""
        known = np.isfinite(self.order_x)
        view = frame_of(self.order_x[known], self.order_y[known], self.city)
        around = _AROUND * max(view.width_m, view.height_m)
        world = Frame(
            np.floor(view.min_x - around),
            np.floor(view.min_y - around),
            np.ceil(view.max_x + around),
            np.ceil(view.max_y + around),
        )
        return view, world

    def columns(self, tolerance_m: float) -> dict[str, Column]:
        """Give everything that moves, in the order of the page."""
        return {**self._cars(), **self._ways(tolerance_m), **self._orders(), **self._driven()}

    def _since_start(self, at_ms: NDArray[np.int64]) -> NDArray[np.int32]:
        """Count instants (n,) from the log's start; ``NO_VALUE`` stays."""
        return np.where(at_ms == NO_VALUE, NO_VALUE, at_ms - self.start_at_ms).astype(np.int32)

    def _cars(self) -> dict[str, Column]:
        changes = state_changes(self.events, self.drivers, self.legs, len(self.driver_id))
        return {
            **_id_columns("car_id", self.driver_id),
            "change_first": changes.first,
            "change_at": self._since_start(changes.at_ms),
            "change_state": changes.state,
            "change_order": order_rows(self.orders.order_id, changes.order_id),
        }

    def _ways(self, tolerance_m: float) -> dict[str, Column]:
        legs = self.legs
        start, stop = (np.column_stack([self.x[row], self.y[row]]) for row in (legs.from_row, legs.to_row))
        moved = (np.rint(start) != np.rint(stop)).any(axis=1) & (legs.to_at_ms > legs.from_at_ms)
        # Who is told to be elsewhere in no time appears there.
        start = np.where(moved[:, None], start, stop)
        last = np.concatenate([stop[:1] + 10, stop[:-1]]) if len(stop) else stop
        kept = moved | (np.rint(last) != np.rint(stop)).any(axis=1)
        kept[1:] |= legs.car[1:] != legs.car[:-1]
        kept[:1] = True
        ways = ways_between(self.city, start[kept], stop[kept], tolerance_m)
        from_at_ms = np.where(moved, legs.from_at_ms, legs.to_at_ms)
        first = np.searchsorted(legs.car[kept], np.arange(len(self.driver_id) + 1))
        return {
            "leg_first": first.astype(np.int32),
            "leg_from": self._since_start(from_at_ms[kept]),
            "leg_to": self._since_start(legs.to_at_ms[kept]),
            "point_first": ways.first,
            "point_x": (ways.x_m - int(self.world.min_x)).astype(np.int32),
            "point_y": (int(self.world.max_y) - ways.y_m).astype(np.int32),
            "point_share": ways.share,
        }

    def _orders(self) -> dict[str, Column]:
        orders = self.orders
        known = np.isfinite(self.order_x)
        x = np.where(known, self.order_x - self.world.min_x, NO_COORDINATE)
        y = np.where(known, self.world.max_y - self.order_y, NO_COORDINATE)
        return {
            **_id_columns("order_id", orders.order_id),
            "order_x": np.rint(x).astype(np.int32),
            "order_y": np.rint(y).astype(np.int32),
            "order_submitted": self._since_start(orders.submitted_at_ms),
            "order_waits": np.minimum(self.waits_at_ms - self.start_at_ms, MAX_SPAN_MS).astype(np.int32),
            "order_accepted": self._since_start(orders.first_accepted_at_ms),
            "order_assigned": self._since_start(orders.accepted_at_ms),
            "order_quoted": orders.quoted_eta_ms.astype(np.int32),
            "order_picked_up": self._since_start(orders.picked_up_at_ms),
            "order_dropped_off": self._since_start(orders.dropped_off_at_ms),
            "order_cancelled": self._since_start(orders.cancelled_at_ms),
            "order_expired": self._since_start(orders.expired_at_ms),
        }

    def _driven(self) -> dict[str, Column]:
        """Metres as the log tells of them: positive with a passenger, negative without."""
        events = self.events
        told = np.flatnonzero(events["leg_m"] != NO_VALUE)
        aboard = events["kind"][told] == EventKind.DROPPED_OFF
        metres = events["leg_m"][told]
        return {
            "driven_at": self._since_start(events["at_ms"][told]),
            "driven_m": np.where(aboard, metres, -metres).astype(np.int32),
        }

    def facts(self, timezone: str, header: Header) -> dict[str, Any]:
        """Give everything that does not move."""
        view, world = self.view, self.world
        return {
            "columns": header,
            "startAtMs": self.start_at_ms,
            "lengthMs": self.length_ms,
            "offsetsMin": _offsets_min(self.start_at_ms, self.length_ms, timezone),
            # A day without a date is laid at the beginning of time.
            "hasDate": self.start_at_ms > _DATELESS_MS,
            "goldenResponseMs": GOLDEN_RESPONSE_MS,
            "goldenEtaMs": GOLDEN_ETA_MS,
            "states": [[state.name.lower(), label] for state, label in STATE_LABELS.items()],
            "noCoordinate": NO_COORDINATE,
            "streets": street_paths(self.city, world, view.width_m * _STREET_SHARE),
            "water": water_path(self.city, world),
            "size": [round(world.width_m), round(world.height_m)],
            "view": [
                *(round(view.min_x - world.min_x), round(world.max_y - view.max_y)),
                *(round(view.width_m), round(view.height_m)),
            ],
        }


def _id_columns(name: str, ids: NDArray[np.int64]) -> dict[str, Column]:
    """Split ids into two words: they are the caller's names and may need all 64 bits."""
    words = ids.astype("<i8").view("<i4").reshape(-1, 2)
    return {f"{name}_low": words[:, 0].astype(np.int32), f"{name}_high": words[:, 1].astype(np.int32)}


def _offsets_min(start_at_ms: int, length_ms: int, timezone: str) -> list[int]:
    """Minutes that local time is ahead of UTC, from one full hour of UTC to the next."""
    first_h, last_h = start_at_ms // _MS_PER_H, (start_at_ms + length_ms) // _MS_PER_H
    zone = ZoneInfo(timezone)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    hours = [epoch + timedelta(hours=hour) for hour in range(first_h, last_h + 1)]
    ahead = [hour.astimezone(zone).utcoffset() or timedelta() for hour in hours]
    return [round(one.total_seconds() / 60) for one in ahead]


def _title(city: City, record: RunRecord | None) -> str:
    parts = [city.name]
    if record is not None:
        parts += [str(part) for part in (record.meta.get("date"), record.label) if part]
        parts += ["interrupted"] if record.partial else []
    return " · ".join(parts)


def _page(title: str, facts: dict[str, Any], text: str) -> bytes:
    """Fill in the page, which tells its own size."""
    page = Template(_part("player.html")).substitute(
        title=escape(title),
        style=_part("player.css"),
        version=dispatch.__version__,
        size=_SIZE,
        facts=json_for_script(facts),
        columns=text,
        script=_part("player_day.js") + _part("player_map.js") + _part("player.js"),
    )
    size = len(page.encode("utf-8")) - len(_SIZE) + len("00.0 MB")
    return page.replace(_SIZE, f"{size / 1e6:.1f} MB", 1).encode("utf-8")


def _part(name: str) -> str:
    return (files("dispatch.analysis") / "page" / name).read_text(encoding="utf-8")
