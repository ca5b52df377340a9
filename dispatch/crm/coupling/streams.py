"""Logs of engines, as the CRM knows them: how far each was applied, what stood where, what it left open."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import sqlalchemy as sa

from dispatch.crm.tables import orders as tables
from dispatch.engine.events import EventKind, Events, make_events
from dispatch.engine.lifecycle import FINAL_STATUSES, OrderStatus
from dispatch.errors import InputError, StateError
from dispatch.store import bulk
from dispatch.units import NO_VALUE

_STREAM: Final = tables.event_stream
_BATCH: Final = tables.applied_batch
_LOG: Final = tables.order_stage


@dataclass(frozen=True, slots=True)
class Stream:
    """A row of ``event_stream``."""

    stream_id: int
    name: str
    scope_id: int | None
    next_seq: int
    last_at_ms: int | None
    closed_at_ms: int | None


_AT: Final = bulk.Prepared(
    sa.select(*(_STREAM.c[name] for name in Stream.__dataclass_fields__))
    .where(_STREAM.c.name == sa.bindparam("name"))
    .with_for_update()
)
_GO_ON: Final = bulk.Prepared(
    sa.update(_STREAM)
    .where(_STREAM.c.stream_id == sa.bindparam("stream"))
    .values(next_seq=sa.bindparam("next"), last_at_ms=sa.bindparam("last"))
)
_NEW: Final = sa.text(
    f"INSERT INTO {_STREAM.name} (name, scope_id) VALUES (:name, :scope_id) ON CONFLICT (name) DO NOTHING"
)


def find_in(connection: sa.Connection, name: str) -> Stream | None:
    """Give the row of a stream, locked; None where there is none."""
    rows = _AT.rows(connection, name=name)
    return Stream(*rows[0]) if rows else None


def stream_in(connection: sa.Connection, name: str, scope_id: int | None) -> Stream:
    """Give the row of a stream, locked, made where it is new.

    Raises
    ------
    InputError
        It belongs to another place.
    """
    rows = _AT.rows(connection, name=name)
    if not rows:
        # Another process may make it at the same time: it is waited for, and its row is taken.
        connection.execute(_NEW, {"name": name, "scope_id": scope_id})
        rows = _AT.rows(connection, name=name)
    found = Stream(*rows[0])
    if scope_id is not None and found.scope_id != scope_id:
        raise InputError(f"scope_id is {scope_id}: stream {name!r} belongs to {found.scope_id}")
    return found


def go_on_in(connection: sa.Connection, known: Stream, new: Events) -> int:
    """Note that events were applied to a stream; gives the place of the one to come."""
    next_seq = known.next_seq + len(new)
    _GO_ON.run(connection, stream=known.stream_id, next=next_seq, last=int(new["at_ms"][-1]))
    batch = {"first_seq": [known.next_seq], "num_events": [len(new)], "digest": [_digest(new)]}
    bulk.insert(connection, _BATCH, {"stream_id": [known.stream_id], **batch})
    return next_seq


def check_same_in(connection: sa.Connection, known: Stream, again: Events, first_seq: int) -> None:
    """Refuse events that are told again and are not those that were applied at their places.

    Of a batch that is told as a whole all is compared, by its digest; of one that is told in part what the
    log of stages keeps: kind, instant, order and driver.
    """
    if not len(again):
        return
    end = first_seq + len(again)
    is_within = sa.and_(_BATCH.c.first_seq >= first_seq, _BATCH.c.first_seq + _BATCH.c.num_events <= end)
    rows = connection.execute(
        sa.select(_BATCH).where(_BATCH.c.stream_id == known.stream_id, is_within).order_by(_BATCH.c.first_seq)
    ).all()
    for row in rows:
        begin = row.first_seq - first_seq
        if _digest(again[begin : begin + row.num_events]) != row.digest:
            raise _others(known, begin, begin + row.num_events)
    # Batches follow each other without a gap: in part they are told at both ends alone.
    whole = (rows[0].first_seq, rows[-1].first_seq + rows[-1].num_events) if rows else (end, end)
    for begin, until in ((first_seq, whole[0]), (whole[1], end)):
        _check_stages(connection, known, again[begin - first_seq : until - first_seq], begin, first_seq)


def check_closed_in(connection: sa.Connection, known: Stream, events: Events, first_seq: int) -> None:
    """Refuse events of a closed stream, but for those that were applied at their places.

    Where its own log would go on now stand the events that ended what it left open.
    """
    why = (
        f"stream {known.name!r} was closed at {known.closed_at_ms}, and these are not the events that were "
        "applied at their places: tell what goes on under another name"
    )
    if first_seq + len(events) > known.next_seq:
        raise StateError(why)
    try:
        check_same_in(connection, known, events, first_seq)
    except InputError as error:
        raise StateError(why) from error


def _check_stages(
    connection: sa.Connection, known: Stream, again: Events, begin: int, first_seq: int
) -> None:
    if not len(again):
        return
    seq, *applied = bulk.fetch(
        connection,
        sa.select(_LOG.c.seq, *(_LOG.c[name] for name in _KEPT))
        .where(_LOG.c.stream_id == known.stream_id, _LOG.c.seq >= begin, _LOG.c.seq < begin + len(again))
        .order_by(_LOG.c.seq),
    )
    told = again[seq - begin]
    differs = np.zeros(len(seq), np.bool_)
    for name, values in zip(_KEPT, applied, strict=True):
        differs |= told[name].astype(np.int64) != values
    if differs.any():
        row = int(seq[differs.argmax()]) - first_seq
        raise _others(known, row, row + 1)


_KEPT: Final = ("kind", "at_ms", "order_id", "driver_id")


def _others(known: Stream, begin: int, end: int) -> InputError:
    return InputError(
        f"events[{begin}:{end}]: other events were applied at these places of stream {known.name!r}; use "
        "another stream for another log, also for that of an engine that was started anew"
    )


def _digest(events: Events) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(events).tobytes(), digest_size=16).digest()


def endings_in(connection: sa.Connection, known: Stream) -> Events:
    """Give the events that end what a stream left open, at the last instant that it knows of.

    Drivers on duty of whom it told last go off; orders are closed where the customer was dropped off, and
    expire otherwise. Of whom another stream has told since are left as they are.
    """
    on_duty = sa.select(tables.duty.c.driver_id).where(tables.duty.c.stream_id == known.stream_id)
    drivers = list(connection.scalars(on_duty.order_by(tables.duty.c.driver_id)))
    order, mine, other = tables.orders.c, _LOG.alias("mine").c, _LOG.alias("other").c
    last = (
        sa.select(sa.func.max(mine.at_ms))
        .where(mine.order_id == order.order_id, mine.stream_id == known.stream_id)
        .scalar_subquery()
    )
    is_elsewhere = sa.exists().where(
        other.order_id == order.order_id, other.stream_id != known.stream_id, other.at_ms >= last
    )
    rows = connection.execute(
        sa.select(order.order_id, order.stage)
        .where(order.stage.not_in([int(one) for one in FINAL_STATUSES]), last.is_not(None), ~is_elsewhere)
        .order_by(order.order_id)
    ).all()
    served = [row.order_id for row in rows if row.stage == OrderStatus.DROPPED_OFF]
    lost = [row.order_id for row in rows if row.stage != OrderStatus.DROPPED_OFF]
    at_ms = NO_VALUE if known.last_at_ms is None else known.last_at_ms
    return np.concatenate(
        [
            make_events(EventKind.DRIVER_OFFLINE, len(drivers), driver_id=drivers, at_ms=at_ms),
            make_events(EventKind.ORDER_CLOSED, len(served), order_id=served, at_ms=at_ms),
            make_events(EventKind.ORDER_EXPIRED, len(lost), order_id=lost, at_ms=at_ms),
        ]
    )


def close_in(connection: sa.Connection, known: Stream, at_ms: int) -> None:
    """Note that a stream is closed."""
    mine = sa.update(_STREAM).where(_STREAM.c.stream_id == known.stream_id)
    connection.execute(mine.values(closed_at_ms=at_ms))
