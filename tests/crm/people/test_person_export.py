"""Every sealed text of every table is exported to the person whose it is, and gone once they are erased."""

import sqlite3

import pytest
import sqlalchemy as sa

from crm.conftest import CITY, MONDAY_MS, TENANT
from dispatch.crm.crm import Crm
from dispatch.crm.people.person_export import LEFT_OUT, person_in
from dispatch.crm.people.sealed_texts import sealed_field
from dispatch.crm.tables.everything import metadata
from dispatch.crm.vault import seal_text

SEALED = [table for table in metadata.sorted_tables if any(column.info.get("sealed") for column in table.c)]
PERSONS = {"customer": 11, "driver": 22}


def owner_of(table):
    """Whose key seals a table's texts, as the parts of the CRM do it."""
    return "driver" if "driver_id" in table.c and "customer_id" not in table.c else "customer"


def invented(column, table):
    """A value that a column takes."""
    if column.name in ("customer_id", "driver_id"):
        return PERSONS[column.name.removesuffix("_id")]
    if column.name == "person_id":
        return PERSONS["customer"]
    if column.name == "kind":
        return "customer"
    if column.nullable or column.server_default is not None:
        return None
    return 1 if isinstance(column.type, sa.Integer | sa.BigInteger) else "x"


def text_of(table, column):
    return f"<{table.name}.{column.name}>"


@pytest.fixture
def filled(tmp_path):
    """A row of a customer and a driver in every table with sealed texts; rules of the tables switched off."""
    with Crm.create(tmp_path / "crm.db") as crm:
        scope_id = crm.scope(TENANT, CITY)
        vault = crm.context.vault
        rows = []
        with crm.context.database.writing() as connection:
            keys = {kind: vault.give_keys(connection, kind, [one])[one] for kind, one in PERSONS.items()}
        for table in SEALED:
            kind = owner_of(table)
            person, key = PERSONS[kind], keys[kind]
            row = {column.name: invented(column, table) for column in table.c}
            row |= {"scope_id": scope_id} if "scope_id" in row else {}
            first = next(iter(table.primary_key.columns))
            row.setdefault(first.name, 1)
            row[first.name] = row[first.name] or 1
            for column in table.c:
                if column.info.get("sealed"):
                    own = table.name in PERSONS
                    field = column.name if own else sealed_field(column, row[first.name])
                    row[column.name] = seal_text(key, kind, person, field, text_of(table, column))
                elif column.info.get("personal"):
                    row[column.name] = b"hash of " + column.name.encode()
            rows.append((table.name, {name: value for name, value in row.items() if value is not None}))
        raw = sqlite3.connect(tmp_path / "crm.db")
        raw.execute("PRAGMA ignore_check_constraints=ON")
        raw.execute("PRAGMA foreign_keys=OFF")
        for name, row in rows:
            marks = ", ".join("?" * len(row))
            raw.execute(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", list(row.values()))
        raw.commit()
        raw.close()
        yield crm


def test_every_sealed_text_is_told_to_its_person(filled):
    told = {}
    with filled.context.database.reading() as connection:
        for kind, one in PERSONS.items():
            told[kind] = repr(person_in(connection, filled.context.vault, kind, one))
    for table in SEALED:
        for column in table.c:
            if column.info.get("sealed"):
                kind = owner_of(table)
                other = next(one for one in PERSONS if one != kind)
                assert text_of(table, column) in told[kind]
                assert text_of(table, column) not in told[other]
    assert "hash of" not in repr(told)
    assert "'driver_id': 22" not in told["customer"]
    assert "'customer_id': 11" not in told["driver"]
    assert len(SEALED) >= 10


def test_and_is_gone_once_they_are_erased(filled):
    for kind, one in PERSONS.items():
        assert filled.privacy.erase(kind, one, at_ms=MONDAY_MS).done
    with filled.context.database.reading() as connection:
        for table in SEALED:
            for row in connection.execute(sa.select(table)):
                for column in table.c:
                    if column.info.get("personal"):
                        assert row._mapping[column.name] is None, f"{table.name}.{column.name}"
        told = person_in(connection, filled.context.vault, "customer", PERSONS["customer"])
    assert set(told) & {table.name for table in LEFT_OUT} == {"audit"}
    assert "<" not in repr(told)
