"""Revisions: forward and back with rows in the tables; those of tables that stay survive."""

import sqlalchemy as sa

from crm.filled import fill
from dispatch.crm.crm import Crm
from dispatch.crm.schema import MIGRATIONS
from dispatch.crm.tables.everything import metadata
from dispatch.store.migration import VERSION_TABLE, current


def rows_of(connection, tables):
    """All rows, of those columns that are there in a revision."""
    inspector, found = sa.inspect(connection), {}
    for table in tables:
        there = {column["name"] for column in inspector.get_columns(table.name)}
        columns = [column for column in table.c if column.name in there]
        rows = connection.execute(sa.select(*columns).order_by(*table.primary_key.columns))
        found[table.name] = [dict(row._mapping) for row in rows]
    return found


def cut_to(rows, others):
    """The same rows, of those columns that others have."""
    return {
        name: [{key: row[key] for key in other} for row, other in zip(rows[name], told, strict=True)]
        for name, told in others.items()
    }


def test_rows_survive_the_way_back_and_forth(database_url, tmp_path):
    with Crm.create(database_url, keys=tmp_path / "crm.keys") as crm:
        fill(crm, crm.scope("acme", "san_francisco"), num_orders=60, num_customers=10)
        with crm.context.database.writing() as connection:
            before = rows_of(connection, metadata.sorted_tables)
            assert before["coupon"]
            assert before["complaint"]
            MIGRATIONS.downgrade(connection, "0002")
            left = sa.inspect(connection).get_table_names()
            assert "complaint" in left
            assert "coupon" not in left
            MIGRATIONS.downgrade(connection, "0001")
            assert current(connection) == "0001"
            left = sa.inspect(connection).get_table_names()
            stay = [table for table in metadata.sorted_tables if table.name in left]
            assert {"customer", "orders", "audit"} <= set(left)
            assert "complaint" not in left
            older = rows_of(connection, stay)
            assert older == cut_to(before, older)
        with crm.context.database.writing() as connection:
            MIGRATIONS.upgrade(connection)
            assert rows_of(connection, stay) == {table.name: before[table.name] for table in stay}
            assert rows_of(connection, [metadata.tables["coupon"]]) == {"coupon": []}
            assert MIGRATIONS.differences(connection, metadata) == []
        crm.audit_log.verify()
        with crm.context.database.writing() as connection:
            MIGRATIONS.downgrade(connection, "base")
            assert sa.inspect(connection).get_table_names() == [VERSION_TABLE]
