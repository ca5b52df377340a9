"""Travel times that change with the time of day and the day of the week.

The rule: a week is cut into slots, each with a travel time for every arc. A slot's times hold in its middle;
between the middles of two neighbouring slots they are interpolated linearly, arc by arc, and rounded to whole
milliseconds. They are not computed for every instant but for steps of some minutes, each of which takes the
times of its own middle, so that all questions of a step share one metric.

An instant's metric is used for a whole trip: a snapshot, not a forecast. A trip that sets out before the rush
hour is timed as if the roads stayed as they are. Within a step nobody overtakes by leaving later (FIFO); from
one step to the next, one who leaves later may be timed to arrive earlier, if travel times fall faster than
time passes.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.roads.network_file import Network, load_network
from dispatch.roads.tables import Column, Table, find_table, read_table
from dispatch.roads.trips import zone_info
from dispatch.units import DURATION_DTYPE, MAX_TRAVEL_MS, MS_PER_S, NO_INDEX, UNREACHABLE_MS

DAY_KINDS: Final = ("weekday", "saturday", "sunday")
MINUTES_PER_DAY: Final = 24 * 60
MINUTES_PER_WEEK: Final = 7 * MINUTES_PER_DAY

_KIND_OF_DAY: Final = (0, 0, 0, 0, 0, 1, 2)
"""Row of :data:`DAY_KINDS` by day of the week, Monday first."""
_PREFIXES: Final = ("week", "sat", "sun")
_ENDS: Final = (
    Column("from_node", ("u", "source", "from", "from_id"), "whole", required=True),
    Column("to_node", ("v", "target", "to", "to_id"), "whole", required=True),
)

T = TypeVar("T", covariant=True)


class Blend(NamedTuple):
    """Between which slots an instant lies, and how far it is from the first: ``num / den`` of the way."""

    first: int
    """row of the slot"""
    second: int
    num: int
    den: int


@dataclass(frozen=True)
class TimeOfDay:
    """Travel times of all arcs by slots of a weekday, a Saturday and a Sunday.

    Slots are rows sorted by kind of day, then start. A slot lasts until the next one of its day, the last one
    until the first of the following day, of whichever kind that is. Starts are minutes of local time after
    the midnight with which the day begins, and may lie beyond the next midnight: a Saturday from 5:00 to 5:00
    has slots from 300 to below 1740.

    Raises
    ------
    InputError
        A shape or a value is wrong, or the slots of two days overlap.
    """

    slot_kind: NDArray[np.int8]
    """(slots,) row in :data:`DAY_KINDS`; every kind has a slot"""
    slot_start_min: NDArray[np.int32]
    """(slots,) minutes after midnight"""
    travel_ms: NDArray[np.int32]
    """(slots, arcs) 0 … ``MAX_TRAVEL_MS``, or ``UNREACHABLE_MS``: closed"""
    step_min: int = 15
    """Minutes that share one metric; a divisor of the day's 1440"""

    def __post_init__(self) -> None:
        num_slots = len(self.slot_kind)
        for name, dtype, last, rule in (
            ("slot_kind", np.int8, len(DAY_KINDS) - 1, f"a row of {DAY_KINDS}"),
            ("slot_start_min", np.int32, 2 * MINUTES_PER_DAY - 1, "from 0 to 2879, minutes after midnight"),
        ):
            column = np.asarray(getattr(self, name))
            if column.shape != (num_slots,) or column.dtype.kind not in "iu":
                raise InputError(
                    f"{name} is {column.dtype} of shape {column.shape}: it must hold one whole number a slot"
                )
            # Before the cast, which would turn 256 into 0.
            wrong = np.flatnonzero((column < 0) | (column > last))
            if len(wrong):
                raise InputError(f"{name}[{wrong[0]}] is {column[wrong[0]]}: it must be {rule}")
            object.__setattr__(self, name, column.astype(dtype))
        travel_ms = np.asarray(self.travel_ms)
        if travel_ms.ndim != 2 or len(travel_ms) != num_slots or travel_ms.dtype.kind not in "iu":
            raise InputError(
                f"travel_ms is {travel_ms.dtype} of shape {travel_ms.shape}: it must hold whole "
                f"milliseconds, ({num_slots} slots, arcs)"
            )
        _check_travel_times(travel_ms)
        object.__setattr__(self, "travel_ms", np.array(travel_ms, DURATION_DTYPE, order="C"))
        _check_slots(self)

    @property
    def num_arcs(self) -> int:
        """Number of arcs."""
        return int(self.travel_ms.shape[1])

    def travel_ms_at(self, at_ms: int, timezone: str) -> NDArray[np.int32]:
        """Give the travel time of each arc at an instant, by the rule of this module.

        Parameters
        ----------
        at_ms : int
            Milliseconds since the epoch.
        timezone : str
            IANA name of the local time in which slots are told.

        Returns
        -------
        (arcs,) int32
            Rounded to whole milliseconds, halves up; ``UNREACHABLE_MS`` where either slot has it, but in the
            very middle of a slot only that one counts.
        """
        return self.blended(self.blend_at(at_ms, timezone))

    def blend_at(self, at_ms: int, timezone: str) -> Blend:
        """Tell the slots and the weight of an instant; equal blends have equal travel times."""
        local = datetime.datetime.fromtimestamp(at_ms // MS_PER_S, zone_info(timezone))
        minute = (local.weekday() * 24 + local.hour) * 60 + local.minute
        middles, rows = self._week
        # Twice the minutes: the middle of a step or of a slot may be half a minute.
        middle = 2 * (minute // self.step_min * self.step_min) + self.step_min
        after = int(np.searchsorted(middles, middle, side="right"))
        before, after = after - 1, after % len(middles)
        wrap = 2 * MINUTES_PER_WEEK
        gap = int(middles[after] - middles[before]) % wrap or wrap
        return Blend(int(rows[before]), int(rows[after]), int(middle - middles[before]) % wrap, gap)

    def blended(self, blend: Blend) -> NDArray[np.int32]:
        """Give the travel time of each arc (arcs,) at a :class:`Blend`."""
        first, second = self.travel_ms[blend.first], self.travel_ms[blend.second]
        weighed = first.astype(np.int64) * (blend.den - blend.num) + second.astype(np.int64) * blend.num
        travel_ms = (2 * weighed + blend.den) // (2 * blend.den)
        travel_ms[first == UNREACHABLE_MS] = UNREACHABLE_MS
        if blend.num > 0:
            travel_ms[second == UNREACHABLE_MS] = UNREACHABLE_MS
        return np.asarray(travel_ms, DURATION_DTYPE)

    @cached_property
    def _week(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give twice the minute of the week in the middle of each slot, ascending, and the slot's row."""
        starts, rows = self.week_starts()
        middles = starts + np.append(starts[1:], starts[0] + MINUTES_PER_WEEK)
        middles %= 2 * MINUTES_PER_WEEK
        order = np.argsort(middles, kind="stable")
        return middles[order], rows[order]

    def week_starts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give the start of every slot of a week, in minutes after Monday 0:00, and its row."""
        days = [np.flatnonzero(self.slot_kind == kind) for kind in _KIND_OF_DAY]
        rows = np.concatenate(days)
        midnight = np.repeat(MINUTES_PER_DAY * np.arange(7), [len(day) for day in days])
        return midnight + self.slot_start_min[rows], rows


@runtime_checkable
class ByTime(Protocol[T]):
    """Whatever gives the travel times of an instant: :class:`MetricsByTime`, or a live source of traffic."""

    def at(self, at_ms: int) -> T:
        """Give what is in force at an instant, milliseconds since the epoch."""
        ...


class MetricsByTime(Generic[T]):
    """Metrics by the time of day, made when first asked for; the last few are kept.

    Any number of threads may ask: a metric is made once, swapped in whole, and those who still use an earlier
    one keep it.

    Parameters
    ----------
    time_of_day : TimeOfDay
    timezone : str
        IANA name.
    make : callable
        Makes a metric of ``travel_ms`` (arcs,) int32, which it may keep: it is never written again.
    num_kept : int
        How many metrics are kept, at least 1. Time goes on: the oldest is forgotten first.

    Raises
    ------
    InputError
        The time zone is unknown, or `num_kept` is below 1.
    """

    def __init__(
        self,
        time_of_day: TimeOfDay,
        timezone: str,
        make: Callable[[NDArray[np.int32]], T],
        num_kept: int = 3,
    ) -> None:
        if num_kept < 1:
            raise InputError(f"num_kept is {num_kept}: it must be at least 1")
        zone_info(timezone)
        self._time_of_day, self._timezone, self._make = time_of_day, timezone, make
        self._num_kept = num_kept
        self._kept: dict[Blend, T] = {}
        self._making = threading.Lock()

    def at(self, at_ms: int) -> T:
        """Give the metric of an instant, milliseconds since the epoch."""
        blend = self._time_of_day.blend_at(at_ms, self._timezone)
        kept = self._kept
        if blend not in kept:
            with self._making:
                kept = self._kept  # another thread may have made it meanwhile
                if blend not in kept:
                    made = self._make(self._time_of_day.blended(blend))
                    # A new dictionary in one assignment: readers without the lock see all of it or nothing.
                    kept = dict([*kept.items(), (blend, made)][-self._num_kept :])
                    self._kept = kept
        return kept[blend]


def load_time_of_day(
    folder: Path, *, day_starts_h: int = 0, max_kph: float = 100.0, step_min: int = 15
) -> TimeOfDay:
    """Read travel times by the hour from the edges of a city's folder.

    The table of edges holds seconds in the columns ``week_00_s … week_23_s``, ``sat_00_s …`` and
    ``sun_00_s …``. A time that is empty, not positive or faster than `max_kph` becomes that of `max_kph`; an
    infinite one closes the arc.

    Parameters
    ----------
    folder : path
        As :meth:`dispatch.City.load` reads it.
    day_starts_h : int
        The hour, 0 to 23, for which column 00 stands: some sources let a day last from 5:00 to 5:00.
    max_kph : float
        1 to 300.
    step_min : int
        See :class:`TimeOfDay`.

    Returns
    -------
    TimeOfDay
        Its arcs are those of the city's graph.

    Raises
    ------
    InputError
        The folder is no city, a column is missing, or a number is out of range.
    """
    if day_starts_h not in range(24):
        raise InputError(f"day_starts_h is {day_starts_h!r}: it must be a whole number from 0 to 23")
    if not 1 <= max_kph <= 300:
        raise InputError(f"max_kph is {max_kph!r}: it must be a number from 1 to 300")
    network = load_network(Path(folder))
    row, hours_s = _hourly(Path(folder), network)
    least_ms = network.graph.length_m * 3.6 / max_kph * MS_PER_S
    told_ms = hours_s[:, row] * MS_PER_S
    travel_ms = np.clip(np.rint(np.fmax(told_ms, least_ms)), 1, MAX_TRAVEL_MS)
    travel_ms[np.isposinf(told_ms)] = UNREACHABLE_MS
    return TimeOfDay(
        np.repeat(np.arange(len(DAY_KINDS), dtype=np.int8), 24),
        np.tile(np.arange(day_starts_h, day_starts_h + 24, dtype=np.int32) * 60, len(DAY_KINDS)),
        travel_ms.astype(DURATION_DTYPE),
        step_min,
    )


def _hourly(folder: Path, network: Network) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Give the row of the table of edges of each arc (arcs,), and the seconds of each hour (72, rows)."""
    names = [f"{prefix}_{hour:02d}_s" for prefix in _PREFIXES for hour in range(24)]
    path = find_table(folder, "edges")
    if path is None:  # pragma: no cover - the network was read from it just now
        raise InputError(f"{folder}: edges missing")
    table = read_table(path, [*_ENDS, *(Column(name) for name in names)])
    missing = [name for name in names if name not in table]
    if missing:
        raise InputError(
            f"{path}: {len(missing)} columns of travel times by the hour are missing, the first is "
            f"{missing[0]!r}; there must be week_00_s … week_23_s, sat_00_s … and sun_00_s …"
        )
    return _row_of_arc(table, network), np.stack([table.floats(name) for name in names])


def _row_of_arc(table: Table, network: Network) -> NDArray[np.int64]:
    """Find the row of the table that each arc (arcs,) was read from; parallel arcs stand as in the file."""
    graph = network.graph
    ends = []
    for name in ("from_node", "to_node"):
        ids, known = table.wholes(name)
        row = np.where(known, network.nodes.find(ids), NO_INDEX)
        ends.append(np.where(row == NO_INDEX, NO_INDEX, network.nodes.node[row]).astype(np.int64))
    used = np.flatnonzero((ends[0] != NO_INDEX) & (ends[1] != NO_INDEX))
    key = ends[0][used] * graph.num_nodes + ends[1][used]
    order = np.argsort(key, kind="stable")
    used, key = used[order], key[order]
    asked = graph.tail.astype(np.int64) * graph.num_nodes + graph.head
    first = np.searchsorted(key, asked)
    alike = np.searchsorted(key, asked, side="right") - first
    if not np.array_equal(alike, np.searchsorted(asked, asked, side="right") - np.searchsorted(asked, asked)):
        raise InputError(
            f"{table.path}: of parallel edges some were left out, so their hours cannot be told apart; mend "
            "their lengths, or leave out those without one"
        )
    row_of_arc: NDArray[np.int64] = used[first + np.arange(len(asked)) - np.searchsorted(asked, asked)]
    return row_of_arc


def _check_travel_times(travel_ms: NDArray[np.integer]) -> None:
    """Raise for the first travel time out of range."""
    wrong = (travel_ms < 0) | (travel_ms > UNREACHABLE_MS)
    if wrong.any():
        slot, arc = (int(i) for i in np.argwhere(wrong)[0])
        raise InputError(
            f"travel_ms[{slot}, {arc}] is {travel_ms[slot, arc]}: it must be from 0 to {MAX_TRAVEL_MS}, or "
            f"UNREACHABLE_MS ({UNREACHABLE_MS}) where the arc is closed"
        )


def _check_slots(times: TimeOfDay) -> None:
    """Raise unless the slots of every week follow each other."""
    if times.step_min not in range(1, MINUTES_PER_DAY + 1) or MINUTES_PER_DAY % times.step_min:
        raise InputError(
            f"step_min is {times.step_min!r}: it must be a whole number of minutes that divides a day's 1440"
        )
    for kind, name in enumerate(DAY_KINDS):
        if not (times.slot_kind == kind).any():
            raise InputError(f"slot_kind holds no {kind}: give every kind of day a slot, a {name} too")
    start_min, row = times.week_starts()
    step = np.diff(np.append(start_min, start_min[0] + MINUTES_PER_WEEK))
    wrong = np.flatnonzero(step <= 0)
    if len(wrong):
        before = int(row[wrong[0]])
        raise InputError(
            f"slot_start_min[{before}] is {times.slot_start_min[before]}: slots must be sorted by kind, then "
            "start, and the last of a day must start before the first of the next one"
        )
