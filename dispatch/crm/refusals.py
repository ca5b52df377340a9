"""Refused attempts in the audit: who asked for what in vain, at a rate that cannot fill the database.

An entry tells actor, role, action and what was asked for, as entries of what was done do, with
:data:`PREFIX` before the action: nobody who counts an action counts its refusals by mistake. It lies at the
actor's own place, not the object's: it tells the actor's company nothing of objects that others have, and
nobody writes into another company's audit.

An attacker may be refused as often as he likes. The same refusal is written once a minute, and of one actor
:data:`MOST` a minute, the last of which says that more are not. Whether there is room is read from the latest
entries of the audit itself: it needs no counters, holds for all processes together, and costs the same
however long the audit is. Where others write more than :data:`LOOKED_AT` entries a minute, an actor's
refusals are at most a fiftieth of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.permissions import Actor
from dispatch.crm.tables.orders import scope
from dispatch.crm.tables.people import audit
from dispatch.store.chain import canonical
from dispatch.units import MS_PER_S

PREFIX: Final = "refused:"
"""Before the action, in entries of refusals."""
MOST: Final = 20
"""Entries of one actor's refusals in a minute."""
WINDOW_MS: Final = 60 * MS_PER_S
LOOKED_AT: Final = 1_000
"""The latest entries of the audit, among which those of that minute are counted."""


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
    told, actor = audit.c, refusal.actor
    latest = sa.select(sa.func.max(told.seq)).scalar_subquery()
    rows = connection.execute(
        sa.select(told.action, told.kind, told.object_id, told.details).where(
            told.seq > latest - LOOKED_AT,
            told.at_ms.between(refusal.at_ms - WINDOW_MS + 1, refusal.at_ms + WINDOW_MS - 1),
            told.actor == actor.name,
            told.role == actor.role,
            told.scope_id.is_not_distinct_from(home),
            told.action.startswith(PREFIX),
        )
    ).all()
    if len(rows) >= MOST:
        return None
    last_of_many = refusal.asked | {"more_unwritten": True}
    texts = [canonical(one).decode() for one in (refusal.asked, last_of_many)]
    same = (PREFIX + refusal.action, refusal.kind, refusal.object_id)
    if any(tuple(row[:3]) == same and row.details in texts for row in rows):
        return None
    return last_of_many if len(rows) == MOST - 1 else refusal.asked
