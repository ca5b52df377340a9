"""What happened with a customer, told in words: the latest first, and nothing that is still to come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.tables.engagement import campaign, campaign_member, care_sent, interest
from dispatch.crm.tables.fleet import delivery, energy_purchase
from dispatch.crm.tables.loyalty import (
    coupon,
    coupon_code,
    customer_pass,
    membership,
    points_entry,
    redemption,
    referral_code,
)
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import alias, consent, customer
from dispatch.crm.tables.service import (
    appeal,
    call_back,
    complaint,
    credit_event,
    feedback,
    incident,
    rating,
    survey,
    survey_sent,
)
from dispatch.engine.lifecycle import OrderStatus
from dispatch.store import bulk


@dataclass(frozen=True)
class TimelineEntry:
    """Something that happened with a customer."""

    at_ms: int
    what: str
    """in words: ``order cancelled: order 17, channel app``"""
    table: str
    facts: Mapping[str, Any]
    """columns by their names, nothing personal"""


_Words = str | Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class _Moment:
    """One kind of thing that happens: rows of a table that hold an instant."""

    instant: sa.Column[Any]
    words: _Words
    told: tuple[str, ...] = ()
    """columns that are told behind the words, where they are known"""
    where: sa.ColumnElement[bool] | None = None
    owner: str = "customer_id"


_CANCELLED, _EXPIRED = int(OrderStatus.CANCELLED), int(OrderStatus.EXPIRED)
_OVER: Final = orders.c.stage.in_((_CANCELLED, _EXPIRED))
_OF_CUSTOMER: Final = appeal.c.kind == "customer"
_POINTS: Final = {
    "earn": "points earned",
    "grant": "points granted",
    "redeem": "points spent",
    "rollback": "points given or taken back",
    "expire": "points expired",
    "transfer": "points moved by a merge",
}
_ENDED: Final = {"committed": "used", "rolled_back": "given back", "expired": "expired"}
_RATED: Final = {
    "driver": "rated the driver",
    "merchant": "rated the merchant",
    "customer": "was rated by the driver",
}


def _what(row: Mapping[str, Any]) -> str:
    return "pass" if row["coupon_id"] is None else "coupon"


_ORDER_PARTS: Final = ("order_id", "channel")
_MOMENTS: Final[tuple[_Moment, ...]] = (
    _Moment(customer.c.created_at_ms, "entered as a customer", ("channel",)),
    _Moment(alias.c.added_at_ms, "another name added", ("kind",)),
    _Moment(consent.c.at_ms, lambda row: "agreed" if row["granted"] else "refused", ("purpose", "source")),
    _Moment(orders.c.submitted_at_ms, "order submitted", _ORDER_PARTS),
    _Moment(orders.c.dropped_off_at_ms, "ride completed", ("order_id", "driver_id", "fare_cents")),
    _Moment(
        orders.c.ended_at_ms,
        lambda row: "order cancelled" if row["stage"] == _CANCELLED else "order expired, nobody came",
        ("order_id",),
        where=_OVER,
    ),
    _Moment(delivery.c.placed_at_ms, "delivery ordered", ("order_id", "merchant_id", "cents")),
    _Moment(delivery.c.ready_at_ms, "delivery ready to be fetched", ("order_id",)),
    _Moment(delivery.c.cancelled_at_ms, "delivery cancelled", ("order_id",)),
    _Moment(
        energy_purchase.c.at_ms,
        "fuel or charge bought",
        ("product", "millilitres", "watt_hours", "cents", "station_id"),
    ),
    _Moment(points_entry.c.at_ms, lambda row: _POINTS[row["kind"]], ("points", "order_id", "reason")),
    _Moment(membership.c.entered_at_ms, "tier set", ("tier", "reason")),
    _Moment(coupon_code.c.issued_at_ms, "coupon issued", ("coupon",)),
    _Moment(
        redemption.c.reserved_at_ms,
        lambda row: f"{_what(row)} held",
        ("coupon", "pass_id", "order_id", "discount_cents"),
    ),
    _Moment(
        redemption.c.ended_at_ms,
        lambda row: f"{_what(row)} {_ENDED[row['state']]}",
        ("coupon", "pass_id", "order_id", "discount_cents"),
        where=redemption.c.state != "reserved",
    ),
    _Moment(customer_pass.c.bought_at_ms, "pass bought", ("product", "price_cents")),
    _Moment(referral_code.c.created_at_ms, "got a code to refer others by"),
    _Moment(rating.c.at_ms, lambda row: _RATED[row["about"]], ("stars", "order_id")),
    _Moment(rating.c.removed_at_ms, "rating taken out by an appeal", ("stars", "order_id")),
    _Moment(
        incident.c.at_ms,
        "problem noted",
        ("code", "order_id", "severity", "source"),
        # Of a complaint the complaint itself is told.
        where=~sa.exists().where(
            complaint.c.customer_id == incident.c.customer_id,  # by an index
            complaint.c.incident_id == incident.c.incident_id,
        ),
    ),
    _Moment(complaint.c.filed_at_ms, "complaint filed", ("complaint_id", "code", "order_id", "channel")),
    _Moment(complaint.c.responded_at_ms, "complaint answered", ("complaint_id",)),
    _Moment(
        complaint.c.resolved_at_ms,
        lambda row: f"complaint {row['verdict']}",
        ("complaint_id", "points", "coupon_cents", "cents"),
    ),
    _Moment(
        appeal.c.filed_at_ms, "appeal filed", ("appeal_id", "against"), where=_OF_CUSTOMER, owner="person_id"
    ),
    _Moment(
        appeal.c.decided_at_ms,
        lambda row: f"appeal {row['state']}",
        ("appeal_id", "against"),
        where=_OF_CUSTOMER,
        owner="person_id",
    ),
    _Moment(
        credit_event.c.at_ms,
        "standing changed",
        ("delta", "reason", "order_id", "complaint_id"),
        where=credit_event.c.delta != 0,
    ),
    _Moment(feedback.c.received_at_ms, "feedback", ("topic", "channel", "stars", "order_id")),
    _Moment(feedback.c.handled_at_ms, "feedback handled", ("topic", "outcome", "complaint_id")),
    _Moment(survey_sent.c.sent_at_ms, "survey sent", ("survey",)),
    _Moment(survey_sent.c.answered_at_ms, "survey answered", ("survey",)),
    _Moment(call_back.c.asked_at_ms, "call-back asked for", ("reason", "complaint_id")),
    _Moment(call_back.c.done_at_ms, "called back", ("outcome", "stars")),
    _Moment(campaign_member.c.joined_at_ms, "in a campaign", ("campaign", "arm")),
    _Moment(
        care_sent.c.at_ms,
        "care",
        ("trigger", "coupon_cents"),
        where=care_sent.c.kind == "customer",
        owner="person_id",
    ),
    _Moment(interest.c.since_at_ms, "asked to hear of a topic", ("topic",)),
)
TOLD_APART: Final = ("customer", "alias", "consent")
"""Tables whose rows are not counted: the view tells them in a form of their own."""
NOT_TOLD: Final = ("address", "credit", "customer_day", "idempotency", "points_account", "points_lot", "trip")
"""Tables that name customers and hold an instant, but say nothing that others do not say: sums of entries,
the account's books, a second row of the same ride, and what has no instant of happening."""
_NAMED: Final = {"coupon_id": coupon, "campaign_id": campaign, "survey_id": survey}
"""What is told by its name, in place of its number."""


def timeline_in(
    connection: sa.Connection, family: list[int], at_ms: int, limit: int, sees_places: bool
) -> tuple[tuple[TimelineEntry, ...], dict[str, int]]:
    """Give the latest that happened until an instant, and how many rows there are by then, by table.

    Parameters
    ----------
    connection
    family : list of int
        (n,) all ids of the customer.
    at_ms : int
    limit : int
    sees_places : bool
        Coordinates are told among the facts.
    """
    found: list[TimelineEntry] = []
    counts: dict[str, int] = {}
    for moment in _MOMENTS:
        table = moment.instant.table
        own = sa.and_(bulk.among(connection, table.c[moment.owner], family), moment.instant <= at_ms)
        if moment.where is not None:
            own = sa.and_(own, moment.where)
        rows = connection.execute(_latest(moment, own, limit, sees_places)).all()
        found += [_entry(moment, row._mapping) for row in rows]
        if rows and table.name not in TOLD_APART and table.name not in counts:
            counts[table.name] = (
                connection.scalar(sa.select(sa.func.count()).select_from(table).where(own)) or 0
            )
    found.sort(key=lambda entry: -entry.at_ms)
    return tuple(found[:limit]), counts


def _latest(moment: _Moment, own: sa.ColumnElement[bool], limit: int, sees_places: bool) -> sa.Select[Any]:
    table: Any = moment.instant.table
    shown = [
        column
        for column in table.c
        if not column.info.get("personal") and (sees_places or not column.name.endswith("_e6"))
    ]
    source = table
    for column, named in _NAMED.items():
        if column in table.c:
            source = source.outerjoin(named, named.c[column] == table.c[column])
            shown.append(named.c.name.label(named.name))
    return sa.select(*shown).select_from(source).where(own).order_by(moment.instant.desc()).limit(limit)


def _entry(moment: _Moment, row: Any) -> TimelineEntry:
    words = moment.words if isinstance(moment.words, str) else moment.words(row)
    parts = [_part(name, row[name]) for name in moment.told if row[name] not in (None, "")]
    parts = [part for part in parts if part]
    told = f"{words}: {', '.join(parts)}" if parts else words
    return TimelineEntry(row[moment.instant.name], told, moment.instant.table.name, dict(row))


def _part(name: str, value: Any) -> str:
    """Tell a column's value in words; nothing where it is a sum of nothing."""
    if name == "points":
        return f"{value:+,} points" if value else ""
    if name == "delta":
        return f"{value:+}"
    if name == "stars":
        return f"{value} star{'' if value == 1 else 's'}"
    if name.endswith("cents"):
        return f"{_MONEY.get(name, 'for')} {value / 100:,.2f}" if value else ""
    if name in _UNITS:
        return f"{value / 1000:,.1f} {_UNITS[name]}"
    if name in _PLAIN:
        return str(value)
    return f"{name.removesuffix('_id')} {value}"


_MONEY: Final = {
    "fare_cents": "fare",
    "discount_cents": "discount",
    "coupon_cents": "a coupon of",
    "price_cents": "for",
}
_UNITS: Final = {"millilitres": "l", "watt_hours": "kWh"}
_PLAIN: Final = (
    "arm", "code", "coupon", "kind", "outcome", "product", "purpose", "reason", "tier", "topic", "trigger",
)  # fmt: skip
"""Words that need none before them."""
