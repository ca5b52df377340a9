"""The PostgreSQL server that the tests of a run share; databases on it: new ones, and copies of templates.

The environment variable DISPATCH_TEST_POSTGRES, the URL of a superuser, names a server to use instead of one
that is started for the run.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg import sql

KEEPER = Path(__file__).with_name("postgres_keeper.py")
GIVEN = "DISPATCH_TEST_POSTGRES"
STOP_DEADLINE_S = 30
# A database is 300 files: measured 8 ms to create in memory, 40 ms to 200 ms on a disk that others write to.
MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30
DISCONNECT_STEPS = 20
DISCONNECT_STEP_S = 0.002


class Run:
    """What all processes of one run share: a folder, and a lock that is held while the run lives."""

    def __init__(self) -> None:
        roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM_BYTES
        self.folder = Path(tempfile.mkdtemp(prefix="dispatch-postgres-", dir=MEMORY if roomy else None))
        self._alive = (self.folder / "alive").open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)

    def end(self) -> None:
        """Let the server stop, if one was started, and wait until it has; remove databases on a given one."""
        if GIVEN in os.environ:
            drop_all(server_url(self.folder), prefix_of(self.folder))
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
        kept = (self.folder / "url").exists()
        self._alive.close()
        deadline = time.monotonic() + STOP_DEADLINE_S
        while kept and self.folder.exists():
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL in {self.folder} did not stop")
            time.sleep(0.01)
        shutil.rmtree(self.folder, ignore_errors=kept)


def prefix_of(folder: Path) -> str:
    """How the names of a run's databases begin."""
    return f"test_{zlib.crc32(str(folder).encode()):08x}_"


def server_url(folder: Path) -> str:
    """The URL of a superuser on the run's server; the first caller of all processes starts it."""
    if given := os.environ.get(GIVEN):
        return f"postgresql+psycopg://{given.partition('://')[2]}"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "url").exists():
            command = [sys.executable, KEEPER, folder, str(lock.fileno())]
            with (folder / "keeper.log").open("w") as log:
                subprocess.run(command, check=True, pass_fds=[lock.fileno()], stdout=log, stderr=log)
    # The keeper still holds the lock that it was passed, until the server answers.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "url").exists():
            raise RuntimeError(f"no PostgreSQL: {(folder / 'keeper.log').read_text()}")
    return (folder / "url").read_text()


def administer(url: str) -> psycopg.Connection:
    """A connection in which each statement is a transaction; the caller closes it."""
    return psycopg.connect(url.replace("postgresql+psycopg", "postgresql", 1), autocommit=True)


def name_of(url: str) -> str:
    """The database that a URL names."""
    return urlsplit(url).path[1:]


def _create(connection: psycopg.Connection, name: str, template: str) -> None:
    # Measured on a database of 60 tables: 15 ms by copying files, 24 ms by writing pages to the log.
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))


def _drop(connection: psycopg.Connection, name: str) -> None:
    # A connection just closed lives on for a moment; DROP would look again only after 100 ms.
    for _ in range(DISCONNECT_STEPS):
        if not connection.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", [name]).fetchone():
            break
        time.sleep(DISCONNECT_STEP_S)
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def fresh_database(server: str, prefix: str = "test_", template: str = "template0") -> Iterator[str]:
    """The URL of a new database, empty or a copy of `template`; dropped afterwards, whoever is connected."""
    name = f"{prefix}{uuid4().hex}"
    with administer(server) as connection:
        _create(connection, name, template)
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        with administer(server) as connection:
            _drop(connection, name)


def template(server: str, name: str, migrate: Callable[[str], None]) -> str:
    """Give `name` back once a database of that name is there; the first caller of all processes makes it.

    `migrate` is called with the URL of an empty database and leaves no connection to it.
    """
    unfinished = f"{name}_unfinished"
    with administer(server) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [zlib.crc32(name.encode())])
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            _drop(connection, unfinished)
            _create(connection, unfinished, "template0")
            migrate(urlsplit(server)._replace(path=f"/{unfinished}").geturl())
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            connection.execute(rename.format(sql.Identifier(unfinished), sql.Identifier(name)))
    return name


def drop_all(server: str, prefix: str) -> None:
    """Drop all databases whose names begin so."""
    with administer(server) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix])
        for (name,) in found.fetchall():
            _drop(connection, name)
