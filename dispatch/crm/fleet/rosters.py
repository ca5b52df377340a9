"""Rosters: which driver is to work when, and who really did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_id, check_instant
from dispatch.crm.people.persons import locked_in
from dispatch.crm.tables.fleet import shift
from dispatch.crm.tables.orders import IS_DUTY, duty, order_stage
from dispatch.crm.tables.people import driver
from dispatch.engine.events import EventKind
from dispatch.errors import InputError, StateError
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

LONGEST_SHIFT_MS: Final = 2 * MS_PER_DAY


@dataclass(frozen=True)
class Shifts:
    """Planned shifts, by their beginning; arrays (n,) int64."""

    shift_id: NDArray[np.int64]
    driver_id: NDArray[np.int64]
    begin_at_ms: NDArray[np.int64]
    end_at_ms: NDArray[np.int64]


@dataclass(frozen=True)
class Attendance:
    """Planned shifts, and how much of each its driver was on duty; arrays (n,) int64."""

    shifts: Shifts
    online_ms: NDArray[np.int64]
    """on duty within the shift, until the instant that was asked for"""
    begun_late_ms: NDArray[np.int64]
    """from the shift's beginning to its driver's first minute on duty in it, -1 if there was none"""


class Rosters:
    """Plans shifts, cancels them, and compares them with what was worked."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def plan(self, driver_id: int, begin_at_ms: int, end_at_ms: int, *, at_ms: int) -> int:
        """Plan a shift; gives its id.

        Raises
        ------
        InputError
            It ends before it begins, is longer than two days, or is over already.
        StateError
            It overlaps another shift of the driver; or the driver has left.
        """
        check_shift(begin_at_ms, end_at_ms, at_ms)
        with self._context.acting(
            "shift.plan",
            ("driver", driver_id),
            at_ms=at_ms,
            details={"begin_at_ms": begin_at_ms, "end_at_ms": end_at_ms},
        ) as connection:
            row = locked_in(
                connection, "driver", driver_id, None
            )  # locked: two planners of one driver take turns
            if row.status != "active":
                raise StateError(f"driver {driver_id} is {row.status}: no shifts can be planned")
            check_free_in(connection, [driver_id], [begin_at_ms], [end_at_ms])
            added = connection.execute(
                sa.insert(shift).values(
                    driver_id=driver_id,
                    scope_id=row.scope_id,
                    begin_at_ms=begin_at_ms,
                    end_at_ms=end_at_ms,
                    planned_at_ms=at_ms,
                )
            )
            return int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted

    def plan_many(
        self,
        driver_ids: Sequence[int],
        begin_at_ms: Sequence[int],
        end_at_ms: Sequence[int],
        *,
        scope_id: int,
        at_ms: int,
    ) -> int:
        """Plan shifts (n,) of drivers of a place, all or none; gives how many. Rules as of :meth:`plan`."""
        ids, begins, ends = ([int(one) for one in told] for told in (driver_ids, begin_at_ms, end_at_ms))
        if not len(ids) == len(begins) == len(ends):
            raise InputError(
                f"driver_ids, begin_at_ms, end_at_ms have {len(ids)}, {len(begins)}, {len(ends)} entries: "
                "they must have as many"
            )
        for begin, end in zip(begins, ends, strict=True):
            check_shift(begin, end, at_ms)
        with self._context.acting(
            "shift.plan", at_ms=at_ms, scope_id=scope_id, details={"shifts": len(ids)}
        ) as connection:
            locked = sa.select(driver.c.driver_id).where(
                driver.c.scope_id == scope_id,
                driver.c.status == "active",
                bulk.among(connection, driver.c.driver_id, sorted(set(ids))),
            )
            found = set(connection.execute(locked.order_by(driver.c.driver_id).with_for_update()).scalars())
            if missing := set(ids) - found:
                raise InputError(
                    f"driver_ids: {len(missing)} are not active in scope {scope_id}, {min(missing)} first"
                )
            check_free_in(connection, ids, begins, ends)
            return bulk.insert(
                connection,
                shift,
                {
                    "driver_id": ids,
                    "scope_id": [scope_id] * len(ids),
                    "begin_at_ms": begins,
                    "end_at_ms": ends,
                    "planned_at_ms": [at_ms] * len(ids),
                },
            )

    def cancel(self, shift_id: int, *, at_ms: int) -> None:
        """Cancel a shift that has not ended yet."""
        check_id("shift_id", shift_id)
        with self._context.acting("shift.cancel", ("shift", shift_id), at_ms=at_ms) as connection:
            ended = connection.execute(
                sa.update(shift)
                .where(
                    shift.c.shift_id == shift_id, shift.c.cancelled_at_ms.is_(None), shift.c.end_at_ms > at_ms
                )
                .values(cancelled_at_ms=at_ms)
            )
            if ended.rowcount == 0:
                raise StateError(f"shift {shift_id} is cancelled already, or over at {at_ms}")

    def planned(self, from_ms: int, until_ms: int, *, scope_id: int) -> Shifts:
        """Give shifts of a place that touch a window, as arrays for a simulator or an engine."""
        check_window(from_ms, until_ms)
        with self._context.looking("shift.read", scope_id=scope_id) as connection:
            return shifts_in(connection, from_ms, until_ms, shift.c.scope_id == scope_id)

    def of(self, driver_id: int, from_ms: int, until_ms: int) -> Shifts:
        """Give shifts of one driver that touch a window."""
        check_window(from_ms, until_ms)
        with self._context.looking("shift.read", ("driver", driver_id)) as connection:
            return shifts_in(connection, from_ms, until_ms, shift.c.driver_id == driver_id)

    def attendance(self, from_ms: int, until_ms: int, *, scope_id: int, at_ms: int) -> Attendance:
        """Compare shifts of a place that touch a window with their drivers' time on duty until `at_ms`."""
        check_window(from_ms, until_ms)
        check_instant("at_ms", at_ms)
        with self._context.looking("shift.read", scope_id=scope_id) as connection:
            shifts = shifts_in(connection, from_ms, until_ms, shift.c.scope_id == scope_id)
            if not len(shifts.driver_id):
                none = np.zeros(0, np.int64)
                return Attendance(shifts, none, none)
            begin_ms, end_ms = int(shifts.begin_at_ms.min()), int(shifts.end_at_ms.max())
            spells = duty_in(connection, np.unique(shifts.driver_id), begin_ms, min(end_ms, at_ms))
        return Attendance(shifts, *_worked(shifts, *spells))


def shifts_in(
    connection: sa.Connection, from_ms: int, until_ms: int, which: sa.ColumnElement[bool]
) -> Shifts:
    """Give shifts that touch a window and are not cancelled, by their beginning."""
    wanted = (
        sa.select(shift.c.shift_id, shift.c.driver_id, shift.c.begin_at_ms, shift.c.end_at_ms)
        .where(
            which,
            shift.c.cancelled_at_ms.is_(None),
            shift.c.begin_at_ms < until_ms,
            shift.c.end_at_ms > from_ms,
        )
        .order_by(shift.c.begin_at_ms, shift.c.shift_id)
    )
    return Shifts(*bulk.fetch(connection, wanted))


def duty_in(
    connection: sa.Connection, driver_ids: NDArray[np.int64], from_ms: int, until_ms: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Give the spells on duty of drivers (n,) until an instant: driver, begin and end, (spells,) each.

    A spell that had begun before the window is cut at its beginning; who is on duty still is until its end.
    """
    # Of a spell that covers the whole window neither end lies within it.
    log, since_ms = order_stage.c, from_ms - LONGEST_SHIFT_MS
    who, kind, at_ms = bulk.fetch(
        connection,
        sa.select(log.driver_id, log.kind, log.at_ms)
        .where(
            sa.text(IS_DUTY),
            log.at_ms >= since_ms,
            log.at_ms <= until_ms,
            bulk.among(connection, log.driver_id, driver_ids),
        )
        .order_by(log.driver_id, log.at_ms, log.stream_id, log.seq),
    )
    now_who, now_since = bulk.fetch(
        connection,
        sa.select(duty.c.driver_id, duty.c.online_at_ms).where(
            bulk.among(connection, duty.c.driver_id, driver_ids), duty.c.online_at_ms < since_ms
        ),
    )
    is_end, ends = kind == EventKind.DRIVER_OFFLINE, np.full(len(who), until_ms, np.int64)
    same = np.zeros(len(who), np.bool_)
    same[:-1] = who[:-1] == who[1:]
    ends[:-1][same[:-1]] = at_ms[1:][same[:-1]]
    begins_unseen = is_end.copy()
    begins_unseen[1:] &= who[1:] != who[:-1]
    whose = np.concatenate([who[~is_end], who[begins_unseen], now_who])
    unseen = np.full(begins_unseen.sum() + len(now_since), from_ms)
    begin = np.maximum(np.concatenate([at_ms[~is_end], unseen]), from_ms)
    end = np.concatenate([ends[~is_end], at_ms[begins_unseen], np.full(len(now_who), until_ms)])
    counts = end > from_ms
    return whose[counts], begin[counts], end[counts]


def on_duty_ms_in(
    connection: sa.Connection, driver_ids: NDArray[np.int64], from_ms: int, until_ms: int
) -> NDArray[np.int64]:
    """Sum up how long drivers (n,) ascending were on duty within a window."""
    whose, begin, end = duty_in(connection, driver_ids, from_ms, until_ms)
    worked_ms = np.zeros(len(driver_ids), np.int64)
    np.add.at(worked_ms, np.searchsorted(driver_ids, whose), end - begin)
    return worked_ms


def check_free_in(
    connection: sa.Connection, driver_ids: Sequence[int], begins: Sequence[int], ends: Sequence[int]
) -> None:
    """Raise :class:`StateError` where new shifts (n,) overlap each other or planned ones of their driver."""
    if not driver_ids:
        return
    known = shifts_in(
        connection, min(begins), max(ends), bulk.among(connection, shift.c.driver_id, sorted(set(driver_ids)))
    )
    who = np.concatenate([known.driver_id, np.asarray(driver_ids, np.int64)])
    begin = np.concatenate([known.begin_at_ms, np.asarray(begins, np.int64)])
    end = np.concatenate([known.end_at_ms, np.asarray(ends, np.int64)])
    order = np.lexsort((begin, who))
    who, begin, end = who[order], begin[order], end[order]
    clash = np.flatnonzero((who[1:] == who[:-1]) & (begin[1:] < end[:-1]))
    if len(clash):
        row = int(clash[0])
        raise StateError(
            f"driver {who[row]}: a shift from {begin[row + 1]} overlaps one from {begin[row]} to {end[row]}"
        )


def check_shift(begin_at_ms: int, end_at_ms: int, at_ms: int) -> None:
    """Raise :class:`InputError` unless a shift can be planned."""
    check_instant("begin_at_ms", begin_at_ms)
    check_instant("end_at_ms", end_at_ms)
    check_instant("at_ms", at_ms)
    if not 0 < end_at_ms - begin_at_ms <= LONGEST_SHIFT_MS:
        raise InputError(
            f"end_at_ms is {end_at_ms}: from {begin_at_ms}, a shift lasts 1 to {LONGEST_SHIFT_MS} ms"
        )
    if end_at_ms <= at_ms:
        raise InputError(f"end_at_ms is {end_at_ms}: the shift is over already at {at_ms}")


def check_window(from_ms: int, until_ms: int) -> None:
    """Raise :class:`InputError` unless a window ends after it begins."""
    check_instant("from_ms", from_ms)
    check_instant("until_ms", until_ms)
    if until_ms <= from_ms:
        raise InputError(f"until_ms is {until_ms}: it must be after from_ms, {from_ms}")


def _worked(
    shifts: Shifts, who: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give time on duty within each shift, and how late it began."""
    order = np.argsort(who, kind="stable")
    who, begin, end = who[order], begin[order], end[order]
    online = np.zeros(len(shifts.driver_id), np.int64)
    late = np.full(len(shifts.driver_id), -1, np.int64)
    first, last = (np.searchsorted(who, shifts.driver_id, side=side) for side in ("left", "right"))
    for row in range(len(shifts.driver_id)):
        mine = slice(first[row], last[row])
        since = np.maximum(begin[mine], shifts.begin_at_ms[row])
        overlap = np.minimum(end[mine], shifts.end_at_ms[row]) - since
        if (overlap > 0).any():
            online[row] = overlap[overlap > 0].sum()
            late[row] = since[overlap > 0].min() - shifts.begin_at_ms[row]
    return online, late
