"""The tables in a database: made once, refused where they are of another version, brought up to date."""

import pytest
import sqlalchemy as sa

from dispatch.crm import schema
from dispatch.crm.crm import Crm
from dispatch.errors import InputError, StoreError
from dispatch.store.database import Database


def test_an_older_database_is_refused_until_it_is_brought_up(database_url, tmp_path):
    keys = tmp_path / "crm.keys"
    with Crm.create(database_url, keys=keys) as crm:
        scope_id = crm.scope("acme", "paris")
        with crm.context.database.writing() as connection:
            schema.MIGRATIONS.downgrade(connection, "0002")
    with pytest.raises(StoreError, match=r"revision 0002, needed is 0006; bring .* init --upgrade"):
        Crm.open(database_url, keys=keys)
    with Database(database_url) as database:
        assert schema.upgrade(database) == ("0002", "0006")
        assert schema.upgrade(database) == ("0006", "0006")
    with pytest.raises(InputError, match=r"vertical is missing: .* tell it once"):
        Crm.open(database_url, keys=keys)
    Crm.open(database_url, "ride", keys=keys, changes_rules=True).close()
    with Crm.open(database_url, keys=keys) as crm:
        assert crm.scope("acme", "paris") == scope_id


def test_a_newer_database_is_refused(database_url, tmp_path):
    keys = tmp_path / "crm.keys"
    with Crm.create(database_url, keys=keys) as crm, crm.context.database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="revision 9999, made by a newer version"):
        Crm.open(database_url, keys=keys)
    with Database(database_url) as database, pytest.raises(StoreError, match="revision 9999"):
        schema.upgrade(database)


def test_what_is_no_crm_is_refused(database_url, tmp_path):
    keys = tmp_path / "crm.keys"
    Crm.create(tmp_path / "other.db", keys=keys).close()
    with Database(database_url) as database:
        with database.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE mine (a INTEGER)")
        with pytest.raises(StoreError, match="it holds no tables of this program"):
            schema.upgrade(database)
    with pytest.raises(StoreError, match="it holds no tables of this program"):
        Crm.open(database_url, keys=keys)
    with pytest.raises(StoreError, match="there are tables already"):
        Crm.create(database_url, keys=keys)
    with Database(database_url) as database, database.reading() as connection:
        assert sa.inspect(connection).get_table_names() == ["mine"]


def test_names_in_messages_hide_passwords():
    database = Database("postgresql://crm:secret@db.example/crm")
    assert "secret" not in schema.name_of(database)
    assert "db.example" in schema.name_of(database)
    database.close()
