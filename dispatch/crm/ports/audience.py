"""Audiences for advertisers: hashes of those who agreed, and hours in which to reach them; nothing else."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context
from dispatch.crm.engagement.features import features_in, habits_in, rows_of
from dispatch.crm.engagement.segments import check_snapshot_in, segment_in
from dispatch.crm.people.consents import agreeing_in
from dispatch.crm.ports.base import write_whole
from dispatch.crm.rules import check_name
from dispatch.crm.tables.engagement import segment_member
from dispatch.errors import StateError
from dispatch.limits import check_whole
from dispatch.roads.trips import zone_info

ADVERTISING: Final = "advertising"
"""The consent to be handed on to advertisers, as a hash: another one than to marketing of our own."""
LEAST_MEMBERS: Final = 50
"""A smaller audience would tell too much of each."""


@dataclass(frozen=True)
class Slot:
    """Hours of a day in which an advertisement is shown, local time."""

    first_hour: int
    last_hour: int
    """included"""

    def __post_init__(self) -> None:
        """Refuse hours that are none."""
        check_whole("first_hour", self.first_hour, 0, 23)
        check_whole("last_hour", self.last_hour, self.first_hour, 23)


@dataclass(frozen=True)
class Audience:
    """Who is to be reached when; the same person has another hash for each receiver."""

    receiver: str
    name: str
    day: int
    members: tuple[str, ...]
    """(n,) hashes, ascending"""
    slots: tuple[Slot, ...]
    left_out: int
    """members of the segment who did not agree"""


class AudiencePort(Protocol):
    """Whatever takes audiences to an advertiser."""

    def publish(self, audience: Audience) -> None:
        """Take an audience over; it takes the place of the one before of that name: who left is gone."""


class AudienceFolder:
    """Writes each audience as a file of hashes, one a line, with its slots on top; hands it to nobody."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def publish(self, audience: Audience) -> None:
        """Write the file, or replace it."""
        slots = " ".join(f"{one.first_hour:02d}-{one.last_hour:02d}" for one in audience.slots)
        lines = [f"# day {audience.day}, hours {slots or 'all'}", *audience.members]
        path = self._folder / f"{audience.receiver}-{audience.name}.txt"
        write_whole(path, "".join(f"{line}\n" for line in lines).encode())


class Audiences:
    """Makes audiences of snapshots of segments."""

    def __init__(self, context: Context, port: AudiencePort) -> None:
        self._context, self._port = context, port

    def export(
        self, segment_id: int, day: int, receiver: str, at_ms: int, slots: Sequence[Slot] = ()
    ) -> Audience:
        """Hand over those members of a snapshot who agree to it now.

        Raises
        ------
        StateError
            There is no such snapshot, or fewer than ``LEAST_MEMBERS`` agree.
        """
        check_name("receiver", receiver)
        details = {"receiver": receiver, "day": day}
        with self._context.acting(
            "audience.export", ("segment", segment_id), at_ms=at_ms, details=details
        ) as connection:
            found = segment_in(connection, segment_id)
            ids = _members_in(connection, segment_id, day)
            agreed = agreeing_in(connection, ADVERTISING, ids)
            if len(agreed) < LEAST_MEMBERS:
                raise StateError(
                    f"{len(agreed)} members of segment {segment_id} agree to advertising: "
                    f"at least {LEAST_MEMBERS}, or it would tell too much of each"
                )
            details["num"] = len(agreed)
        hashes = tuple(sorted(self._hash(receiver, one) for one in agreed))
        audience = Audience(receiver, found.name, day, hashes, tuple(slots), len(ids) - len(agreed))
        self._port.publish(audience)
        return audience

    def busiest(self, segment_id: int, day: int, num_slots: int = 2, time_zone: str = "UTC") -> list[Slot]:
        """Find the hours, in slots of two, in which members ride most often: when to advertise."""
        check_whole("num_slots", num_slots, 1, 12)
        zone = zone_info(time_zone)
        with self._context.looking("segment.read", ("segment", segment_id)) as connection:
            found = segment_in(connection, segment_id)
            ids = np.array(_members_in(connection, segment_id, day), np.int64)
            window_days = found.rule.window_days
            features = features_in(connection, self._context.vertical, found.scope_id, day, window_days)
            features = features.chosen(np.unique(_there(features.customer_id, ids)))
            habits = habits_in(connection, features, zone, found.scope_id)
        num = np.bincount(habits.hour // 2, minlength=12)
        best = [slot for slot in np.argsort(-num, kind="stable").tolist() if num[slot]]
        return [Slot(2 * slot, 2 * slot + 1) for slot in sorted(best[:num_slots])]

    def _hash(self, receiver: str, customer_id: int) -> str:
        """Hash an id by a key that does not leave us: receivers cannot compare their lists."""
        key = self._context.vault.find_by("audience", receiver)
        return hmac.new(key, str(customer_id).encode(), hashlib.sha256).hexdigest()


def _there(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = rows_of(ids, wanted)
    return rows[rows >= 0]


def _members_in(connection: sa.Connection, segment_id: int, day: int) -> list[int]:
    check_snapshot_in(connection, segment_id, day)
    table = segment_member.c
    rows = connection.execute(
        sa.select(table.customer_id).where(table.segment_id == segment_id, table.day == day)
    )
    return list(rows.scalars())
