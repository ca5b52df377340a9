"""The rules that a database keeps: of which business it is, so that whoever opens it need not tell.

They are changed on purpose alone: who opens the database with others is refused, unless it is said that they
are to be kept from then on. Then the audit tells which parts they changed, and whoever has the database open
already goes on by those before. What rows speak of, such as the tiers that customers have, no change may take
away: so another business is refused as soon as there are rows that are not its own.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dispatch.crm.context import Context
from dispatch.crm.engagement.segment_rules import SegmentRule
from dispatch.crm.tables import engagement, fleet, loyalty, orders, people, service
from dispatch.crm.tables.people import rulebook
from dispatch.crm.vertical import Vertical
from dispatch.errors import AuthError, InputError, StateError

_NAMED: Final = 5
"""Names, in an error."""
_TELL: Final = "dispatch crm rules NAME|FILE"


def keep_in(connection: sa.Connection, vertical: Vertical, at_ms: int) -> None:
    """Keep rules, in place of those before."""
    row = {"vertical": vertical.name, "rules": vertical.as_json(), "changed_at_ms": at_ms}
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    fresh = insert(rulebook).values(only=1, **row)
    connection.execute(fresh.on_conflict_do_update(index_elements=["only"], set_=row))


def is_kept(connection: sa.Connection) -> bool:
    """Tell whether the database knows its rules: one of an older version does not yet."""
    return connection.scalar(sa.select(rulebook.c.only)) is not None


def kept_in(connection: sa.Connection, told: Vertical | str | None) -> Vertical:
    """Give the rules that are kept.

    Parameters
    ----------
    told : Vertical, str or None
        What they are held to be: all of them, or their name alone.

    Raises
    ------
    InputError
        The business is another one; or none is kept, as in a database of an older version; or those that
        are kept are of another version of the program.
    StateError
        The rules that are told are others than those kept.
    """
    row = connection.execute(sa.select(rulebook)).one_or_none()
    if row is None:
        raise InputError(
            "vertical is missing: this database, made by an older version, does not know its own yet; "
            "tell it once: dispatch crm init --upgrade --vertical NAME"
        )
    name = told.name if isinstance(told, Vertical) else told
    if name not in (None, row.vertical):
        raise InputError(
            f"vertical is {name!r}: this database is of {row.vertical!r}; leave it out to go by "
            "the rules that the database keeps"
        )
    try:
        kept = Vertical.from_json(
            row.rules, f"rules of vertical {row.vertical!r}, as the database keeps them"
        )
    except InputError as error:
        raise InputError(f"{error}; tell the vertical anew: {_TELL}") from error
    if isinstance(told, Vertical) and told != kept:
        raise StateError(
            f"vertical is {name!r}, with other rules than the database keeps "
            f"({_some(_differing(kept, told))}): leave it out to go by those kept, "
            f"which are changed by: {_TELL}"
        )
    return kept


def change(context: Context) -> tuple[str, ...]:
    """Keep the context's rules from now on; gives the parts that are others than before, as the audit does.

    Where all are the same nothing is done.

    Raises
    ------
    AuthError
        The actor may not: only who may do all.
    StateError
        Rows speak of what the rules lack: it is named.
    """
    with context.database.reading() as connection:
        if not _changed(_row_of(connection), context.vertical):
            return ()
    at_ms = time.time_ns() // 1_000_000
    text = context.vertical.as_json()
    noted: dict[str, object] = {
        "vertical": context.vertical.name,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    try:
        with context.acting("rules.change", at_ms=at_ms, details=noted) as connection:
            before = _row_of(connection)  # locked: two who change them do so one after the other
            changed = noted["changed"] = _changed(before, context.vertical)
            _check_uses(connection, _readable(before), context.vertical, at_ms)
            keep_in(connection, context.vertical, at_ms)
    except AuthError as error:
        raise AuthError(f"{error}: the rules that were told are not those that the database keeps") from error
    return tuple(changed)


def _row_of(connection: sa.Connection) -> str | None:
    query = sa.select(rulebook.c.rules)
    is_writer = connection.get_execution_options().get("writes", False)
    rules = connection.scalar(query.with_for_update() if is_writer else query)
    return None if rules is None else str(rules)


def _readable(kept: str | None) -> Vertical | None:
    """Read rules; None where there are none, or only those of another version of the program."""
    try:
        return None if kept is None else Vertical.from_json(kept, "kept")
    except InputError:
        return None


def _changed(kept: str | None, told: Vertical) -> list[str]:
    """Name the parts that differ; all where nothing that can be read is kept."""
    before = _readable(kept)
    return sorted(one.name for one in fields(told)) if before is None else _differing(before, told)


def _differing(before: Vertical, told: Vertical) -> list[str]:
    names = sorted(one.name for one in fields(told))
    return [name for name in names if getattr(before, name) != getattr(told, name)]


def _check_uses(connection: sa.Connection, before: Vertical | None, told: Vertical, at_ms: int) -> None:
    """Refuse rules that lack what rows speak of by its name, or that put another thing at a row's place."""
    lacking: dict[str, set[str]] = {}
    for kind, table, used in _used_names(connection, at_ms):
        for name in used - _names(told, kind):
            if kind != "product" or told.products or (before is not None and name in before.products):
                lacking.setdefault(f"{kind} {name!r}", set()).add(table)
    if lacking:
        each = [f"{name} (used in {', '.join(sorted(tables))})" for name, tables in sorted(lacking.items())]
        raise StateError(f"vertical is {told.name!r}: its rules lack {_some(each)}; nothing was changed")
    for kind, table, last in _last_places(connection):
        now = _in_turn(told, kind)
        # What another business has at these places tells nothing: it may have been named by mistake.
        then = _in_turn(before, kind)[: last + 1] if before and before.name == told.name else ()
        if now[: len(then)] != then or (kind == "tiers" and not then and last >= len(now)):
            were = f", which were {', '.join(then)}," if then else ""
            raise StateError(
                f"vertical is {told.name!r}: rows of {table} tell {kind} by their places, 0 to {last}{were} "
                f"and by these rules would be {', '.join(now[: last + 1])}; nothing was changed"
            )


def _used_names(connection: sa.Connection, at_ms: int) -> Iterator[tuple[str, str, set[str]]]:
    """Give what rows speak of by name: its kind, the table, the names."""
    stations = sa.select(fleet.merchant.c.merchant_id).where(fleet.merchant.c.kind == "station")
    asked: tuple[tuple[str, sa.Column[str], sa.ColumnElement[bool]], ...] = (
        ("tier", people.customer.c.tier, sa.true()),
        ("tier", loyalty.membership.c.tier, sa.true()),
        ("tier", service.complaint.c.tier, sa.true()),
        ("problem", service.incident.c.code, sa.true()),
        ("problem", service.complaint.c.code, sa.true()),
        ("stage", service.incident.c.stage, sa.true()),
        ("course", fleet.training.c.course, fleet.training.c.valid_until_ms > at_ms),
        ("pass", loyalty.customer_pass.c.product, loyalty.customer_pass.c.until_ms > at_ms),
        ("product", fleet.energy_purchase.c.product, sa.true()),
        ("product", fleet.item.c.product, fleet.item.c.merchant_id.in_(stations)),
        ("product", fleet.price.c.product, fleet.price.c.merchant_id.in_(stations)),
    )
    for kind, column, holds in asked:
        query = sa.select(column).distinct().where(column.is_not(None), holds)
        yield kind, column.table.name, set(connection.scalars(query))
    live = sa.select(engagement.segment.c.rule).where(engagement.segment.c.status == "active")
    for rule in connection.scalars(live):
        told = SegmentRule.from_table(rule)
        names = (one.one_of for one in (*told.all, *told.any, *told.none) if one.measure == "tier")
        yield "tier", "segment", {name for some in names for name in some}


def _last_places(connection: sa.Connection) -> Iterator[tuple[str, str, int]]:
    """Give what rows tell by its place in the rules: its kind, the table, the last place.

    A class may be one that the engine knows and the rules do not: reports call it unknown.
    """
    for kind, column in (
        ("tiers", orders.orders.c.tier),
        ("tiers", orders.order_priority.c.tier),
        ("tiers", loyalty.coupon.c.least_tier),
        ("classes", orders.orders.c.vehicle_class),
    ):
        last = connection.scalar(sa.select(sa.func.max(column)))
        if last is not None and last > 0:
            yield kind, column.table.name, int(last)


def _names(vertical: Vertical, kind: str) -> set[str]:
    of: dict[str, Iterable[str]] = {
        "tier": vertical.tier_row,
        "problem": vertical.problem_named,
        "stage": vertical.stages,
        "course": (course.code for course in vertical.courses),
        "pass": (one.product for one in vertical.passes),
        "product": vertical.products,
    }
    return set(of[kind])


def _in_turn(vertical: Vertical, kind: str) -> tuple[str, ...]:
    return vertical.classes if kind == "classes" else tuple(vertical.tier_row)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
