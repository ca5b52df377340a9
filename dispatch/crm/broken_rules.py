"""Rules of the tables that a row broke, in words: which field, of what; never the row, which is personal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from dispatch.crm.tables.everything import metadata

_UNIQUE: Final = re.compile(r"UNIQUE constraint failed: (?P<columns>.+)")
_CHECK: Final = re.compile(r"CHECK constraint failed: (?P<name>\w+)")
_MISSING: Final = re.compile(r"NOT NULL constraint failed: (?P<column>[\w.]+)")


def in_words(error: sa.exc.IntegrityError) -> str:
    """Name the rule that was broken; the server's own words may quote the row, and are not repeated."""
    diagnosis = getattr(error.orig, "diag", None)
    return _of_sqlite(str(error.orig)) if diagnosis is None else _of_postgresql(diagnosis)


def _of_sqlite(said: str) -> str:
    if found := _UNIQUE.search(said):
        table = found["columns"].partition(".")[0]
        return _doubled(table, [one.strip().rpartition(".")[2] for one in found["columns"].split(",")])
    if found := _CHECK.search(said):
        return _unsound(found["name"])
    if found := _MISSING.search(said):
        return f"{found['column']} is missing"
    return said


def _of_postgresql(diagnosis: object) -> str:
    name, table = getattr(diagnosis, "constraint_name", None), getattr(diagnosis, "table_name", None)
    if name is None:
        column = getattr(diagnosis, "column_name", None)
        return f"{table}.{column} is missing" if column else str(getattr(diagnosis, "message_primary", ""))
    columns = _columns_of(str(table), str(name))
    return _doubled(str(table), columns) if columns else _unsound(str(name))


def _columns_of(table_name: str, name: str) -> list[str]:
    """Give the columns that a rule of a table lets be there once; none for rules of another kind."""
    table = metadata.tables.get(table_name)
    if table is None:
        return []
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint) and constraint.name == name:
            return [column.name for column in constraint.columns]
    for index in table.indexes:
        if index.name == name and index.unique:
            return [column.name for column in index.columns]
    if name in (f"{table_name}_pkey", f"pk_{table_name}"):
        return [column.name for column in table.primary_key.columns]
    return []


def _doubled(table: str, columns: Sequence[str]) -> str:
    if table == "person_key":  # made with the person
        return "a person with the same id is there already"
    fields = [name.removesuffix("_index") for name in columns if name != "scope_id"]
    of_place = " of the place" if "scope_id" in columns else ""
    told = " and ".join(fields) or "place"
    return f"another {table.replace('_', ' ')}{of_place} with the same {told} is there already"


def _unsound(name: str) -> str:
    for table in metadata.sorted_tables:
        start = f"ck_{table.name}_"
        if name.startswith(start) and any(one.name == name for one in table.constraints):
            return f"a {table.name.replace('_', ' ')} breaks its rule {name.removeprefix(start)!r}"
    return f"the rule {name!r} is broken"
