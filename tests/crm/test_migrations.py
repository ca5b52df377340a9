"""Migrations: in the end they make the very tables that are defined, or nothing where they break off."""

import pytest
import sqlalchemy as sa

from dispatch.crm.crm import Crm
from dispatch.crm.schema import MIGRATIONS
from dispatch.crm.tables.everything import metadata
from dispatch.errors import StoreError
from dispatch.store.database import Database
from dispatch.store.migration import VERSION_TABLE, current

OTHER = {"ck": "check_constraints", "uq": "unique_constraints", "fk": "foreign_keys", "ix": "indexes"}


def plain(value):
    """A description as a text, conditions of indexes as their own."""
    if isinstance(value, dict):
        return str(sorted((key, plain(one)) for key, one in value.items()))
    return str([plain(one) for one in value]) if isinstance(value, list) else str(value)


def described(connection):
    """All that a database says of its tables, in one form whatever the sequence."""
    inspector = sa.inspect(connection)
    found = {}
    for table in inspector.get_table_names():
        parts = {
            "columns": {
                one["name"]: (str(one["type"]), one["nullable"], one["default"])
                for one in inspector.get_columns(table)
            },
            "key": inspector.get_pk_constraint(table),
        }
        for kind in OTHER.values():
            some = getattr(inspector, f"get_{kind}")(table)
            parts[kind] = sorted(plain(one) for one in some)
        found[table] = parts
    if connection.dialect.name == "sqlite":  # what its inspector does not tell: WITHOUT ROWID
        for name, text in connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
        ):
            found[name]["rowid"] = "WITHOUT ROWID" in text
    return found


def test_migrations_end_in_the_tables_that_are_defined(database_url, tmp_path):
    with Crm.create(database_url, keys=tmp_path / "crm.keys") as crm:
        with crm.context.database.reading() as connection:
            at_once = described(connection)
            assert current(connection) == MIGRATIONS.head
        with crm.context.database.writing() as connection:
            metadata.drop_all(connection)
            connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")
    with Database(database_url) as database, database.writing() as connection:
        MIGRATIONS.upgrade(connection)
        assert current(connection) == MIGRATIONS.head
        assert MIGRATIONS.differences(connection, metadata) == []
        assert described(connection) == at_once
        assert set(at_once) == set(metadata.tables) | {VERSION_TABLE}


def _upgrade_and_fail(database):
    with database.writing() as connection:
        MIGRATIONS.upgrade(connection)
        connection.exec_driver_sql("SELECT no_such_column FROM coupon")


def test_what_breaks_off_changes_nothing(database_url, tmp_path):
    with Crm.create(database_url, keys=tmp_path / "crm.keys") as crm:
        database = crm.context.database
        with database.writing() as connection:
            MIGRATIONS.downgrade(connection, "0001")
        with pytest.raises(StoreError):
            _upgrade_and_fail(database)
        with database.reading() as connection:
            assert current(connection) == "0001"
            assert "complaint" not in sa.inspect(connection).get_table_names()
