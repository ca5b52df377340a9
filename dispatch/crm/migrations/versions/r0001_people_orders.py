"""People, orders, the engine's events, the audit."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

BIG: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _address()
    _alias()
    _applied_batch()
    _audit()
    _audit_head()
    _consent()
    _customer()
    _customer_day()
    _driver()
    _driver_day()
    _duty()
    _erasure()
    _event_stream()
    _idempotency()
    _installation()
    _legal_hold()
    _offer()
    _order_priority()
    _order_stage()
    _orders()
    _person_key()
    _scope()
    _trip()


def downgrade() -> None:
    """Drop them, and what is in them."""
    op.drop_table("trip")
    op.drop_table("scope")
    op.drop_table("person_key")
    op.drop_table("orders")
    op.drop_table("order_stage")
    op.drop_table("order_priority")
    op.drop_table("offer")
    op.drop_table("legal_hold")
    op.drop_table("installation")
    op.drop_table("idempotency")
    op.drop_table("event_stream")
    op.drop_table("erasure")
    op.drop_table("duty")
    op.drop_table("driver_day")
    op.drop_table("driver")
    op.drop_table("customer_day")
    op.drop_table("customer")
    op.drop_table("consent")
    op.drop_table("audit_head")
    op.drop_table("audit")
    op.drop_table("applied_batch")
    op.drop_table("alias")
    op.drop_table("address")


def _address() -> None:
    op.create_table(
        "address",
        sa.Column("address_id", BIG, autoincrement=True, nullable=False),
        sa.Column("customer_id", BIG, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary()),
        sa.Column("place", sa.LargeBinary()),
        sa.Column("changed_at_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("address_id", name="pk_address"),
    )
    _index("ix_address_customer_id", "address", "customer_id")


def _alias() -> None:
    op.create_table(
        "alias",
        sa.Column("alias_id", BIG, autoincrement=True, nullable=False),
        sa.Column("customer_id", BIG, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary()),
        sa.Column("value_index", sa.LargeBinary()),
        sa.Column("added_at_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("alias_id", name="pk_alias"),
        sa.UniqueConstraint("scope_id", "kind", "value_index", name="uq_alias_scope_id_kind_value_index"),
    )
    _index("ix_alias_customer_id", "alias", "customer_id")


def _applied_batch() -> None:
    op.create_table(
        "applied_batch",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("num_events", BIG, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "first_seq", name="pk_applied_batch"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text()),
        sa.Column("object_id", BIG),
        sa.Column("scope_id", BIG),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )


def _audit_head() -> None:
    op.create_table(
        "audit_head",
        sa.Column("only", sa.Integer(), nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("only", name="pk_audit_head"),
    )


def _consent() -> None:
    op.create_table(
        "consent",
        sa.Column("consent_id", BIG, autoincrement=True, nullable=False),
        sa.Column("customer_id", BIG, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("terms_version", sa.Text()),
        sa.PrimaryKeyConstraint("consent_id", name="pk_consent"),
    )
    _index("ix_consent_customer_id_purpose_at_ms", "consent", "customer_id", "purpose", "at_ms")


def _customer() -> None:
    op.create_table(
        "customer",
        sa.Column("customer_id", BIG, autoincrement=True, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("merged_into", BIG),
        sa.Column("member_no", sa.Text()),
        sa.Column("channel", sa.Text()),
        sa.Column("language", sa.Text()),
        sa.Column("created_at_ms", BIG, nullable=False),
        sa.Column("changed_at_ms", BIG, nullable=False),
        sa.Column("version", BIG, server_default="1", nullable=False),
        sa.Column("name", sa.LargeBinary()),
        sa.Column("phone", sa.LargeBinary()),
        sa.Column("email", sa.LargeBinary()),
        sa.Column("custom", sa.LargeBinary()),
        sa.Column("phone_index", sa.LargeBinary()),
        sa.Column("email_index", sa.LargeBinary()),
        sa.Column("birthday_mmdd", BIG),
        sa.Column("tier", sa.Text()),
        sa.PrimaryKeyConstraint("customer_id", name="pk_customer"),
        sa.UniqueConstraint("scope_id", "phone_index", name="uq_customer_scope_id_phone_index"),
    )
    _index("ix_customer_email_index", "customer", "scope_id", "email_index", where="email_index IS NOT NULL")
    _index(
        "ix_customer_member_no",
        "customer",
        "scope_id",
        "member_no",
        where="member_no IS NOT NULL",
        unique=True,
    )
    _index("ix_customer_merged_into", "customer", "merged_into", where="merged_into IS NOT NULL")
    _index("ix_customer_scope_id_customer_id", "customer", "scope_id", "customer_id")


def _customer_day() -> None:
    op.create_table(
        "customer_day",
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("submitted", BIG, server_default="0", nullable=False),
        sa.Column("completed", BIG, server_default="0", nullable=False),
        sa.Column("cancelled", BIG, server_default="0", nullable=False),
        sa.Column("expired", BIG, server_default="0", nullable=False),
        sa.Column("cancelled_late", BIG, server_default="0", nullable=False),
        sa.Column("spend_cents", BIG, server_default="0", nullable=False),
        sa.Column("trip_m", BIG, server_default="0", nullable=False),
        sa.Column("wait_ms", BIG, server_default="0", nullable=False),
        sa.Column("picked_up", BIG, server_default="0", nullable=False),
        sa.Column("unanswered_ms", BIG, server_default="0", nullable=False),
        sa.Column("gave_up", BIG, server_default="0", nullable=False),
        sa.Column("late", BIG, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "day", name="pk_customer_day"),
        sqlite_with_rowid=False,
    )


def _driver() -> None:
    op.create_table(
        "driver",
        sa.Column("driver_id", BIG, autoincrement=True, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("created_at_ms", BIG, nullable=False),
        sa.Column("changed_at_ms", BIG, nullable=False),
        sa.Column("version", BIG, server_default="1", nullable=False),
        sa.Column("name", sa.LargeBinary()),
        sa.Column("phone", sa.LargeBinary()),
        sa.Column("address", sa.LargeBinary()),
        sa.Column("custom", sa.LargeBinary()),
        sa.Column("phone_index", sa.LargeBinary()),
        sa.Column("birthday_mmdd", BIG),
        sa.Column("left_at_ms", BIG),
        sa.PrimaryKeyConstraint("driver_id", name="pk_driver"),
        sa.UniqueConstraint("scope_id", "phone_index", name="uq_driver_scope_id_phone_index"),
    )
    _index("ix_driver_scope_id_driver_id", "driver", "scope_id", "driver_id")


def _driver_day() -> None:
    op.create_table(
        "driver_day",
        sa.Column("driver_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offered", BIG, server_default="0", nullable=False),
        sa.Column("accepted", BIG, server_default="0", nullable=False),
        sa.Column("declined", BIG, server_default="0", nullable=False),
        sa.Column("offer_expired", BIG, server_default="0", nullable=False),
        sa.Column("unassigned", BIG, server_default="0", nullable=False),
        sa.Column("arrived", BIG, server_default="0", nullable=False),
        sa.Column("late", BIG, server_default="0", nullable=False),
        sa.Column("late_ms", BIG, server_default="0", nullable=False),
        sa.Column("completed", BIG, server_default="0", nullable=False),
        sa.Column("income_cents", BIG, server_default="0", nullable=False),
        sa.Column("trip_m", BIG, server_default="0", nullable=False),
        sa.Column("empty_m", BIG, server_default="0", nullable=False),
        sa.Column("online_ms", BIG, server_default="0", nullable=False),
        sa.Column("occupied_ms", BIG, server_default="0", nullable=False),
        sa.Column("ratings", BIG, server_default="0", nullable=False),
        sa.Column("stars", BIG, server_default="0", nullable=False),
        sa.Column("complaints_upheld", BIG, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("driver_id", "day", name="pk_driver_day"),
        sqlite_with_rowid=False,
    )


def _duty() -> None:
    op.create_table(
        "duty",
        sa.Column("driver_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("online_at_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("driver_id", name="pk_duty"),
    )


def _erasure() -> None:
    op.create_table(
        "erasure",
        sa.Column("erasure_id", BIG, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person_id", BIG, nullable=False),
        sa.Column("asked_at_ms", BIG, nullable=False),
        sa.Column("done_at_ms", BIG),
        sa.PrimaryKeyConstraint("erasure_id", name="pk_erasure"),
    )
    _index("ix_erasure_kind_person_id", "erasure", "kind", "person_id")


def _event_stream() -> None:
    op.create_table(
        "event_stream",
        sa.Column("stream_id", BIG, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope_id", BIG),
        sa.Column("next_seq", BIG, server_default="0", nullable=False),
        sa.Column("last_at_ms", BIG),
        sa.PrimaryKeyConstraint("stream_id", name="pk_event_stream"),
        sa.UniqueConstraint("name", name="uq_event_stream_name"),
    )


def _idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.JSON()),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("customer_id", BIG),
        sa.PrimaryKeyConstraint("key", name="pk_idempotency"),
    )
    _index("ix_idempotency_at_ms", "idempotency", "at_ms")
    _index("ix_idempotency_customer_id", "idempotency", "customer_id")


def _installation() -> None:
    op.create_table(
        "installation",
        sa.Column("only", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("only", name="pk_installation"),
    )


def _legal_hold() -> None:
    op.create_table(
        "legal_hold",
        sa.Column("hold_id", BIG, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person_id", BIG, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_at_ms", BIG, nullable=False),
        sa.Column("released_at_ms", BIG),
        sa.PrimaryKeyConstraint("hold_id", name="pk_legal_hold"),
    )
    _index("ix_legal_hold_kind_person_id", "legal_hold", "kind", "person_id")


def _offer() -> None:
    op.create_table(
        "offer",
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("driver_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("offered_at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("outcome", BIG),
        sa.Column("answered_at_ms", BIG),
        sa.Column("eta_ms", BIG),
        sa.PrimaryKeyConstraint("order_id", "driver_id", "offered_at_ms", name="pk_offer"),
        sqlite_with_rowid=False,
    )


def _order_priority() -> None:
    op.create_table(
        "order_priority",
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("tier", BIG, nullable=False),
        sa.Column("tier_permille", BIG, nullable=False),
        sa.Column("complaint_permille", BIG, nullable=False),
        sa.Column("prebooked_permille", BIG, nullable=False),
        sa.Column("priority", BIG, nullable=False),
        sa.Column("patience_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("order_id", name="pk_order_priority"),
    )


def _order_stage() -> None:
    op.create_table(
        "order_stage",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("order_id", BIG),
        sa.Column("driver_id", BIG),
        sa.Column("kind", BIG, nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "seq", name="pk_order_stage"),
        sqlite_with_rowid=False,
    )
    _index("ix_order_stage_duty", "order_stage", "driver_id", "at_ms", where="kind IN (0, 1)")
    _index("ix_order_stage_order_id", "order_stage", "order_id", where="order_id IS NOT NULL")


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scope_id", BIG),
        sa.Column("customer_id", BIG),
        sa.Column("driver_id", BIG),
        sa.Column("merchant_id", BIG),
        sa.Column("channel", sa.Text()),
        sa.Column("stage", BIG, server_default="0", nullable=False),
        sa.Column("submitted_at_ms", BIG),
        sa.Column("wanted_at_ms", BIG),
        sa.Column("first_offered_at_ms", BIG),
        sa.Column("accepted_at_ms", BIG),
        sa.Column("arrived_at_ms", BIG),
        sa.Column("picked_up_at_ms", BIG),
        sa.Column("dropped_off_at_ms", BIG),
        sa.Column("ended_at_ms", BIG),
        sa.Column("quoted_eta_ms", BIG),
        sa.Column("pickup_m", BIG),
        sa.Column("trip_m", BIG),
        sa.Column("fare_cents", BIG),
        sa.Column("pickup_lon_e6", BIG),
        sa.Column("pickup_lat_e6", BIG),
        sa.Column("dropoff_lon_e6", BIG),
        sa.Column("dropoff_lat_e6", BIG),
        sa.Column("tier", BIG),
        sa.Column("is_first", BIG),
        sa.Column("passengers", BIG),
        sa.Column("vehicle_class", BIG),
        sa.Column("num_offers", BIG, server_default="0", nullable=False),
        sa.Column("payment_state", sa.Text()),
        sa.PrimaryKeyConstraint("order_id", name="pk_orders"),
    )
    _index("ix_orders_customer_id_submitted_at_ms", "orders", "customer_id", "submitted_at_ms")
    _index("ix_orders_submitted_at_ms", "orders", "submitted_at_ms")


def _person_key() -> None:
    op.create_table(
        "person_key",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("master_version", BIG, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "person_id", name="pk_person_key"),
        sqlite_with_rowid=False,
    )


def _scope() -> None:
    op.create_table(
        "scope",
        sa.Column("scope_id", BIG, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("scope_id", name="pk_scope"),
        sa.UniqueConstraint("tenant", "city", name="uq_scope_tenant_city"),
    )


def _trip() -> None:
    op.create_table(
        "trip",
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("customer_id", BIG),
        sa.Column("driver_id", BIG, nullable=False),
        sa.Column("picked_up_at_ms", BIG),
        sa.Column("dropped_off_at_ms", BIG, nullable=False),
        sa.Column("trip_m", BIG),
        sa.Column("fare_cents", BIG, nullable=False),
        sa.PrimaryKeyConstraint("order_id", name="pk_trip"),
    )


def _index(name: str, table: str, *columns: str, where: str | None = None, unique: bool = False) -> None:
    """Make an index, of those rows alone that a condition holds for."""
    only = None if where is None else sa.text(where)
    op.create_index(name, table, list(columns), unique=unique, sqlite_where=only, postgresql_where=only)
