"""What drivers may do: licences, background checks, training; one by one, or for a whole simulated fleet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_instant, check_not_before
from dispatch.crm.people.persons import locked_in
from dispatch.crm.people.sealed_texts import check_text, keep_text, open_text
from dispatch.crm.rules import CourseRule, check_one_of
from dispatch.crm.tables.fleet import background_check, licence, training, vehicle
from dispatch.crm.tables.people import driver
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

PASS_SCORE: Final = 60
"""An examination with a score below it cannot be passed."""


@dataclass(frozen=True)
class Licence:
    """A licence of a driver; its number is None where it is not known or not to be seen."""

    licence_id: int
    kind: str
    valid_from_ms: int
    valid_until_ms: int
    revoked_at_ms: int | None
    number: str | None = None


@dataclass(frozen=True)
class Examination:
    """A driver's examination in a course."""

    training_id: int
    course: str
    passed: bool
    score: int | None
    at_ms: int
    valid_until_ms: int


class Qualifications:
    """Enters licences, checks and training."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add_licence(
        self,
        driver_id: int,
        kind: str,
        *,
        valid_from_ms: int,
        valid_until_ms: int,
        at_ms: int,
        number: str | None = None,
    ) -> int:
        """Enter a licence of one of the vertical's kinds; gives its id.

        Raises
        ------
        InputError
            The kind is unknown, the licence ends before it begins, or is expired already.
        """
        check_one_of("kind", kind, self._context.vertical.licence_kinds)
        check_instant("valid_from_ms", valid_from_ms)
        check_instant("valid_until_ms", valid_until_ms)
        if valid_until_ms <= valid_from_ms:
            raise InputError(f"valid_until_ms is {valid_until_ms}: it must be after {valid_from_ms}")
        if valid_until_ms <= at_ms:
            raise InputError(f"valid_until_ms is {valid_until_ms}: the licence is expired at {at_ms}")
        if number is not None:
            check_text("number", number, 60)
        details: dict[str, Any] = {"kind": kind, "valid_until_ms": valid_until_ms}
        with self._context.acting(
            "licence.add", ("driver", driver_id), at_ms=at_ms, details=details
        ) as connection:
            added = connection.execute(
                sa.insert(licence).values(
                    driver_id=driver_id, kind=kind, valid_from_ms=valid_from_ms, valid_until_ms=valid_until_ms
                )
            )
            made = int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
            keep_text(connection, self._context.vault, ("driver", driver_id), licence.c.number, made, number)
            details["licence_id"] = made
            return made

    def revoke_licence(self, licence_id: int, *, at_ms: int) -> None:
        """Let a licence end now, whatever it says."""
        check_id("licence_id", licence_id)
        with self._context.acting("licence.revoke", ("licence", licence_id), at_ms=at_ms) as connection:
            ended = connection.execute(
                sa.update(licence)
                .where(licence.c.licence_id == licence_id, licence.c.revoked_at_ms.is_(None))
                .values(revoked_at_ms=at_ms)
            )
            if ended.rowcount == 0:
                raise StateError(f"licence {licence_id} is revoked already")

    def licences(self, driver_id: int, *, at_ms: int) -> list[Licence]:
        """Give all licences of a driver in the sequence in which they were entered, with their numbers."""
        person = ("driver", driver_id)
        with self._context.acting("licence.read", person, at_ms=at_ms) as connection:
            rows = connection.execute(
                sa.select(licence).where(licence.c.driver_id == driver_id).order_by(licence.c.licence_id)
            ).all()
            return [
                Licence(
                    row.licence_id,
                    row.kind,
                    row.valid_from_ms,
                    row.valid_until_ms,
                    row.revoked_at_ms,
                    open_text(
                        connection,
                        self._context.vault,
                        person,
                        licence.c.number,
                        row.licence_id,
                        row.number,
                    ),
                )
                for row in rows
            ]

    def check_background(
        self, driver_id: int, *, passed: bool, at_ms: int, valid_until_ms: int | None = None
    ) -> None:
        """Enter the result of a background check, in place of an earlier one; every driver needs one."""
        if valid_until_ms is not None:
            check_instant("valid_until_ms", valid_until_ms)
            if valid_until_ms <= at_ms:
                raise InputError(f"valid_until_ms is {valid_until_ms}: it is over already at {at_ms}")
        with self._context.acting(
            "driver.check", ("driver", driver_id), at_ms=at_ms, details={"passed": bool(passed)}
        ) as connection:
            locked_in(connection, "driver", driver_id, None)
            earlier = connection.execute(
                sa.select(background_check.c.checked_at_ms).where(background_check.c.driver_id == driver_id)
            ).scalar_one_or_none()
            check_not_before("at_ms", at_ms, earlier or 0, "the last check")
            bulk.upsert(
                connection,
                background_check,
                {
                    "driver_id": [driver_id],
                    "passed": [int(passed)],
                    "checked_at_ms": [at_ms],
                    "valid_until_ms": [valid_until_ms],
                },
            )

    def examine(
        self, driver_id: int, course: str, *, passed: bool, at_ms: int, score: int | None = None
    ) -> int:
        """Enter an examination in one of the vertical's courses; gives its id.

        A passed one counts for as long as the course says; a failed one takes nothing away.
        """
        rule = self._course(course)
        if score is not None:
            check_whole("score", score, 0, 100)
            if passed and score < PASS_SCORE:
                raise InputError(f"score is {score}: who passed has {PASS_SCORE} at least")
        with self._context.acting(
            "training.examine",
            ("driver", driver_id),
            at_ms=at_ms,
            details={"course": course, "passed": bool(passed), "score": score},
        ) as connection:
            added = connection.execute(
                sa.insert(training).values(
                    driver_id=driver_id,
                    course=course,
                    passed=int(passed),
                    score=score,
                    at_ms=at_ms,
                    valid_until_ms=at_ms + rule.valid_days * MS_PER_DAY,
                )
            )
            return int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted

    def examinations(self, driver_id: int) -> list[Examination]:
        """Give all examinations of a driver, the earliest first."""
        with self._context.looking("training.read", ("driver", driver_id)) as connection:
            rows = connection.execute(
                sa.select(training).where(training.c.driver_id == driver_id).order_by(training.c.training_id)
            )
            return [
                Examination(
                    row.training_id, row.course, bool(row.passed), row.score, row.at_ms, row.valid_until_ms
                )
                for row in rows
            ]

    def qualify_many(
        self,
        driver_ids: Sequence[int],
        *,
        scope_id: int,
        at_ms: int,
        valid_until_ms: int,
        courses: Iterable[str] = (),
        vehicle_class: str | None = None,
    ) -> None:
        """Grant drivers (n,) all that the vertical asks for: licences, a check, required courses, a vehicle.

        Parameters
        ----------
        driver_ids : (n,)
            All of them of the scope.
        scope_id, at_ms : int
        valid_until_ms : int
            Of licences, insurance and inspection.
        courses : iterable of str, optional
            Beside the required ones: for their skills.
        vehicle_class : str, optional
            By default the vertical's first one.
        """
        vertical, ids = self._context.vertical, [int(one) for one in driver_ids]
        check_instant("valid_until_ms", valid_until_ms)
        if valid_until_ms <= at_ms:
            raise InputError(f"valid_until_ms is {valid_until_ms}: it is over already at {at_ms}")
        extra = [self._course(course) for course in courses]
        classed = vertical.classes[0] if vehicle_class is None else vehicle_class
        check_one_of("vehicle_class", classed, vertical.classes)
        with self._context.acting(
            "driver.qualify_many", at_ms=at_ms, scope_id=scope_id, details={"drivers": len(ids)}
        ) as connection:
            _check_all_of_scope(connection, ids, scope_id)
            for kind in vertical.licence_kinds:
                _insert_same(
                    connection, licence, ids, kind=kind, valid_from_ms=at_ms, valid_until_ms=valid_until_ms
                )
            bulk.upsert(
                connection,
                background_check,
                {"driver_id": ids, "passed": [1] * len(ids), "checked_at_ms": [at_ms] * len(ids)},
            )
            for rule in {one.code: one for one in (*vertical.courses, *extra)}.values():
                if rule.required or rule in extra:
                    until = at_ms + rule.valid_days * MS_PER_DAY
                    _insert_same(
                        connection,
                        training,
                        ids,
                        course=rule.code,
                        passed=1,
                        at_ms=at_ms,
                        valid_until_ms=until,
                    )
            _insert_same(
                connection,
                vehicle,
                ids,
                scope_id=scope_id,
                vehicle_class=vertical.classes.index(classed),
                seats=4,
                energy="petrol" if vertical.needs_insurance else "none",
                insured_until_ms=valid_until_ms,
                inspected_until_ms=valid_until_ms,
                added_at_ms=at_ms,
            )

    def _course(self, code: str) -> CourseRule:
        known = {course.code: course for course in self._context.vertical.courses}
        check_one_of("course", code, tuple(known))
        return known[code]


def _insert_same(connection: sa.Connection, table: sa.Table, ids: list[int], **values: Any) -> None:
    """Insert a row for each driver, all else alike."""
    told = {name: [value] * len(ids) for name, value in values.items()}
    bulk.insert(connection, table, {"driver_id": ids, **told})


def _check_all_of_scope(connection: sa.Connection, ids: list[int], scope_id: int) -> None:
    of_scope = sa.select(driver.c.driver_id).where(
        driver.c.scope_id == scope_id, bulk.among(connection, driver.c.driver_id, ids)
    )
    missing = set(ids) - set(connection.execute(of_scope).scalars())
    if missing:
        raise InputError(
            f"driver_ids: {len(missing)} are not drivers of scope {scope_id}, {min(missing)} first"
        )
