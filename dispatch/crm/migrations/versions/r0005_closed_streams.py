"""Logs that go no further, and by which log drivers are on duty."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0005"
down_revision: Final = "0004"

BIG: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns; the log of stages knows by which log drivers are on duty."""
    op.add_column("event_stream", sa.Column("closed_at_ms", BIG, nullable=True))
    op.add_column("duty", sa.Column("last_at_ms", BIG, nullable=False, server_default="0"))
    op.add_column("duty", sa.Column("stream_id", BIG, nullable=True))
    # The first condition of the kind is that of the index of such events.
    op.execute(
        "UPDATE duty SET last_at_ms = online_at_ms, stream_id = (SELECT max(stream_id) FROM order_stage "
        "WHERE order_stage.driver_id = duty.driver_id AND order_stage.at_ms = duty.online_at_ms "
        "AND kind IN (0, 1) AND kind = 0)"
    )


def downgrade() -> None:
    """Drop them: closed logs can be gone on with."""
    op.drop_column("duty", "stream_id")
    op.drop_column("duty", "last_at_ms")
    op.drop_column("event_stream", "closed_at_ms")
