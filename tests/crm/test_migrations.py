"""Migrations: in the end they make the very tables that are defined, or nothing where they break off."""

import pytest
import sqlalchemy as sa

from crm.engaged import insert
from dispatch.crm.crm import Crm
from dispatch.crm.schema import MIGRATIONS
from dispatch.crm.tables.everything import metadata
from dispatch.crm.tables.loyalty import referral
from dispatch.crm.tables.orders import duty, event_stream
from dispatch.engine.events import EventKind, make_events
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


def test_who_won_whom_survives_the_way_back_and_forth(database_url, tmp_path):
    with Crm.create(database_url, keys=tmp_path / "crm.keys") as crm:
        database, same = crm.context.database, {"referrer_id": 1, "at_ms": 5}
        settled = {"state": "rewarded", "settled_at_ms": 9}
        insert(crm, referral, [{**same, "referee_id": 2}])
        insert(crm, referral, [{**same, **settled, "referee_id": 3, "order_id": 30}])
        insert(crm, referral, [{**same, **settled, "referee_id": 4, "purchase_id": 17}])
        with database.writing() as connection:
            MIGRATIONS.downgrade(connection, "0003")
            names = {column["name"] for column in sa.inspect(connection).get_columns("referral")}
            assert names == {column.name for column in referral.c} - {"purchase_id"}
        with database.writing() as connection:
            MIGRATIONS.upgrade(connection)
            assert MIGRATIONS.differences(connection, metadata) == []
            rows = connection.execute(sa.select(referral).order_by(referral.c.referee_id)).all()
        told = [(row.referee_id, row.state, row.order_id, row.settled_at_ms, row.purchase_id) for row in rows]
        assert told == [
            (2, "waiting", None, None, None),
            (3, "rewarded", 30, 9, None),
            (4, "rewarded", None, 9, None),
        ]
        # As before, nobody wins themselves.
        with pytest.raises(sa.exc.IntegrityError):
            insert(crm, referral, [{**same, "referee_id": 1}])


def test_who_is_on_duty_survives_the_way_back_and_forth(database_url, tmp_path):
    with Crm.create(database_url, keys=tmp_path / "crm.keys") as crm:
        database = crm.context.database
        who, when = [7, 10, 8, 7, 8, 10, 7, 10], [5, 5, 6, 9, 9, 11, 12, 13]
        log = make_events(EventKind.CRUISING_LEG, 8, driver_id=who, at_ms=when)
        log["kind"][:3] = EventKind.DRIVER_ONLINE
        crm.events.apply(log[:2], first_seq=0, stream="one")
        crm.events.apply(log[2:5], first_seq=0, stream="two")
        crm.events.apply(log[5:7], first_seq=2, stream="one")
        crm.events.apply(log[7:], first_seq=0, stream="three")
        crm.events.close_stream("two", at_ms=10)
        with database.reading() as connection:
            told = connection.execute(sa.select(duty).order_by(duty.c.driver_id)).all()
        with database.writing() as connection:
            MIGRATIONS.downgrade(connection, "0004")
            names = {column["name"] for column in sa.inspect(connection).get_columns("duty")}
            assert names == {"driver_id", "online_at_ms"}
            connection.execute(sa.text("INSERT INTO duty (driver_id, online_at_ms) VALUES (9, 3)"))
        with database.writing() as connection:
            MIGRATIONS.upgrade(connection)
            assert MIGRATIONS.differences(connection, metadata) == []
            rows = connection.execute(sa.select(duty).order_by(duty.c.driver_id)).all()
            closed = connection.execute(sa.select(event_stream.c.closed_at_ms)).scalars().all()
        assert list(map(tuple, rows)) == [(7, 5, 12, 1), (9, 3, 3, None), (10, 5, 13, 3)]
        assert [row for row in rows if row.driver_id != 9] == told
        assert closed == [None] * 3, "that it was closed is lost"
        assert crm.events.close_stream("one", at_ms=20).num_off_duty == 1
