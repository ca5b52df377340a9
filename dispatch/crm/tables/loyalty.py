"""Memberships, points, coupons, passes, referrals."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.tables.base import id_column, metadata, perhaps, text, whole


def _partly(condition: str, *columns: str, name: str, unique: bool = False) -> sa.Index:
    """Give an index of those rows alone that a condition holds for: it stays as small as they are few."""
    where: Any = sa.text(condition)
    return sa.Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


points_account: Final = sa.Table(
    "points_account",
    metadata,
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("balance", default=0),
    whole("debt", default=0),  # taken back after they were spent: the next points earned pay it
    whole("last_at_ms", default=0),
    sa.CheckConstraint("balance >= 0 AND debt >= 0 AND (balance = 0 OR debt = 0)", name="sides"),
    sqlite_with_rowid=False,
)
"""Sums of the ledger; whoever adds an entry locks the row first."""

points_entry: Final = sa.Table(
    "points_entry",
    metadata,
    id_column("entry_id"),
    whole("customer_id"),
    text("kind"),
    whole("points"),
    whole("at_ms"),
    perhaps("expires_at_ms"),
    perhaps("order_id"),
    perhaps("source_entry_id"),  # what it takes back, expires or moves
    text("reason", nullable=True),
    text("key", nullable=True),  # of idempotency; orders that earn have their own below
    sa.CheckConstraint("kind IN ('earn', 'grant', 'redeem', 'rollback', 'expire', 'transfer')", name="kind"),
    sa.CheckConstraint("kind NOT IN ('earn', 'grant') OR points > 0", name="gained"),
    sa.CheckConstraint("kind NOT IN ('redeem', 'expire') OR points < 0", name="spent"),
    sa.Index(None, "customer_id", "entry_id"),
    _partly("key IS NOT NULL", "key", name="uq_points_entry_key", unique=True),
    _partly(
        "kind = 'earn' AND order_id IS NOT NULL", "order_id", name="uq_points_entry_order_id", unique=True
    ),
    _partly("kind <> 'earn' AND order_id IS NOT NULL", "order_id", name="ix_points_entry_order_id"),
)
"""The ledger: rows are added, never changed and never deleted."""

points_lot: Final = sa.Table(
    "points_lot",
    metadata,
    sa.Column("entry_id", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("customer_id"),
    whole("expires_at_ms"),
    whole("remaining"),
    sa.CheckConstraint("remaining >= 0", name="remaining"),
    _partly("remaining > 0", "customer_id", "expires_at_ms", name="ix_points_lot_customer_id"),
    _partly("remaining > 0", "expires_at_ms", name="ix_points_lot_expires_at_ms"),
)
"""What is left of an entry that brought points."""

points_use: Final = sa.Table(
    "points_use",
    metadata,
    sa.Column("entry_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("lot_entry_id", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("points"),
    sqlite_with_rowid=False,
)
"""Out of which lots a redemption was paid: into them it goes back."""

membership: Final = sa.Table(
    "membership",
    metadata,
    id_column("membership_id"),
    whole("customer_id"),
    text("tier"),
    whole("from_ms"),
    perhaps("until_ms"),
    whole("keep_until_ms"),  # no review takes the tier away before
    text("reason"),
    whole("entered_at_ms"),
    sa.CheckConstraint("until_ms IS NULL OR until_ms > from_ms", name="until"),
    sa.UniqueConstraint("customer_id", "from_ms"),
    _partly("until_ms IS NULL", "customer_id", name="uq_membership_open", unique=True),
    _partly("until_ms IS NULL", "keep_until_ms", name="ix_membership_keep_until_ms"),
)
"""Who had which tier when; periods of a customer do not overlap, the last one is open."""

coupon: Final = sa.Table(
    "coupon",
    metadata,
    id_column("coupon_id"),
    whole("scope_id"),
    text("name"),
    text("code", nullable=True),  # that all share; None where each person has a code of their own
    whole("cents", default=0),
    whole("permille", default=0),
    whole("most_cents", default=0),  # of discount; 0: no limit
    whole("least_fare_cents", default=0),
    whole("most_uses", default=0),  # by all together; 0: no limit
    whole("most_per_customer", default=0),
    whole("from_ms"),
    whole("until_ms"),
    whole("least_tier", default=0),  # row of the vertical's tiers
    text("channel", nullable=True),
    text("vehicle_class", nullable=True),
    whole("num_held", default=0),  # reserved or committed
    perhaps("withdrawn_at_ms"),
    whole("created_at_ms"),
    sa.CheckConstraint("num_held >= 0 AND (most_uses = 0 OR num_held <= most_uses)", name="held"),
    sa.CheckConstraint("(cents > 0) <> (permille > 0)", name="worth"),
    sa.CheckConstraint("until_ms > from_ms", name="window"),
    sa.UniqueConstraint("scope_id", "code"),
    sa.UniqueConstraint("scope_id", "name"),
)
"""What a coupon is worth, for whom, when and how often."""

coupon_code: Final = sa.Table(
    "coupon_code",
    metadata,
    id_column("code_id"),
    whole("coupon_id"),
    text("code", unique=True),
    perhaps("customer_id"),  # None: whoever brings it
    whole("issued_at_ms"),
    whole("until_ms"),
    whole("num_held", default=0),
    sa.CheckConstraint("num_held IN (0, 1)", name="once"),
    sa.Index(None, "customer_id", "until_ms"),
    sa.Index(None, "coupon_id"),
)
"""A code of one person's, good for one order."""

coupon_customer: Final = sa.Table(
    "coupon_customer",
    metadata,
    sa.Column("coupon_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("num_held", default=0),
    sa.CheckConstraint("num_held >= 0", name="held"),
    sqlite_with_rowid=False,
)
"""How often one customer holds or has used a coupon."""

customer_pass: Final = sa.Table(
    "customer_pass",
    metadata,
    id_column("pass_id"),
    whole("customer_id"),
    text("product"),
    whole("price_cents"),
    whole("most_rides", default=0),  # 0: as many as one likes
    whole("num_held", default=0),
    whole("from_ms"),
    whole("until_ms"),
    whole("bought_at_ms"),
    text("key", nullable=True, unique=True),
    sa.CheckConstraint("until_ms > from_ms", name="window"),
    sa.CheckConstraint("num_held >= 0 AND (most_rides = 0 OR num_held <= most_rides)", name="held"),
    sa.Index(None, "customer_id", "until_ms"),
)
"""A monthly pass or a package of rides that a customer bought."""

redemption: Final = sa.Table(
    "redemption",
    metadata,
    id_column("redemption_id"),
    perhaps("coupon_id"),
    perhaps("code_id"),
    perhaps("pass_id"),
    whole("customer_id"),
    whole("order_id"),
    text("state"),
    whole("fare_cents"),
    whole("discount_cents"),
    whole("reserved_at_ms"),
    whole("until_ms"),  # void then, unless it was committed
    perhaps("ended_at_ms"),
    sa.CheckConstraint("state IN ('reserved', 'committed', 'rolled_back', 'expired')", name="state"),
    sa.CheckConstraint("(coupon_id IS NULL) <> (pass_id IS NULL)", name="of_one"),
    sa.CheckConstraint("discount_cents BETWEEN 0 AND fare_cents", name="discount"),
    _partly("state IN ('reserved', 'committed')", "order_id", name="uq_redemption_live_order", unique=True),
    _partly("state = 'reserved'", "until_ms", name="ix_redemption_until_ms"),
    sa.Index(None, "coupon_id", "customer_id"),
    sa.Index(None, "customer_id", "redemption_id"),
)
"""A coupon or a pass on an order: reserved, then committed or rolled back; one at a time for each order."""

referral_code: Final = sa.Table(
    "referral_code",
    metadata,
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    text("code", unique=True),
    whole("created_at_ms"),
    sqlite_with_rowid=False,
)

referral: Final = sa.Table(
    "referral",
    metadata,
    sa.Column("referee_id", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("referrer_id"),
    whole("at_ms"),
    text("state", server_default="waiting"),  # rewarded; over_limit: the referrer got nothing
    perhaps("order_id"),  # the referee's first completed one, or
    perhaps("settled_at_ms"),
    perhaps("purchase_id"),  # the first of energy, where such ones count
    sa.CheckConstraint("state IN ('waiting', 'rewarded', 'over_limit')", name="state"),
    sa.CheckConstraint("referrer_id <> referee_id", name="self"),
    sa.Index(None, "referrer_id", "settled_at_ms"),
    sqlite_with_rowid=False,
)
"""Who won whom: one referrer for each customer."""
