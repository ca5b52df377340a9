"""Sums of drivers' days that ratings, upheld complaints and appeals change, once each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from dispatch.crm.tables.fleet import score_correction
from dispatch.crm.tables.orders import driver_day, order_stage
from dispatch.crm.tables.service import rating
from dispatch.engine.events import EventKind
from dispatch.errors import InputError, StateError
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

KINDS: Final = ("rating", "cancel")
"""What an appeal can take out by itself: a rating by its id, a given-up order by the order's id."""


def add_to_days_in(
    connection: sa.Connection, driver_ids: Sequence[int], days: Sequence[int], **columns: Sequence[int]
) -> None:
    """Add numbers (n,) to sums of drivers' days; a driver and day may stand in several rows."""
    summed: dict[tuple[int, int], list[int]] = {}
    for row, key in enumerate(zip(driver_ids, days, strict=True)):
        mine = summed.setdefault(key, [0] * len(columns))
        for place, values in enumerate(columns.values()):
            mine[place] += values[row]
    keys = sorted(summed)  # the same sequence for everybody, or two could wait for each other
    told = {name: [summed[key][place] for key in keys] for place, name in enumerate(columns)}
    days_told = {"driver_id": [key[0] for key in keys], "day": [key[1] for key in keys]}
    bulk.upsert(connection, driver_day, days_told | told, adds=columns)


def take_from_day_in(connection: sa.Connection, driver_id: int, day: int, **columns: int) -> None:
    """Take numbers out of the sums of a driver's day, where they are in them still."""
    there = [driver_day.c[name] >= least for name, least in columns.items()]
    connection.execute(
        sa.update(driver_day)
        .where(driver_day.c.driver_id == driver_id, driver_day.c.day == day, *there)
        .values({name: driver_day.c[name] - less for name, less in columns.items()})
    )


def take_out_in(connection: sa.Connection, kind: str, object_id: int, driver_id: int, at_ms: int) -> None:
    """Take a rating, or an order that was given up, out of a driver's sums.

    Raises
    ------
    InputError
        The driver has no such rating, or did not give up such an order.
    StateError
        It was taken out before.
    """
    if kind == "rating":
        row = connection.execute(
            sa.select(rating).where(
                rating.c.rating_id == object_id, rating.c.driver_id == driver_id, rating.c.about == "driver"
            )
        ).one_or_none()
        if row is None:
            raise InputError(f"rating {object_id} is none of driver {driver_id}")
        day, less = row.day, {"ratings": 1, "stars": row.stars}
        removed = sa.update(rating).where(rating.c.rating_id == object_id, rating.c.removed_at_ms.is_(None))
        if connection.execute(removed.values(removed_at_ms=at_ms)).rowcount == 0:
            raise StateError(f"rating {object_id} was taken out already")
    elif kind == "cancel":
        day, less = given_up_day_in(connection, object_id, driver_id), {"unassigned": 1}
    else:
        raise InputError(f"kind is {kind!r}: it must be one of {', '.join(KINDS)}")
    known = sa.select(score_correction.c.correction_id).where(
        score_correction.c.kind == kind,
        score_correction.c.object_id == object_id,
        score_correction.c.driver_id == driver_id,
    )
    if connection.execute(known).first() is not None:
        raise StateError(f"{kind} {object_id} of driver {driver_id} was taken out already")
    connection.execute(
        sa.insert(score_correction).values(
            kind=kind, object_id=object_id, driver_id=driver_id, day=day, at_ms=at_ms
        )
    )
    take_from_day_in(connection, driver_id, day, **less)


def given_up_day_in(connection: sa.Connection, order_id: int, driver_id: int) -> int:
    """Give the day on which a driver gave an order up; :class:`InputError` if it did not."""
    log = order_stage.c
    first = sa.select(sa.func.min(log.at_ms)).where(
        log.order_id == order_id, log.driver_id == driver_id, log.kind == int(EventKind.ORDER_UNASSIGNED)
    )
    found = connection.execute(first).scalar_one()
    if found is None:
        raise InputError(f"driver {driver_id} did not give up order {order_id}")
    return int(found) // MS_PER_DAY
