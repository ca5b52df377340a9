"""What all parts of the CRM share, and the one door through which every action goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from dispatch.crm import audit
from dispatch.crm.objects import known_scope, place_of
from dispatch.crm.permissions import Actor, Place, permissions
from dispatch.crm.tables.orders import scope
from dispatch.crm.vault import Vault
from dispatch.crm.vertical import Vertical
from dispatch.errors import AuthError, InputError, StateError, StoreError
from dispatch.store.database import Database, is_conflict
from dispatch.units import LATEST_MS

LARGEST_NEW_ID: Final = 2**62
T = TypeVar("T")
MOST_TRIES: Final = 5
"""Of a transaction that others get in the way of."""
Target = tuple[str, int]
"""Kind and id of an object: ``("customer", 17)``."""


@dataclass(frozen=True)
class Context:
    """The database, the rules, the keys, and who acts."""

    database: Database
    vertical: Vertical
    vault: Vault
    actor: Actor

    def of(self, actor: Actor) -> Context:
        """Give the same for another actor."""
        return replace(self, actor=actor)

    @contextmanager
    def acting(
        self,
        action: str,
        *targets: Target,
        at_ms: int,
        scope_id: int | None = None,
        details: dict[str, Any] | None = None,
    ) -> Iterator[sa.Connection]:
        """Give a connection to write by, if the actor may do this; the audit is written with it, or nothing.

        Parameters
        ----------
        action : str
            A row of the table of permissions.
        targets : of (str, int)
            Objects that it is done to, each of which must be within reach.
        at_ms : int
        scope_id : int, optional
            Where something new is made, or many rows of one place are touched; it must be within reach as
            well. With no targets and without it the actor must reach all.
        details : dict, optional
            For the audit; more may be put into it until the end. Names and numbers, nothing personal.

        Raises
        ------
        AuthError
            The actor may not; or an object is not there, which is said of those who reach all alone.
        StateError
            Two did the same at the same time.
        """
        check_instant("at_ms", at_ms)
        noted = {} if details is None else details
        try:
            with self.database.writing() as connection:
                touched = self._permitted(connection, action, targets, scope_id)
                yield connection
                if action in permissions().audited:
                    audit.append(connection, self.actor, action, at_ms, touched, noted)
        except sa.exc.IntegrityError as error:
            raise StateError(
                f"{action}: what was told is there already, or refers to what is not: {_rule_of(error)}; "
                "nothing was changed"
            ) from error

    @contextmanager
    def looking(self, action: str, *targets: Target, scope_id: int | None = None) -> Iterator[sa.Connection]:
        """Give a connection to read by, if the actor may; for actions that leave no entry in the audit.

        Raises
        ------
        AuthError
            As of :meth:`acting`.
        """
        if action in permissions().audited:
            raise InputError(f"action is {action!r}: it is audited, so it must be done by acting()")
        with self.database.reading() as connection:
            self._permitted(connection, action, targets, scope_id)
            yield connection

    @contextmanager
    def listing(
        self,
        action: str,
        scope_column: sa.ColumnElement[Any],
        owners: Mapping[str, sa.ColumnElement[Any]] | None = None,
        *,
        at_ms: int | None = None,
        details: dict[str, Any] | None = None,
    ) -> Iterator[tuple[sa.Connection, sa.ColumnElement[bool]]]:
        """Give a connection to read a list by, and the condition that a row is within the actor's reach.

        Parameters
        ----------
        action : str
        scope_column
            Of the table that is listed.
        owners : mapping of str to column, optional
            Columns that name whose own a row is, by the kind of person.
        at_ms, details : optional
            For the audit; an action that is audited needs the instant.

        Raises
        ------
        AuthError
            The actor reaches nothing at all with this action.
        """
        within = self._within(action, scope_column, owners or {})
        if action not in permissions().audited:
            with self.database.reading() as connection:
                yield connection, within
            return
        check_instant("at_ms", at_ms)
        noted = {} if details is None else details
        with self.database.writing() as connection:
            yield connection, within
            audit.append(connection, self.actor, action, int(at_ms or 0), [(None, None, None)], noted)

    def may_see(self, field: str, place: Place) -> bool:
        """Tell whether the actor may see a field, a row of the table, of an object at a place."""
        return permissions().may(self.actor, field, place)

    def reaches(self, action: str) -> str:
        """Tell how far the actor reaches with an action: for lists, which hold what is within reach alone."""
        reach = permissions().reach.get((self.actor.role, action))
        if reach is None:
            raise InputError(f"action is {action!r}: the table of permissions does not know it")
        return reach

    def _permitted(
        self, connection: sa.Connection, action: str, targets: tuple[Target, ...], scope_id: int | None
    ) -> list[tuple[str | None, int | None, int | None]]:
        """Check, and give what the audit names: kind, id and scope of each object."""
        table = permissions()
        touched: list[tuple[str | None, int | None, int | None]] = []
        for kind, object_id in targets:
            check_id(f"{kind}_id", object_id)
            found = place_of(connection, kind, object_id)
            if found is None:
                raise self._not_there(action, f"{kind} {object_id} is not known")
            table.check(self.actor, action, [found[1]])
            touched.append((kind, object_id, found[0]))
        if scope_id is not None:
            check_id("scope_id", scope_id)
            place = known_scope(connection, scope_id)
            if place is None:
                raise self._not_there(action, f"scope_id is {scope_id}: there is no such place")
            table.check(self.actor, action, [place])
        if not targets:
            if scope_id is None:
                table.check(self.actor, action, [None])
            touched.append((None, None, scope_id))
        return touched

    def _not_there(self, action: str, why: str) -> Exception:
        """Give the error for what does not exist: only who would reach it anywhere is told that."""
        if self.reaches(action) == "all":
            return InputError(why)
        return AuthError(f"{self.actor.role} {self.actor.name!r} may not {action} here")

    def _within(
        self, action: str, scope_column: sa.ColumnElement[Any], owners: Mapping[str, sa.ColumnElement[Any]]
    ) -> sa.ColumnElement[bool]:
        """Give the condition that a row is within reach, as :meth:`Permissions.may` tells it of a place."""
        actor, reach = self.actor, self.reaches(action)
        if reach == "all":
            return sa.true()
        if reach == "own" and actor.own is not None and actor.own[0] in owners:
            return owners[actor.own[0]] == actor.own[1]
        if reach not in ("city", "tenant") or not actor.tenant:
            raise AuthError(f"{actor.role} {actor.name!r} may not {action} here")
        places = sa.select(scope.c.scope_id).where(scope.c.tenant == actor.tenant)
        if reach == "city":
            places = places.where(scope.c.city.in_(sorted(actor.cities)))
        return scope_column.in_(places)


def _rule_of(error: sa.exc.IntegrityError) -> str:
    """Name the rule that a row broke, without the row: the server's own words may quote it."""
    diagnosis = getattr(error.orig, "diag", None)
    return str(error.orig if diagnosis is None else diagnosis.constraint_name or diagnosis.message_primary)


def persistently(work: Callable[[], T]) -> T:
    """Do a whole transaction, anew where it and another one waited for each other: one of them is given up.

    Only for what may be done again from its beginning: nothing of a try that was given up is left.

    Raises
    ------
    StoreError
        So it went :data:`MOST_TRIES` times.
    """
    for _ in range(MOST_TRIES - 1):
        try:
            return work()
        except StoreError as error:
            if not is_conflict(error):
                raise
    return work()


def check_instant(field: str, value: object) -> None:
    """Raise :class:`InputError` unless `value` is an instant in milliseconds since the epoch."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LATEST_MS:
        raise InputError(f"{field} is {value!r}: it must be milliseconds since 1970 and before 2200")


def check_not_before(field: str, value: int, earliest: int, what: str) -> None:
    """Raise :class:`InputError` where the clock goes back behind what is known already."""
    check_instant(field, value)
    if value < earliest:
        raise InputError(f"{field} is {value}: time goes backwards, {what} was at {earliest}")


def check_new_id(field: str, value: object) -> None:
    """Raise :class:`InputError` unless `value` can be the id of a new row, after which ids are counted on."""
    check_id(field, value)
    if int(value) > LARGEST_NEW_ID:  # type: ignore[call-overload]  # it is whole
        raise InputError(f"{field} is {value}: the id of a new row is at most 2^62, so that more can follow")


def check_id(field: str, value: object) -> None:
    """Raise :class:`InputError` unless `value` can be an id."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InputError(f"{field} is {value!r}: an id is a whole number from 0 to 2^63 - 1")
