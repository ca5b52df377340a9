"""Who is in a file twice, or in the database already: by member number, phone number or address of mail."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

KnownOf = Callable[[str, Sequence[str]], Mapping[str, int]]
"""Finds persons in the database: by the name of a key and values of it."""
ToldOf = Callable[[Sequence[int]], Mapping[int, Collection[str]]]
"""Tells which keys persons of the database have, by their ids."""

NOBODY: Final = -1


@dataclass(frozen=True)
class Duplicate:
    """A row about somebody who is known by then; values are not repeated."""

    row: int
    by: str
    """the field that is the same"""
    of_row: int | None
    """the earlier row of the file, None for somebody in the database"""
    person_id: int | None
    """of whom in the database, None for an earlier row"""
    also: tuple[str, ...] = ()
    """fields that name somebody else again"""
    against: tuple[str, ...] = ()
    """fields that tell persons apart, and are others of the one whom the row seems to be about"""

    @property
    def is_unclear(self) -> bool:
        """Whom the row is about cannot be told: nobody is changed by it."""
        return bool(self.also or self.against)


@dataclass(frozen=True)
class Keys:
    """How persons are known.

    Parameters
    ----------
    names : tuple of str
        Fields that tell who somebody is, the surest first.
    apart : tuple of str
        Those that a person has one of: who has another one is somebody else. Families share their mail.
    sure : str
        The one that alone decides: others of the same person may change then; empty: none does.
    """

    names: tuple[str, ...]
    apart: tuple[str, ...] = ()
    sure: str = ""


class Seen:
    """Persons of a file so far.

    Parameters
    ----------
    keys : Keys
    known, told : callable, optional
        Look into the database; None where there is nobody in it.
    """

    def __init__(self, keys: Keys, known: KnownOf | None = None, told: ToldOf | None = None) -> None:
        self._keys, self._sure = keys.names, keys.sure
        self._known, self._told = known, told
        self._first: dict[str, dict[str, int]] = {key: {} for key in keys.names}
        # A row's place is how many were looked at before; the root is the first one about the same person.
        self._row, self._root = array("q"), array("q")
        self._stored, self._person = array("q"), array("q")
        # What somebody has that tells apart, a bit a key: by the place of the root, or by the id.
        self._bit = {key: 1 << place for place, key in enumerate(keys.apart)}
        self._has, self._stored_has = array("b"), dict[int, int]()
        self._begin = 0

    def look(self, rows: Sequence[int], columns: Mapping[str, Sequence[Any]]) -> list[Duplicate | None]:
        """Tell of each row (n,) whom it is about, None for somebody new; it is seen from then on."""
        self._begin = len(self._row)
        keys = [key for key in self._keys if key in columns]
        stored = {key: self._in_database(key, columns[key]) for key in keys}
        self._ask_of({person for some in stored.values() for person in some.values()})
        values = [columns[key] for key in keys]
        found = []
        for row, told in zip(rows, zip(*values, strict=True), strict=True):
            some = [(key, value) for key, value in zip(keys, told, strict=True) if value is not None]
            found.append(self._judge(row, some, stored))
        return found

    def enter(self, places: Sequence[int], person_ids: Sequence[int]) -> None:
        """Note the ids (m,) of new persons, by their places (m,) among the rows that were looked at last."""
        for place, person in zip(places, person_ids, strict=True):
            self._person[self._begin + place] = person

    def person_at(self, place: int) -> int:
        """Give the id of whom a row is about, by its place among those looked at last; -1 for none."""
        root = self._root[self._begin + place]
        stored = self._stored[root]
        return stored if stored != NOBODY else self._person[root]

    def _judge(
        self, row: int, told: list[tuple[str, str]], stored: Mapping[str, Mapping[str, int]]
    ) -> Duplicate | None:
        place = len(self._row)
        first = self._first
        about: dict[tuple[bool, int], list[str]] = {}
        for key, value in told:
            earlier = first[key].get(value)
            if earlier is not None:
                root = self._root[earlier]
                one = self._stored[root]
                who = (False, root) if one == NOBODY else (True, one)
            elif value in stored[key]:
                who = (True, stored[key][value])
            else:
                continue
            about.setdefault(who, []).append(key)
        self._row.append(row)
        self._person.append(NOBODY)
        (is_stored, who_id), fields = next(iter(about.items()), ((False, place), []))
        self._root.append(place if is_stored else who_id)
        self._stored.append(who_id if is_stored else NOBODY)
        self._has.append(0)
        others = tuple(key for one, some in about.items() if one != (is_stored, who_id) for key in some)
        told_bits = sum(self._bit.get(key, 0) for key, _ in told)
        has = self._stored_has.get(who_id, 0) if is_stored else self._has[who_id]
        against: tuple[str, ...] = ()
        if self._sure not in fields:
            same = {*fields, *others}
            against = tuple(key for key, _ in told if self._bit.get(key, 0) & has and key not in same)
        if not others and not against:
            for key, value in told:
                first[key].setdefault(value, place)
            if is_stored:
                self._stored_has[who_id] = has | told_bits
            else:
                self._has[who_id] = has | told_bits
        if not about:
            return None
        of_row = None if is_stored else self._row[who_id]
        return Duplicate(row, fields[0], of_row, who_id if is_stored else None, others, against)

    def _ask_of(self, persons: Collection[int]) -> None:
        asked = [person for person in persons if person not in self._stored_has]
        if self._told is None or not asked:
            return
        told = self._told(asked)
        for person in asked:
            self._stored_has[person] = sum(self._bit.get(key, 0) for key in told.get(person, ()))

    def _in_database(self, key: str, values: Sequence[Any]) -> Mapping[str, int]:
        if self._known is None:
            return {}
        first = self._first[key]
        asked = list({value: None for value in values if value is not None and value not in first})
        return self._known(key, asked) if asked else {}
