"""Waiting until others wait, so that what they do meets in one sequence and no other."""

from dispatch.store.database import Database


def wait_until_blocked(database: Database) -> None:
    """Return once somebody else waits for a lock of a PostgreSQL server's database."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with database.reading() as connection:
        while not connection.exec_driver_sql(waiting).scalar_one():
            connection.exec_driver_sql("SELECT pg_sleep(0.02), pg_stat_clear_snapshot()")
