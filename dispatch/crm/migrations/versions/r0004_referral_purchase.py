"""Referrals that a purchase of energy settled, not an order."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"

BIG: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the column; who was settled before was so by an order."""
    op.add_column("referral", sa.Column("purchase_id", BIG, nullable=True))


def downgrade() -> None:
    """Drop it: that a referral is settled stays, by which purchase is lost."""
    op.drop_column("referral", "purchase_id")
