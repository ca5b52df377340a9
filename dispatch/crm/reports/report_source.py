"""What tables of a report are made of: rows of a span and of some cities, as arrays, and sums over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.reports.periods import Periods
from dispatch.crm.tables.orders import scope
from dispatch.crm.vertical import Vertical
from dispatch.errors import InputError

_AT_ONCE: Final = 50_000
NONE_TOLD: Final = -1
"""A whole number that is not known, in arrays."""
Array = NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """Where rows come from.

    Parameters
    ----------
    connection : sqlalchemy.Connection
    vertical : Vertical
    periods : Periods
    scope_ids : list of int, optional
        Cities that count, None for all, and for rows of no city.
    at_ms : int
        Now.
    """

    connection: sa.Connection
    vertical: Vertical
    periods: Periods
    scope_ids: list[int] | None
    at_ms: int

    def within(self, scope_column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Give the condition that a row is of a city that counts."""
        return sa.true() if self.scope_ids is None else scope_column.in_(self.scope_ids)

    def in_span(self, at_column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Give the condition that an instant lies in the span."""
        return sa.and_(at_column >= self.periods.from_ms, at_column < self.periods.until_ms)

    def arrays(self, query: sa.Select[Any], texts: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
        """Read a query as arrays (n,) by the names of columns: int64, -1 for none; texts as objects."""
        names = [str(column.name) for column in query.selected_columns]
        parts: list[list[NDArray[Any]]] = [[] for _ in names]
        for rows in self.connection.execute(query.execution_options(yield_per=_AT_ONCE)).partitions():
            for part, name, values in zip(parts, names, zip(*rows, strict=True), strict=True):
                part.append(_array(values, name in texts))
        return {
            name: np.concatenate(part) if part else np.zeros(0, object if name in texts else np.int64)
            for name, part in zip(names, parts, strict=True)
        }


def _array(values: Sequence[Any], is_text: bool) -> NDArray[Any]:
    if is_text:
        told = np.empty(len(values), object)
        told[:] = values
        return told
    whole: Array = pa.array(values, pa.int64()).fill_null(NONE_TOLD).to_numpy(zero_copy_only=False)
    return whole


def chosen_places(
    connection: sa.Connection, within: sa.ColumnElement[bool], places: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Give the ids of the cities that count, by tenant and city: those told, else all within reach.

    Raises
    ------
    InputError
        One that is told is not within reach.
    """
    found = connection.execute(sa.select(scope).where(within).order_by(scope.c.scope_id))
    reached = {(row.tenant, row.city): int(row.scope_id) for row in found}
    for place in places:
        if place not in reached:
            raise InputError(f"place is {'/'.join(place)!r}: there is none such within reach")
    return {place: reached[place] for place in places or reached}


@dataclass(frozen=True)
class Groups:
    """Rows that belong together, and what is counted of them.

    Parameters
    ----------
    row : (n,) int64
        Group of each row of the data.
    num : int
        Number of groups; some may be empty.
    """

    row: Array
    """(n,) int64"""
    num: int

    def count(self, chosen: NDArray[np.bool_]) -> Array:
        """Count the rows (n,) chosen: (groups,) int64."""
        return np.bincount(self.row[chosen], minlength=self.num).astype(np.int64)

    def total(self, values: Array, chosen: NDArray[np.bool_]) -> Array:
        """Add up values (n,) of the rows (n,) chosen, those that are known: (groups,) int64."""
        kept = chosen & (values != NONE_TOLD)
        sums = np.zeros(self.num, np.int64)
        np.add.at(sums, self.row[kept], values[kept])
        return sums

    def mean(self, values: Array, chosen: NDArray[np.bool_]) -> pa.Array:
        """Give the mean of values (n,) of the rows (n,) chosen, rounded; none where there are none."""
        kept = chosen & (values != NONE_TOLD)
        return ratio(self.total(values, kept), self.count(kept), whole=True)


def ratio(part: Array, of: Array, whole: bool = False) -> pa.Array:
    """Divide (n,) by (n,); none where there is nothing to divide by."""
    some = of != 0
    values = np.divide(part, of, out=np.zeros(len(of)), where=some)
    return pa.array(np.rint(values).astype(np.int64) if whole else values, mask=~some)


def table(columns: Mapping[str, Any]) -> pa.Table:
    """Make a table of columns, all equally long."""
    return pa.table({name: pa.array(column) for name, column in columns.items()})


def named_groups(values: NDArray[Any], known: Sequence[str] = ()) -> tuple[list[str], Groups]:
    """Group by texts (n,): those known first, then others by name, and ``unknown`` for none at last."""
    found = {value for value in values.tolist() if value is not None}
    names = [*known, *sorted(found - set(known))]
    row_of = {name: row for row, name in enumerate(names)}
    if any(value is None for value in values.tolist()):
        names.append("unknown")
    rows = np.array([row_of.get(value, len(names) - 1) for value in values.tolist()], np.int64)
    return names, Groups(rows, len(names))
