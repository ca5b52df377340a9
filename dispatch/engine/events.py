"""The event log: one structured array, from which every KPI follows."""

from __future__ import annotations

import hashlib
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.kernels.event_log import EVENT_DTYPE as EVENT_DTYPE
from dispatch.kernels.jit import direct
from dispatch.units import NO_COORDINATE, NO_VALUE

_COPY: Final = direct("event_log.copy_events")
_SORT: Final = direct("event_log.sort_by_time")


class EventKind(IntEnum):
    """What happened. The numbers are part of the log's format: add, never renumber."""

    DRIVER_ONLINE = 0
    DRIVER_OFFLINE = 1
    ORDER_SUBMITTED = 2
    CARS_SHOWN = 3
    ORDER_OFFERED = 4
    OFFER_ACCEPTED = 5
    OFFER_DECLINED = 6
    OFFER_EXPIRED = 7
    ORDER_ASSIGNED = 8
    ORDER_UNASSIGNED = 9
    DRIVER_ARRIVED = 10
    PICKED_UP = 11
    DROPPED_OFF = 12
    ORDER_CLOSED = 13
    ORDER_CANCELLED = 14
    ORDER_EXPIRED = 15
    ORDER_RELEASED = 16
    """Taken from a driver on the way, to be given to another one in the same instant."""
    ORDER_REASSIGNED = 17
    """Given to another driver without an offer."""
    REPOSITION_ADVISED = 18
    """An idle driver is asked to drive to a place."""
    CRUISING_LEG = 19
    """A driver without an order drove so many metres of its own accord; changes nothing."""
    REPOSITIONING_LEG = 20
    """The same, as advised."""
    ABANDONED_LEG = 21
    """Metres driven to a pickup that was not reached, because the order was cancelled or taken away."""
    PICKUP_MISS_PREDICTED = 22
    """The driver on the way is expected much later than promised; changes nothing."""


Events = NDArray[np.void]
"""(events,) of :data:`EVENT_DTYPE`, ordered by ``at_ms``; events of one instant stand in causal order."""


def _blank() -> Events:
    blank = np.empty(1, EVENT_DTYPE)
    for name in EVENT_DTYPE.names or ():
        blank[name] = NO_COORDINATE if name.endswith("_e6") else NO_VALUE
    return blank


_BLANK: Final = _blank()


def make_events(kind: EventKind, num_events: int, **columns: Any) -> Events:
    """Make events of one kind; columns that are not given hold their sentinel."""
    events = np.repeat(_BLANK, num_events)
    events["kind"] = int(kind)
    for name, values in columns.items():
        events[name] = values
    return events


class EventBuffer:
    """Events in the sequence in which they were made, until they are taken."""

    def __init__(self, room: int = 256) -> None:
        self._events = np.empty(room, EVENT_DTYPE)
        self._num_events = 0

    @property
    def events(self) -> Events:
        """All that are there; a view."""
        return self._events[: self._num_events]

    def room(self, num_events: int) -> Events:
        """Give room for the next events, to be written as a whole; they count once they are kept."""
        begin, end = self._num_events, self._num_events + num_events
        if end > len(self._events):
            grown = np.empty(2 * end, EVENT_DTYPE)
            _COPY.call(self._events[:begin], grown)
            self._events = grown
        return self._events[begin:end]

    def keep(self, num_events: int) -> None:
        """Count the events that were written into the :meth:`room` given last."""
        self._num_events += num_events

    def append(self, events: Events) -> None:
        """Add finished events, a contiguous array."""
        _COPY.call(events, self.room(len(events)))
        self.keep(len(events))

    def take(self) -> Events:
        """Hand out the events and forget them; ordered by time, causes before effects."""
        taken = np.empty(self._num_events, EVENT_DTYPE)
        _SORT.call(self.events, taken)
        self._num_events = 0
        return taken


def log_sha256(events: Events) -> str:
    """Hash the log's bytes: equal logs, equal hashes, on any machine of the same byte order."""
    return hashlib.sha256(np.ascontiguousarray(events).tobytes()).hexdigest()


def write_log(events: Events, path: Path) -> None:
    """Write the log as Parquet, one column a field, kinds as readable names."""
    columns = {
        name: np.ascontiguousarray(events[name]) for name in (EVENT_DTYPE.names or ()) if name != "kind"
    }
    names = pa.array([kind.name.lower() for kind in EventKind])
    kinds = pa.DictionaryArray.from_arrays(pa.array(np.ascontiguousarray(events["kind"])), names)
    pq.write_table(pa.table({**columns, "kind": kinds}), path)


def read_log(path: Path) -> Events:
    """Read a log that :func:`write_log` wrote; :class:`InputError` if it is none."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from error
    missing = [name for name in (EVENT_DTYPE.names or ()) if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: no event log, the columns {missing} are missing")
    events = np.empty(table.num_rows, EVENT_DTYPE)
    for name in EVENT_DTYPE.names or ():
        if name != "kind":
            column = table[name]
            if not pa.types.is_integer(column.type) or column.null_count:
                raise InputError(
                    f"{path}: no event log, column {name} holds {column.type} with {column.null_count} "
                    "empty cells; it must hold whole numbers"
                )
            events[name] = column.to_numpy()
    number = {kind.name.lower(): int(kind) for kind in EventKind}
    names = table["kind"].to_pylist()
    unknown = sorted(set(names) - number.keys(), key=str)
    if unknown:
        raise InputError(f"{path}: unknown event kinds {unknown[:5]}")
    events["kind"] = [number[name] for name in names]
    return events
