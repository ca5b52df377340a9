"""Memberships, points, coupons, referrals; segments, campaigns, messages."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"

BIG: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _acquisition_cost()
    _campaign()
    _campaign_member()
    _care_sent()
    _coupon()
    _coupon_code()
    _coupon_customer()
    _customer_pass()
    _interest()
    _membership()
    _outbox()
    _outbox_turn()
    _payment()
    _platform_order()
    _points_account()
    _points_entry()
    _points_lot()
    _points_use()
    _redemption()
    _referral()
    _referral_code()
    _refund()
    _segment()
    _segment_member()
    _segment_snapshot()
    _telemetry()


def downgrade() -> None:
    """Drop them, and what is in them."""
    op.drop_table("telemetry")
    op.drop_table("segment_snapshot")
    op.drop_table("segment_member")
    op.drop_table("segment")
    op.drop_table("refund")
    op.drop_table("referral_code")
    op.drop_table("referral")
    op.drop_table("redemption")
    op.drop_table("points_use")
    op.drop_table("points_lot")
    op.drop_table("points_entry")
    op.drop_table("points_account")
    op.drop_table("platform_order")
    op.drop_table("payment")
    op.drop_table("outbox_turn")
    op.drop_table("outbox")
    op.drop_table("membership")
    op.drop_table("interest")
    op.drop_table("customer_pass")
    op.drop_table("coupon_customer")
    op.drop_table("coupon_code")
    op.drop_table("coupon")
    op.drop_table("care_sent")
    op.drop_table("campaign_member")
    op.drop_table("campaign")
    op.drop_table("acquisition_cost")


def _acquisition_cost() -> None:
    op.create_table(
        "acquisition_cost",
        sa.Column("scope_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.CheckConstraint("cents >= 0", name="ck_acquisition_cost_cents"),
        sa.PrimaryKeyConstraint("scope_id", "channel", "day", name="pk_acquisition_cost"),
        sqlite_with_rowid=False,
    )


def _campaign() -> None:
    op.create_table(
        "campaign",
        sa.Column("campaign_id", BIG, autoincrement=True, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="draft", nullable=False),
        sa.Column("plan", sa.JSON()),
        sa.Column("begin_at_ms", BIG, nullable=False),
        sa.Column("end_at_ms", BIG, nullable=False),
        sa.Column("holdout_permille", BIG, nullable=False),
        sa.Column("created_at_ms", BIG, nullable=False),
        sa.Column("activated_at_ms", BIG),
        sa.Column("ended_at_ms", BIG),
        sa.CheckConstraint("status IN ('draft', 'live', 'ended')", name="ck_campaign_status"),
        sa.CheckConstraint("begin_at_ms < end_at_ms", name="ck_campaign_window"),
        sa.CheckConstraint("holdout_permille BETWEEN 0 AND 900", name="ck_campaign_holdout"),
        sa.PrimaryKeyConstraint("campaign_id", name="pk_campaign"),
        sa.UniqueConstraint("scope_id", "name", name="uq_campaign_scope_id_name"),
    )


def _campaign_member() -> None:
    op.create_table(
        "campaign_member",
        sa.Column("campaign_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("joined_at_ms", BIG, nullable=False),
        sa.CheckConstraint("arm IN ('treated', 'holdout')", name="ck_campaign_member_arm"),
        sa.PrimaryKeyConstraint("campaign_id", "customer_id", name="pk_campaign_member"),
        sqlite_with_rowid=False,
    )
    _index("ix_campaign_member_customer_id", "campaign_member", "customer_id")


def _care_sent() -> None:
    op.create_table(
        "care_sent",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("occasion", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("coupon_cents", BIG, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("kind", "person_id", "trigger", "occasion", name="pk_care_sent"),
        sqlite_with_rowid=False,
    )


def _coupon() -> None:
    op.create_table(
        "coupon",
        sa.Column("coupon_id", BIG, autoincrement=True, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("code", sa.Text()),
        sa.Column("cents", BIG, server_default="0", nullable=False),
        sa.Column("permille", BIG, server_default="0", nullable=False),
        sa.Column("most_cents", BIG, server_default="0", nullable=False),
        sa.Column("least_fare_cents", BIG, server_default="0", nullable=False),
        sa.Column("most_uses", BIG, server_default="0", nullable=False),
        sa.Column("most_per_customer", BIG, server_default="0", nullable=False),
        sa.Column("from_ms", BIG, nullable=False),
        sa.Column("until_ms", BIG, nullable=False),
        sa.Column("least_tier", BIG, server_default="0", nullable=False),
        sa.Column("channel", sa.Text()),
        sa.Column("vehicle_class", sa.Text()),
        sa.Column("num_held", BIG, server_default="0", nullable=False),
        sa.Column("withdrawn_at_ms", BIG),
        sa.Column("created_at_ms", BIG, nullable=False),
        sa.CheckConstraint("(cents > 0) <> (permille > 0)", name="ck_coupon_worth"),
        sa.CheckConstraint(
            "num_held >= 0 AND (most_uses = 0 OR num_held <= most_uses)", name="ck_coupon_held"
        ),
        sa.CheckConstraint("until_ms > from_ms", name="ck_coupon_window"),
        sa.PrimaryKeyConstraint("coupon_id", name="pk_coupon"),
        sa.UniqueConstraint("scope_id", "code", name="uq_coupon_scope_id_code"),
        sa.UniqueConstraint("scope_id", "name", name="uq_coupon_scope_id_name"),
    )


def _coupon_code() -> None:
    op.create_table(
        "coupon_code",
        sa.Column("code_id", BIG, autoincrement=True, nullable=False),
        sa.Column("coupon_id", BIG, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("customer_id", BIG),
        sa.Column("issued_at_ms", BIG, nullable=False),
        sa.Column("until_ms", BIG, nullable=False),
        sa.Column("num_held", BIG, server_default="0", nullable=False),
        sa.CheckConstraint("num_held IN (0, 1)", name="ck_coupon_code_once"),
        sa.PrimaryKeyConstraint("code_id", name="pk_coupon_code"),
        sa.UniqueConstraint("code", name="uq_coupon_code_code"),
    )
    _index("ix_coupon_code_coupon_id", "coupon_code", "coupon_id")
    _index("ix_coupon_code_customer_id_until_ms", "coupon_code", "customer_id", "until_ms")


def _coupon_customer() -> None:
    op.create_table(
        "coupon_customer",
        sa.Column("coupon_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("num_held", BIG, server_default="0", nullable=False),
        sa.CheckConstraint("num_held >= 0", name="ck_coupon_customer_held"),
        sa.PrimaryKeyConstraint("coupon_id", "customer_id", name="pk_coupon_customer"),
        sqlite_with_rowid=False,
    )


def _customer_pass() -> None:
    op.create_table(
        "customer_pass",
        sa.Column("pass_id", BIG, autoincrement=True, nullable=False),
        sa.Column("customer_id", BIG, nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("price_cents", BIG, nullable=False),
        sa.Column("most_rides", BIG, server_default="0", nullable=False),
        sa.Column("num_held", BIG, server_default="0", nullable=False),
        sa.Column("from_ms", BIG, nullable=False),
        sa.Column("until_ms", BIG, nullable=False),
        sa.Column("bought_at_ms", BIG, nullable=False),
        sa.Column("key", sa.Text()),
        sa.CheckConstraint(
            "num_held >= 0 AND (most_rides = 0 OR num_held <= most_rides)", name="ck_customer_pass_held"
        ),
        sa.CheckConstraint("until_ms > from_ms", name="ck_customer_pass_window"),
        sa.PrimaryKeyConstraint("pass_id", name="pk_customer_pass"),
        sa.UniqueConstraint("key", name="uq_customer_pass_key"),
    )
    _index("ix_customer_pass_customer_id_until_ms", "customer_pass", "customer_id", "until_ms")


def _interest() -> None:
    op.create_table(
        "interest",
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("since_at_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "topic", name="pk_interest"),
        sqlite_with_rowid=False,
    )


def _membership() -> None:
    op.create_table(
        "membership",
        sa.Column("membership_id", BIG, autoincrement=True, nullable=False),
        sa.Column("customer_id", BIG, nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("from_ms", BIG, nullable=False),
        sa.Column("until_ms", BIG),
        sa.Column("keep_until_ms", BIG, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("entered_at_ms", BIG, nullable=False),
        sa.CheckConstraint("until_ms IS NULL OR until_ms > from_ms", name="ck_membership_until"),
        sa.PrimaryKeyConstraint("membership_id", name="pk_membership"),
        sa.UniqueConstraint("customer_id", "from_ms", name="uq_membership_customer_id_from_ms"),
    )
    _index("ix_membership_keep_until_ms", "membership", "keep_until_ms", where="until_ms IS NULL")
    _index("uq_membership_open", "membership", "customer_id", where="until_ms IS NULL", unique=True)


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("message_id", BIG, autoincrement=True, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text()),
        sa.Column("object_id", BIG),
        sa.Column("scope_id", BIG),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("data", sa.JSON()),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("delivered_at_ms", BIG),
        sa.Column("attempts", BIG, server_default="0", nullable=False),
        sa.Column("not_before_ms", BIG, server_default="0", nullable=False),
        sa.Column("claimed_until_ms", BIG, server_default="0", nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("last_error", sa.Text()),
        sa.CheckConstraint(
            "state IN ('waiting', 'delivered', 'withheld', 'given_up')", name="ck_outbox_state"
        ),
        sa.PrimaryKeyConstraint("message_id", name="pk_outbox"),
    )
    _index("ix_outbox_waiting", "outbox", "message_id", where="state = 'waiting'")
    _index(
        "ix_outbox_waiting_subject", "outbox", "kind", "object_id", "message_id", where="state = 'waiting'"
    )


def _outbox_turn() -> None:
    op.create_table(
        "outbox_turn",
        sa.Column("turn_id", sa.Integer(), nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("turn_id", name="pk_outbox_turn"),
    )


def _payment() -> None:
    op.create_table(
        "payment",
        sa.Column("payment_id", BIG, autoincrement=True, nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("scope_id", BIG),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.Column("refunded_cents", BIG, server_default="0", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text()),
        sa.Column("at_ms", BIG, nullable=False),
        sa.CheckConstraint("state IN ('pending', 'settled', 'refused')", name="ck_payment_state"),
        sa.CheckConstraint("cents > 0", name="ck_payment_cents"),
        sa.CheckConstraint("refunded_cents BETWEEN 0 AND cents", name="ck_payment_refunded"),
        sa.PrimaryKeyConstraint("payment_id", name="pk_payment"),
        sa.UniqueConstraint("key", name="uq_payment_key"),
    )
    _index("ix_payment_order_id", "payment", "order_id")


def _platform_order() -> None:
    op.create_table(
        "platform_order",
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("told_stage", BIG),
        sa.Column("at_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("platform", "key", name="pk_platform_order"),
        sa.UniqueConstraint("order_id", name="uq_platform_order_order_id"),
    )


def _points_account() -> None:
    op.create_table(
        "points_account",
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("balance", BIG, server_default="0", nullable=False),
        sa.Column("debt", BIG, server_default="0", nullable=False),
        sa.Column("last_at_ms", BIG, server_default="0", nullable=False),
        sa.CheckConstraint(
            "balance >= 0 AND debt >= 0 AND (balance = 0 OR debt = 0)", name="ck_points_account_sides"
        ),
        sa.PrimaryKeyConstraint("customer_id", name="pk_points_account"),
        sqlite_with_rowid=False,
    )


def _points_entry() -> None:
    op.create_table(
        "points_entry",
        sa.Column("entry_id", BIG, autoincrement=True, nullable=False),
        sa.Column("customer_id", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("points", BIG, nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("expires_at_ms", BIG),
        sa.Column("order_id", BIG),
        sa.Column("source_entry_id", BIG),
        sa.Column("reason", sa.Text()),
        sa.Column("key", sa.Text()),
        sa.CheckConstraint(
            "kind IN ('earn', 'grant', 'redeem', 'rollback', 'expire', 'transfer')",
            name="ck_points_entry_kind",
        ),
        sa.CheckConstraint("kind NOT IN ('earn', 'grant') OR points > 0", name="ck_points_entry_gained"),
        sa.CheckConstraint("kind NOT IN ('redeem', 'expire') OR points < 0", name="ck_points_entry_spent"),
        sa.PrimaryKeyConstraint("entry_id", name="pk_points_entry"),
    )
    _index("ix_points_entry_customer_id_entry_id", "points_entry", "customer_id", "entry_id")
    _index(
        "ix_points_entry_order_id",
        "points_entry",
        "order_id",
        where="kind <> 'earn' AND order_id IS NOT NULL",
    )
    _index("uq_points_entry_key", "points_entry", "key", where="key IS NOT NULL", unique=True)
    _index(
        "uq_points_entry_order_id",
        "points_entry",
        "order_id",
        where="kind = 'earn' AND order_id IS NOT NULL",
        unique=True,
    )


def _points_lot() -> None:
    op.create_table(
        "points_lot",
        sa.Column("entry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("customer_id", BIG, nullable=False),
        sa.Column("expires_at_ms", BIG, nullable=False),
        sa.Column("remaining", BIG, nullable=False),
        sa.CheckConstraint("remaining >= 0", name="ck_points_lot_remaining"),
        sa.PrimaryKeyConstraint("entry_id", name="pk_points_lot"),
    )
    _index("ix_points_lot_customer_id", "points_lot", "customer_id", "expires_at_ms", where="remaining > 0")
    _index("ix_points_lot_expires_at_ms", "points_lot", "expires_at_ms", where="remaining > 0")


def _points_use() -> None:
    op.create_table(
        "points_use",
        sa.Column("entry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lot_entry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("points", BIG, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "lot_entry_id", name="pk_points_use"),
        sqlite_with_rowid=False,
    )


def _redemption() -> None:
    op.create_table(
        "redemption",
        sa.Column("redemption_id", BIG, autoincrement=True, nullable=False),
        sa.Column("coupon_id", BIG),
        sa.Column("code_id", BIG),
        sa.Column("pass_id", BIG),
        sa.Column("customer_id", BIG, nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("fare_cents", BIG, nullable=False),
        sa.Column("discount_cents", BIG, nullable=False),
        sa.Column("reserved_at_ms", BIG, nullable=False),
        sa.Column("until_ms", BIG, nullable=False),
        sa.Column("ended_at_ms", BIG),
        sa.CheckConstraint(
            "state IN ('reserved', 'committed', 'rolled_back', 'expired')", name="ck_redemption_state"
        ),
        sa.CheckConstraint("(coupon_id IS NULL) <> (pass_id IS NULL)", name="ck_redemption_of_one"),
        sa.CheckConstraint("discount_cents BETWEEN 0 AND fare_cents", name="ck_redemption_discount"),
        sa.PrimaryKeyConstraint("redemption_id", name="pk_redemption"),
    )
    _index("ix_redemption_coupon_id_customer_id", "redemption", "coupon_id", "customer_id")
    _index("ix_redemption_customer_id_redemption_id", "redemption", "customer_id", "redemption_id")
    _index("ix_redemption_until_ms", "redemption", "until_ms", where="state = 'reserved'")
    _index(
        "uq_redemption_live_order",
        "redemption",
        "order_id",
        where="state IN ('reserved', 'committed')",
        unique=True,
    )


def _referral() -> None:
    op.create_table(
        "referral",
        sa.Column("referee_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("referrer_id", BIG, nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("order_id", BIG),
        sa.Column("settled_at_ms", BIG),
        sa.CheckConstraint("state IN ('waiting', 'rewarded', 'over_limit')", name="ck_referral_state"),
        sa.CheckConstraint("referrer_id <> referee_id", name="ck_referral_self"),
        sa.PrimaryKeyConstraint("referee_id", name="pk_referral"),
        sqlite_with_rowid=False,
    )
    _index("ix_referral_referrer_id_settled_at_ms", "referral", "referrer_id", "settled_at_ms")


def _referral_code() -> None:
    op.create_table(
        "referral_code",
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("created_at_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name="pk_referral_code"),
        sa.UniqueConstraint("code", name="uq_referral_code_code"),
        sqlite_with_rowid=False,
    )


def _refund() -> None:
    op.create_table(
        "refund",
        sa.Column("refund_id", BIG, autoincrement=True, nullable=False),
        sa.Column("payment_id", BIG, nullable=False),
        sa.Column("cents", BIG, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text()),
        sa.Column("at_ms", BIG, nullable=False),
        sa.CheckConstraint("state IN ('pending', 'settled', 'refused')", name="ck_refund_state"),
        sa.CheckConstraint("cents > 0", name="ck_refund_cents"),
        sa.PrimaryKeyConstraint("refund_id", name="pk_refund"),
        sa.UniqueConstraint("key", name="uq_refund_key"),
    )
    _index("ix_refund_payment_id", "refund", "payment_id")


def _segment() -> None:
    op.create_table(
        "segment",
        sa.Column("segment_id", BIG, autoincrement=True, nullable=False),
        sa.Column("scope_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rule", sa.JSON()),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("created_at_ms", BIG, nullable=False),
        sa.Column("changed_at_ms", BIG, nullable=False),
        sa.Column("version", BIG, server_default="1", nullable=False),
        sa.CheckConstraint("status IN ('active', 'retired')", name="ck_segment_status"),
        sa.PrimaryKeyConstraint("segment_id", name="pk_segment"),
        sa.UniqueConstraint("scope_id", "name", name="uq_segment_scope_id_name"),
    )


def _segment_member() -> None:
    op.create_table(
        "segment_member",
        sa.Column("segment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("segment_id", "day", "customer_id", name="pk_segment_member"),
        sqlite_with_rowid=False,
    )


def _segment_snapshot() -> None:
    op.create_table(
        "segment_snapshot",
        sa.Column("segment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("num_members", BIG, nullable=False),
        sa.Column("num_customers", BIG, nullable=False),
        sa.Column("rule", sa.JSON()),
        sa.PrimaryKeyConstraint("segment_id", "day", name="pk_segment_snapshot"),
        sqlite_with_rowid=False,
    )


def _telemetry() -> None:
    op.create_table(
        "telemetry",
        sa.Column("driver_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("lon_e6", BIG, nullable=False),
        sa.Column("lat_e6", BIG, nullable=False),
        sa.Column("energy_permille", BIG),
        sa.PrimaryKeyConstraint("driver_id", name="pk_telemetry"),
    )


def _index(name: str, table: str, *columns: str, where: str | None = None, unique: bool = False) -> None:
    """Make an index, of those rows alone that a condition holds for."""
    only = None if where is None else sa.text(where)
    op.create_index(name, table, list(columns), unique=unique, sqlite_where=only, postgresql_where=only)
