"""The rules that a database keeps: of which business it is, so that whoever opens it need not tell.

Rules of the same name may be changed on purpose, by whoever opens the database with others: they are kept
from then on, and the audit tells which parts they changed. Whoever has it open already goes on by those
before. Another name is another business, and is refused: its tiers, problems and products are not those that
the rows speak of.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import fields

import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.tables.people import rulebook
from dispatch.crm.vertical import Vertical
from dispatch.errors import AuthError, InputError


def keep_in(connection: sa.Connection, vertical: Vertical, at_ms: int) -> None:
    """Keep rules, in place of those before."""
    connection.execute(sa.delete(rulebook))
    connection.execute(
        sa.insert(rulebook).values(
            only=1, vertical=vertical.name, rules=vertical.as_json(), changed_at_ms=at_ms
        )
    )


def is_kept(connection: sa.Connection) -> bool:
    """Tell whether the database knows its rules: one of an older version does not yet."""
    return connection.scalar(sa.select(rulebook.c.only)) is not None


def chosen_in(connection: sa.Connection, told: Vertical | None) -> tuple[Vertical, bool]:
    """Give the rules to go by, and whether they are others than those kept.

    Raises
    ------
    InputError
        The business is another one; or none is kept, as in a database of an older version, and none told;
        or those that are kept are of another version of the program, and none are told.
    """
    row = connection.execute(sa.select(rulebook)).one_or_none()
    if row is None:
        if told is None:
            raise InputError(
                "vertical is missing: this database, made by an older version, does not know its own yet; "
                "tell it once: dispatch crm init --upgrade --vertical NAME"
            )
        return told, True
    if told is None:
        where = f"rules of vertical {row.vertical!r}, as the database keeps them"
        try:
            return Vertical.from_json(row.rules, where), False
        except InputError as error:
            raise InputError(f"{error}; tell the vertical anew, and its rules are kept instead") from error
    if told.name != row.vertical:
        raise InputError(
            f"vertical is {told.name!r}: this database is of {row.vertical!r}; leave it out to go by "
            "the rules that the database keeps"
        )
    return told, _others(row.rules, told)


def change(context: Context) -> None:
    """Keep the context's rules from now on; the audit tells what is others than before.

    Raises
    ------
    AuthError
        The actor may not: only who may do all.
    """
    at_ms = time.time_ns() // 1_000_000
    text = context.vertical.as_json()
    noted: dict[str, object] = {
        "vertical": context.vertical.name,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    try:
        with context.acting("rules.change", at_ms=at_ms, details=noted) as connection:
            before = connection.execute(sa.select(rulebook.c.rules)).scalar_one_or_none()
            noted["changed"] = _changed(before, context.vertical)
            keep_in(connection, context.vertical, at_ms)
    except AuthError as error:
        raise AuthError(f"{error}: the rules that were told are not those that the database keeps") from error


def _others(kept: str, told: Vertical) -> bool:
    try:
        return Vertical.from_json(kept, "kept") != told
    except InputError:
        return True  # of another version: those told take their place


def _changed(kept: str | None, told: Vertical) -> list[str]:
    """Name the parts that differ; all where nothing that can be read is kept."""
    names = sorted(one.name for one in fields(told))
    if kept is None:
        return names
    try:
        before = Vertical.from_json(kept, "kept")
    except InputError:
        return names
    return [name for name in names if getattr(before, name) != getattr(told, name)]
