"""What all parts of the CRM share, and the one door through which every action goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np
import sqlalchemy as sa

from dispatch.crm import audit
from dispatch.crm.broken_rules import in_words
from dispatch.crm.objects import known_scope, place_of
from dispatch.crm.permissions import Actor, Place, permissions
from dispatch.crm.refusals import PREFIX, Refusal, clock_ms, details_of, home_of
from dispatch.crm.tables.orders import scope
from dispatch.crm.vault import Vault
from dispatch.crm.vertical import Vertical
from dispatch.errors import AuthError, InputError, StateError, StoreError
from dispatch.store.database import Database, is_conflict
from dispatch.units import LATEST_MS

LARGEST_NEW_ID: Final = 2**62
T = TypeVar("T")
_FIRST_S: Final = 978_307_200
"""From 1970 to 2001. So many milliseconds, until as many as there are seconds to 2200, are some days early in
1970, which nobody means by now; a clock that begins at 0 has twelve days until then. What is reckoned from
now, such as the end of a tier, may lie there."""
MOST_TRIES: Final = 5
"""Of a transaction that others get in the way of."""
Target = tuple[str, int]
"""Kind and id of an object: ``("customer", 17)``."""
_Asked = list[dict[str, Any]]
"""What was asked for so far, as a refusal tells it: the last one is what is refused."""


@dataclass(frozen=True)
class Context:
    """The database, the rules, the keys, and who acts.

    Whoever is refused leaves an entry in the audit, see :mod:`dispatch.crm.refusals`: in a transaction of its
    own, after the one that was refused. Where it cannot be written, as in a database that can only be read,
    the refusal is raised all the same, with why as its cause.
    """

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
        asked: _Asked = []
        try:
            with self._refusals_noted(action, at_ms, asked), self.database.writing() as connection:
                touched = self._permitted(connection, action, targets, scope_id, asked)
                yield connection
                if action in permissions().audited:
                    audit.append(connection, self.actor, action, at_ms, touched, noted)
        except sa.exc.IntegrityError as error:
            raise StateError(f"{action}: {in_words(error)}; nothing was changed") from error

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
        asked: _Asked = []
        with self._refusals_noted(action, None, asked), self.database.reading() as connection:
            self._permitted(connection, action, targets, scope_id, asked)
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
        is_audited = action in permissions().audited
        if is_audited:
            check_instant("at_ms", at_ms)
        with self._refusals_noted(action, at_ms, []):
            within = self._within(action, scope_column, owners or {})
            if not is_audited:
                with self.database.reading() as connection:
                    yield connection, within
                return
            noted = {} if details is None else details
            with self.database.writing() as connection:
                yield connection, within
                # At the actor's own place: the company's auditors must see who took out its lists.
                target = (None, None, home_of(connection, self.actor))
                audit.append(connection, self.actor, action, int(at_ms or 0), [target], noted)

    def may_see(self, field: str, place: Place) -> bool:
        """Tell whether the actor may see a field, a row of the table, of an object at a place."""
        return permissions().may(self.actor, field, place)

    def reaches(self, action: str) -> str:
        """Tell how far the actor reaches with an action: for lists, which hold what is within reach alone."""
        reach = permissions().reach.get((self.actor.role, action))
        if reach is None:
            raise InputError(f"action is {action!r}: the table of permissions does not know it")
        return reach

    @contextmanager
    def _refusals_noted(self, action: str, at_ms: int | None, asked: _Asked) -> Iterator[None]:
        """Note in the audit what is refused within; around the transaction, which is over by then.

        Only so it is not rolled back with it, and the only writer of SQLite does not wait for itself.
        """
        try:
            yield
        except AuthError as error:
            # Whoever only looks tells no instant.
            when = clock_ms() if at_ms is None else at_ms
            self._note(Refusal(self.actor, action, when, **(asked[-1] if asked else {})), error)
            raise

    def _note(self, refusal: Refusal, error: AuthError) -> None:
        """Write an entry of a refusal, unless there are too many; where it cannot be, say so and why."""
        try:
            # Most of an attacker's attempts end here: they hold up no writer.
            with self.database.reading() as connection:
                if details_of(connection, refusal, home_of(connection, self.actor)) is None:
                    return
            with self.database.writing() as connection:
                audit.lock(connection)  # of those refused at the same time, one sees the other's entry
                home = home_of(connection, self.actor)
                details = details_of(connection, refusal, home)
                if details is not None:
                    target = (refusal.kind, refusal.object_id, home)
                    action = PREFIX + refusal.action
                    audit.append(connection, self.actor, action, refusal.at_ms, [target], details)
        except (StoreError, sa.exc.SQLAlchemyError) as unwritten:
            error.add_note("this refusal could not be written to the audit")
            raise error from unwritten

    def _permitted(
        self,
        connection: sa.Connection,
        action: str,
        targets: tuple[Target, ...],
        scope_id: int | None,
        asked: _Asked,
    ) -> list[tuple[str | None, int | None, int | None]]:
        """Check, and give what the audit names: kind, id and scope of each object."""
        table = permissions()
        touched: list[tuple[str | None, int | None, int | None]] = []
        for kind, object_id in targets:
            check_id(f"{kind}_id", object_id)
            asked.append({"kind": kind, "object_id": object_id})
            found = place_of(connection, kind, object_id)
            if found is None:
                raise self._not_there(action, f"{kind} {object_id} is not known")
            table.check(self.actor, action, [found[1]])
            touched.append((kind, object_id, found[0]))
        if scope_id is not None:
            check_id("scope_id", scope_id)
            asked.append({"scope_id": scope_id})
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
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value <= LATEST_MS:
        raise InputError(f"{field} is {value!r}: it must be milliseconds since 1970 and before 2200")
    if field == "at_ms" and _FIRST_S <= value <= LATEST_MS // 1000:
        raise InputError(f"{field} is {value}: these look like seconds; tell milliseconds, {value}000")


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
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < 2**63:
        raise InputError(f"{field} is {value!r}: an id is a whole number from 0 to 2^63 - 1")
