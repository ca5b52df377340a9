"""Many rows at once, by columns: what a row at a time would take ten times as long for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, ClassVar, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.visitors import InternalTraversal

Columns = Mapping[str, Any]
"""Values by the names of columns, all equally long; arrays or lists, None where there is none."""


def insert(connection: sa.Connection, table: sa.Table, columns: Columns) -> int:
    """Insert rows (n,) into a table, and tell how many."""
    rows = _listed(columns)
    if not rows.num:
        return 0
    if connection.dialect.name == "postgresql":
        _copy(connection, table.name, rows)
    else:
        _execute_many(connection, table, rows)
    return rows.num


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    columns: Columns,
    *,
    adds: Iterable[str] = (),
    keeps: Iterable[str] = (),
    keeps_known: bool = False,
) -> int:
    """Insert rows (n,), or change those whose primary key is there already.

    Parameters
    ----------
    connection, table, columns
        No primary key may stand in two rows.
    adds : iterable of str, optional
        Columns whose values are added to those that are there.
    keeps : iterable of str, optional
        Columns that are left as they are in rows that are there: indices on them need not change.
    keeps_known : bool
        What is None does not take the place of what is known.
    """
    rows = _listed(columns)
    if not rows.num:
        return 0
    added, kept = set(adds), set(keeps)
    keys = [column.name for column in table.primary_key.columns]
    changes = ", ".join(
        f"{name} = {_changed(table.name, name, name in added, keeps_known)}"
        for name in rows.names
        if name not in keys and name not in kept
    )
    conflict = f" ON CONFLICT ({', '.join(keys)}) DO " + (f"UPDATE SET {changes}" if changes else "NOTHING")
    if connection.dialect.name != "postgresql":
        _execute_many(connection, table, rows, conflict)
        return rows.num
    _execute_arrays(connection, table, rows, conflict)
    return rows.num


def among(
    connection: sa.Connection,  # noqa: ARG001 - every other question about rows takes one as well
    column: sa.ColumnElement[int],
    values: Sequence[int] | NDArray[np.int64],
) -> sa.ColumnElement[bool]:
    """Give the condition that a column holds one of many whole numbers (n,), told in one parameter."""
    return _Among(column, sa.literal(values, _WHOLES))


def among_told(column: sa.ColumnElement[int], name: str) -> sa.ColumnElement[bool]:
    """Give the same for a statement that is made once: the numbers (n,) are told by a name at each execution.

    To make a statement takes SQLAlchemy as long as to execute it.
    """
    return _Among(column, sa.bindparam(name, type_=_WHOLES))


class _Wholes(sa.types.TypeDecorator[Any]):
    """Many whole numbers as one parameter: an array of PostgreSQL, a text of JSON for SQLite."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.ARRAY(sa.BigInteger))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        told = value.tolist() if isinstance(value, np.ndarray) else [int(one) for one in value]
        return told if dialect.name == "postgresql" else str(told)


_WHOLES: Final = _Wholes()


class _Among(sa.ColumnElement[bool]):
    """A condition of its own: SQLAlchemy builds one of a function, a table and a query ten times slower."""

    inherit_cache = True
    type = sa.Boolean()
    _is_implicitly_boolean = True  # or SQLite would be asked whether it equals 1, and use no index
    _traverse_internals: ClassVar[list[tuple[str, InternalTraversal]]] = [  # type: ignore[misc]  # SQLAlchemy's
        ("column", InternalTraversal.dp_clauseelement),
        ("values", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, column: sa.ColumnElement[int], values: sa.ColumnElement[Any]) -> None:
        self.column, self.values = column, values

    @property
    def _from_objects(self) -> list[sa.FromClause]:
        return self.column._from_objects


@compiles(_Among)
def _as_sql(element: _Among, compiler: Any, **options: Any) -> str:
    column, values = (compiler.process(one, **options) for one in (element.column, element.values))
    if compiler.dialect.name == "postgresql":
        return f"{column} = ANY ({values})"
    return f"{column} IN (SELECT value FROM json_each({values}))"


_IN_ARRAYS: Final = 50_000
"""So many rows go to PostgreSQL in one statement: both sides hold them in memory."""
_ROWS_AT_ONCE: Final = 64
_NARROW: Final = 16
"""So many columns; with more of them the rows themselves take the time."""


class Prepared:
    """A statement that is made and compiled once, and goes to the driver without a detour.

    SQLAlchemy takes 30 to 60 µs to execute a statement, this 8. It serves what is asked in every batch.

    Parameters
    ----------
    statement
        Of plain numbers and texts; many numbers are told as of :func:`among_told`.
    """

    def __init__(self, statement: sa.sql.expression.UpdateBase | sa.SelectBase) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, dict[str, Any], list[str] | None]] = {}

    def rows(self, connection: sa.Connection, **told: Any) -> list[tuple[Any, ...]]:
        """Give the rows of a query."""
        found: list[tuple[Any, ...]] = self._execute(connection, told, True)
        return found

    def run(self, connection: sa.Connection, **told: Any) -> None:
        """Execute a statement that gives no rows."""
        self._execute(connection, told, False)

    def _execute(self, connection: sa.Connection, told: dict[str, Any], gives_rows: bool) -> Any:
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            made: Any = self._statement.compile(dialect=dialect)
            self._compiled[dialect.name] = (str(made), dict(made.params), made.positiontup)
        sql, params, names = self._compiled[dialect.name]
        values = params | {
            name: _WHOLES.process_bind_param(value, dialect)
            if isinstance(value, np.ndarray | list | tuple)
            else value
            for name, value in told.items()
        }
        with _told(connection, sql):
            cursor: Any = connection.connection.cursor()
            try:
                cursor.execute(sql, values if names is None else [values[name] for name in names])
                return cursor.fetchall() if gives_rows else None
            finally:
                cursor.close()


def fetch(connection: sa.Connection, query: sa.Select[Any]) -> NDArray[np.int64]:
    """Give the rows of a query for whole numbers alone, (columns, rows) int64, -1 where there is none."""
    found = _fetched(connection, query)
    if found.dtype == object:
        found = np.array([[-1 if value is None else value for value in row] for row in found])
    return np.ascontiguousarray(found.astype(np.int64).T)


def fetch_floats(connection: sa.Connection, query: sa.Select[Any]) -> NDArray[np.float64]:
    """Give the rows of a query for numbers, of which none is missing, (columns, rows) float64."""
    return np.ascontiguousarray(_fetched(connection, query).astype(np.float64).T)


def numbered(connection: sa.Connection, values: Sequence[float] | NDArray[np.float64]) -> sa.FromClause:
    """Give a table of numbers (n,), told in one parameter: columns ``row``, from 0, and ``value``."""
    told = [float(value) for value in values]
    if connection.dialect.name == "postgresql":
        literal = sa.literal(told, postgresql.ARRAY(sa.Float))
        each: Any = sa.func.unnest(literal).table_valued("value", with_ordinality="place").render_derived()
        rows = sa.select((each.c.place - 1).label("row"), each.c.value.label("value"))
    else:
        each = sa.func.json_each(sa.literal(str(told))).table_valued("key", "value")
        rows = sa.select(each.c.key.label("row"), each.c.value.label("value"))
    # Or SQLite would read the text anew for each row that it is joined to: four times slower.
    return rows.cte("numbered").prefix_with("MATERIALIZED")


def next_ids(connection: sa.Connection, table: sa.Table, num: int) -> list[int]:
    """Give primary keys (n,) for rows to be inserted, where the rows of another table must name them."""
    (key,) = table.primary_key.columns
    if connection.dialect.name == "postgresql":
        sequence = sa.func.pg_get_serial_sequence(table.name, key.name)
        each = sa.func.generate_series(1, num).table_valued("place")
        return list(connection.execute(sa.select(sa.func.nextval(sequence)).select_from(each)).scalars())
    last = connection.execute(sa.select(sa.func.coalesce(sa.func.max(key), 0))).scalar_one()
    return list(range(last + 1, last + 1 + num))


def count_on(connection: sa.Connection, table: sa.Table) -> None:
    """Let a primary key that counts up go on behind ids that were told."""
    if connection.dialect.name != "postgresql":
        return  # SQLite goes on behind the highest by itself
    (key,) = table.primary_key.columns
    sequence = sa.func.pg_get_serial_sequence(table.name, key.name)
    highest = sa.select(sa.func.max(key)).scalar_subquery()
    connection.execute(sa.select(sa.func.setval(sequence, highest)).where(highest >= 1))


def take_ids(connection: sa.Connection, column: sa.Column[Any], num: int) -> list[int]:
    """Give ids (num,) for new rows of a table whose primary key counts up by itself, above all there are.

    Told ids and taken ones may alternate; the rows must be inserted in the same transaction.
    """
    highest = sa.select(sa.func.coalesce(sa.func.max(column), 0))
    if connection.dialect.name != "postgresql":
        first = int(connection.scalar(highest) or 0) + 1
        return list(range(first, first + num))
    name = column.table.name
    # Others who take ids wait until these rows can be seen; whoever inserts without telling ids does not.
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(name))))
    sequence = connection.scalar(sa.select(sa.func.pg_get_serial_sequence(name, column.name)))
    counted = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"
    last = int(connection.exec_driver_sql(counted).scalar_one())
    first = max(int(connection.scalar(highest) or 0), last) + 1
    connection.execute(sa.select(sa.func.setval(sequence, first + num - 1)))
    return list(range(first, first + num))


def _fetched(connection: sa.Connection, query: sa.Select[Any]) -> NDArray[Any]:
    rows = [tuple(row) for row in connection.execute(query).all()]
    return np.array(rows) if rows else np.zeros((0, len(query.selected_columns)), np.int64)


class _Rows:
    def __init__(self, names: list[str], values: list[list[Any]]) -> None:
        self.names, self.values = names, values
        self.num = len(values[0]) if values else 0


def _listed(columns: Columns) -> _Rows:
    """Give columns as lists of Python's own numbers, which is what drivers take."""
    values = [
        column.tolist()
        if isinstance(column, np.ndarray)
        else column
        if isinstance(column, list)
        else list(column)
        for column in columns.values()
    ]
    if len({len(column) for column in values}) > 1:
        lengths = ", ".join(f"{name} {len(one)}" for name, one in zip(columns, values, strict=True))
        raise ValueError(f"columns must be equally long: {lengths}")
    return _Rows(list(columns), values)


def _quoted(names: list[str]) -> str:
    """Give names of columns as SQL takes them, words of its own among them."""
    return ", ".join(f'"{name}"' for name in names)


def _execute_many(connection: sa.Connection, table: sa.Table, rows: _Rows, conflict: str = "") -> None:
    """Insert rows into SQLite, many by one statement: by one each, narrow ones take half as long again."""
    marks = f"({', '.join('?' * len(rows.names))})"
    sql = f"INSERT INTO {table.name} ({_quoted(rows.names)}) VALUES {marks}"
    told = list(zip(*rows.values, strict=True))
    first = 0
    with _told(connection, sql + conflict):
        cursor: Any = connection.connection.cursor()
        if rows.num >= _ROWS_AT_ONCE and len(rows.names) <= _NARROW:
            many = sql + f", {marks}" * (_ROWS_AT_ONCE - 1) + conflict
            for first in range(0, rows.num - _ROWS_AT_ONCE + 1, _ROWS_AT_ONCE):
                cursor.execute(many, list(chain.from_iterable(told[first : first + _ROWS_AT_ONCE])))
            first += _ROWS_AT_ONCE
        cursor.executemany(sql + conflict, told[first:])
        cursor.close()


def _execute_arrays(connection: sa.Connection, table: sa.Table, rows: _Rows, conflict: str) -> None:
    """Insert rows into PostgreSQL, a column an array; a table to copy them into would be made each time."""
    dialect: Any = connection.dialect
    arrays = ", ".join(f"%s::{table.c[name].type.compile(dialect)}[]" for name in rows.names)
    sql = f"INSERT INTO {table.name} ({_quoted(rows.names)}) SELECT * FROM unnest({arrays}){conflict}"
    with _told(connection, sql):
        cursor: Any = connection.connection.cursor()
        for first in range(0, rows.num, _IN_ARRAYS):
            cursor.execute(sql, [values[first : first + _IN_ARRAYS] for values in rows.values])
        cursor.close()


def _copy(connection: sa.Connection, table_name: str, rows: _Rows) -> None:
    sql = f"COPY {table_name} ({_quoted(rows.names)}) FROM STDIN"
    raw: Any = connection.connection
    with _told(connection, sql), raw.cursor() as cursor, cursor.copy(sql) as copy:
        for row in zip(*rows.values, strict=True):
            copy.write_row(row)


@contextmanager
def _told(connection: sa.Connection, sql: str) -> Iterator[None]:
    """Turn the driver's own errors into SQLAlchemy's, as its own calls do."""
    driver: Any = connection.dialect.loaded_dbapi
    try:
        yield
    except driver.Error as error:
        raise sa.exc.DBAPIError.instance(sql, None, error, driver.Error, hide_parameters=True) from error


def _changed(table_name: str, name: str, adds: bool, keeps_known: bool) -> str:
    if adds:
        return f"{table_name}.{name} + excluded.{name}"
    return f"coalesce(excluded.{name}, {table_name}.{name})" if keeps_known else f"excluded.{name}"
