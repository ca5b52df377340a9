"""Cool-downs: drivers whose score is too low get no orders for a while, and are judged anew afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_instant
from dispatch.crm.fleet.scores import LOW_SCORE, NOT_MEASURED, PARTS, active_in, scores_in
from dispatch.crm.outbox import announce_in, announce_many_in
from dispatch.crm.people.persons import locked_in
from dispatch.crm.rules import LONGEST_DAYS, check_name
from dispatch.crm.tables.fleet import driver_block
from dispatch.errors import InputError, StateError
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

PERMILLE: Final = 1000
_MS_PER_HOUR: Final = 3_600_000


@dataclass(frozen=True)
class Block:
    """A driver gets no orders from one instant until another, unless it is lifted."""

    block_id: int
    driver_id: int
    reason: str
    from_ms: int
    until_ms: int
    made_by: str
    lifted_at_ms: int | None
    basis: dict[str, int] | None
    """of a low score: the score, trips and each part that was measured, shares in permille"""


class Blocks:
    """Blocks drivers by their scores or by hand, and lifts blocks."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def review(self, *, scope_id: int, at_ms: int) -> list[int]:
        """Block the active drivers of a place whose score is below the rule's; gives their ids.

        Nobody is blocked who is not judged yet: with fewer trips than ``min_trips``, or fewer since the last
        cool-down.
        """
        rule = self._context.vertical.score
        with self._context.acting(
            "block.review", at_ms=at_ms, scope_id=scope_id, details=(noted := {})
        ) as connection:
            if rule.cool_down_h == 0:
                return []
            scored = scores_in(connection, rule, active_in(connection, scope_id), at_ms)
            low = scored.judged & (scored.score < rule.cool_down_below)
            blocked = _blocked_in(connection, at_ms)
            rows = [row for row in low.nonzero()[0].tolist() if int(scored.driver_id[row]) not in blocked]
            ids = [int(scored.driver_id[row]) for row in rows]
            until_ms = at_ms + round(rule.cool_down_h * _MS_PER_HOUR)
            bulk.insert(
                connection,
                driver_block,
                {
                    "driver_id": ids,
                    "reason": [LOW_SCORE] * len(ids),
                    "from_ms": [at_ms] * len(ids),
                    "until_ms": [until_ms] * len(ids),
                    "basis": [json.dumps(_basis(scored, row)) for row in rows],
                    "made_by": [self._context.actor.name] * len(ids),
                },
            )
            announce_many_in(
                connection,
                "driver.blocked",
                "driver",
                ids,
                at_ms,
                {"reason": LOW_SCORE, "until_ms": until_ms},
                scope_id,
            )
            noted["drivers"] = len(ids)
            return ids

    def block(self, driver_id: int, reason: str, *, at_ms: int, until_ms: int) -> int:
        """Block a driver by hand, with a reason's name; gives the block's id.

        Raises
        ------
        StateError
            The driver is blocked already.
        """
        check_name("reason", reason)
        check_instant("until_ms", until_ms)
        if not at_ms < until_ms <= at_ms + LONGEST_DAYS * MS_PER_DAY:
            raise InputError(
                f"until_ms is {until_ms}: it must be after {at_ms}, by {LONGEST_DAYS} days at most"
            )
        with self._context.acting(
            "block.set", ("driver", driver_id), at_ms=at_ms, details={"reason": reason, "until_ms": until_ms}
        ) as connection:
            scope_id = locked_in(connection, "driver", driver_id, ("active",)).scope_id
            if driver_id in _blocked_in(connection, at_ms):
                raise StateError(f"driver {driver_id} is blocked already")
            added = connection.execute(
                sa.insert(driver_block).values(
                    driver_id=driver_id,
                    reason=reason,
                    from_ms=at_ms,
                    until_ms=until_ms,
                    made_by=self._context.actor.name,
                )
            )
            announce_in(
                connection,
                "driver.blocked",
                "driver",
                driver_id,
                at_ms,
                {"reason": reason, "until_ms": until_ms},
                scope_id,
            )
            return int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted

    def lift(self, block_id: int, *, at_ms: int) -> None:
        """End a block now; it counts no more for what the driver is judged by."""
        check_id("block_id", block_id)
        with self._context.acting("block.lift", ("block", block_id), at_ms=at_ms) as connection:
            lift_in(connection, block_id, at_ms)

    def of(self, driver_id: int) -> list[Block]:
        """Give all blocks of a driver, the latest first."""
        with self._context.looking("block.read", ("driver", driver_id)) as connection:
            rows = connection.execute(
                sa.select(driver_block)
                .where(driver_block.c.driver_id == driver_id)
                .order_by(driver_block.c.block_id.desc())
            )
            return [Block(**{name: row._mapping[name] for name in Block.__annotations__}) for row in rows]


def lift_in(connection: sa.Connection, block_id: int, at_ms: int) -> None:
    """End a block; :class:`StateError` if it was lifted already."""
    lifted = connection.execute(
        sa.update(driver_block)
        .where(driver_block.c.block_id == block_id, driver_block.c.lifted_at_ms.is_(None))
        .values(lifted_at_ms=at_ms)
    )
    if lifted.rowcount == 0:
        raise StateError(f"block {block_id} is lifted already")


def _blocked_in(connection: sa.Connection, at_ms: int) -> set[int]:
    wanted = sa.select(driver_block.c.driver_id).where(
        driver_block.c.from_ms <= at_ms,
        driver_block.c.until_ms > at_ms,
        driver_block.c.lifted_at_ms.is_(None),
    )
    return set(connection.execute(wanted).scalars())


def _basis(scored: Any, row: int) -> dict[str, int]:
    told = {"score": round(scored.score[row] * PERMILLE), "trips": int(scored.trips[row])}
    for part, name in enumerate(PARTS):
        if scored.parts[part, row] != NOT_MEASURED:
            told[name] = round(scored.parts[part, row] * PERMILLE)
    return told
