"""Vehicles, qualifications, merchants, energy; ratings and complaints."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"

BIG: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _appeal()
    _background_check()
    _call_back()
    _complaint()
    _complaint_log()
    _credit()
    _credit_event()
    _delivery()
    _driver_block()
    _energy_purchase()
    _feedback()
    _incentive()
    _incident()
    _item()
    _licence()
    _merchant()
    _price()
    _rating()
    _score_correction()
    _shift()
    _survey()
    _survey_sent()
    _training()
    _vehicle()


def downgrade() -> None:
    """Drop them, and what is in them."""
    op.drop_table("vehicle")
    op.drop_table("training")
    op.drop_table("survey_sent")
    op.drop_table("survey")
    op.drop_table("shift")
    op.drop_table("score_correction")
    op.drop_table("rating")
    op.drop_table("price")
    op.drop_table("merchant")
    op.drop_table("licence")
    op.drop_table("item")
    op.drop_table("incident")
    op.drop_table("incentive")
    op.drop_table("feedback")
    op.drop_table("energy_purchase")
    op.drop_table("driver_block")
    op.drop_table("delivery")
    op.drop_table("credit_event")
    op.drop_table("credit")
    op.drop_table("complaint_log")
    op.drop_table("complaint")
    op.drop_table("call_back")
    op.drop_table("background_check")
    op.drop_table("appeal")


def _appeal() -> None:
    op.create_table(
        "appeal",
        sa.Column("appeal_id", BIG, autoincrement=True, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("against", sa.Text(), nullable=False),
        sa.Column("object_id", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person_id", BIG, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("filed_at_ms", BIG, nullable=False),
        sa.Column("filed_by", sa.Text(), nullable=False),
        sa.Column("first_decided_by", sa.Text()),
        sa.Column("decided_at_ms", BIG),
        sa.Column("decided_by", sa.Text()),
        sa.Column("words", sa.LargeBinary()),
        sa.CheckConstraint("state IN ('open', 'granted', 'refused')", name="ck_appeal_state"),
        sa.PrimaryKeyConstraint("appeal_id", name="pk_appeal"),
        sa.UniqueConstraint(
            "against", "object_id", "kind", "person_id", name="uq_appeal_against_object_id_kind_person_id"
        ),
    )
    _index("ix_appeal_kind_person_id", "appeal", "kind", "person_id")
    _index("ix_appeal_scope_id_state", "appeal", "scope_id", "state")


def _background_check() -> None:
    op.create_table(
        "background_check",
        sa.Column("driver_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("passed", BIG, nullable=False),
        sa.Column("checked_at_ms", BIG, nullable=False),
        sa.Column("valid_until_ms", BIG),
        sa.CheckConstraint("passed IN (0, 1)", name="ck_background_check_passed"),
        sa.PrimaryKeyConstraint("driver_id", name="pk_background_check"),
    )


def _call_back() -> None:
    op.create_table(
        "call_back",
        sa.Column("call_id", BIG, autoincrement=True, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("customer_id", BIG, nullable=False),
        sa.Column("complaint_id", BIG),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_at_ms", BIG, nullable=False),
        sa.Column("due_at_ms", BIG, nullable=False),
        sa.Column("done_at_ms", BIG),
        sa.Column("outcome", sa.Text()),
        sa.Column("stars", BIG),
        sa.Column("note", sa.LargeBinary()),
        sa.CheckConstraint("stars BETWEEN 1 AND 5", name="ck_call_back_stars"),
        sa.PrimaryKeyConstraint("call_id", name="pk_call_back"),
    )
    _index("ix_call_back_customer_id", "call_back", "customer_id")
    _index("ix_call_back_scope_id_due_at_ms", "call_back", "scope_id", "due_at_ms")


def _complaint() -> None:
    op.create_table(
        "complaint",
        sa.Column("complaint_id", BIG, autoincrement=True, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("incident_id", BIG, nullable=False),
        sa.Column("customer_id", BIG, nullable=False),
        sa.Column("order_id", BIG),
        sa.Column("driver_id", BIG),
        sa.Column("merchant_id", BIG),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("severity", BIG, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text()),
        sa.Column("service_priority", BIG, server_default="0", nullable=False),
        sa.Column("state", sa.Text(), server_default="filed", nullable=False),
        sa.Column("verdict", sa.Text()),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("filed_at_ms", BIG, nullable=False),
        sa.Column("respond_by_ms", BIG, nullable=False),
        sa.Column("resolve_by_ms", BIG, nullable=False),
        sa.Column("responded_at_ms", BIG),
        sa.Column("resolved_at_ms", BIG),
        sa.Column("waiting_since_ms", BIG),
        sa.Column("waited_ms", BIG, server_default="0", nullable=False),
        sa.Column("last_at_ms", BIG, nullable=False),
        sa.Column("decided_by", sa.Text()),
        sa.Column("points", BIG, server_default="0", nullable=False),
        sa.Column("coupon_cents", BIG, server_default="0", nullable=False),
        sa.Column("cents", BIG, server_default="0", nullable=False),
        sa.Column("words", sa.LargeBinary()),
        sa.CheckConstraint("(state = 'resolved') = (verdict IS NOT NULL)", name="ck_complaint_resolved"),
        sa.CheckConstraint(
            "state IN ('filed', 'responded', 'waiting', 'resolved')", name="ck_complaint_state"
        ),
        sa.CheckConstraint("verdict IN ('upheld', 'rejected', 'withdrawn')", name="ck_complaint_verdict"),
        sa.CheckConstraint(
            "points >= 0 AND coupon_cents >= 0 AND cents >= 0", name="ck_complaint_compensation"
        ),
        sa.PrimaryKeyConstraint("complaint_id", name="pk_complaint"),
    )
    _index("ix_complaint_customer_id_filed_at_ms", "complaint", "customer_id", "filed_at_ms")
    _index("ix_complaint_driver_id", "complaint", "driver_id")
    _index("ix_complaint_filed_at_ms", "complaint", "filed_at_ms")
    _index("ix_complaint_scope_id_state", "complaint", "scope_id", "state")


def _complaint_log() -> None:
    op.create_table(
        "complaint_log",
        sa.Column("log_id", BIG, autoincrement=True, nullable=False),
        sa.Column("complaint_id", BIG, nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("note", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("log_id", name="pk_complaint_log"),
    )
    _index("ix_complaint_log_complaint_id_log_id", "complaint_log", "complaint_id", "log_id")


def _credit() -> None:
    op.create_table(
        "credit",
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("standing", BIG, nullable=False),
        sa.Column("changed_at_ms", BIG, nullable=False),
        sa.CheckConstraint("standing BETWEEN 0 AND 100", name="ck_credit_standing"),
        sa.PrimaryKeyConstraint("customer_id", name="pk_credit"),
    )


def _credit_event() -> None:
    op.create_table(
        "credit_event",
        sa.Column("event_id", BIG, autoincrement=True, nullable=False),
        sa.Column("customer_id", BIG, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("delta", BIG, nullable=False),
        sa.Column("order_id", BIG),
        sa.Column("complaint_id", BIG),
        sa.Column("reverses_id", BIG),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_credit_event"),
        sa.UniqueConstraint("complaint_id", "reason", name="uq_credit_event_complaint_id_reason"),
        sa.UniqueConstraint("order_id", "reason", name="uq_credit_event_order_id_reason"),
        sa.UniqueConstraint("reverses_id", name="uq_credit_event_reverses_id"),
    )
    _index("ix_credit_event_customer_id_event_id", "credit_event", "customer_id", "event_id")


def _delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("merchant_id", BIG, nullable=False),
        sa.Column("customer_id", BIG),
        sa.Column("placed_at_ms", BIG, nullable=False),
        sa.Column("preparation_ms", BIG, nullable=False),
        sa.Column("ready_at_ms", BIG),
        sa.Column("items", sa.JSON()),
        sa.Column("cents", BIG, nullable=False),
        sa.Column("cancelled_at_ms", BIG),
        sa.CheckConstraint("cents >= 0", name="ck_delivery_cents"),
        sa.CheckConstraint("preparation_ms >= 0", name="ck_delivery_preparation"),
        sa.PrimaryKeyConstraint("order_id", name="pk_delivery"),
    )
    _index("ix_delivery_merchant_id_placed_at_ms", "delivery", "merchant_id", "placed_at_ms")


def _driver_block() -> None:
    op.create_table(
        "driver_block",
        sa.Column("block_id", BIG, autoincrement=True, nullable=False),
        sa.Column("driver_id", BIG, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("from_ms", BIG, nullable=False),
        sa.Column("until_ms", BIG, nullable=False),
        sa.Column("basis", sa.JSON()),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("lifted_at_ms", BIG),
        sa.CheckConstraint("from_ms < until_ms", name="ck_driver_block_window"),
        sa.PrimaryKeyConstraint("block_id", name="pk_driver_block"),
    )
    _index("ix_driver_block_driver_id", "driver_block", "driver_id")


def _energy_purchase() -> None:
    op.create_table(
        "energy_purchase",
        sa.Column("purchase_id", BIG, autoincrement=True, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("station_id", BIG, nullable=False),
        sa.Column("customer_id", BIG),
        sa.Column("driver_id", BIG),
        sa.Column("vehicle_id", BIG),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("millilitres", BIG),
        sa.Column("watt_hours", BIG),
        sa.Column("cents", BIG, nullable=False),
        sa.Column("level_permille", BIG),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(millilitres > 0 AND watt_hours IS NULL) OR (watt_hours > 0 AND millilitres IS NULL)",
            name="ck_energy_purchase_quantity",
        ),
        sa.CheckConstraint("cents >= 0", name="ck_energy_purchase_cents"),
        sa.CheckConstraint("customer_id IS NULL OR driver_id IS NULL", name="ck_energy_purchase_buyer"),
        sa.PrimaryKeyConstraint("purchase_id", name="pk_energy_purchase"),
        sa.UniqueConstraint("key", name="uq_energy_purchase_key"),
    )
    _index("ix_energy_purchase_customer_id_at_ms", "energy_purchase", "customer_id", "at_ms")
    _index("ix_energy_purchase_driver_id_at_ms", "energy_purchase", "driver_id", "at_ms")
    _index("ix_energy_purchase_station_id_at_ms", "energy_purchase", "station_id", "at_ms")


def _feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("feedback_id", BIG, autoincrement=True, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("customer_id", BIG),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("stars", BIG),
        sa.Column("order_id", BIG),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("received_at_ms", BIG, nullable=False),
        sa.Column("handled_at_ms", BIG),
        sa.Column("outcome", sa.Text()),
        sa.Column("complaint_id", BIG),
        sa.Column("words", sa.LargeBinary()),
        sa.CheckConstraint("stars BETWEEN 1 AND 5", name="ck_feedback_stars"),
        sa.PrimaryKeyConstraint("feedback_id", name="pk_feedback"),
        sa.UniqueConstraint("channel", "key", name="uq_feedback_channel_key"),
    )
    _index("ix_feedback_customer_id", "feedback", "customer_id")
    _index("ix_feedback_scope_id_received_at_ms", "feedback", "scope_id", "received_at_ms")


def _incentive() -> None:
    op.create_table(
        "incentive",
        sa.Column("incentive_id", BIG, autoincrement=True, nullable=False),
        sa.Column("driver_id", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'reward' AND cents > 0) OR (kind = 'penalty' AND cents < 0) OR (kind = "
            "'adjustment' AND cents <> 0)",
            name="ck_incentive_cents",
        ),
        sa.PrimaryKeyConstraint("incentive_id", name="pk_incentive"),
        sa.UniqueConstraint("driver_id", "key", name="uq_incentive_driver_id_key"),
    )


def _incident() -> None:
    op.create_table(
        "incident",
        sa.Column("incident_id", BIG, autoincrement=True, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("order_id", BIG),
        sa.Column("customer_id", BIG),
        sa.Column("driver_id", BIG),
        sa.Column("merchant_id", BIG),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("severity", BIG, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("void_at_ms", BIG),
        sa.Column("note", sa.LargeBinary()),
        sa.CheckConstraint("severity BETWEEN 1 AND 5", name="ck_incident_severity"),
        sa.PrimaryKeyConstraint("incident_id", name="pk_incident"),
    )
    _index("ix_incident_at_ms", "incident", "at_ms")
    _index("ix_incident_customer_id", "incident", "customer_id")


def _item() -> None:
    op.create_table(
        "item",
        sa.Column("merchant_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("available", BIG, server_default="1", nullable=False),
        sa.Column("changed_at_ms", BIG, nullable=False),
        sa.CheckConstraint("available IN (0, 1)", name="ck_item_available"),
        sa.PrimaryKeyConstraint("merchant_id", "product", name="pk_item"),
    )


def _licence() -> None:
    op.create_table(
        "licence",
        sa.Column("licence_id", BIG, autoincrement=True, nullable=False),
        sa.Column("driver_id", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.LargeBinary()),
        sa.Column("valid_from_ms", BIG, nullable=False),
        sa.Column("valid_until_ms", BIG, nullable=False),
        sa.Column("revoked_at_ms", BIG),
        sa.CheckConstraint("valid_from_ms < valid_until_ms", name="ck_licence_window"),
        sa.PrimaryKeyConstraint("licence_id", name="pk_licence"),
    )
    _index("ix_licence_driver_id_kind", "licence", "driver_id", "kind")


def _merchant() -> None:
    op.create_table(
        "merchant",
        sa.Column("merchant_id", BIG, autoincrement=True, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("lon_e6", BIG, nullable=False),
        sa.Column("lat_e6", BIG, nullable=False),
        sa.Column("slots", BIG, server_default="1", nullable=False),
        sa.Column("preparation_ms", BIG, server_default="0", nullable=False),
        sa.Column("opens_ms", BIG, server_default="0", nullable=False),
        sa.Column("closes_ms", BIG, server_default="0", nullable=False),
        sa.Column("time_zone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("created_at_ms", BIG, nullable=False),
        sa.CheckConstraint("kind IN ('restaurant', 'station', 'shop')", name="ck_merchant_kind"),
        sa.CheckConstraint("status IN ('open', 'closed')", name="ck_merchant_status"),
        sa.CheckConstraint("slots BETWEEN 1 AND 10000", name="ck_merchant_slots"),
        sa.PrimaryKeyConstraint("merchant_id", name="pk_merchant"),
        sa.UniqueConstraint("scope_id", "kind", "name", name="uq_merchant_scope_id_kind_name"),
    )
    _index("ix_merchant_scope_id_kind", "merchant", "scope_id", "kind")


def _price() -> None:
    op.create_table(
        "price",
        sa.Column("merchant_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.Column("per", sa.Text(), nullable=False),
        sa.CheckConstraint("per IN ('item', 'litre', 'kwh')", name="ck_price_per"),
        sa.CheckConstraint("cents >= 0", name="ck_price_cents"),
        sa.PrimaryKeyConstraint("merchant_id", "product", "from_ms", name="pk_price"),
    )


def _rating() -> None:
    op.create_table(
        "rating",
        sa.Column("rating_id", BIG, autoincrement=True, nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("scope_id", BIG),
        sa.Column("customer_id", BIG),
        sa.Column("driver_id", BIG),
        sa.Column("merchant_id", BIG),
        sa.Column("stars", BIG, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("removed_at_ms", BIG),
        sa.Column("comment", sa.LargeBinary()),
        sa.CheckConstraint("about IN ('driver', 'merchant', 'customer')", name="ck_rating_about"),
        sa.CheckConstraint("stars BETWEEN 1 AND 5", name="ck_rating_stars"),
        sa.PrimaryKeyConstraint("rating_id", name="pk_rating"),
        sa.UniqueConstraint("order_id", "about", name="uq_rating_order_id_about"),
    )
    _index("ix_rating_driver_id_at_ms", "rating", "driver_id", "at_ms")


def _score_correction() -> None:
    op.create_table(
        "score_correction",
        sa.Column("correction_id", BIG, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("object_id", BIG, nullable=False),
        sa.Column("driver_id", BIG, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("correction_id", name="pk_score_correction"),
        sa.UniqueConstraint(
            "kind", "object_id", "driver_id", name="uq_score_correction_kind_object_id_driver_id"
        ),
    )


def _shift() -> None:
    op.create_table(
        "shift",
        sa.Column("shift_id", BIG, autoincrement=True, nullable=False),
        sa.Column("driver_id", BIG, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("begin_at_ms", BIG, nullable=False),
        sa.Column("end_at_ms", BIG, nullable=False),
        sa.Column("planned_at_ms", BIG, nullable=False),
        sa.Column("cancelled_at_ms", BIG),
        sa.CheckConstraint("begin_at_ms < end_at_ms", name="ck_shift_window"),
        sa.PrimaryKeyConstraint("shift_id", name="pk_shift"),
    )
    _index("ix_shift_begin_at_ms", "shift", "begin_at_ms")
    _index("ix_shift_driver_id_begin_at_ms", "shift", "driver_id", "begin_at_ms")


def _survey() -> None:
    op.create_table(
        "survey",
        sa.Column("survey_id", BIG, autoincrement=True, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("questions", sa.JSON()),
        sa.Column("created_at_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("survey_id", name="pk_survey"),
        sa.UniqueConstraint("scope_id", "name", name="uq_survey_scope_id_name"),
    )


def _survey_sent() -> None:
    op.create_table(
        "survey_sent",
        sa.Column("survey_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sent_at_ms", BIG, nullable=False),
        sa.Column("answered_at_ms", BIG),
        sa.Column("answers", sa.JSON()),
        sa.Column("words", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("survey_id", "customer_id", name="pk_survey_sent"),
    )


def _training() -> None:
    op.create_table(
        "training",
        sa.Column("training_id", BIG, autoincrement=True, nullable=False),
        sa.Column("driver_id", BIG, nullable=False),
        sa.Column("course", sa.Text(), nullable=False),
        sa.Column("passed", BIG, nullable=False),
        sa.Column("score", BIG),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("valid_until_ms", BIG, nullable=False),
        sa.CheckConstraint("passed IN (0, 1)", name="ck_training_passed"),
        sa.CheckConstraint("score BETWEEN 0 AND 100", name="ck_training_score"),
        sa.PrimaryKeyConstraint("training_id", name="pk_training"),
    )
    _index("ix_training_driver_id_course", "training", "driver_id", "course")


def _vehicle() -> None:
    op.create_table(
        "vehicle",
        sa.Column("vehicle_id", BIG, autoincrement=True, nullable=False),
        sa.Column("driver_id", BIG, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("vehicle_class", BIG, nullable=False),
        sa.Column("seats", BIG, nullable=False),
        sa.Column("energy", sa.Text(), nullable=False),
        sa.Column("range_m", BIG),
        sa.Column("plate", sa.LargeBinary()),
        sa.Column("plate_index", sa.LargeBinary()),
        sa.Column("insured_until_ms", BIG),
        sa.Column("inspected_until_ms", BIG),
        sa.Column("level_permille", BIG),
        sa.Column("level_at_ms", BIG),
        sa.Column("added_at_ms", BIG, nullable=False),
        sa.Column("retired_at_ms", BIG),
        sa.CheckConstraint("energy IN ('petrol', 'diesel', 'electric', 'none')", name="ck_vehicle_energy"),
        sa.CheckConstraint("level_permille BETWEEN 0 AND 1000", name="ck_vehicle_level"),
        sa.CheckConstraint("seats BETWEEN 0 AND 100", name="ck_vehicle_seats"),
        sa.PrimaryKeyConstraint("vehicle_id", name="pk_vehicle"),
        sa.UniqueConstraint("scope_id", "plate_index", name="uq_vehicle_scope_id_plate_index"),
    )
    _index("ix_vehicle_driver_id", "vehicle", "driver_id")


def _index(name: str, table: str, *columns: str, where: str | None = None, unique: bool = False) -> None:
    """Make an index, of those rows alone that a condition holds for."""
    only = None if where is None else sa.text(where)
    op.create_index(name, table, list(columns), unique=unique, sqlite_where=only, postgresql_where=only)
