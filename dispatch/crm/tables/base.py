"""What all tables share: their register, and the types of columns."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""All tables; a module that defines some must be imported for them to be there: :mod:`.everything`."""

BIG: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""Ids, instants in milliseconds since the epoch (UTC), cents, points; SQLite's own integers have 64 bits."""


def id_column(name: str) -> sa.Column[Any]:
    """Give a primary key that counts up by itself where no id is told."""
    return sa.Column(name, BIG, primary_key=True, autoincrement=True)


def whole(name: str, **options: Any) -> sa.Column[Any]:
    """Give a column of whole numbers that must be told; ``default=0`` where 0 stands for what is not."""
    if "default" in options:
        options["server_default"] = str(options["default"])
    return sa.Column(name, BIG, nullable=False, **options)


def perhaps(name: str, **options: Any) -> sa.Column[Any]:
    """Give a column of whole numbers that may be unknown."""
    return sa.Column(name, BIG, nullable=True, **options)


def text(name: str, **options: Any) -> sa.Column[Any]:
    """Give a column of short texts without anything personal."""
    options.setdefault("nullable", False)
    return sa.Column(name, sa.Text, **options)


def sealed(name: str) -> sa.Column[Any]:
    """Give a column that only the person's key opens."""
    return sa.Column(name, sa.LargeBinary, nullable=True, info={"personal": True, "sealed": True})


def index_of(name: str) -> sa.Column[Any]:
    """Give a column that finds a person by something personal without holding it: a keyed hash."""
    return sa.Column(name, sa.LargeBinary, nullable=True, info={"personal": True})


def facts(name: str) -> sa.Column[Any]:
    """Give a column of JSON without anything personal."""
    return sa.Column(name, sa.JSON, nullable=True)
