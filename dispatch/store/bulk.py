"""Many rows at once, by columns: what a row at a time would take ten times as long for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects import postgresql

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
        _execute_many(connection, _insert_sql(table, rows.names), rows)
    return rows.num


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    columns: Columns,
    *,
    adds: Iterable[str] = (),
    keeps_known: bool = False,
) -> int:
    """Insert rows (n,), or change those whose primary key is there already.

    Parameters
    ----------
    connection, table, columns
        No primary key may stand in two rows.
    adds : iterable of str, optional
        Columns whose values are added to those that are there.
    keeps_known : bool
        What is None does not take the place of what is known.
    """
    rows = _listed(columns)
    if not rows.num:
        return 0
    added = set(adds)
    keys = [column.name for column in table.primary_key.columns]
    changes = ", ".join(
        f"{name} = {_changed(table.name, name, name in added, keeps_known)}"
        for name in rows.names
        if name not in keys
    )
    conflict = f" ON CONFLICT ({', '.join(keys)}) DO " + (f"UPDATE SET {changes}" if changes else "NOTHING")
    if connection.dialect.name != "postgresql":
        _execute_many(connection, _insert_sql(table, rows.names) + conflict, rows)
        return rows.num
    names = ", ".join(rows.names)
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS told_{table.name}")
    connection.exec_driver_sql(
        f"CREATE TEMP TABLE told_{table.name} ON COMMIT DROP AS SELECT {names} FROM {table.name} WITH NO DATA"
    )
    _copy(connection, f"told_{table.name}", rows)
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({names}) SELECT {names} FROM told_{table.name}{conflict}"
    )
    return rows.num


def among(
    connection: sa.Connection, column: sa.ColumnElement[int], values: Sequence[int] | NDArray[np.int64]
) -> sa.ColumnElement[bool]:
    """Give the condition that a column holds one of many whole numbers (n,), told in one parameter."""
    told = [int(value) for value in values]
    if connection.dialect.name == "postgresql":
        return column == sa.any_(sa.literal(told, postgresql.ARRAY(sa.BigInteger)))
    rows = sa.func.json_each(sa.literal(str(told))).table_valued("value")
    return column.in_(sa.select(rows.c.value))


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
    rows = [tuple(row) for row in connection.execute(query)]
    return np.array(rows) if rows else np.zeros((0, len(query.selected_columns)), np.int64)


class _Rows:
    def __init__(self, names: list[str], values: list[list[Any]]) -> None:
        self.names, self.values = names, values
        self.num = len(values[0]) if values else 0


def _listed(columns: Columns) -> _Rows:
    """Give columns as lists of Python's own numbers, which is what drivers take."""
    values = [
        column.tolist() if isinstance(column, np.ndarray) else list(column) for column in columns.values()
    ]
    return _Rows(list(columns), values)


def _insert_sql(table: sa.Table, names: list[str]) -> str:
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table.name} ({_quoted(names)}) VALUES ({marks})"


def _quoted(names: list[str]) -> str:
    """Give names of columns as SQL takes them, words of its own among them."""
    return ", ".join(f'"{name}"' for name in names)


def _execute_many(connection: sa.Connection, sql: str, rows: _Rows) -> None:
    with _told(connection, sql):
        cursor = connection.connection.cursor()
        cursor.executemany(sql, list(zip(*rows.values, strict=True)))
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
