"""Orders and what the engine's events say of them: facts, kept whoever is erased.

Ids of customers and drivers are the engine's names and refer to no row: an event of somebody whom the CRM
does not know, or does not know any more, is kept all the same.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from dispatch.crm.tables.base import id_column, metadata, perhaps, text, whole

IS_DUTY: Final = "kind IN (0, 1)"
"""Of an event: a driver goes on or off duty. Written out, or the index of such events would not be used."""
scope: Final = sa.Table(
    "scope",
    metadata,
    id_column("scope_id"),
    text("tenant"),
    text("city"),
    sa.UniqueConstraint("tenant", "city"),
)
"""Where a row belongs: a company and a city of it; what an actor may reach is told by these."""

orders: Final = sa.Table(
    "orders",
    metadata,
    sa.Column("order_id", sa.BigInteger, primary_key=True, autoincrement=False),
    perhaps("scope_id"),
    perhaps("customer_id"),
    perhaps("driver_id"),
    perhaps("merchant_id"),
    text("channel", nullable=True),
    whole("stage", default=0),  # engine.OrderStatus
    perhaps("submitted_at_ms"),
    perhaps("wanted_at_ms"),
    perhaps("first_offered_at_ms"),
    perhaps("accepted_at_ms"),  # the latest assignment
    perhaps("arrived_at_ms"),
    perhaps("picked_up_at_ms"),
    perhaps("dropped_off_at_ms"),
    perhaps("ended_at_ms"),  # closed, cancelled or expired: stage tells
    perhaps("quoted_eta_ms"),
    perhaps("pickup_m"),
    perhaps("trip_m"),
    perhaps("fare_cents"),
    perhaps("pickup_lon_e6"),
    perhaps("pickup_lat_e6"),
    perhaps("dropoff_lon_e6"),
    perhaps("dropoff_lat_e6"),
    perhaps("tier"),
    perhaps("is_first"),
    perhaps("passengers"),
    perhaps("vehicle_class"),
    whole("num_offers", default=0),
    text("payment_state", nullable=True),
    sa.Index(None, "customer_id", "submitted_at_ms"),
    sa.Index(None, "submitted_at_ms"),
)
"""One row an order; instants are those of its latest such event."""

order_priority: Final = sa.Table(
    "order_priority",
    metadata,
    sa.Column("order_id", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("at_ms"),
    whole("tier"),
    whole("tier_permille"),
    whole("complaint_permille"),
    whole("prebooked_permille"),
    whole("priority"),  # the sum, capped, as told to the engine
    whole("patience_ms"),
)
"""What the engine was told of an order's customer, term by term."""

order_stage: Final = sa.Table(
    "order_stage",
    metadata,
    sa.Column("stream_id", sa.Integer, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    perhaps("order_id"),
    perhaps("driver_id"),
    whole("kind"),  # engine.EventKind
    whole("at_ms"),
    sa.Index(
        "ix_order_stage_order_id",
        "order_id",
        sqlite_where=sa.text("order_id IS NOT NULL"),
        postgresql_where=sa.text("order_id IS NOT NULL"),
    ),
    sa.Index(
        "ix_order_stage_duty",
        "driver_id",
        "at_ms",
        sqlite_where=sa.text(IS_DUTY),
        postgresql_where=sa.text(IS_DUTY),
    ),
    sqlite_with_rowid=False,
)
"""Every event of an order or a driver's duty, in the engine's sequence: the log of stages."""

offer: Final = sa.Table(
    "offer",
    metadata,
    sa.Column("order_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("driver_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("offered_at_ms", sa.BigInteger, primary_key=True, autoincrement=False),
    perhaps("outcome"),  # EventKind: accepted, declined, expired; None while it is live
    perhaps("answered_at_ms"),
    perhaps("eta_ms"),
    sqlite_with_rowid=False,
)

trip: Final = sa.Table(
    "trip",
    metadata,
    sa.Column("order_id", sa.BigInteger, primary_key=True, autoincrement=False),
    perhaps("customer_id"),
    whole("driver_id"),
    perhaps("picked_up_at_ms"),
    whole("dropped_off_at_ms"),
    perhaps("trip_m"),
    whole("fare_cents"),
)

customer_day: Final = sa.Table(
    "customer_day",
    metadata,
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),  # days since 1970, UTC
    whole("submitted", default=0),
    whole("completed", default=0),
    whole("cancelled", default=0),
    whole("expired", default=0),
    whole("cancelled_late", default=0),  # with a driver on the way
    whole("spend_cents", default=0),
    whole("trip_m", default=0),
    whole("wait_ms", default=0),  # from the wanted pickup to boarding, of those picked up
    whole("picked_up", default=0),
    whole("unanswered_ms", default=0),  # from the wanted pickup until a driver accepted, or the order ended
    whole("gave_up", default=0),  # cancelled before a driver had accepted
    whole("late", default=0),  # picked up later than promised by more than the vertical allows
    sqlite_with_rowid=False,
)
"""Sums of one customer's day: what segments, tiers and simple statistics are made of."""

driver_day: Final = sa.Table(
    "driver_day",
    metadata,
    sa.Column("driver_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    whole("offered", default=0),
    whole("accepted", default=0),
    whole("declined", default=0),
    whole("offer_expired", default=0),
    whole("unassigned", default=0),  # given up, or taken away by hand, before the pickup
    whole("arrived", default=0),
    whole("late", default=0),
    whole("late_ms", default=0),
    whole("completed", default=0),
    whole("income_cents", default=0),
    whole("trip_m", default=0),
    whole("empty_m", default=0),
    whole("online_ms", default=0),
    whole("occupied_ms", default=0),
    whole("ratings", default=0),
    whole("stars", default=0),
    whole("complaints_upheld", default=0),
    sqlite_with_rowid=False,
)
"""Sums of one driver's day: what scores and incomes are made of."""

event_stream: Final = sa.Table(
    "event_stream",
    metadata,
    id_column("stream_id"),
    text("name", unique=True),
    perhaps("scope_id"),
    whole("next_seq", default=0),
    perhaps("last_at_ms"),
    perhaps("closed_at_ms"),  # nothing more of it is taken
)
"""An engine's log: the place of an event in it is the event's id."""

applied_batch: Final = sa.Table(
    "applied_batch",
    metadata,
    sa.Column("stream_id", sa.Integer, primary_key=True),
    sa.Column("first_seq", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("num_events"),
    sa.Column("digest", sa.LargeBinary, nullable=False),
)
"""What was applied together: the same events again must be the same."""

duty: Final = sa.Table(
    "duty",
    metadata,
    sa.Column("driver_id", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("online_at_ms"),
    whole("last_at_ms", default=0),  # of the driver's last event
    perhaps("stream_id"),  # of the log that told of the driver last
)
"""Drivers who are on duty now, since when."""
