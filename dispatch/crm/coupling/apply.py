"""The engine's events into the database, each exactly once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_id, check_not_before, persistently
from dispatch.crm.coupling.consequences import draw_in
from dispatch.crm.coupling.folding import (
    ORDER_COLUMNS,
    Folded,
    Spell,
    Wholes,
    added_days,
    check_own_ids,
    duties,
    fold,
    order_ids,
)
from dispatch.crm.coupling.streams import (
    Stream,
    check_closed_in,
    check_same_in,
    close_in,
    endings_in,
    find_in,
    go_on_in,
    stream_in,
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


@dataclass(frozen=True)
class ClosedStream:
    """What a call of :meth:`EventLog.close_stream` ended."""

    num_lost: int
    """orders that came to nothing"""
    num_served: int
    """orders whose customer had been dropped off: they are closed as others are"""
    num_off_duty: int
    """drivers"""


class EventLog:
    """Folds the engine's logs into orders, offers, trips, and sums of days.

    The log is the caller's until it is applied: what a program has taken from its dispatcher and not applied
    when it dies is lost to the CRM. A program that kept its log goes on at :meth:`next_seq`, and may tell
    some again. One that did not, or whose engine begins anew, has another log: it closes the old stream
    (:meth:`close_stream`), and tells the new log under another name, from 0, with
    ids of their own for new orders.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def apply(
        self, events: Events, *, first_seq: int, stream: str = "engine", scope_id: int | None = None
    ) -> Applied:
        """Apply a part of a log: as a whole, and each event once, however often it is told.

        An event's id is its place in its stream. What was applied before is left out, once it is found to be
        the same: all of it in batches that are told again as a whole, kind, instant, order and driver in
        those that are told in part. A part that begins after the next place would lose events and is
        refused. What follows does not depend on where a log is cut. An order's id is its own for ever, over
        all streams: the engine frees ids, the CRM does not. An order that is open may be submitted again, as
        at another engine. Several streams may be applied at once; where one and something else wait for each
        other it begins anew.

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
            Events are missing before the first; time goes backwards; the same place held another event
            before, as in the log of an engine that was started anew; or an order is submitted by the id of
            one that was served or has ended. Nothing was applied.
        StateError
            The stream is closed, and these are not events that were applied.

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

    def close_stream(self, stream: str = "engine", *, at_ms: int) -> ClosedStream:
        """End what a log left open that goes no further, as that of an engine which died; audited.

        All ends at the last instant that the stream knows of. Orders whose customer was dropped off are
        closed; all others are lost: they expire, so that coupons and points that were used on them are given
        back, and no customer's standing suffers. Drivers on duty go off. Orders and drivers of whom another
        stream has told since are left as they are. Nothing more of the stream can be applied, and what was
        lost is not submitted again under its id. Closed again, nothing changes.

        Parameters
        ----------
        stream : str
        at_ms : int
            Now, not before the stream's last event.

        Raises
        ------
        InputError
            There is no such stream, or time goes backwards.

        Complexity
        ----------
        Linear in the orders of the database.
        """
        check_name("stream", stream)
        return persistently(lambda: self._close_once(stream, at_ms))

    def _close_once(self, stream: str, at_ms: int) -> ClosedStream:
        details: dict[str, Any] = {"stream": stream}
        with self._context.acting("events.close", at_ms=at_ms, details=details) as connection:
            known = find_in(connection, stream)
            if known is None:
                raise InputError(f"stream is {stream!r}: nothing was applied under this name")
            check_not_before("at_ms", at_ms, known.last_at_ms or 0, f"the last event of stream {stream!r}")
            nothing = known.closed_at_ms is not None
            ends = endings_in(connection, known)[: 0 if nothing else None]
            if len(ends):
                self._apply(connection, known, ends, 0)
            if not nothing:
                close_in(connection, known, at_ms)
            kinds = (EventKind.ORDER_EXPIRED, EventKind.ORDER_CLOSED, EventKind.DRIVER_OFFLINE)
            closed = ClosedStream(*(int((ends["kind"] == kind).sum()) for kind in kinds))
            details.update(asdict(closed))
            return closed

    def _apply_once(self, events: Events, first_seq: int, stream: str, scope_id: int | None) -> Applied:
        at_ms = int(events["at_ms"].max(initial=0))
        with self._context.acting("events.apply", at_ms=at_ms, scope_id=scope_id) as connection:
            known = stream_in(connection, stream, scope_id)
            if known.closed_at_ms is not None:
                check_closed_in(connection, known, events, first_seq)
                return Applied(0, len(events), 0, 0, known.next_seq)
            num_known = known.next_seq - first_seq
            if num_known < 0:
                raise InputError(
                    f"first_seq is {first_seq}: stream {stream!r} goes on at {known.next_seq}; events "
                    "between are missing, apply them first"
                )
            new = events[num_known:]
            check_same_in(connection, known, events[:num_known], first_seq)
            if not len(new):
                return Applied(0, len(events), 0, 0, known.next_seq)
            if known.last_at_ms is not None and new["at_ms"][0] < known.last_at_ms:
                raise InputError(
                    f"events[{num_known}].at_ms is {new['at_ms'][0]}: time goes backwards, stream "
                    f"{stream!r} is at {known.last_at_ms}"
                )
            return self._apply(connection, known, new, len(events) - len(new))

    def _apply(self, connection: sa.Connection, known: Stream, new: Events, num_known: int) -> Applied:
        told = order_ids(new)
        known_orders = _known_orders(connection, told)
        check_own_ids(new, told, known_orders, num_known)
        late_after_ms = self._context.vertical.keep.late_after_s * MS_PER_S
        folded = fold(new, told, known_orders, late_after_ms)
        _write_orders(connection, known.scope_id, folded, known_orders)
        _write_offers(connection, folded)
        bulk.insert(connection, tables.trip, {k: _nullable(v) for k, v in folded.trips.items()})
        _write_days(connection, folded, _changed_duties(connection, known.stream_id, new))
        _write_log(connection, known.stream_id, known.next_seq, new)
        draw_in(connection, self._context, folded)
        next_seq = go_on_in(connection, known, new)
        return Applied(len(new), num_known, len(told), len(folded.trips["order_id"]), next_seq)


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
    stage = folded.orders["stage"][folded.ended]
    for ends, kind in _ENDS_OFFERS:
        gone = folded.ended[stage == ends]
        if len(gone):
            _LEFT_OPEN.run(connection, orders=folded.orders["order_id"][gone], what=int(kind))


_ENDS_OFFERS: Final = (
    (OrderStatus.CANCELLED, EventKind.ORDER_CANCELLED),
    (OrderStatus.EXPIRED, EventKind.ORDER_EXPIRED),
)
_LEFT_OPEN: Final = bulk.Prepared(
    sa.update(tables.offer)
    .where(bulk.among_told(tables.offer.c.order_id, "orders"), tables.offer.c.outcome.is_(None))
    .values(outcome=sa.bindparam("what", type_=sa.BigInteger))
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


def _changed_duties(connection: sa.Connection, stream_id: int, new: Events) -> dict[str, Wholes]:
    """Keep who is on duty, and give the time of those who went off, by driver and day."""
    drivers = np.unique(new["driver_id"])
    drivers = drivers[drivers != NO_VALUE]
    if not len(drivers):
        return {}
    before = {row[0]: Spell(*row[1:]) for row in _ON_DUTY.rows(connection, drivers=drivers)}
    sums, after = duties(new, before, stream_id)
    gone = [one for one in before if one not in after]
    if gone:
        _OFF_DUTY.run(connection, drivers=gone)
    changed = [(one, *spell) for one, spell in sorted(after.items()) if before.get(one) != spell]
    if changed:
        names = ("driver_id", *_SPELL)
        bulk.upsert(connection, tables.duty, dict(zip(names, zip(*changed, strict=True), strict=True)))
    return sums


_SPELL: Final = Spell._fields
_IS_MEANT: Final = bulk.among_told(tables.duty.c.driver_id, "drivers")
_ON_DUTY: Final = bulk.Prepared(
    sa.select(tables.duty.c.driver_id, *(tables.duty.c[name] for name in _SPELL))
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
