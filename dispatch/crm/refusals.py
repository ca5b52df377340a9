"""Refused attempts in the audit: who asked for what in vain, at a rate that cannot fill the database.

An entry tells actor, role, action and what was asked for, as entries of what was done do, with
:data:`PREFIX` before the action: nobody who counts an action counts its refusals by mistake. It lies at the
actor's own place, not the object's: it tells the actor's company nothing of objects that others have, and
nobody writes into another company's audit.

An attacker may be refused as often as he likes. The same refusal is written once a minute, and of one actor
:data:`MOST` a minute, the last of which says that more are not: a minute of the instants that the program
tells, and one of the system's clock, which each entry tells as ``noted_at_ms``, for the instants may be the
attacker's. Whether there is room is read from the latest entries of the audit itself: it needs no counters,
holds for all processes together, and costs the same however long the audit is. Where others write more than
:data:`LOOKED_AT` entries a minute, an actor's refusals are at most a fiftieth of them.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.permissions import Actor
from dispatch.crm.tables.orders import scope
from dispatch.crm.tables.people import audit
from dispatch.errors import StoreError
from dispatch.units import MS_PER_S

PREFIX: Final = "refused:"
"""Before the action, in entries of refusals."""
MOST: Final = 20
"""Entries of one actor's refusals in a minute, as the program tells the time, and by the clock."""
WINDOW_MS: Final = 60 * MS_PER_S
LOOKED_AT: Final = 1_000
"""The latest entries of the audit, among which those of that minute are counted."""
_NOTED: Final = "noted_at_ms"


@dataclass(frozen=True)
class Refusal:
    """Who was refused what; nothing personal.

    Parameters
    ----------
    actor : Actor
    action : str
    at_ms : int
    kind, object_id : str, int, optional
        The object that was asked for, whether it exists or not.
    scope_id : int, optional
        The place, where one was asked for.
    """

    actor: Actor
    action: str
    at_ms: int
    kind: str | None = None
    object_id: int | None = None
    scope_id: int | None = None

    @property
    def asked(self) -> dict[str, Any]:
        """What the entry tells besides its columns."""
        return {} if self.scope_id is None else {"scope_id": self.scope_id}


def home_of(connection: sa.Connection, actor: Actor) -> int | None:
    """Give the scope's id of a city that an actor works for, else of any of the company; None for none."""
    if not actor.tenant:
        return None
    elsewhere = sa.case((scope.c.city.in_(sorted(actor.cities)), 0), else_=1)
    wanted = sa.select(scope.c.scope_id).where(scope.c.tenant == actor.tenant)
    found: int | None = connection.scalar(wanted.order_by(elsewhere, scope.c.scope_id).limit(1))
    return found


def details_of(connection: sa.Connection, refusal: Refusal, home: int | None) -> dict[str, Any] | None:
    """Give the details of a refusal's entry; None where it is not to be written: it is, or too many are."""
    told, actor, now_ms = audit.c, refusal.actor, clock_ms()
    latest = sa.select(sa.func.max(told.seq)).scalar_subquery()
    rows = connection.execute(
        sa.select(told.action, told.kind, told.object_id, told.at_ms, told.details).where(
            told.seq > latest - LOOKED_AT,
            told.actor == actor.name,
            told.role == actor.role,
            told.scope_id.is_not_distinct_from(home),
            told.action.startswith(PREFIX),
        )
    ).all()
    same = (PREFIX + refusal.action, refusal.kind, refusal.object_id, refusal.scope_id)
    num_told = num_noted = 0
    for row in rows:
        noted = _details_in(row.details)
        num_noted += abs(now_ms - noted.get(_NOTED, -WINDOW_MS)) < WINDOW_MS
        if abs(refusal.at_ms - row.at_ms) < WINDOW_MS:
            num_told += 1
            if (*row[:3], noted.get("scope_id")) == same:
                return None
    num = max(num_told, num_noted)
    if num >= MOST:
        return None
    details = refusal.asked | {_NOTED: now_ms}
    return details | {"more_unwritten": True} if num == MOST - 1 else details


def _details_in(text: str) -> dict[str, Any]:
    """Give the details of an entry, which somebody may have tampered with."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get(_NOTED, 0), int):
        raise StoreError(f"an entry of a refusal tells {text!r}: the audit is damaged")
    return found


def clock_ms() -> int:
    """Give the present instant by the system's clock."""
    return time.time_ns() // 1_000_000
