"""A database: one file of SQLite, or a server of PostgreSQL by its URL; the same calls for both."""

from __future__ import annotations

import json
import operator
import os
import secrets
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url

from dispatch.errors import InputError, StoreError
from dispatch.store.sealing import sync_folder

_BUSY_MS: Final = 30_000
"""How long a writer of SQLite waits for another one."""
_SCRUB_MS: Final = 1000
"""How long emptying the log waits for readers; what they keep goes the next time."""
_PRAGMAS: Final = (
    ("journal_mode", "WAL"),  # readers do not wait for the writer
    ("synchronous", "FULL"),  # a commit outlives a power cut; NORMAL may lose the last ones
    ("foreign_keys", "ON"),
    ("busy_timeout", str(_BUSY_MS)),
    ("secure_delete", "ON"),  # what is deleted is overwritten: erased keys must not stay in free pages
    ("temp_store", "MEMORY"),
    ("cache_size", "-65536"),
)
_CONFLICTS: Final = ("40P01", "40001")
"""SQLSTATE of a deadlock, and of what cannot be put in a sequence."""
_NO_DATABASE: Final = "file is not a database"
_DRIVER_OF: Final = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}


_WHOLES: Final = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)


class Database:
    """An open database; threads may share it, each transaction has a connection of its own.

    Parameters
    ----------
    where : str or Path
        A file (SQLite), ``sqlite:///FILE``, or ``postgresql://user:password@host/name``.
    """

    def __init__(self, where: str | Path) -> None:
        self.url: URL = as_url(where)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _engine(self.url, self.is_sqlite)

    @property
    def path(self) -> Path | None:
        """The file of SQLite, None for a server."""
        return Path(str(self.url.database)) if self.is_sqlite else None

    @contextmanager
    def new_file(self) -> Iterator[None]:
        """Make the file of SQLite where there is none: it takes its name at the end, with all that it holds.

        Until then it lies beside, under a name of its own, and vanishes where anything raises: nobody else
        meets half a database, nor loses a whole one. It is for its owner's eyes only; what SQLite makes
        beside it has the same mode. A file that is there already is used as it is.

        Raises
        ------
        StoreError
            It cannot be made, as where the folder allows no hard links; or another one took the name
            meanwhile, which is left as it is.
        """
        path = self.path
        # These first: whoever makes the file makes it before them.
        left = [] if path is None else [one for one in _beside(path) if one.exists()]
        if path is None or path.exists():
            yield
            return
        if left:
            raise StoreError(
                f"{left[0]}: it is left of a database that is gone, and would be read into the new one; "
                "take it away first"
            )
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR))
        except OSError as error:
            raise StoreError(f"{path}: it cannot be made ({error})") from error
        try:
            # Errors name the file that it will be.
            self.engine = _engine(self.url.set(database=str(fresh)), self.is_sqlite)
            yield
            self.engine.dispose()
            if any(one.exists() for one in _beside(fresh)):
                raise StoreError(f"{path}: it cannot be made (its log could not be emptied)")
            _name(fresh, path)
        finally:
            self.engine.dispose()
            for made in (fresh, *_beside(fresh)):
                made.unlink(missing_ok=True)
            self.engine = _engine(self.url, self.is_sqlite)

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction: committed at the end, or rolled back where anything raises.

        SQLite has one writer at a time, who waits for the one before; PostgreSQL reads what is committed.

        Raises
        ------
        StoreError
            The database cannot be reached, is locked, or is damaged.
        """
        with (
            _told(self.url),
            self.engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that sees one state of the database throughout, and cannot write."""
        with _told(self.url), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                yield connection

    def scrub(self, *tables: str) -> bool:
        """Take what was deleted out of the files too, as far as the database lets us; tell if it is out.

        SQLite overwrites what is deleted at once, but its write-ahead log holds older pages until it is
        emptied, which needs that nobody reads meanwhile. PostgreSQL frees dead rows of the named tables;
        its own log, and what its administrators keep of it, is theirs.
        """
        with _told(self.url), self.engine.connect() as connection:
            if self.is_sqlite:
                # The begin of a transaction would hold the log: straight to the driver.
                raw = connection.connection.driver_connection
                if raw is None:
                    raise StoreError(f"{self.url.render_as_string()}: the connection is closed")
                raw.execute(f"PRAGMA busy_timeout={_SCRUB_MS}")
                try:
                    busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                finally:
                    raw.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
                return not busy
            plain = connection.execution_options(isolation_level="AUTOCOMMIT")
            for table in tables:
                plain.exec_driver_sql(f"VACUUM {table}")
            return True

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _beside(path: Path) -> list[Path]:
    """Give the files that SQLite makes beside its own."""
    return [path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal")]


def _name(fresh: Path, path: Path) -> None:
    """Give a file its name unless another has it, which renaming would replace without a word."""
    try:
        os.link(fresh, path)
    except FileExistsError as error:
        raise StoreError(f"{path}: another one made it meanwhile; open it instead") from error
    except OSError as error:
        raise StoreError(f"{path}: it cannot be made ({error})") from error
    sync_folder(path.absolute().parent)


def as_url(where: str | Path) -> URL:
    """Read where a database is; :class:`InputError` if it is neither a file nor a URL of a known kind."""
    text = str(where)
    if "://" not in text:
        return URL.create(_DRIVER_OF["sqlite"], database=text)
    try:
        url = make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        # Neither the text nor what was wrong with it is repeated: a password may be in it.
        raise InputError("database is no URL: it must be a file, sqlite:///FILE or postgresql://…") from None
    driver = _DRIVER_OF.get(url.get_backend_name())
    if driver is None:
        raise InputError(
            f"database is {url.render_as_string()!r}: it must be a file, sqlite:///FILE or postgresql://…"
        )
    if driver.startswith("sqlite") and url.database in (None, "", ":memory:"):
        raise InputError(f"database is {text!r}: it must name a file; one in memory would lose all")
    return url.set(drivername=driver)


def _engine(url: URL, is_sqlite: bool) -> sa.Engine:
    if not is_sqlite:
        return sa.create_engine(
            url,
            pool_pre_ping=True,
            hide_parameters=True,
            json_serializer=_json,
            connect_args={"client_encoding": "utf8"},
        )
    for kind in _WHOLES:
        sqlite3.register_adapter(kind, _plain)  # it would write their bytes; psycopg knows them
    engine = sa.create_engine(
        url,
        json_serializer=_json,
        hide_parameters=True,  # errors go to logs, which hold no values of rows
        connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _configure(raw: sqlite3.Connection, _record: Any) -> None:
        raw.isolation_level = None  # transactions begin where we say so, below
        for name, value in _PRAGMAS:
            raw.execute(f"PRAGMA {name}={value}")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later could fail where two do so: writers say so at once.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _plain(value: Any) -> int:
    return int(value)


def _json(value: Any) -> str:
    """Write a value of a column of JSON; numpy's whole numbers are plain ones."""
    return json.dumps(value, default=operator.index)


def is_conflict(error: StoreError) -> bool:
    """Tell whether a transaction was given up because it and another one waited for each other.

    Nothing of it was written; the same once more, from its beginning, may well go through.
    """
    cause = error.__cause__
    state = getattr(getattr(cause, "orig", None), "sqlstate", None)
    return state in _CONFLICTS


@contextmanager
def _told(url: URL) -> Iterator[None]:
    """Turn errors of the database itself, not of what was asked, into :class:`StoreError`."""
    try:
        yield
    except sa.exc.IntegrityError:
        raise
    except sa.exc.DBAPIError as error:
        is_file = url.get_backend_name() == "sqlite"
        name = str(url.database) if is_file else url.render_as_string(hide_password=True)
        if is_file and isinstance(error.orig, sqlite3.Error) and str(error.orig) == _NO_DATABASE:
            raise StoreError(f"{name}: this file is no database of SQLite") from error
        # A server's details and context quote rows; its first sentence names the rule.
        diagnosis = getattr(error.orig, "diag", None)
        told = str(error.orig) if diagnosis is None else diagnosis.message_primary or str(error.orig)
        said = " ".join(told.split())  # in one line, for a terminal's
        raise StoreError(f"{name}: {type(error.orig).__name__}: {said}") from error
