"""Who is in a file twice, or in the database already: by member number, phone number or address of mail."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

KnownOf = Callable[[str, Sequence[str]], Mapping[str, int]]
"""Finds persons in the database: by the name of a key and values of it."""

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
    """fields that name somebody else again: whom the row is about cannot be told then, it is left alone"""


class Seen:
    """Persons of a file so far.

    Parameters
    ----------
    keys : tuple of str
        Fields that tell who somebody is, the surest first.
    known : callable, optional
        Looks into the database; None where there is nobody in it.
    """

    def __init__(self, keys: tuple[str, ...], known: KnownOf | None) -> None:
        self._keys, self._known = keys, known
        self._first: dict[str, dict[str, int]] = {key: {} for key in keys}
        # A row's place is how many were looked at before; the root is the first one about the same person.
        self._row, self._root = array("q"), array("q")
        self._stored, self._person = array("q"), array("q")
        self._begin = 0

    def look(self, rows: Sequence[int], columns: Mapping[str, Sequence[Any]]) -> list[Duplicate | None]:
        """Tell of each row (n,) whom it is about, None for somebody new; it is seen from then on."""
        self._begin = len(self._row)
        keys = [key for key in self._keys if key in columns]
        stored = {key: self._in_database(key, columns[key]) for key in keys}
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
        if len(about) <= 1:
            for key, value in told:
                first[key].setdefault(value, place)
        if not about:
            return None
        also = tuple(key for one, some in about.items() if one != (is_stored, who_id) for key in some)
        of_row = None if is_stored else self._row[who_id]
        return Duplicate(row, fields[0], of_row, who_id if is_stored else None, also)

    def _in_database(self, key: str, values: Sequence[Any]) -> Mapping[str, int]:
        if self._known is None:
            return {}
        first = self._first[key]
        asked = list({value: None for value in values if value is not None and value not in first})
        return self._known(key, asked) if asked else {}
