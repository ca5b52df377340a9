"""Vehicles of drivers: class, seats, energy and range, insurance and inspection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_id, check_instant, check_not_before
from dispatch.crm.people.persons import locked_in
from dispatch.crm.people.sealed_texts import check_text, keep_text, open_text
from dispatch.crm.rules import check_one_of
from dispatch.crm.tables.fleet import vehicle
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk

ENERGIES: Final = ("petrol", "diesel", "electric", "none")
"""``none``: a bicycle."""
MAX_SEATS: Final = 100
MAX_RANGE_M: Final = 5_000_000
_DATED: Final = ("insured_until_ms", "inspected_until_ms")


@dataclass(frozen=True)
class Vehicle:
    """A vehicle of a driver; the plate is None where it is not known or not to be seen.

    Parameters
    ----------
    vehicle_class : str
        One of the vertical's.
    seats : int
        For passengers.
    energy : str
        ``petrol``, ``diesel``, ``electric``, ``none``.
    range_m : int, optional
        With all of its energy.
    level_permille, level_at_ms : int, optional
        How much of its energy there was left, and when.
    """

    vehicle_class: str
    seats: int = 4
    energy: str = "petrol"
    range_m: int | None = None
    plate: str | None = None
    insured_until_ms: int | None = None
    inspected_until_ms: int | None = None
    vehicle_id: int | None = None
    driver_id: int | None = None
    level_permille: int | None = None
    level_at_ms: int | None = None
    retired_at_ms: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range; a plate is not repeated."""
        check_whole("seats", self.seats, 0, MAX_SEATS)
        check_one_of("energy", self.energy, ENERGIES)
        if self.range_m is not None:
            check_whole("range_m", self.range_m, 1, MAX_RANGE_M)
        if self.plate is not None:
            check_text("plate", self.plate, 20)
        for name in _DATED:
            if getattr(self, name) is not None:
                check_instant(name, getattr(self, name))


class Vehicles:
    """Enters and retires vehicles, and keeps their papers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add(self, driver_id: int, told: Vehicle, *, at_ms: int) -> int:
        """Enter a vehicle of a driver; gives its id.

        Raises
        ------
        InputError
            The vertical has no such class.
        StateError
            A vehicle of the place has that plate already.
        """
        vertical, vault = self._context.vertical, self._context.vault
        check_one_of("vehicle_class", told.vehicle_class, vertical.classes)
        details: dict[str, Any] = {"class": told.vehicle_class, "energy": told.energy}
        with self._context.acting(
            "vehicle.add", ("driver", driver_id), at_ms=at_ms, details=details
        ) as connection:
            scope_id = locked_in(connection, "driver", driver_id, None).scope_id
            added = connection.execute(
                sa.insert(vehicle).values(
                    driver_id=driver_id,
                    scope_id=scope_id,
                    vehicle_class=vertical.classes.index(told.vehicle_class),
                    seats=told.seats,
                    energy=told.energy,
                    range_m=told.range_m,
                    plate_index=None if told.plate is None else plate_index(self._context, told.plate),
                    insured_until_ms=told.insured_until_ms,
                    inspected_until_ms=told.inspected_until_ms,
                    added_at_ms=at_ms,
                )
            )
            made = int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
            keep_text(connection, vault, ("driver", driver_id), vehicle.c.plate, made, told.plate)
            details["vehicle_id"] = made
            return made

    def renew(
        self,
        vehicle_id: int,
        *,
        at_ms: int,
        insured_until_ms: int | None = None,
        inspected_until_ms: int | None = None,
    ) -> None:
        """Enter how long a vehicle is insured, or its inspection valid, from now on."""
        told = {"insured_until_ms": insured_until_ms, "inspected_until_ms": inspected_until_ms}
        changes = {name: value for name, value in told.items() if value is not None}
        if not changes:
            raise InputError("insured_until_ms and inspected_until_ms are missing: one must be told")
        for name, value in changes.items():
            check_instant(name, value)
            if value <= at_ms:
                raise InputError(f"{name} is {value}: it is over already at {at_ms}")
        with self._context.acting(
            "vehicle.renew", ("vehicle", vehicle_id), at_ms=at_ms, details=dict(changes)
        ) as connection:
            _live_in(connection, vehicle_id)
            connection.execute(sa.update(vehicle).where(vehicle.c.vehicle_id == vehicle_id).values(changes))

    def retire(self, vehicle_id: int, *, at_ms: int) -> None:
        """Take a vehicle out of service; its plate may be entered for another one from now on."""
        with self._context.acting("vehicle.retire", ("vehicle", vehicle_id), at_ms=at_ms) as connection:
            row = _live_in(connection, vehicle_id)
            check_not_before("at_ms", at_ms, row.added_at_ms, "the vehicle's entry")
            connection.execute(
                sa.update(vehicle)
                .where(vehicle.c.vehicle_id == vehicle_id)
                .values(retired_at_ms=at_ms, plate_index=None)
            )

    def tell_level(self, vehicle_id: int, level_permille: int, *, at_ms: int) -> None:
        """Enter how much energy a vehicle has left, in thousandths of all that it holds."""
        check_whole("level_permille", level_permille, 0, 1000)
        with self._context.acting("vehicle.level", ("vehicle", vehicle_id), at_ms=at_ms) as connection:
            _live_in(connection, vehicle_id)
            set_level_in(connection, vehicle_id, level_permille, at_ms)

    def of(self, driver_id: int, *, at_ms: int) -> list[Vehicle]:
        """Give the vehicles of a driver, the newest first, retired ones too."""
        vault, classes = self._context.vault, self._context.vertical.classes
        person = ("driver", driver_id)
        with self._context.acting("vehicle.read", person, at_ms=at_ms) as connection:
            rows = connection.execute(
                sa.select(vehicle)
                .where(vehicle.c.driver_id == driver_id)
                .order_by(vehicle.c.vehicle_id.desc())
            ).all()
            return [
                Vehicle(
                    classes[row.vehicle_class],
                    row.seats,
                    row.energy,
                    row.range_m,
                    open_text(connection, vault, person, vehicle.c.plate, row.vehicle_id, row.plate),
                    row.insured_until_ms,
                    row.inspected_until_ms,
                    row.vehicle_id,
                    driver_id,
                    row.level_permille,
                    row.level_at_ms,
                    row.retired_at_ms,
                )
                for row in rows
            ]

    def find(self, plate: str, *, scope_id: int, at_ms: int) -> int | None:
        """Give the vehicle of a place that has a plate, None if none has."""
        check_text("plate", plate, 20)
        index = plate_index(self._context, plate)
        with self._context.acting("vehicle.find", at_ms=at_ms, scope_id=scope_id) as connection:
            wanted = sa.select(vehicle.c.vehicle_id).where(
                vehicle.c.scope_id == scope_id, vehicle.c.plate_index == index
            )
            return connection.execute(wanted).scalar_one_or_none()


def range_left_in(connection: sa.Connection, driver_ids: Sequence[int]) -> NDArray[np.int64]:
    """Give how far the vehicles of drivers (n,) go with the energy last told of: metres (n,), -1 if unknown.

    Of several vehicles the one entered last counts.
    """
    ids = np.asarray(driver_ids, dtype=np.int64)
    driver, _, metres, level = bulk.fetch(
        connection,
        sa.select(vehicle.c.driver_id, vehicle.c.vehicle_id, vehicle.c.range_m, vehicle.c.level_permille)
        .where(vehicle.c.retired_at_ms.is_(None), bulk.among(connection, vehicle.c.driver_id, ids))
        .order_by(vehicle.c.driver_id, vehicle.c.vehicle_id),
    )
    left = np.full(len(ids), -1, np.int64)
    if len(driver):
        last = np.searchsorted(driver, ids, side="right") - 1
        known = (last >= 0) & (driver[last] == ids) & (metres[last] >= 0) & (level[last] >= 0)
        left[known] = metres[last[known]] * level[last[known]] // 1000
    return left


def set_level_in(connection: sa.Connection, vehicle_id: int, level_permille: int, at_ms: int) -> None:
    """Enter a level of energy, unless a later one is known already."""
    connection.execute(
        sa.update(vehicle)
        .where(
            vehicle.c.vehicle_id == vehicle_id,
            sa.or_(vehicle.c.level_at_ms.is_(None), vehicle.c.level_at_ms <= at_ms),
        )
        .values(level_permille=level_permille, level_at_ms=at_ms)
    )


def levels_in(connection: sa.Connection, levels: Sequence[tuple[int, int, int]]) -> None:
    """Enter what drivers' cars told: (driver, thousandths, instant), a driver once.

    Of several vehicles the one entered last counts, as in :func:`range_left_in`.
    """
    ids = sorted({one[0] for one in levels})
    newest = (
        sa.select(vehicle.c.driver_id, sa.func.max(vehicle.c.vehicle_id))
        .where(vehicle.c.retired_at_ms.is_(None), bulk.among(connection, vehicle.c.driver_id, ids))
        .group_by(vehicle.c.driver_id)
    )
    of = {row[0]: row[1] for row in connection.execute(newest)}
    for driver_id, level_permille, at_ms in levels:
        if driver_id in of:
            set_level_in(connection, of[driver_id], level_permille, at_ms)


def plate_index(context: Context, plate: str) -> bytes:
    """Give the hash that a plate is found by; blanks, dashes and case make no difference."""
    return context.vault.find_by("vehicle.plate", "".join(c for c in plate.upper() if c.isalnum()))


def _live_in(connection: sa.Connection, vehicle_id: int) -> sa.Row[Any]:
    check_id("vehicle_id", vehicle_id)
    wanted = sa.select(vehicle).where(vehicle.c.vehicle_id == vehicle_id).with_for_update()
    row = connection.execute(wanted).one()
    if row.retired_at_ms is not None:
        raise StateError(f"vehicle {vehicle_id} was retired at {row.retired_at_ms}")
    return row
