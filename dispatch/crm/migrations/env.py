"""Runs revisions on the connection, and within the transaction, that the caller gives."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
