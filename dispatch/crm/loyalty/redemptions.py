"""Coupons and passes on orders: reserved, then committed when the order is completed, or rolled back.

Limits are counters in the rows of coupons, their customers, codes and passes, each raised by one guarded
update (``SET n = n + 1 WHERE n < limit``): whoever comes too late changes no row and is refused. Whoever
reserves or ends a redemption first locks its coupon or pass: locks are taken in the sequence coupon, its
customer, code, pass, redemption.

Everything here works on a connection of somebody else's transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import check_id, check_instant, check_not_before
from dispatch.crm.loyalty import order_owner
from dispatch.crm.rules import MOST_CENTS, check_name
from dispatch.crm.tables.loyalty import coupon, coupon_code, coupon_customer, customer_pass, redemption
from dispatch.errors import StateError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY, MS_PER_S

MOST_AHEAD_MS: Final = 90 * MS_PER_DAY
"""A reservation counts against the limits of its coupon until the ride: without a bound one booking would
block a code for good. The engine takes orders a week ahead; a company may keep longer ones back, for a
quarter of a year."""
# Written out, not as parameters: only so are the partial indices known to cover them.
IS_LIVE: Final = sa.text("redemption.state IN ('reserved', 'committed')")
"""That a redemption counts."""
_IS_RESERVED: Final = sa.text("redemption.state = 'reserved'")


@dataclass(frozen=True)
class Booking:
    """The order that a coupon or a pass is to be used on.

    Parameters
    ----------
    order_id : int
    fare_cents : int
        As quoted: the discount is told by it, and stays as it was told.
    channel, vehicle_class : str, optional
        By which and for what it is ordered; some coupons ask for certain ones.
    wanted_at_ms : int, optional
        When the pickup is wanted, at most :data:`MOST_AHEAD_MS` ahead; by default at once.
    """

    order_id: int
    fare_cents: int
    channel: str = ""
    vehicle_class: str = ""
    wanted_at_ms: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_id("order_id", self.order_id)
        check_whole("fare_cents", self.fare_cents, 0, MOST_CENTS)
        for name in ("channel", "vehicle_class"):
            if getattr(self, name):
                check_name(name, getattr(self, name))
        if self.wanted_at_ms is not None:
            check_instant("wanted_at_ms", self.wanted_at_ms)

    def pickup_ms(self, at_ms: int) -> int:
        """Give when the pickup is wanted, of an order that is made now.

        Raises
        ------
        InputError
            That was before now, or is more than :data:`MOST_AHEAD_MS` ahead.
        """
        if self.wanted_at_ms is None:
            return at_ms
        check_whole("wanted_at_ms", self.wanted_at_ms, at_ms, at_ms + MOST_AHEAD_MS)
        return self.wanted_at_ms


@dataclass(frozen=True)
class Redemption:
    """A coupon or a pass on an order."""

    redemption_id: int
    customer_id: int
    order_id: int
    state: str
    """reserved, committed, rolled_back or expired"""
    discount_cents: int
    until_ms: int
    """void then, unless it was committed"""
    coupon_id: int | None
    pass_id: int | None


def discount_of(fare_cents: int, cents: int, permille: int, most_cents: int) -> int:
    """Give the discount on a fare: so many cents, or so many thousandths of it up to a limit (0: none)."""
    discount = cents or fare_cents * permille // 1000
    return min(discount, fare_cents, most_cents or fare_cents)


def take_coupon_in(
    connection: sa.Connection, coupon_id: int, customer_id: int, code_id: int | None = None
) -> None:
    """Count one more use of a coupon, its customer and its code; :class:`StateError` where one is used up."""
    held = coupon.c.num_held
    taken = connection.execute(
        sa.update(coupon)
        .where(coupon.c.coupon_id == coupon_id, sa.or_(coupon.c.most_uses == 0, held < coupon.c.most_uses))
        .values(num_held=held + 1)
    )
    if taken.rowcount != 1:
        raise StateError(f"coupon {coupon_id} is used up")
    # In one statement: two first uses by one customer must not both begin a row.
    raised = sa.text(
        "INSERT INTO coupon_customer (coupon_id, customer_id, num_held) VALUES (:coupon_id, :customer_id, 1) "
        "ON CONFLICT (coupon_id, customer_id) DO UPDATE SET num_held = coupon_customer.num_held + 1 "
        "WHERE coupon_customer.num_held < (SELECT CASE most_per_customer WHEN 0 THEN 9000000000000000000 "
        "ELSE most_per_customer END FROM coupon WHERE coupon_id = :coupon_id)"
    )
    if connection.execute(raised, {"coupon_id": coupon_id, "customer_id": customer_id}).rowcount != 1:
        raise StateError(f"coupon {coupon_id} is used up by customer {customer_id}")
    if code_id is None:
        return
    once = sa.update(coupon_code).where(coupon_code.c.code_id == code_id, coupon_code.c.num_held == 0)
    if connection.execute(once.values(num_held=1)).rowcount != 1:
        raise StateError(f"code {code_id} of coupon {coupon_id} was redeemed before, or is reserved")


def take_pass_in(connection: sa.Connection, pass_id: int) -> None:
    """Count one more ride of a pass; :class:`StateError` where none is left."""
    table, held = customer_pass.c, customer_pass.c.num_held
    taken = connection.execute(
        sa.update(customer_pass)
        .where(table.pass_id == pass_id, sa.or_(table.most_rides == 0, held < table.most_rides))
        .values(num_held=held + 1)
    )
    if taken.rowcount != 1:
        raise StateError(f"pass {pass_id} has no ride left")


def live_in(connection: sa.Connection, order_id: int) -> Any:
    """Give the row of what is reserved or committed on an order, None if nothing is."""
    found = sa.select(redemption).where(redemption.c.order_id == order_id, IS_LIVE)
    return connection.execute(found).one_or_none()


def live_of_in(connection: sa.Connection, customer_id: int, order_id: int, at_ms: int) -> Any:
    """Give what is live on an order that a customer wants a discount on, None if nothing is.

    What another one had reserved on the customer's own order, before it was known whose it is, is given back.
    """
    live = live_in(connection, order_id)
    if live is None or live.customer_id == customer_id:
        return live
    if not order_owner.is_owner_in(connection, customer_id, order_id):
        return live
    mine = sa.and_(IS_LIVE, redemption.c.redemption_id == live.redemption_id)
    _end_in(connection, mine, lambda _row: ("rolled_back", max(at_ms, live.reserved_at_ms)))
    return None


def is_void(row: Any, at_ms: int) -> bool:
    """Tell whether a redemption, a row of the table, was reserved and never committed until too late."""
    return bool(row.state == "reserved" and row.until_ms < at_ms)


def answer_again(
    live: Any, customer_id: int, booking: Booking, at_ms: int, reserve_for_s: int, **of: int | None
) -> Redemption:
    """Give what is live on an order to who asks for it once more; `of` tells columns of the same coupon.

    Raises
    ------
    StateError
        It is another discount, of another customer, for another fare or pickup; or it is void by now.
    """
    told = {"customer_id": customer_id, "fare_cents": booking.fare_cents, **of}
    if booking.wanted_at_ms is not None:
        told["until_ms"] = booking.wanted_at_ms + reserve_for_s * MS_PER_S
    if any(getattr(live, name) != value for name, value in told.items()):
        raise StateError(f"order {booking.order_id} has a discount already: roll it back before another one")
    if is_void(live, at_ms):
        raise StateError(
            f"the reservation on order {booking.order_id} expired at {live.until_ms}: roll it back before "
            "another one"
        )
    return as_redemption(live)


def reserve_in(
    connection: sa.Connection,
    customer_id: int,
    booking: Booking,
    discount_cents: int,
    at_ms: int,
    reserve_for_s: int,
    **of: int | None,
) -> Redemption:
    """Add a reservation whose use was counted; `of` names its coupon_id and code_id, or its pass_id.

    It is held for `reserve_for_s` from the pickup on, which may lie ahead: a coupon must not lapse before.
    """
    until_ms = booking.pickup_ms(at_ms) + reserve_for_s * MS_PER_S
    row = {
        "customer_id": customer_id,
        "order_id": booking.order_id,
        "state": "reserved",
        "fare_cents": booking.fare_cents,
        "discount_cents": discount_cents,
        "reserved_at_ms": at_ms,
        "until_ms": until_ms,
        **of,
    }
    added = connection.execute(sa.insert(redemption).values(row))
    redemption_id = int(added.inserted_primary_key[0])  # type: ignore[index]  # an insertion of one row has one
    return Redemption(
        redemption_id,
        customer_id,
        booking.order_id,
        "reserved",
        discount_cents,
        until_ms,
        of.get("coupon_id"),
        of.get("pass_id"),
    )


def as_redemption(row: Any) -> Redemption:
    """Give a row of the table as what callers get."""
    return Redemption(*(getattr(row, name) for name in Redemption.__dataclass_fields__))


def end_one_in(
    connection: sa.Connection, customer_id: int, order_id: int, state: str, at_ms: int
) -> Redemption:
    """Commit or roll back what is reserved on an order; told again it changes nothing.

    Parameters
    ----------
    connection, customer_id, order_id
    state : str
        ``committed``, or ``rolled_back``: which gives back what was committed, too.
    at_ms : int

    Raises
    ------
    InputError
        The instant lies before the reservation.
    StateError
        The customer has nothing on the order; or it cannot be committed any more, being void; or the order is
        another customer's, of another place, or came to nothing.
    """
    mine = sa.select(redemption).where(
        redemption.c.order_id == order_id, redemption.c.customer_id == customer_id
    )
    last = connection.execute(mine.order_by(redemption.c.redemption_id.desc()).limit(1)).one_or_none()
    if last is not None:
        if state == "committed" and last.state == "reserved":
            # Before the coupon is locked, as those do who apply events.
            order_owner.check_in(connection, customer_id, order_id, order_owner.VAIN, last.coupon_id)
        _lock(connection, [last])
        found = sa.select(redemption).where(redemption.c.redemption_id == last.redemption_id)
        last = connection.execute(found).one()
    if last is None or (state == "committed" and last.state == "rolled_back"):
        raise StateError(f"customer {customer_id} has neither coupon nor pass reserved on order {order_id}")
    if last.state == state:
        return as_redemption(last)
    check_not_before("at_ms", at_ms, last.reserved_at_ms, "the reservation")
    is_over = last.state == "expired" or is_void(last, at_ms)
    if is_over and state == "committed":
        raise StateError(f"the reservation on order {order_id} expired at {last.until_ms}")
    if last.state == "expired":
        return as_redemption(last)
    state = "expired" if is_over else state
    _write(connection, [last], [state], [at_ms])
    return Redemption(**{**as_redemption(last).__dict__, "state": state})


def settle_in(
    connection: sa.Connection, order_id: Sequence[int], completed: Sequence[bool], at_ms: Sequence[int]
) -> None:
    """Commit or roll back what is reserved on orders (n,) that ended; orders without are not affected.

    A reservation that was void by then is given back, whether or not :func:`expire_in` saw it before. So is
    what was committed early on an order that came to nothing; and what was reserved on an order that turned
    out to be another customer's, or of a place that the coupon is not for.
    """
    found = _LIVE.rows(connection, orders=order_id)
    if not found:
        return
    touched = [row[1] for row in found]
    not_due = order_owner.not_due_in(connection, [row[0] for row in found])
    when = dict(zip(map(int, order_id), zip(completed, map(int, at_ms), strict=True), strict=True))

    def ended(row: Any) -> tuple[str, int]:
        is_completed, at = when[row.order_id]
        if is_void(row, at):
            return "expired", at
        is_due = is_completed and row.redemption_id not in not_due
        return ("committed" if is_due else "rolled_back"), at

    _end_in(connection, sa.and_(IS_LIVE, bulk.among(connection, redemption.c.order_id, touched)), ended)


def expire_in(connection: sa.Connection, at_ms: int) -> int:
    """Give back all reservations that are void; gives how many: see :func:`is_void`."""
    void = sa.and_(_IS_RESERVED, redemption.c.until_ms < at_ms)
    return _end_in(connection, void, lambda _row: ("expired", at_ms))


_LIVE: Final = bulk.Prepared(
    sa.select(redemption.c.redemption_id, redemption.c.order_id).where(
        IS_LIVE, bulk.among_told(redemption.c.order_id, "orders")
    )
)


def merge_in(connection: sa.Connection, from_id: int, into_id: int) -> None:
    """Move coupons, passes and what they were used on from a customer to another one."""
    mine = sa.select(redemption).where(redemption.c.customer_id == from_id)
    _lock(connection, connection.execute(mine).all())
    counted = sa.select(coupon_customer).where(coupon_customer.c.customer_id == from_id)
    rows = connection.execute(counted).all()
    if rows:
        columns = {name: [row._mapping[name] for row in rows] for name in ("coupon_id", "num_held")}
        columns["customer_id"] = [into_id] * len(rows)
        bulk.upsert(connection, coupon_customer, columns, adds=["num_held"])
        gone = sa.delete(coupon_customer).where(coupon_customer.c.customer_id == from_id)
        connection.execute(gone)
    for table in (coupon_code, customer_pass, redemption):
        theirs = table.c.customer_id == from_id
        connection.execute(sa.update(table).where(theirs).values(customer_id=into_id))


def _end_in(
    connection: sa.Connection,
    which: sa.ColumnElement[bool],
    ended: Callable[[Any], tuple[str, int]],
) -> int:
    """End those live redemptions that a condition holds for, each as a function tells; gives how many."""
    wanted = sa.select(redemption).where(which)
    rows = connection.execute(wanted).all()
    if not rows:
        return 0
    _lock(connection, rows)
    # Others may have ended some while this one waited.
    again = bulk.among(connection, redemption.c.redemption_id, [row.redemption_id for row in rows])
    rows = connection.execute(sa.select(redemption).where(which, again)).all()
    told = [(row, *ended(row)) for row in rows]
    told = [one for one in told if one[1] != one[0].state]
    if told:
        rows, states, instants = zip(*told, strict=True)
        _write(connection, rows, states, instants)
    return len(told)


def _lock(connection: sa.Connection, rows: Sequence[Any]) -> None:
    """Lock the coupons and passes of redemptions."""
    for table, key in ((coupon, "coupon_id"), (customer_pass, "pass_id")):
        ids = sorted({row._mapping[key] for row in rows if row._mapping[key] is not None})
        if ids:
            found = sa.select(table.c[key]).where(bulk.among(connection, table.c[key], ids))
            connection.execute(found.order_by(table.c[key]).with_for_update()).all()


def _write(
    connection: sa.Connection, rows: Sequence[Any], states: Sequence[str], instants: Sequence[int]
) -> None:
    """Write new states of redemptions (n,), and give back what is neither reserved nor committed any more."""
    change = (
        sa.update(redemption)
        .where(redemption.c.redemption_id == sa.bindparam("one"))
        .values(state=sa.bindparam("to_state"), ended_at_ms=sa.bindparam("at"))
    )
    told = [
        {"one": row.redemption_id, "to_state": state, "at": at}
        for row, state, at in zip(rows, states, instants, strict=True)
    ]
    back = [row for row, state in zip(rows, states, strict=True) if state != "committed"]
    _lower(connection, coupon, ("coupon_id",), back)
    _lower(connection, coupon_customer, ("coupon_id", "customer_id"), back)
    _lower(connection, coupon_code, ("code_id",), back)
    _lower(connection, customer_pass, ("pass_id",), back)
    connection.execute(change, told)


def _lower(connection: sa.Connection, table: sa.Table, keys: tuple[str, ...], rows: Sequence[Any]) -> None:
    """Count down what redemptions had counted up, where they refer to the table."""
    counted = Counter(tuple(row._mapping[key] for key in keys) for row in rows)
    told = [
        {"by": num, **{f"of_{key}": value for key, value in zip(keys, values, strict=True)}}
        for values, num in sorted(item for item in counted.items() if item[0][0] is not None)
    ]
    if told:
        where = (table.c[key] == sa.bindparam(f"of_{key}") for key in keys)
        lowered = sa.update(table).where(*where).values(num_held=table.c.num_held - sa.bindparam("by"))
        connection.execute(lowered, told)
