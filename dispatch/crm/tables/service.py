"""Ratings, incidents, complaints, appeals, standing of customers, feedback, surveys."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from dispatch.crm.tables.base import facts, id_column, metadata, perhaps, sealed, text, whole

rating: Final = sa.Table(
    "rating",
    metadata,
    id_column("rating_id"),
    whole("order_id"),
    text("about"),  # who is rated: driver, merchant, customer
    perhaps("scope_id"),
    perhaps("customer_id"),
    perhaps("driver_id"),
    perhaps("merchant_id"),
    whole("stars"),
    sa.Column("day", sa.Integer, nullable=False),  # of the trip, whose sums it counts in
    whole("at_ms"),
    perhaps("removed_at_ms"),  # an appeal took it out
    sealed("comment"),  # under the key of who rates
    sa.UniqueConstraint("order_id", "about"),
    sa.Index(None, "driver_id", "at_ms"),
    sa.CheckConstraint("stars BETWEEN 1 AND 5", name="stars"),
    sa.CheckConstraint("about IN ('driver', 'merchant', 'customer')", name="about"),
)

incident: Final = sa.Table(
    "incident",
    metadata,
    id_column("incident_id"),
    whole("scope_id"),
    perhaps("order_id"),
    perhaps("customer_id"),
    perhaps("driver_id"),
    perhaps("merchant_id"),
    text("code"),
    text("stage"),
    whole("severity"),
    text("source"),  # customer, driver, staff, system
    whole("at_ms"),
    perhaps("void_at_ms"),  # withdrawn: it counts no more
    sealed("note"),  # under the customer's key, or the driver's where there is no customer
    sa.Index(None, "at_ms"),
    sa.Index(None, "customer_id"),
    sa.CheckConstraint("severity BETWEEN 1 AND 5", name="severity"),
)
"""Problems of the vertical's taxonomy, whether or not anybody complained: what PP100 counts."""

complaint: Final = sa.Table(
    "complaint",
    metadata,
    id_column("complaint_id"),
    whole("scope_id"),
    whole("incident_id"),
    whole("customer_id"),
    perhaps("order_id"),
    perhaps("driver_id"),
    perhaps("merchant_id"),
    text("code"),
    whole("severity"),
    text("channel"),
    text("tier", nullable=True),
    whole("service_priority", default=0),
    text("state", server_default="filed"),
    text("verdict", nullable=True),
    sa.Column("day", sa.Integer, nullable=False),  # whose sums of the driver it counts in, once upheld
    whole("filed_at_ms"),
    whole("respond_by_ms"),
    whole("resolve_by_ms"),  # moves while the customer is waited for
    perhaps("responded_at_ms"),
    perhaps("resolved_at_ms"),
    perhaps("waiting_since_ms"),
    whole("waited_ms", default=0),
    whole("last_at_ms"),  # of the log: the clock does not go back behind it
    text("decided_by", nullable=True),
    whole("points", default=0),  # given in compensation
    whole("coupon_cents", default=0),
    whole("cents", default=0),
    sealed("words"),  # under the customer's key
    sa.Index(None, "scope_id", "state"),
    sa.Index(None, "customer_id", "filed_at_ms"),
    sa.Index(None, "driver_id"),
    sa.Index(None, "filed_at_ms"),
    sa.CheckConstraint("state IN ('filed', 'responded', 'waiting', 'resolved')", name="state"),
    sa.CheckConstraint("verdict IN ('upheld', 'rejected', 'withdrawn')", name="verdict"),
    sa.CheckConstraint("(state = 'resolved') = (verdict IS NOT NULL)", name="resolved"),
    sa.CheckConstraint("points >= 0 AND coupon_cents >= 0 AND cents >= 0", name="compensation"),
)

complaint_log: Final = sa.Table(
    "complaint_log",
    metadata,
    id_column("log_id"),
    whole("complaint_id"),
    whole("at_ms"),
    text("state"),
    text("made_by"),
    text("reason", nullable=True),
    sealed("note"),  # under the customer's key
    sa.Index(None, "complaint_id", "log_id"),
)
"""Append-only: each state that a complaint came into."""

appeal: Final = sa.Table(
    "appeal",
    metadata,
    id_column("appeal_id"),
    whole("scope_id"),
    text("against"),  # complaint, block, rating, cancel, credit
    whole("object_id"),
    text("kind"),  # of who appeals: customer, driver
    whole("person_id"),
    text("reason"),
    text("state", server_default="open"),
    whole("filed_at_ms"),
    text("filed_by"),
    text("first_decided_by", nullable=True),  # who decides the appeal must be somebody else
    perhaps("decided_at_ms"),
    text("decided_by", nullable=True),
    sealed("words"),  # under the appellant's key
    sa.UniqueConstraint("against", "object_id", "kind", "person_id"),
    sa.Index(None, "kind", "person_id"),
    sa.Index(None, "scope_id", "state"),
    sa.CheckConstraint("state IN ('open', 'granted', 'refused')", name="state"),
)

credit: Final = sa.Table(
    "credit",
    metadata,
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("standing"),
    whole("changed_at_ms"),
    sa.CheckConstraint("standing BETWEEN 0 AND 100", name="standing"),
)
"""Standing of customers whose ever changed: what it began with, and the sum of its events."""

credit_event: Final = sa.Table(
    "credit_event",
    metadata,
    id_column("event_id"),
    whole("customer_id"),
    text("reason"),
    whole("delta"),  # as it took effect between 0 and 100
    perhaps("order_id"),
    perhaps("complaint_id"),
    perhaps("reverses_id", unique=True),
    text("made_by"),
    whole("at_ms"),
    sa.Index(None, "customer_id", "event_id"),
    sa.UniqueConstraint("order_id", "reason"),
    sa.UniqueConstraint("complaint_id", "reason"),
)
"""Append-only."""

feedback: Final = sa.Table(
    "feedback",
    metadata,
    id_column("feedback_id"),
    whole("scope_id"),
    perhaps("customer_id"),  # None: nobody known
    text("channel"),
    text("topic"),
    perhaps("stars"),
    perhaps("order_id"),
    text("key"),  # the channel's own name of it
    whole("received_at_ms"),
    perhaps("handled_at_ms"),
    text("outcome", nullable=True),
    perhaps("complaint_id"),  # which it became
    sealed("words"),
    sa.UniqueConstraint("channel", "key"),
    sa.Index(None, "scope_id", "received_at_ms"),
    sa.Index(None, "customer_id"),
    sa.CheckConstraint("stars BETWEEN 1 AND 5", name="stars"),
)

survey: Final = sa.Table(
    "survey",
    metadata,
    id_column("survey_id"),
    whole("scope_id"),
    text("name"),
    facts("questions"),  # code and range of each
    whole("created_at_ms"),
    sa.UniqueConstraint("scope_id", "name"),
)

survey_sent: Final = sa.Table(
    "survey_sent",
    metadata,
    sa.Column("survey_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("sent_at_ms"),
    perhaps("answered_at_ms"),
    facts("answers"),  # numbers by question
    sealed("words"),
)

call_back: Final = sa.Table(
    "call_back",
    metadata,
    id_column("call_id"),
    whole("scope_id"),
    whole("customer_id"),
    perhaps("complaint_id"),
    text("reason"),
    whole("asked_at_ms"),
    whole("due_at_ms"),
    perhaps("done_at_ms"),
    text("outcome", nullable=True),
    perhaps("stars"),  # how satisfied the customer was
    sealed("note"),
    sa.Index(None, "scope_id", "due_at_ms"),
    sa.Index(None, "customer_id"),
    sa.CheckConstraint("stars BETWEEN 1 AND 5", name="stars"),
)
