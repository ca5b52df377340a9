"""Of which business a database is, and by what rules."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0006"
down_revision: Final = "0005"

BIG: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table, empty: which business older rows are of must be told once."""
    op.create_table(
        "rulebook",
        sa.Column("only", sa.Integer(), nullable=False),
        sa.Column("vertical", sa.Text(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("changed_at_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("only", name="pk_rulebook"),
    )


def downgrade() -> None:
    """Drop it: the rules must be told again."""
    op.drop_table("rulebook")
