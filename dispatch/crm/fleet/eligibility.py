"""Who may get orders at an instant, and which skills hold then: one question for all drivers at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_instant
from dispatch.crm.fleet.rosters import on_duty_ms_in
from dispatch.crm.rules import DutyRule
from dispatch.crm.tables.fleet import background_check, driver_block, licence, shift, training, vehicle
from dispatch.crm.tables.people import driver
from dispatch.crm.vertical import Vertical
from dispatch.store import bulk
from dispatch.units import MS_PER_S

REASONS: Final = (
    "unknown_driver",
    "left",
    "blocked",
    "unverified",
    "licence_expired",
    "insurance_expired",
    "inspection_expired",
    "no_vehicle",
    "training_missing",
    "off_shift",
    "over_hours",
)
"""Why a driver gets no orders; the row is the bit. A licence or training that never was is told so, too.
Shifts and hours count where :class:`dispatch.crm.rules.DutyRule` asks for them."""
MS_PER_H: Final = 3600 * MS_PER_S


@dataclass(frozen=True)
class Eligibility:
    """Of drivers, in the sequence in which they were asked for; arrays (n,) int64."""

    driver_id: NDArray[np.int64]
    eligible: NDArray[np.int64]
    """1 or 0"""
    reasons: NDArray[np.int64]
    """bits of :data:`REASONS`, 0 for who is eligible"""
    skills: NDArray[np.int64]
    """the engine's bits"""

    def why(self, row: int) -> tuple[str, ...]:
        """Give the reasons of one row by their names."""
        return tuple(name for bit, name in enumerate(REASONS) if self.reasons[row] >> bit & 1)


class EligibilityCheck:
    """Tells drivers and dispatchers who may get orders, and why not."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def of(self, driver_id: int, *, at_ms: int) -> Eligibility:
        """Tell of one driver; it may ask this of itself."""
        check_instant("at_ms", at_ms)
        with self._context.looking("driver.eligibility", ("driver", driver_id)) as connection:
            return eligibility_in(connection, self._context.vertical, [driver_id], at_ms)

    def of_all(self, *, scope_id: int, at_ms: int) -> Eligibility:
        """Tell of all drivers of a place who were not erased."""
        check_instant("at_ms", at_ms)
        with self._context.looking("driver.eligibility", scope_id=scope_id) as connection:
            wanted = sa.select(driver.c.driver_id).where(
                driver.c.scope_id == scope_id, driver.c.status != "erased"
            )
            (ids,) = bulk.fetch(connection, wanted.order_by(driver.c.driver_id))
            return eligibility_in(connection, self._context.vertical, ids.tolist(), at_ms)


def eligibility_in(
    connection: sa.Connection, vertical: Vertical, driver_ids: Sequence[int], at_ms: int
) -> Eligibility:
    """Tell which of drivers (n,) may get orders at an instant, by what is known now.

    Shifts begin and end, and hours grow, with every minute: who goes by them asks again every few of these.

    Complexity
    ----------
    A query a table, each linear in the rows of the drivers asked for.
    """
    asked = np.asarray(driver_ids, dtype=np.int64)
    drivers = _Drivers(connection, asked, at_ms)
    reasons = drivers.standing()
    if len(vertical.licence_kinds):
        reasons |= _bit("licence_expired") * (drivers.licences(vertical) < len(vertical.licence_kinds))
    if vertical.needs_insurance:
        reasons |= drivers.papers()
    reasons |= drivers.duty(vertical.duty)
    passed = drivers.courses(vertical)
    skills = np.zeros(len(drivers.ids), np.int64)
    for row, course in enumerate(vertical.courses):
        if course.required:
            reasons |= _bit("training_missing") * ~passed[row]
        if course.skill:
            skills |= vertical.skill_bits([course.skill]) * passed[row]
    unknown = reasons & _bit("unknown_driver") != 0
    reasons[unknown] = _bit("unknown_driver")
    back = drivers.back
    return Eligibility(asked, (reasons == 0).astype(np.int64)[back], reasons[back], skills[back])


def _bit(reason: str) -> int:
    return 1 << REASONS.index(reason)


class _Drivers:
    """Distinct drivers in ascending sequence, and what the tables say of them."""

    def __init__(self, connection: sa.Connection, asked: NDArray[np.int64], at_ms: int) -> None:
        self.connection, self.at_ms = connection, at_ms
        self.ids, self.back = np.unique(asked, return_inverse=True)

    def marked(self, query: sa.Select[tuple[int]]) -> NDArray[np.bool_]:
        """Mark the drivers whom a query for ids gives."""
        (found,) = bulk.fetch(self.connection, query)
        return np.isin(self.ids, found)

    def among(self, column: sa.Column[int]) -> sa.ColumnElement[bool]:
        return bulk.among(self.connection, column, self.ids)

    def standing(self) -> NDArray[np.int64]:
        """Give reasons that lie in the person: not known, gone, blocked, not checked."""
        at_ms, there = self.at_ms, driver.c.driver_id
        known = self.marked(sa.select(there).where(self.among(there)))
        here = self.marked(
            sa.select(there).where(
                self.among(there),
                sa.or_(
                    driver.c.status == "active",
                    sa.and_(driver.c.status == "left", driver.c.left_at_ms > at_ms),
                ),
            )
        )
        blocked = self.marked(
            sa.select(driver_block.c.driver_id).where(
                self.among(driver_block.c.driver_id),
                driver_block.c.from_ms <= at_ms,
                driver_block.c.until_ms > at_ms,
                sa.or_(driver_block.c.lifted_at_ms.is_(None), driver_block.c.lifted_at_ms > at_ms),
            )
        )
        checked = self.marked(
            sa.select(background_check.c.driver_id).where(
                self.among(background_check.c.driver_id),
                background_check.c.passed == 1,
                background_check.c.checked_at_ms <= at_ms,
                sa.or_(
                    background_check.c.valid_until_ms.is_(None), background_check.c.valid_until_ms > at_ms
                ),
            )
        )
        return (
            _bit("unknown_driver") * ~known
            | _bit("left") * ~here
            | _bit("blocked") * blocked
            | _bit("unverified") * ~checked
        )

    def licences(self, vertical: Vertical) -> NDArray[np.int64]:
        """Give of how many kinds that the vertical asks for each holds a valid one."""
        at_ms = self.at_ms
        found = sa.select(licence.c.driver_id, sa.func.count(sa.distinct(licence.c.kind))).where(
            self.among(licence.c.driver_id),
            licence.c.kind.in_(vertical.licence_kinds),
            licence.c.valid_from_ms <= at_ms,
            licence.c.valid_until_ms > at_ms,
            sa.or_(licence.c.revoked_at_ms.is_(None), licence.c.revoked_at_ms > at_ms),
        )
        ids, kinds = bulk.fetch(self.connection, found.group_by(licence.c.driver_id))
        held = np.zeros(len(self.ids), np.int64)
        held[np.searchsorted(self.ids, ids)] = kinds
        return held

    def papers(self) -> NDArray[np.int64]:
        """Give reasons that lie in the vehicles: one must be insured and inspected at once."""
        at_ms = self.at_ms
        insured, inspected = (
            sa.case((column > at_ms, 1), else_=0)
            for column in (vehicle.c.insured_until_ms, vehicle.c.inspected_until_ms)
        )
        found = sa.select(
            vehicle.c.driver_id,
            sa.func.max(insured),
            sa.func.max(inspected),
            sa.func.max(insured * inspected),
        ).where(
            self.among(vehicle.c.driver_id),
            vehicle.c.added_at_ms <= at_ms,
            sa.or_(vehicle.c.retired_at_ms.is_(None), vehicle.c.retired_at_ms > at_ms),
        )
        ids, *best = bulk.fetch(self.connection, found.group_by(vehicle.c.driver_id))
        row = np.searchsorted(self.ids, ids)
        reasons = np.full(len(self.ids), _bit("no_vehicle"), np.int64)
        no_insurance = (best[0] == 0) * _bit("insurance_expired")
        # Where one vehicle is insured and another inspected, neither may drive: the second lacks a paper.
        not_inspected = ((best[1] == 0) | ((best[0] == 1) & (best[2] == 0))) * _bit("inspection_expired")
        reasons[row] = no_insurance | not_inspected
        return reasons

    def duty(self, rule: DutyRule) -> NDArray[np.int64]:
        """Give reasons that lie in the roster, where the rule asks: no shift now, or too long on duty."""
        at_ms, reasons = self.at_ms, np.zeros(len(self.ids), np.int64)
        if rule.needs_shift:
            on_shift = sa.select(shift.c.driver_id).where(
                self.among(shift.c.driver_id),
                shift.c.begin_at_ms <= at_ms + rule.grace_s * MS_PER_S,
                shift.c.end_at_ms > at_ms - rule.grace_s * MS_PER_S,
                sa.or_(shift.c.cancelled_at_ms.is_(None), shift.c.cancelled_at_ms > at_ms),
            )
            reasons |= _bit("off_shift") * ~self.marked(on_shift)
        if rule.most_h > 0:
            from_ms = at_ms - round(rule.within_h * MS_PER_H)
            worked_ms = on_duty_ms_in(self.connection, self.ids, from_ms, at_ms)
            reasons |= _bit("over_hours") * (worked_ms >= round(rule.most_h * MS_PER_H))
        return reasons

    def courses(self, vertical: Vertical) -> NDArray[np.bool_]:
        """Tell for each course of the vertical, (courses, drivers), who has passed it, not too long ago."""
        passed = np.zeros((len(vertical.courses), len(self.ids)), np.bool_)
        for row, course in enumerate(vertical.courses):
            passed[row] = self.marked(
                sa.select(training.c.driver_id).where(
                    self.among(training.c.driver_id),
                    training.c.course == course.code,
                    training.c.passed == 1,
                    training.c.at_ms <= self.at_ms,
                    training.c.valid_until_ms > self.at_ms,
                )
            )
        return passed
