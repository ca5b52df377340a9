"""Campaigns, segments, care, messages to go out, and what comes in and goes out by ports."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from dispatch.crm.tables.base import facts, id_column, metadata, perhaps, text, whole

outbox: Final = sa.Table(
    "outbox",
    metadata,
    id_column("message_id"),
    text("type"),  # points.changed, care.birthday, …
    text("source"),
    text("kind", nullable=True),  # of the subject: customer, driver, order, …
    perhaps("object_id"),
    perhaps("scope_id"),
    whole("at_ms"),
    facts("data"),
    text("state", server_default="waiting"),
    perhaps("delivered_at_ms"),
    whole("attempts", default=0),
    whole("not_before_ms", default=0),  # of the next attempt
    whole("claimed_until_ms", default=0),  # somebody delivers it just now
    text("outcome", nullable=True),  # why it was withheld
    text("last_error", nullable=True),  # what kind of error, never its text: that may hold an address
    sa.CheckConstraint("state IN ('waiting', 'delivered', 'withheld', 'given_up')", name="state"),
    sa.Index(
        "ix_outbox_waiting",
        "message_id",
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    ),
    sa.Index(
        "ix_outbox_waiting_subject",
        "kind",
        "object_id",
        "message_id",
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    ),
)
"""Messages, written with what they tell of in one transaction, delivered later."""

outbox_turn: Final = sa.Table(
    "outbox_turn",
    metadata,
    sa.Column("turn_id", sa.Integer, primary_key=True),
    whole("at_ms"),
)
"""One row: who chooses messages to deliver locks it, so that no two choose at once."""

segment: Final = sa.Table(
    "segment",
    metadata,
    id_column("segment_id"),
    whole("scope_id"),
    text("name"),
    facts("rule"),
    text("status", server_default="active"),  # active, retired
    whole("created_at_ms"),
    whole("changed_at_ms"),
    whole("version", default=1),
    sa.UniqueConstraint("scope_id", "name"),
    sa.CheckConstraint("status IN ('active', 'retired')", name="status"),
)

segment_snapshot: Final = sa.Table(
    "segment_snapshot",
    metadata,
    sa.Column("segment_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    whole("at_ms"),
    whole("num_members"),
    whole("num_customers"),  # of the scope, then
    facts("rule"),  # as it was then
    sqlite_with_rowid=False,
)

segment_member: Final = sa.Table(
    "segment_member",
    metadata,
    sa.Column("segment_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Who was in a segment on a day."""

campaign: Final = sa.Table(
    "campaign",
    metadata,
    id_column("campaign_id"),
    whole("scope_id"),
    text("name"),
    text("status", server_default="draft"),
    facts("plan"),  # audience, trigger, offer, template
    whole("begin_at_ms"),
    whole("end_at_ms"),
    whole("holdout_permille"),
    whole("created_at_ms"),
    perhaps("activated_at_ms"),
    perhaps("ended_at_ms"),
    sa.UniqueConstraint("scope_id", "name"),
    sa.CheckConstraint("status IN ('draft', 'live', 'ended')", name="status"),
    sa.CheckConstraint("begin_at_ms < end_at_ms", name="window"),
    sa.CheckConstraint("holdout_permille BETWEEN 0 AND 900", name="holdout"),
)

campaign_member: Final = sa.Table(
    "campaign_member",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    text("arm"),  # treated, holdout: by a hash, before anything was sent
    whole("joined_at_ms"),
    sa.CheckConstraint("arm IN ('treated', 'holdout')", name="arm"),
    sa.Index(None, "customer_id"),
    sqlite_with_rowid=False,
)

care_sent: Final = sa.Table(
    "care_sent",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),  # customer, driver
    sa.Column("person_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("trigger", sa.Text, primary_key=True),
    sa.Column("occasion", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("at_ms"),
    whole("coupon_cents", default=0),
    sqlite_with_rowid=False,
)
"""What was sent on which occasion: a birthday's year, the day of the last order; once each."""

acquisition_cost: Final = sa.Table(
    "acquisition_cost",
    metadata,
    sa.Column("scope_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    whole("cents"),
    sa.CheckConstraint("cents >= 0", name="cents"),
    sqlite_with_rowid=False,
)
"""What winning customers cost by channel, told from outside."""

interest: Final = sa.Table(
    "interest",
    metadata,
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("topic", sa.Text, primary_key=True),
    whole("since_at_ms"),
    sqlite_with_rowid=False,
)
"""Topics that a customer asked to hear of."""

payment: Final = sa.Table(
    "payment",
    metadata,
    id_column("payment_id"),
    whole("order_id"),
    perhaps("scope_id"),
    text("method"),
    whole("cents"),
    whole("refunded_cents", default=0),
    text("state"),
    text("key", unique=True),
    text("reference", nullable=True),  # by which whoever settles it knows it
    whole("at_ms"),
    sa.CheckConstraint("cents > 0", name="cents"),
    sa.CheckConstraint("refunded_cents BETWEEN 0 AND cents", name="refunded"),
    sa.CheckConstraint("state IN ('pending', 'settled', 'refused')", name="state"),
    sa.Index(None, "order_id"),
)

refund: Final = sa.Table(
    "refund",
    metadata,
    id_column("refund_id"),
    whole("payment_id"),
    whole("cents"),
    text("reason"),
    text("state"),
    text("key", unique=True),
    text("reference", nullable=True),
    whole("at_ms"),
    sa.CheckConstraint("cents > 0", name="cents"),
    sa.CheckConstraint("state IN ('pending', 'settled', 'refused')", name="state"),
    sa.Index(None, "payment_id"),
)

platform_order: Final = sa.Table(
    "platform_order",
    metadata,
    sa.Column("platform", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),  # of idempotency, the platform's
    whole("order_id", unique=True),
    whole("scope_id"),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    perhaps("told_stage"),  # engine.OrderStatus, as the platform was told last
    whole("at_ms"),
)
"""Orders that came from delivery platforms."""

telemetry: Final = sa.Table(
    "telemetry",
    metadata,
    sa.Column("driver_id", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("at_ms"),
    whole("lon_e6"),
    whole("lat_e6"),
    perhaps("energy_permille"),
)
"""The latest that each car told of itself."""
