"""Drivers: who they are, sealed; when they came and left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_instant, check_new_id, check_not_before
from dispatch.crm.objects import place_of
from dispatch.crm.paging import Page, after as after_page, check_page, page_of
from dispatch.crm.people.persons import locked_in
from dispatch.crm.people.phones import by_library
from dispatch.crm.people.sealed_texts import check_text, key_in
from dispatch.crm.rules import check_one_of
from dispatch.crm.tables.people import driver
from dispatch.crm.vault import seal_text, unseal_row
from dispatch.errors import InputError, StateError
from dispatch.store import bulk

PERSONAL: Final = ("name", "phone", "address")
STATUSES: Final = ("active", "left", "restricted", "erased")
_GONE: Final = ("left", "erased")
_NO_REGION: Final = "ZZ"
"""Numbers must come with their country's code."""


@dataclass(frozen=True)
class Driver:
    """A driver as the actor may see it; what is personal is None where it is not known or not to be seen."""

    driver_id: int
    scope_id: int
    status: str
    """active, left, restricted or erased"""
    version: int
    created_at_ms: int
    changed_at_ms: int
    left_at_ms: int | None
    name: str | None = None
    phone: str | None = None
    address: str | None = None
    birthday_mmdd: int | None = None


@dataclass(frozen=True)
class DriverLine:
    """A row of a list of drivers: nothing personal."""

    driver_id: int
    scope_id: int
    status: str
    created_at_ms: int
    left_at_ms: int | None


@dataclass(frozen=True)
class DriverDetails:
    """What is personal of a driver; None is not told.

    Parameters
    ----------
    name, phone, address : str, optional
        The phone number with its country code, ``+1 415 555 0100``.
    birthday_mmdd : int, optional
        Month and day alone: 1231 is 31 December.
    """

    name: str | None = None
    phone: str | None = None
    address: str | None = None
    birthday_mmdd: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no name, number or day; the value itself is not repeated."""
        for field, longest in (("name", 200), ("phone", 40), ("address", 500)):
            if getattr(self, field) is not None:
                check_text(field, getattr(self, field), longest, lines=field == "address")
        if self.phone is not None:
            object.__setattr__(self, "phone", normal_phone(self.phone))
        if self.birthday_mmdd is not None:
            check_birthday(self.birthday_mmdd)

    @property
    def told(self) -> list[str]:
        """Names of the fields that are told."""
        return [name for name, value in vars(self).items() if value is not None]


class Drivers:
    """Registers drivers, changes and reads what is known of them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def register(
        self, details: DriverDetails, *, scope_id: int, at_ms: int, driver_id: int | None = None
    ) -> int:
        """Enter a driver; gives the id, which is the engine's.

        Raises
        ------
        InputError
            Neither name nor phone number is told.
        StateError
            The phone number is another driver's of the place, or the id is taken.
        """
        if details.name is None or details.phone is None:
            raise InputError("name and phone must be told of a driver")
        if driver_id is not None:
            check_new_id("driver_id", driver_id)
        noted: dict[str, Any] = {"fields": details.told}
        with self._context.acting(
            "driver.register", at_ms=at_ms, scope_id=scope_id, details=noted
        ) as connection:
            told = {"scope_id": scope_id, "created_at_ms": at_ms, "changed_at_ms": at_ms}
            if driver_id is not None:
                told["driver_id"] = driver_id
            added = connection.execute(sa.insert(driver).values(told))
            made = int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
            if driver_id is not None:
                bulk.count_on(connection, driver)
            noted["driver_id"] = made
            self._seal_in(connection, made, details)
            return made

    def register_many(self, driver_ids: Sequence[int], *, scope_id: int, at_ms: int) -> int:
        """Enter drivers (n,) of whom nothing personal is known, such as those of a simulation.

        Raises
        ------
        InputError
            An id is no id, or is told twice.
        StateError
            There is one already: the row is named.
        """
        ids = [int(one) for one in driver_ids]
        for one in ids:
            check_new_id("driver_ids", one)
        first_row: dict[int, int] = {}
        for row, one in enumerate(ids):
            if first_row.setdefault(one, row) != row:
                raise InputError(f"driver_ids[{row}] is {one}: it is that of row {first_row[one]} as well")
        noted = {"drivers": len(ids)}
        try:
            with self._context.acting(
                "driver.register_many", at_ms=at_ms, scope_id=scope_id, details=noted
            ) as connection:
                same = {"scope_id": scope_id, "created_at_ms": at_ms, "changed_at_ms": at_ms}
                rows = {name: [value] * len(ids) for name, value in same.items()}
                num = bulk.insert(connection, driver, {"driver_id": ids, **rows})
                bulk.count_on(connection, driver)
                return num
        except StateError as error:
            with self._context.database.reading() as connection:
                own = bulk.among(connection, driver.c.driver_id, ids)
                known = list(connection.scalars(sa.select(driver.c.driver_id).where(own)))
            if not known:
                raise
            row = min(first_row[one] for one in known)
            raise StateError(
                f"driver_ids[{row}] is {ids[row]}: there is such a driver already; nothing was changed"
            ) from error

    def update(
        self, driver_id: int, details: DriverDetails, *, at_ms: int, version: int | None = None
    ) -> None:
        """Change what is told in `details`, and leave the rest.

        Parameters
        ----------
        driver_id : int
        details : DriverDetails
        at_ms : int
        version : int, optional
            That was read: where somebody changed the row since, nothing is changed.
        """
        if not details.told:
            raise InputError("details tells nothing to change")
        with self._context.acting(
            "driver.update", ("driver", driver_id), at_ms=at_ms, details={"fields": details.told}
        ) as connection:
            row = locked_in(connection, "driver", driver_id, None)
            check_not_before("at_ms", at_ms, row.changed_at_ms, "the last change of the driver")
            if version is not None and version != row.version:
                raise StateError(
                    f"driver {driver_id} is at version {row.version}, not {version}: read it anew"
                )
            self._seal_in(connection, driver_id, details)
            _changed_in(connection, driver_id, at_ms, {})

    def leave(self, driver_id: int, *, at_ms: int) -> None:
        """Let a driver leave: no orders from now on; what is known is kept until it is erased."""
        with self._context.acting("driver.leave", ("driver", driver_id), at_ms=at_ms) as connection:
            row = locked_in(connection, "driver", driver_id, None)
            check_not_before("at_ms", at_ms, row.changed_at_ms, "the last change of the driver")
            if row.status in _GONE:
                raise StateError(f"driver {driver_id} has left already")
            _changed_in(connection, driver_id, at_ms, {"status": "left", "left_at_ms": at_ms})

    def rejoin(self, driver_id: int, *, at_ms: int) -> None:
        """Take a driver back who left."""
        with self._context.acting("driver.rejoin", ("driver", driver_id), at_ms=at_ms) as connection:
            row = locked_in(connection, "driver", driver_id, None)
            check_not_before("at_ms", at_ms, row.changed_at_ms, "the last change of the driver")
            if row.status != "left":
                raise StateError(f"driver {driver_id} is {row.status}: only one who left can come back")
            _changed_in(connection, driver_id, at_ms, {"status": "active", "left_at_ms": None})

    def get(self, driver_id: int, *, at_ms: int) -> Driver:
        """Give what the actor may see of a driver."""
        with self._context.acting("driver.get", ("driver", driver_id), at_ms=at_ms) as connection:
            row = connection.execute(sa.select(driver).where(driver.c.driver_id == driver_id)).one()
            found = place_of(connection, "driver", driver_id)
            keys = self._context.vault.keys(connection, "driver", [driver_id])
            shown: dict[str, Any] = {}
            if keys and found is not None:
                may = [name for name in PERSONAL if self._context.may_see(f"driver.{name}", found[1])]
                sealed = {name: getattr(row, name) for name in may}
                shown = dict(unseal_row(keys[driver_id], "driver", driver_id, sealed))
                if self._context.may_see("driver.birthday", found[1]):
                    shown["birthday_mmdd"] = row.birthday_mmdd
            return Driver(
                driver_id,
                row.scope_id,
                row.status,
                row.version,
                row.created_at_ms,
                row.changed_at_ms,
                row.left_at_ms,
                **shown,
            )

    def find(self, phone: str, *, scope_id: int, at_ms: int) -> int | None:
        """Give the driver of a place who has a phone number, None if nobody has."""
        index = self._context.vault.find_by("driver.phone", normal_phone(phone))
        with self._context.acting("driver.find", at_ms=at_ms, scope_id=scope_id) as connection:
            wanted = sa.select(driver.c.driver_id).where(
                driver.c.scope_id == scope_id, driver.c.phone_index == index
            )
            return connection.execute(wanted).scalar_one_or_none()

    def ids(self, *, scope_id: int, after: int = -1, limit: int = 1000) -> list[int]:
        """Give ids of drivers of a place who have not left, ascending, behind one of them."""
        with self._context.looking("driver.list", scope_id=scope_id) as connection:
            wanted = (
                sa.select(driver.c.driver_id)
                .where(
                    driver.c.scope_id == scope_id,
                    driver.c.driver_id > after,
                    driver.c.status.not_in(_GONE),
                )
                .order_by(driver.c.driver_id)
                .limit(limit)
            )
            return list(connection.execute(wanted).scalars())

    def list(
        self,
        *,
        scope_id: int | None = None,
        status: str | None = None,
        limit: int = 100,
        token: str | None = None,
    ) -> Page[DriverLine]:
        """List drivers within reach, by their ids; `token` is that of the page before."""
        check_page(limit)
        if scope_id is not None:
            check_id("scope_id", scope_id)
        if status is not None:
            check_one_of("status", status, STATUSES)
        what = ["drivers", scope_id, status]
        place = after_page(self._context.vault, what, token)
        names = ("driver_id", "scope_id", "status", "created_at_ms", "left_at_ms")
        wanted = sa.select(*(driver.c[name] for name in names)).order_by(driver.c.driver_id)
        for column, told in ((driver.c.scope_id, scope_id), (driver.c.status, status)):
            if told is not None:
                wanted = wanted.where(column == told)
        if place is not None:
            wanted = wanted.where(driver.c.driver_id > place[0])
        with self._context.listing("driver.list", driver.c.scope_id) as (connection, within):
            rows = [DriverLine(*row) for row in connection.execute(wanted.where(within).limit(limit + 1))]
        return page_of(self._context.vault, what, rows, limit, [[row.driver_id] for row in rows])

    def _seal_in(self, connection: sa.Connection, driver_id: int, details: DriverDetails) -> None:
        """Write what is told of a driver who is there."""
        vault = self._context.vault
        changes: dict[str, Any] = {}
        key = key_in(connection, vault, "driver", driver_id)
        for name in PERSONAL:
            value = getattr(details, name)
            if value is not None:
                changes[name] = seal_text(key, "driver", driver_id, name, value)
        if details.phone is not None:
            changes["phone_index"] = vault.find_by("driver.phone", details.phone)
        if details.birthday_mmdd is not None:
            changes["birthday_mmdd"] = details.birthday_mmdd
        connection.execute(sa.update(driver).where(driver.c.driver_id == driver_id).values(changes))


def normal_phone(value: str) -> str:
    """Give a telephone number as E.164; :class:`InputError`, which does not repeat it, if it is none."""
    check_text("phone", value, 40)
    found = by_library(value, _NO_REGION)
    if found is None:
        raise InputError("phone is no number that exists: it must be with its country code, +1 415 555 0100")
    return found


def check_birthday(value: int) -> None:
    """Raise :class:`InputError` unless a whole number is a month and a day of it: 229 is 29 February."""
    longest = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 1 <= value // 100 <= 12 or not 1 <= value % 100 <= longest[value // 100 - 1]:
        raise InputError("birthday_mmdd is no day of a year: 1231 is 31 December")


def _changed_in(connection: sa.Connection, driver_id: int, at_ms: int, changes: dict[str, Any]) -> None:
    check_instant("at_ms", at_ms)
    connection.execute(
        sa.update(driver)
        .where(driver.c.driver_id == driver_id)
        .values(changed_at_ms=at_ms, version=driver.c.version + 1, **changes)
    )
