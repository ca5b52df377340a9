"""Logs that go no further, and which log told last of drivers on duty."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0005"
down_revision: Final = "0004"

BIG: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns; the log of stages knows when drivers on duty were told of last, and by which log."""
    op.add_column("event_stream", sa.Column("closed_at_ms", BIG, nullable=True))
    op.add_column("duty", sa.Column("last_at_ms", BIG, nullable=False, server_default="0"))
    op.add_column("duty", sa.Column("stream_id", BIG, nullable=True))
    op.execute("UPDATE duty SET last_at_ms = online_at_ms")
    # No index is by driver: one pass for all of them. Of kind 1 is going off duty, by another log here.
    told = op.get_bind().execute(
        sa.text(
            "SELECT told.driver_id, told.stream_id, max(told.at_ms) AS last_at_ms "
            "FROM order_stage AS told JOIN duty ON duty.driver_id = told.driver_id "
            "WHERE told.at_ms >= duty.online_at_ms AND told.kind <> 1 "
            "GROUP BY told.driver_id, told.stream_id ORDER BY last_at_ms, told.stream_id"
        )
    )
    latest = {row.driver_id: row._asdict() for row in told}
    if latest:
        op.get_bind().execute(
            sa.text(
                "UPDATE duty SET last_at_ms = :last_at_ms, stream_id = :stream_id "
                "WHERE driver_id = :driver_id"
            ),
            list(latest.values()),
        )


def downgrade() -> None:
    """Drop them: closed logs can be gone on with."""
    op.drop_column("duty", "stream_id")
    op.drop_column("duty", "last_at_ms")
    op.drop_column("event_stream", "closed_at_ms")
