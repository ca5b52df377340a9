"""The engine's events into the database, each exactly once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_id, persistently
from dispatch.crm.coupling.consequences import draw_in
from dispatch.crm.coupling.folding import (
    ORDER_COLUMNS,
    Folded,
    Wholes,
    added_days,
    duties,
    fold,
    order_ids,
)
from dispatch.crm.rules import check_name
from dispatch.crm.tables import orders as tables
from dispatch.engine.events import EVENT_DTYPE, EventKind, Events
from dispatch.engine.lifecycle import OrderStatus
from dispatch.errors import InputError
from dispatch.store import bulk
from dispatch.units import MS_PER_S, NO_VALUE

_ZERO_WHERE_UNKNOWN: Final = ("stage", "num_offers")


@dataclass(frozen=True)
class Applied:
    """What a call of :meth:`EventLog.apply` did."""

    num_new: int
    """events that were applied"""
    num_known: int
    """events that had been applied before"""
    num_orders: int
    """orders that the new ones spoke of"""
    num_completed: int
    next_seq: int
    """place in the stream of the event to come"""


class EventLog:
    """Folds the engine's logs into orders, offers, trips, and sums of days."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def apply(
        self, events: Events, *, first_seq: int, stream: str = "engine", scope_id: int | None = None
    ) -> Applied:
        """Apply a part of a log: as a whole, and each event once, however often it is told.

        An event's id is its place in its stream. What was applied before is left out; a part that begins
        after the next place would lose events and is refused. Several streams may be applied at once; where
        one and something else wait for each other it begins anew.

        Parameters
        ----------
        events : (n,) EVENT_DTYPE
            As the dispatcher gives them, in the order of time.
        first_seq : int
            Place of the first of them in the stream, from 0.
        stream : str
            Name of the log: one engine's, from its beginning.
        scope_id : int, optional
            Where orders of a new stream belong, see :meth:`Crm.scope`.

        Raises
        ------
        InputError
            Events are missing before the first; time goes backwards; or the same place held another event
            before. Nothing was applied.

        Complexity
        ----------
        Linear; see ``benchmarks`` for events a second on either database.
        """
        _check_events(events)
        check_name("stream", stream)
        check_id("first_seq", first_seq)
        return persistently(lambda: self._apply_once(events, first_seq, stream, scope_id))

    def next_seq(self, stream: str = "engine") -> int:
        """Give the place in a stream of the event to come: where to go on after a crash."""
        with self._context.looking("events.read") as connection:
            found = sa.select(tables.event_stream.c.next_seq).where(tables.event_stream.c.name == stream)
            return int(connection.execute(found).scalar() or 0)

    def _apply_once(self, events: Events, first_seq: int, stream: str, scope_id: int | None) -> Applied:
        at_ms = int(events["at_ms"].max(initial=0))
        with self._context.acting("events.apply", at_ms=at_ms, scope_id=scope_id) as connection:
            known = _stream(connection, stream, scope_id)
            num_known = known.next_seq - first_seq
            if num_known < 0:
                raise InputError(
                    f"first_seq is {first_seq}: stream {stream!r} goes on at {known.next_seq}; events "
                    "between are missing, apply them first"
                )
            new = events[num_known:]
            _check_same(connection, known.stream_id, events[:num_known], first_seq)
            if not len(new):
                return Applied(0, len(events), 0, 0, known.next_seq)
            if known.last_at_ms is not None and new["at_ms"][0] < known.last_at_ms:
                raise InputError(
                    f"events[{num_known}].at_ms is {new['at_ms'][0]}: time goes backwards, stream "
                    f"{stream!r} is at {known.last_at_ms}"
                )
            return self._apply(connection, known, new, len(events) - len(new))

    def _apply(self, connection: sa.Connection, known: _Stream, new: Events, num_known: int) -> Applied:
        told = order_ids(new)
        known_orders = _known_orders(connection, told)
        late_after_ms = self._context.vertical.keep.late_after_s * MS_PER_S
        folded = fold(new, told, known_orders, late_after_ms)
        _write_orders(connection, known.scope_id, folded, known_orders)
        _write_offers(connection, folded)
        bulk.insert(connection, tables.trip, {k: _nullable(v) for k, v in folded.trips.items()})
        _write_days(connection, folded, _changed_duties(connection, new))
        _write_log(connection, known.stream_id, known.next_seq, new)
        draw_in(connection, self._context, folded)
        next_seq = known.next_seq + len(new)
        _GO_ON.run(connection, stream=known.stream_id, next=next_seq, last=int(new["at_ms"][-1]))
        bulk.insert(
            connection,
            tables.applied_batch,
            {
                "stream_id": [known.stream_id],
                "first_seq": [known.next_seq],
                "num_events": [len(new)],
                "digest": [_digest(new)],
            },
        )
        return Applied(len(new), num_known, len(told), len(folded.trips["order_id"]), next_seq)


@dataclass(frozen=True, slots=True)
class _Stream:
    """A row of ``event_stream``."""

    stream_id: int
    scope_id: int | None
    next_seq: int
    last_at_ms: int | None


_STREAM: Final = tables.event_stream
_AT: Final = bulk.Prepared(
    sa.select(*(_STREAM.c[name] for name in _Stream.__dataclass_fields__))
    .where(_STREAM.c.name == sa.bindparam("name"))
    .with_for_update()
)
_GO_ON: Final = bulk.Prepared(
    sa.update(_STREAM)
    .where(_STREAM.c.stream_id == sa.bindparam("stream"))
    .values(next_seq=sa.bindparam("next"), last_at_ms=sa.bindparam("last"))
)


def _check_events(events: Events) -> None:
    if getattr(events, "dtype", None) != EVENT_DTYPE or events.ndim != 1:
        raise InputError(
            "events must be a one-dimensional array of EVENT_DTYPE, as the dispatcher gives them"
        )
    at_ms = events["at_ms"]
    back = np.flatnonzero(at_ms[1:] < at_ms[:-1])
    if len(back):
        row = int(back[0]) + 1
        raise InputError(f"events[{row}].at_ms is {at_ms[row]}: time goes backwards within the events")


def _digest(events: Events) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(events).tobytes(), digest_size=16).digest()


def _stream(connection: sa.Connection, name: str, scope_id: int | None) -> _Stream:
    """Give the row of a stream, locked, made where it is new."""
    rows = _AT.rows(connection, name=name)
    if not rows:
        connection.execute(sa.insert(_STREAM).values(name=name, scope_id=scope_id))
        rows = _AT.rows(connection, name=name)
    row = _Stream(*rows[0])
    if scope_id is not None and row.scope_id != scope_id:
        raise InputError(f"scope_id is {scope_id}: stream {name!r} belongs to {row.scope_id}")
    return row


def _check_same(connection: sa.Connection, stream_id: int, again: Events, first_seq: int) -> None:
    """Refuse events whose places held others before, where whole batches are told again."""
    if not len(again):
        return
    batch = tables.applied_batch
    rows = connection.execute(
        sa.select(batch).where(
            batch.c.stream_id == stream_id,
            batch.c.first_seq >= first_seq,
            batch.c.first_seq + batch.c.num_events <= first_seq + len(again),
        )
    )
    for row in rows:
        begin = row.first_seq - first_seq
        if _digest(again[begin : begin + row.num_events]) != row.digest:
            raise InputError(
                f"events[{begin}:{begin + row.num_events}]: other events were applied at these places of the "
                "stream; use another stream for another log"
            )


_KNOWN: Final = bulk.Prepared(
    sa.select(
        tables.orders.c.order_id,
        *(
            sa.func.coalesce(tables.orders.c[name], sa.literal_column(str(NO_VALUE)))
            for name in ORDER_COLUMNS
        ),
    ).where(bulk.among_told(tables.orders.c.order_id, "orders"))
)


def _known_orders(connection: sa.Connection, told: Wholes) -> dict[str, Wholes]:
    """Read what is known of orders (n,)."""
    columns = {
        name: np.full(len(told), 0 if name in _ZERO_WHERE_UNKNOWN else NO_VALUE, np.int64)
        for name in ORDER_COLUMNS
    }
    rows = _KNOWN.rows(connection, orders=told)
    if rows:
        values = np.array(rows, np.int64).T
        at = np.searchsorted(told, values[0])
        for name, known in zip(ORDER_COLUMNS, values[1:], strict=True):
            columns[name][at] = known
    return columns


def _write_orders(
    connection: sa.Connection, scope_id: int | None, folded: Folded, known: dict[str, Wholes]
) -> None:
    """Write orders as they stand now: of those that were not submitted just now, what changed alone."""
    orders = folded.orders
    for rows, keeps in ((folded.submitted, ()), (~folded.submitted, ("scope_id",))):
        of = {"order_id": orders["order_id"][rows]}
        for name in ORDER_COLUMNS:
            now = orders[name][rows]
            if (now != known[name][rows]).any():
                of[name] = now
        columns = {name: _nullable(values) if name != "stage" else values for name, values in of.items()}
        columns["scope_id"] = [scope_id] * len(of["order_id"])
        bulk.upsert(connection, tables.orders, columns, keeps=keeps)


def _write_offers(connection: sa.Connection, folded: Folded) -> None:
    """Write offers, answers to those of earlier batches, and what became of those of orders that ended."""
    bulk.insert(connection, tables.offer, {k: _nullable(v) for k, v in folded.offers.items()})
    table, answers = tables.offer, folded.answers
    if len(answers["order_id"]):
        change = (
            sa.update(table)
            .where(
                table.c.order_id == sa.bindparam("of_order"),
                table.c.driver_id == sa.bindparam("of_driver"),
                table.c.outcome.is_(None),
            )
            .values(outcome=sa.bindparam("what"), answered_at_ms=sa.bindparam("when"))
        )
        names = ("what", "when", "of_order", "of_driver")
        rows = zip(*(answers[name].tolist() for name in answers), strict=True)
        connection.execute(change, [dict(zip(names, row, strict=True)) for row in rows])
    gone = folded.ended[folded.orders["stage"][folded.ended] == OrderStatus.CANCELLED]
    if len(gone):
        _LEFT_OPEN.run(connection, orders=folded.orders["order_id"][gone])


_LEFT_OPEN: Final = bulk.Prepared(
    sa.update(tables.offer)
    .where(bulk.among_told(tables.offer.c.order_id, "orders"), tables.offer.c.outcome.is_(None))
    .values(outcome=sa.literal_column(str(int(EventKind.ORDER_CANCELLED))))
)


def _write_days(connection: sa.Connection, folded: Folded, spells: dict[str, Wholes]) -> None:
    """Add to the sums of persons' days; those of drivers with the time on duty that ended."""
    driver_days = added_days("driver_id", folded.driver_days, spells)
    for table, sums in ((tables.customer_day, folded.customer_days), (tables.driver_day, driver_days)):
        changes = [name for name, added in sums.items() if name in table.primary_key or added.any()]
        columns = {name: sums[name] for name in changes}
        bulk.upsert(connection, table, columns, adds=[one for one in changes if one not in table.primary_key])


def _write_log(connection: sa.Connection, stream_id: int, first_seq: int, new: Events) -> None:
    """Write every event into the log of stages."""
    bulk.insert(
        connection,
        tables.order_stage,
        {
            "stream_id": [stream_id] * len(new),
            "seq": np.arange(first_seq, first_seq + len(new)),
            "order_id": _nullable(new["order_id"]),
            "driver_id": _nullable(new["driver_id"]),
            "kind": new["kind"],
            "at_ms": new["at_ms"],
        },
    )


def _changed_duties(connection: sa.Connection, new: Events) -> dict[str, Wholes]:
    """Keep who is on duty, and give the time of those who went off, by driver and day."""
    is_duty = (new["kind"] == EventKind.DRIVER_ONLINE) | (new["kind"] == EventKind.DRIVER_OFFLINE)
    drivers = np.unique(new["driver_id"][is_duty])
    if not len(drivers):
        return {}
    before = dict(_ON_DUTY.rows(connection, drivers=drivers))
    sums, after = duties(new[is_duty], before)
    _OFF_DUTY.run(connection, drivers=[one for one in before if one not in after])
    begun = {one: at_ms for one, at_ms in sorted(after.items()) if before.get(one) != at_ms}
    bulk.upsert(connection, tables.duty, {"driver_id": list(begun), "online_at_ms": list(begun.values())})
    return sums


_IS_MEANT: Final = bulk.among_told(tables.duty.c.driver_id, "drivers")
_ON_DUTY: Final = bulk.Prepared(
    sa.select(tables.duty.c.driver_id, tables.duty.c.online_at_ms)
    .where(_IS_MEANT)
    .order_by(tables.duty.c.driver_id)
    .with_for_update()
)
_OFF_DUTY: Final = bulk.Prepared(sa.delete(tables.duty).where(_IS_MEANT))


def _nullable(values: NDArray[Any]) -> list[Any]:
    """Give whole numbers (n,) with None where there is none."""
    told: list[Any] = values.tolist()
    missing = np.flatnonzero(values == NO_VALUE)
    if 2 * len(missing) > len(told):
        return [None if value == NO_VALUE else value for value in told]
    for row in missing.tolist():
        told[row] = None
    return told
