"""Who may do what to whose data: roles × actions and roles × fields, one table in ``permissions.tsv``.

A cell tells how far a role reaches: ``-`` nowhere, ``own`` its own rows, ``city``, ``tenant``, ``all``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Final

from dispatch.errors import AuthError, InputError

REACHES: Final = ("-", "own", "city", "tenant", "all")
LONGEST_NAME: Final = 200
"""Of an actor and a tenant, in letters: they stand in every entry of the audit."""
OWN_KINDS: Final = ("customer", "driver")
"""Persons who may act for themselves; their roles have the same names."""


@dataclass(frozen=True)
class Actor:
    """Who acts.

    Parameters
    ----------
    role : str
        A column of the table.
    name : str
        Pseudonymous, for the audit: a staff number, not a name.
    tenant : str
        The company; empty only for those who reach all.
    cities : frozenset of str
        Cities of it that the actor works for.
    own : tuple of (str, int), optional
        The customer or driver that the actor is: ``("driver", 17)``.
    """

    role: str
    name: str
    tenant: str = ""
    cities: frozenset[str] = frozenset()
    own: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        """Refuse unknown roles, and what would be compared wrongly later."""
        if self.role not in permissions().roles:
            raise InputError(f"role is {self.role!r}: it must be one of {', '.join(permissions().roles)}")
        # `in` on a text would take "oak" for a part of "oakland".
        if not isinstance(self.cities, frozenset) or not all(isinstance(city, str) for city in self.cities):
            raise InputError(f"cities is {self.cities!r}: it must be a frozenset of names")
        for told, value in (("tenant", self.tenant), ("name", self.name)):
            check_actor_text(told, value)
        if self.own is not None and (
            not isinstance(self.own, tuple)
            or len(self.own) != 2
            or self.own[0] not in OWN_KINDS
            or isinstance(self.own[1], bool)
            or not isinstance(self.own[1], int)
        ):
            raise InputError(f"own is {self.own!r}: it must be the kind and id of a customer or driver")
        if self.own is not None and self.role in OWN_KINDS and self.own[0] != self.role:
            raise InputError(f"own is {self.own!r}: who acts as a {self.role} can only be a {self.role}")


def check_actor_text(field: str, value: object) -> None:
    """Raise :class:`InputError` unless `value` can be a name or tenant of an actor."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > LONGEST_NAME:
        told = value[:LONGEST_NAME] if isinstance(value, str) else value
        raise InputError(
            f"{field} is {told!r}: of an actor it must be a text of at most {LONGEST_NAME} printable letters"
        )


@dataclass(frozen=True)
class Place:
    """Where an object belongs."""

    tenant: str
    city: str
    owners: frozenset[tuple[str, int]] = frozenset()
    """customers and drivers whose own it is"""


@dataclass(frozen=True)
class Permissions:
    """The table, read."""

    roles: tuple[str, ...]
    reach: Mapping[tuple[str, str], str]
    """by role and action or field"""
    audited: frozenset[str] = field(default_factory=frozenset)
    """actions that leave an entry in the audit"""

    @property
    def actions(self) -> tuple[str, ...]:
        """All actions and fields, in the sequence of the table."""
        return tuple(dict.fromkeys(what for _, what in self.reach))

    def may(self, actor: Actor, what: str, place: Place | None) -> bool:
        """Tell whether an actor may do an action, or see a field, of an object at a place.

        Without a place the action is on nobody's row in particular: the role must reach all.
        """
        reach = self.reach.get((actor.role, what))
        if reach is None:
            raise InputError(f"action is {what!r}: the table of permissions does not know it")
        if reach == "all":
            return True
        if reach == "-" or place is None:
            return False
        if reach == "own":
            return actor.own is not None and actor.own in place.owners
        if not actor.tenant or place.tenant != actor.tenant:
            return False
        return reach == "tenant" or place.city in actor.cities

    def check(self, actor: Actor, what: str, places: Iterable[Place | None]) -> None:
        """Raise :class:`AuthError` unless the actor may, at all of the places."""
        if not all(self.may(actor, what, place) for place in places):
            raise AuthError(f"{actor.role} {actor.name!r} may not {what} here")


def permissions() -> Permissions:
    """Give the table; it comes with the package, and is read once."""
    return _TABLE


def read_table() -> Permissions:
    """Read the table; :class:`InputError` for what it must not hold."""
    text = (resources.files("dispatch.crm") / "permissions.tsv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    roles = tuple(name for name in rows[0] if name not in ("what", "audited"))
    reach, audited = {}, set()
    for row in rows:
        what = row["what"]
        if what in audited or (roles[0], what) in reach:
            raise InputError(f"permissions.tsv tells {what!r} twice")
        for role in roles:
            if row[role] not in REACHES:
                raise InputError(
                    f"permissions.tsv, {what}, {role} is {row[role]!r}: it must be one of {REACHES}"
                )
            reach[role, what] = row[role]
        if row["audited"] == "yes":
            audited.add(what)
    return Permissions(roles, MappingProxyType(reach), frozenset(audited))


SYSTEM: Final = ("system", "system")
"""Role and name of the program itself."""

_TABLE: Final = read_table()
