"""Segments: customers chosen by rule, entered with the day, told again as often as the rule is asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_id, check_instant
from dispatch.crm.engagement.features import (
    NEVER,
    Features,
    cell_place,
    features_in,
    habits_in,
    refused_in,
    rows_of,
    stars_in,
)
from dispatch.crm.engagement.segment_rules import Measured, SegmentRule, top_routes
from dispatch.crm.rules import check_name
from dispatch.crm.tables.engagement import interest, segment, segment_member, segment_snapshot
from dispatch.crm.tables.loyalty import referral
from dispatch.crm.vertical import Vertical
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.roads.trips import zone_info
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

PROFILING: Final = "profiling"
_MOST_AT_ONCE: Final = 100_000


@dataclass(frozen=True)
class Segment:
    """A segment's definition."""

    segment_id: int
    scope_id: int
    name: str
    rule: SegmentRule
    status: str
    """active or retired"""
    version: int
    """counts up with each new rule"""


@dataclass(frozen=True)
class Snapshot:
    """How many were in a segment on a day."""

    segment_id: int
    day: int
    """days since 1970, UTC"""
    num_members: int
    num_customers: int
    """active ones of the scope, then"""


@dataclass(frozen=True)
class Cell:
    """Members of one tier whose orders begin most often in one cell of about 1 km."""

    tier: str
    lon_e6: int | None
    """of the cell's middle, None where no order tells"""
    lat_e6: int | None
    num_customers: int


class Segments:
    """Defines segments, and takes dated snapshots of who is in them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def define(self, scope_id: int, name: str, rule: SegmentRule, at_ms: int) -> int:
        """Define a segment, or give one of that name a new rule; gives its id.

        Raises
        ------
        InputError
            The rule names a tier that the vertical does not know.
        StateError
            The segment was retired.
        """
        check_id("scope_id", scope_id)
        check_name("name", name)
        rule.check_tiers(self._context.vertical)
        told = {"rule": rule.as_table(), "changed_at_ms": at_ms}
        with self._context.acting("segment.define", at_ms=at_ms, scope_id=scope_id) as connection:
            known = connection.execute(
                sa.select(segment)
                .where(segment.c.scope_id == scope_id, segment.c.name == name)
                .with_for_update()
            ).one_or_none()
            if known is None:
                added = sa.insert(segment).values(scope_id=scope_id, name=name, created_at_ms=at_ms, **told)
                return int(connection.execute(added).inserted_primary_key[0])  # type: ignore[index]  # one row
            if known.status != "active":
                raise StateError(f"segment {known.segment_id} was retired: give the new one another name")
            connection.execute(
                sa.update(segment)
                .where(segment.c.segment_id == known.segment_id)
                .values(version=segment.c.version + 1, **told)
            )
            return int(known.segment_id)

    def retire(self, segment_id: int, at_ms: int) -> None:
        """End a segment; its snapshots stay."""
        with self._context.acting("segment.define", ("segment", segment_id), at_ms=at_ms) as connection:
            done = connection.execute(
                sa.update(segment)
                .where(segment.c.segment_id == segment_id, segment.c.status == "active")
                .values(status="retired", changed_at_ms=at_ms)
            )
            if not done.rowcount:
                raise StateError(f"segment {segment_id} is retired already")

    def read(self, segment_id: int) -> Segment:
        """Give a segment."""
        with self._context.looking("segment.read", ("segment", segment_id)) as connection:
            return segment_in(connection, segment_id)

    def listed(self, scope_id: int) -> list[Segment]:
        """Give all segments of a scope, by name."""
        with self._context.looking("segment.read", scope_id=scope_id) as connection:
            rows = connection.execute(
                sa.select(segment).where(segment.c.scope_id == scope_id).order_by(segment.c.name)
            )
            return [_segment(row) for row in rows]

    def count(self, scope_id: int, rule: SegmentRule, at_ms: int) -> int:
        """Count who would be in a segment; nothing is kept."""
        check_instant("at_ms", at_ms)
        rule.check_tiers(self._context.vertical)
        with self._context.looking("segment.read", scope_id=scope_id) as connection:
            return len(members_in(connection, self._context.vertical, scope_id, rule, at_ms)[0])

    def snapshot(self, segment_id: int, at_ms: int) -> Snapshot:
        """Enter who is in a segment now, under the day of `at_ms`; the same day again replaces it."""
        day = at_ms // MS_PER_DAY
        with self._context.acting("segment.snapshot", ("segment", segment_id), at_ms=at_ms) as connection:
            found = segment_in(connection, segment_id, locks=True)
            if found.status != "active":
                raise StateError(f"segment {segment_id} is retired: there is nothing to take a snapshot of")
            ids, num_customers = members_in(
                connection, self._context.vertical, found.scope_id, found.rule, at_ms
            )
            for table in (segment_member, segment_snapshot):
                connection.execute(
                    sa.delete(table).where(table.c.segment_id == segment_id, table.c.day == day)
                )
            num = len(ids)
            bulk.insert(
                connection,
                segment_member,
                {"segment_id": [segment_id] * num, "day": [day] * num, "customer_id": ids},
            )
            connection.execute(
                sa.insert(segment_snapshot).values(
                    segment_id=segment_id,
                    day=day,
                    at_ms=at_ms,
                    num_members=num,
                    num_customers=num_customers,
                    rule=found.rule.as_table(),
                )
            )
        return Snapshot(segment_id, day, num, num_customers)

    def snapshots(self, segment_id: int) -> list[Snapshot]:
        """Give all snapshots of a segment, oldest first."""
        table = segment_snapshot.c
        with self._context.looking("segment.read", ("segment", segment_id)) as connection:
            rows = connection.execute(
                sa.select(table.segment_id, table.day, table.num_members, table.num_customers)
                .where(table.segment_id == segment_id)
                .order_by(table.day)
            )
            return [Snapshot(*row) for row in rows]

    def members(self, segment_id: int, day: int, after: int = -1, limit: int = 10_000) -> list[int]:
        """Give pseudonymous ids of a snapshot, ascending, behind one of them.

        Raises
        ------
        StateError
            There is no snapshot of that day.
        """
        check_whole("limit", limit, 1, _MOST_AT_ONCE)
        with self._context.looking("segment.members", ("segment", segment_id)) as connection:
            check_snapshot_in(connection, segment_id, day)
            table = segment_member.c
            rows = connection.execute(
                sa.select(table.customer_id)
                .where(table.segment_id == segment_id, table.day == day, table.customer_id > after)
                .order_by(table.customer_id)
                .limit(limit)
            )
            return list(rows.scalars())

    def distribution(self, segment_id: int, day: int) -> list[Cell]:
        """Tell how the members of a snapshot are distributed over tiers and places, most first."""
        with self._context.looking("segment.read", ("segment", segment_id)) as connection:
            check_snapshot_in(connection, segment_id, day)
            found, table = segment_in(connection, segment_id), segment_member.c
            members = connection.execute(
                sa.select(table.customer_id).where(table.segment_id == segment_id, table.day == day)
            )
            ids = np.array(members.scalars().all(), np.int64)
            vertical, window_days = self._context.vertical, found.rule.window_days
            features = features_in(connection, vertical, found.scope_id, day, window_days)
            features = features.chosen(np.isin(features.customer_id, ids))
            habits = habits_in(connection, features, zone_info("UTC"), found.scope_id)
        route, _ = top_routes(habits, np.ones(len(habits.row), bool), features.num_customers)
        num = Counter(zip(features.tier.tolist(), route[:, 0].tolist(), strict=True))
        told = []
        for (tier, cell), count in sorted(num.items(), key=lambda one: (-one[1], one[0])):
            lon_e6, lat_e6 = (None, None) if cell == NEVER else cell_place(cell)
            told.append(Cell(vertical.tiers[tier].name, lon_e6, lat_e6, count))
        return told


def members_in(
    connection: sa.Connection, vertical: Vertical, scope_id: int, rule: SegmentRule, at_ms: int
) -> tuple[NDArray[np.int64], int]:
    """Give ids of customers (n,) for whom a rule holds, and how many there are at all.

    Who refused to be profiled is in no segment; who is merged into another one counts as that one.
    """
    features = features_in(connection, vertical, scope_id, at_ms // MS_PER_DAY, rule.window_days)
    holds = _measured_in(connection, vertical, features, rule, scope_id).members()
    holds &= ~np.isin(features.customer_id, refused_in(connection, PROFILING, at_ms))
    return features.customer_id[holds], features.num_customers


def segment_in(connection: sa.Connection, segment_id: int, locks: bool = False) -> Segment:
    """Read a segment; :class:`InputError` if there is none."""
    wanted = sa.select(segment).where(segment.c.segment_id == segment_id)
    row = connection.execute(wanted.with_for_update() if locks else wanted).one_or_none()
    if row is None:
        raise InputError(f"segment is {segment_id}: there is none")
    return _segment(row)


def check_snapshot_in(connection: sa.Connection, segment_id: int, day: int) -> None:
    """Raise :class:`StateError` unless there is a snapshot of a day."""
    table = segment_snapshot.c
    wanted = sa.select(table.day).where(table.segment_id == segment_id, table.day == day)
    if connection.execute(wanted).one_or_none() is None:
        raise StateError(f"segment {segment_id} has no snapshot of day {day}")


def _measured_in(
    connection: sa.Connection, vertical: Vertical, features: Features, rule: SegmentRule, scope_id: int
) -> Measured:
    """Read what the rule asks for, and nothing else."""
    told: dict[str, Any] = {}
    if rule.needs_habits:
        told["habits"] = habits_in(connection, features, zone_info(rule.time_zone), scope_id)
    if "stars" in rule.measures:
        told["stars"] = stars_in(connection, features, scope_id)
    if "referrals" in rule.measures:
        rows = connection.execute(
            sa.select(referral.c.referrer_id, sa.func.count())
            .where(referral.c.state != "waiting")
            .group_by(referral.c.referrer_id)
        ).all()
        won = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 2)
        row = rows_of(features.customer_id, won[:, 0])
        told["referrals"] = np.zeros(features.num_customers, np.int64)
        told["referrals"][row[row >= 0]] = won[row >= 0, 1]
    if "topic" in rule.measures:
        told["topics"] = {}
        for topic, asked in _topics_in(connection).items():
            told["topics"][topic] = np.isin(features.customer_id, asked)
    return Measured(features, rule, vertical, **told)


def _topics_in(connection: sa.Connection) -> dict[str, list[int]]:
    asked: dict[str, list[int]] = {}
    for row in connection.execute(sa.select(interest.c.topic, interest.c.customer_id)):
        asked.setdefault(row.topic, []).append(row.customer_id)
    return asked


def _segment(row: sa.Row[Any]) -> Segment:
    rule = SegmentRule.from_table(row.rule, f"segment {row.segment_id}")
    return Segment(row.segment_id, row.scope_id, row.name, rule, row.status, row.version)
