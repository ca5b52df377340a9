"""Who: customers, drivers, and what must not be readable without their own keys."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from dispatch.crm.tables.base import facts, id_column, index_of, metadata, perhaps, sealed, text, whole

customer: Final = sa.Table(
    "customer",
    metadata,
    id_column("customer_id"),
    whole("scope_id"),
    text("status", server_default="active"),  # active, merged, restricted, erased
    perhaps("merged_into"),
    text("member_no", nullable=True),
    text("channel", nullable=True),  # by which the customer was won
    text("language", nullable=True),
    whole("created_at_ms"),
    whole("changed_at_ms"),
    whole("version", default=1),
    sealed("name"),
    sealed("phone"),
    sealed("email"),
    sealed("custom"),  # custom fields, as JSON: some may be personal
    index_of("phone_index"),
    index_of("email_index"),
    perhaps("birthday_mmdd"),  # month and day alone, for wishes; 1231 is 31 December
    text("tier", nullable=True),  # of the membership in force, kept beside its dated rows for speed
    sa.Index(None, "scope_id", "customer_id"),
    sa.UniqueConstraint("scope_id", "phone_index"),
)
for _name, _columns, _unique in (
    ("member_no", ("scope_id", "member_no"), True),
    ("email_index", ("scope_id", "email_index"), False),
    ("merged_into", ("merged_into",), False),
):
    # Most rows have none of these: they stay out of the index, which a large import feels.
    sa.Index(
        f"ix_customer_{_name}",
        *(customer.c[name] for name in _columns),
        unique=_unique,
        sqlite_where=customer.c[_name].is_not(None),
        postgresql_where=customer.c[_name].is_not(None),
    )

driver: Final = sa.Table(
    "driver",
    metadata,
    id_column("driver_id"),
    whole("scope_id"),
    text("status", server_default="active"),  # active, left, restricted, erased
    whole("created_at_ms"),
    whole("changed_at_ms"),
    whole("version", default=1),
    sealed("name"),
    sealed("phone"),
    sealed("address"),
    sealed("custom"),
    index_of("phone_index"),
    perhaps("birthday_mmdd"),
    perhaps("left_at_ms"),
    sa.Index(None, "scope_id", "driver_id"),
    sa.UniqueConstraint("scope_id", "phone_index"),
)

alias: Final = sa.Table(
    "alias",
    metadata,
    id_column("alias_id"),
    whole("customer_id"),
    whole("scope_id"),
    text("kind"),  # phone, email, card, app, wechat, …
    sealed("value"),
    index_of("value_index"),
    whole("added_at_ms"),
    sa.Index(None, "customer_id"),
    sa.UniqueConstraint("scope_id", "kind", "value_index"),
)
"""Other names under which a customer is known in other channels."""

address: Final = sa.Table(
    "address",
    metadata,
    id_column("address_id"),
    whole("customer_id"),
    text("label"),
    sealed("value"),
    sealed("place"),  # longitude and latitude, in millionths of a degree: they tell the house
    whole("changed_at_ms"),
    sa.Index(None, "customer_id"),
)

person_key: Final = sa.Table(
    "person_key",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),  # customer, driver
    sa.Column("person_id", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("master_version"),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""Keys of persons, themselves sealed by a master key that is kept elsewhere; erasing deletes the row."""

consent: Final = sa.Table(
    "consent",
    metadata,
    id_column("consent_id"),
    whole("customer_id"),
    text("purpose"),  # marketing, profiling, location, survey, …
    sa.Column("granted", sa.Boolean, nullable=False),
    whole("at_ms"),
    text("source"),
    text("terms_version", nullable=True),
    sa.Index(None, "customer_id", "purpose", "at_ms"),
)
"""Append-only: the latest row of a purpose counts, none at all is no."""

legal_hold: Final = sa.Table(
    "legal_hold",
    metadata,
    id_column("hold_id"),
    text("kind"),
    whole("person_id"),
    text("reason"),
    whole("placed_at_ms"),
    perhaps("released_at_ms"),
    sa.Index(None, "kind", "person_id"),
)

erasure: Final = sa.Table(
    "erasure",
    metadata,
    id_column("erasure_id"),
    text("kind"),
    whole("person_id"),
    whole("asked_at_ms"),
    perhaps("done_at_ms"),  # None while a legal hold defers it
    sa.Index(None, "kind", "person_id"),
)
"""Who asked to be erased, by pseudonymous id."""

audit: Final = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    whole("at_ms"),
    text("actor"),
    text("role"),
    text("action"),
    text("kind", nullable=True),
    perhaps("object_id"),
    perhaps("scope_id"),
    text("details"),  # canonical JSON: names of fields, never their personal values
    sa.Column("hash", sa.LargeBinary, nullable=False),
)
"""Append-only; each hash covers its row and the hash before."""

audit_head: Final = sa.Table(
    "audit_head",
    metadata,
    sa.Column("only", sa.Integer, primary_key=True),  # one row: who appends locks it
    whole("seq"),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)

idempotency: Final = sa.Table(
    "idempotency",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    text("action"),
    sa.Column("digest", sa.LargeBinary, nullable=False),  # of the parameters
    facts("answer"),
    whole("at_ms"),
    perhaps("customer_id"),  # whom it was about: goes when they are erased
    sa.Index(None, "at_ms"),
    sa.Index(None, "customer_id"),
)
"""The same key gives the same answer; with other parameters it is an error."""

installation: Final = sa.Table(
    "installation",
    metadata,
    sa.Column("only", sa.Integer, primary_key=True),  # one row
    text("name"),
)
"""The database's own random name, which its backups share, but not what is restored from them.

By it the register of erasures tells databases apart.
"""

rulebook: Final = sa.Table(
    "rulebook",
    metadata,
    sa.Column("only", sa.Integer, primary_key=True),  # one row
    text("vertical"),
    text("rules"),  # the whole vertical, as JSON
    whole("changed_at_ms"),
)
"""Of which business the database is, and by what rules: whoever opens it need not tell them."""
