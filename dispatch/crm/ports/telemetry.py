"""What cars tell of themselves: positions for the dispatcher, levels of energy for the CRM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_instant
from dispatch.crm.fleet.vehicles import levels_in
from dispatch.crm.ports.base import JsonLines
from dispatch.crm.tables.engagement import telemetry
from dispatch.crm.tables.people import driver
from dispatch.engine.inputs import Positions
from dispatch.errors import InputError
from dispatch.limits import check_range, check_whole
from dispatch.store import bulk
from dispatch.units import MS_PER_S

OLDEST_S: Final = 120
"""A position older than this is no car any more."""
AHEAD_S: Final = 10
"""So far may a car's clock be ahead."""


@dataclass(frozen=True)
class Reading:
    """What one car told.

    Parameters
    ----------
    driver_id : int
    at_ms : int
        By the car's clock.
    lon, lat : float
        Degrees.
    energy_permille : int, optional
        Level of battery or tank.
    """

    driver_id: int
    at_ms: int
    lon: float
    lat: float
    energy_permille: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_id("driver_id", self.driver_id)
        check_instant("at_ms", self.at_ms)
        check_range("lon", self.lon, -180, 180, "degrees")
        check_range("lat", self.lat, -90, 90, "degrees")
        if self.energy_permille is not None:
            check_whole("energy_permille", self.energy_permille, 0, 1000)


@dataclass(frozen=True)
class Taken:
    """What became of readings."""

    positions: Positions
    """of those who told something new, for :meth:`Dispatcher.update_positions`; one row a driver"""
    stale: int
    """too old, or older than what is known"""
    unknown: int
    """of drivers whom the CRM does not know"""


class TelemetryPort(Protocol):
    """Whatever brings in what cars tell."""

    def readings(self) -> list[Reading]:
        """Give what came in since the last call."""


class TelemetryFile:
    """Reads lines of JSON that a box in the car, or its back end, adds to a file; begins where it ended."""

    def __init__(self, path: Path) -> None:
        self._lines, self._at = JsonLines(path), 0

    def readings(self) -> list[Reading]:
        """Give what was added since the last call; all of it, or :class:`InputError` and it is read again."""
        found, at = [], self._at
        known = tuple(Reading.__annotations__)
        for after, record in self._lines.read(self._at):
            if not set(record) <= set(known) or not set(known[:-1]) <= set(record):
                raise InputError(f"telemetry: the line at byte {at} must hold {', '.join(known)} only")
            found.append(Reading(**record))
            at = after
        self._at = at
        return found


class Telemetry:
    """Takes in what cars tell, and gives the dispatcher what is new."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def take(self, readings: Sequence[Reading], at_ms: int) -> Taken:
        """Take readings (n,) in, the latest of each driver.

        Raises
        ------
        InputError
            A car's clock is ahead of ours: its position could never be replaced.
        """
        for row, one in enumerate(readings):
            if one.at_ms > at_ms + AHEAD_S * MS_PER_S:
                raise InputError(f"readings[{row}].at_ms is {one.at_ms}: that is after now, {at_ms}")
        latest: dict[int, Reading] = {}
        for one in readings:
            if one.driver_id not in latest or latest[one.driver_id].at_ms < one.at_ms:
                latest[one.driver_id] = one
        with self._context.acting("telemetry.take", at_ms=at_ms) as connection:
            ids = sorted(latest)
            known = {row.driver_id: row for row in _known_in(connection, ids)}
            fresh = [
                latest[one]
                for one in ids
                if one in known
                and latest[one].at_ms >= at_ms - OLDEST_S * MS_PER_S
                and latest[one].at_ms > (known[one].at_ms or -1)
            ]
            bulk.upsert(connection, telemetry, _columns(fresh), keeps_known=True)
            levels_in(
                connection,
                [
                    (one.driver_id, one.energy_permille, min(one.at_ms, at_ms))
                    for one in fresh
                    if one.energy_permille is not None
                ],
            )
        unknown = sum(one.driver_id not in known for one in readings)
        positions = Positions(
            np.array([one.driver_id for one in fresh], np.int64),
            np.array([one.lon for one in fresh], np.float64),
            np.array([one.lat for one in fresh], np.float64),
            np.array([min(one.at_ms, at_ms) for one in fresh], np.int64),
        )
        return Taken(positions, len(readings) - len(fresh) - unknown, unknown)

    def energy(self, driver_id: int) -> int | None:
        """Give the level of energy that a driver's car told last, in permille."""
        with self._context.looking("telemetry.read", ("driver", driver_id)) as connection:
            wanted = sa.select(telemetry.c.energy_permille).where(telemetry.c.driver_id == driver_id)
            return connection.execute(wanted).scalar_one_or_none()


def _known_in(connection: sa.Connection, ids: list[int]) -> Sequence[Any]:
    joined = driver.outerjoin(telemetry, driver.c.driver_id == telemetry.c.driver_id)
    return connection.execute(
        sa.select(driver.c.driver_id, telemetry.c.at_ms)
        .select_from(joined)
        .where(bulk.among(connection, driver.c.driver_id, ids), driver.c.status == "active")
    ).all()


def _columns(readings: list[Reading]) -> dict[str, list[Any]]:
    return {
        "driver_id": [one.driver_id for one in readings],
        "at_ms": [one.at_ms for one in readings],
        "lon_e6": [round(one.lon * 1e6) for one in readings],
        "lat_e6": [round(one.lat * 1e6) for one in readings],
        "energy_permille": [one.energy_permille for one in readings],
    }
