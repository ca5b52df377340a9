"""Revisions of tables: told, checked, and stamped without Alembic."""

import subprocess
import sys

import pytest

from dispatch.errors import StoreError
from dispatch.store.database import Database
from dispatch.store.migration import Migrations, current

MIGRATIONS = Migrations("dispatch.crm:migrations", "0006", "do this")


def test_revisions_stand_in_their_sequence_and_the_head_is_the_last():
    assert MIGRATIONS.revisions() == ("0001", "0002", "0003", "0004", "0005", "0006")


def test_stamps_and_checks(database_url):
    with Database(database_url) as database, database.writing() as connection:
        assert current(connection) is None
        with pytest.raises(StoreError, match="somewhere: it holds no tables"):
            MIGRATIONS.check(connection, "somewhere")
        MIGRATIONS.stamp(connection)
        assert current(connection) == "0006"
        MIGRATIONS.check(connection, "somewhere")
        with pytest.raises(
            StoreError, match="somewhere: its tables are of revision 0006, needed is 0007; do this"
        ):
            Migrations("dispatch.crm:migrations", "0007", "do this").check(connection, "somewhere")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'abc'")
        with pytest.raises(StoreError, match="revision abc, made by a newer version"):
            MIGRATIONS.check(connection, "somewhere")
        for change in (MIGRATIONS.upgrade, lambda one: MIGRATIONS.downgrade(one, "base")):
            with pytest.raises(
                StoreError, match="revision abc: this version of the program knows until 0006"
            ):
                change(connection)
        connection.exec_driver_sql("DELETE FROM alembic_version")
        assert current(connection) is None


def test_opening_a_database_imports_no_alembic(tmp_path):
    script = (
        "import sys; from dispatch.crm.crm import Crm; "
        f"Crm.create({str(tmp_path / 'crm.db')!r}).close(); Crm.open({str(tmp_path / 'crm.db')!r}).close(); "
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
