"""A database of either kind: transactions whole or not at all, readers undisturbed, errors told."""

import threading
from contextlib import ExitStack

import numpy as np
import pytest
import sqlalchemy as sa

from dispatch.errors import InputError, StoreError
from dispatch.store import bulk
from dispatch.store.database import Database, as_url, is_conflict

metadata = sa.MetaData()
thing = sa.Table(
    "thing", metadata, sa.Column("thing_id", sa.Integer, primary_key=True), sa.Column("word", sa.LargeBinary)
)


@pytest.fixture
def database(database_url):
    with Database(database_url) as made:
        with made.writing() as connection:
            metadata.create_all(connection)
        yield made


def words(database):
    with database.reading() as connection:
        return sorted(connection.scalars(sa.select(thing.c.word)))


def add(connection, word):
    connection.execute(sa.insert(thing).values(word=word))


def test_a_transaction_is_whole_or_nothing(database):
    with database.writing() as connection:
        add(connection, b"one")

    def fails():
        with database.writing() as connection:
            add(connection, b"two")
            raise ValueError("no")

    def breaks_a_rule():
        with database.writing() as connection:
            add(connection, b"three")
            connection.execute(sa.insert(thing).values(thing_id=1, word=b"four"))

    with pytest.raises(ValueError, match="no"):
        fails()
    with pytest.raises(sa.exc.IntegrityError):
        breaks_a_rule()
    assert words(database) == [b"one"]


def test_readers_see_one_state_and_cannot_write(database):
    with database.reading() as reader:
        assert reader.scalars(sa.select(thing.c.word)).all() == []
        with database.writing() as writer:
            add(writer, b"one")
        assert reader.scalars(sa.select(thing.c.word)).all() == []
    with pytest.raises(StoreError, match=r"read-?only"), database.reading() as reader:
        add(reader, b"two")
    with database.writing() as writer:  # the same pooled connection may write again
        add(writer, b"three")
    assert words(database) == [b"one", b"three"]


def test_writers_wait_for_each_other(database):
    def write(row):
        for step in range(10):
            with database.writing() as connection:
                add(connection, b"%d-%d" % (row, step))

    threads = [threading.Thread(target=write, args=(row,)) for row in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert len(words(database)) == 60


def test_errors_of_the_database_are_told_without_values(database):
    with pytest.raises(StoreError, match="nothing_here") as caught, database.writing() as connection:
        connection.execute(sa.text("SELECT * FROM nothing_here WHERE x = :x"), {"x": "SECRET"})
    assert "SECRET" not in str(caught.value)
    assert "SECRET" not in str(caught.value.__cause__)


def test_what_is_deleted_is_out_of_the_files(database, tmp_path):
    secret = bytes(range(200, 250)) * 4
    with database.writing() as connection:
        add(connection, secret)
    with database.writing() as connection:
        connection.execute(sa.delete(thing))
    assert database.scrub("thing")
    if database.path is not None:
        for file in tmp_path.iterdir():
            assert secret not in file.read_bytes(), file.name
        with database.reading() as reader:  # who reads keeps older pages
            reader.execute(sa.select(thing)).all()
            with Database(database.path) as other, other.writing() as connection:
                add(connection, b"x")
            assert not database.scrub()
        assert database.scrub()


def test_sqlite_is_as_safe_as_it_can_be(tmp_path):
    with Database(tmp_path / "a.db") as database, database.reading() as connection:
        for name, value in (
            ("journal_mode", "wal"),
            ("synchronous", 2),
            ("secure_delete", 1),
            ("foreign_keys", 1),
        ):
            assert connection.exec_driver_sql(f"PRAGMA {name}").scalar() == value


def test_where_a_database_is(tmp_path):
    assert as_url("a.db").database == "a.db"
    assert as_url("postgresql://u:p@h/d").drivername == "postgresql+psycopg"
    assert as_url(f"sqlite:///{tmp_path}/a.db").drivername == "sqlite+pysqlite"
    for where in ("mysql://h/d", "sqlite://", "sqlite:///:memory:", "nothing://", "://"):
        with pytest.raises(InputError, match="database is"):
            as_url(where)
    with pytest.raises(InputError) as caught:
        as_url("mysql://u:hidden@h/d")
    assert "hidden" not in str(caught.value)
    with pytest.raises(InputError, match="database is no URL") as caught:
        as_url("postgresql://u:hidden@h:54x/d")
    assert "hidden" not in str(caught.value)


def test_a_new_file_is_its_owner_s_and_goes_where_anything_fails(tmp_path):
    path = tmp_path / "new.db"
    with Database(path) as database, database.new_file(), database.writing() as connection:
        metadata.create_all(connection)
        assert {file.stat().st_mode & 0o77 for file in tmp_path.iterdir()} == {0}
    with Database(path) as database, pytest.raises(ValueError, match="why"), database.new_file():
        raise ValueError("why")  # it was there before
    assert path.exists()
    path.unlink()
    with (
        pytest.raises(ValueError, match="why"),
        Database(path) as database,
        database.new_file(),
        database.writing(),
    ):
        raise ValueError("why")
    assert list(tmp_path.iterdir()) == []
    with (
        Database(tmp_path / "none" / "a.db") as database,
        pytest.raises(StoreError, match="cannot be made"),
        database.new_file(),
    ):
        pass


def test_what_another_one_made_meanwhile_is_left_as_it_is(tmp_path):
    path = tmp_path / "new.db"

    def make(word, meanwhile=lambda: None):
        with Database(path) as mine, mine.new_file(), mine.writing() as connection:
            metadata.create_all(connection)
            assert not path.exists(), "nobody meets half a database"
            meanwhile()
            add(connection, word)

    with pytest.raises(StoreError, match=r"new\.db: another one made it meanwhile"):
        make(b"late", lambda: make(b"first"))
    with Database(path) as database:
        assert words(database) == [b"first"]
    assert [file.name for file in tmp_path.iterdir()] == ["new.db"]


def test_what_is_not_whole_takes_no_name(tmp_path):
    """Who reads the file while it is made keeps its log from being emptied, which would stay behind."""

    def make(held):
        made = held.enter_context(Database(tmp_path / "new.db"))
        with made.new_file():
            with made.writing() as connection:
                metadata.create_all(connection)
            (fresh,) = (one for one in tmp_path.iterdir() if one.name[-4:] not in ("-wal", "-shm"))
            reader = held.enter_context(Database(fresh))
            held.enter_context(reader.reading()).execute(sa.select(thing)).all()

    with ExitStack() as held, pytest.raises(StoreError, match=r"new\.db: .*its log could not be emptied"):
        make(held)
    assert list(tmp_path.iterdir()) == []


def test_no_log_of_a_database_that_is_gone_is_read_into_a_new_one(tmp_path):
    path, log = tmp_path / "new.db", tmp_path / "new.db-wal"
    log.write_bytes(b"older")
    with Database(path) as database:
        with pytest.raises(StoreError, match=r"new\.db-wal: it is left of a database"), database.new_file():
            pass
        assert log.read_bytes() == b"older"
        log.unlink()
        with database.new_file():
            pass
    assert path.exists()


def test_a_server_s_details_which_quote_rows_are_not_told(postgres_url):
    with Database(postgres_url) as database:
        with database.writing() as connection:
            metadata.create_all(connection)
        with pytest.raises(StoreError) as caught, database.writing() as connection:
            bulk.insert(connection, thing, {"thing_id": [2**40], "word": [b"SECRET"]})
    # Its context would go on: COPY thing, line 1, column thing_id: …
    assert str(caught.value).endswith("out of range for type integer")


def test_what_cannot_be_opened_is_told(tmp_path):
    (tmp_path / "a.db").write_bytes(b"this is no database" * 100)
    with (
        Database(tmp_path / "a.db") as database,
        pytest.raises(StoreError, match=r"a\.db"),
        database.reading(),
    ):
        pass
    with (
        Database("postgresql://nobody:secret@127.0.0.1:1/none") as database,
        pytest.raises(StoreError) as caught,
        database.reading(),
    ):
        pass
    assert "secret" not in str(caught.value)


def test_a_deadlock_is_told_from_other_errors(postgres_url):
    with Database(postgres_url) as database:
        for state, is_one in (("40P01", True), ("40001", True), ("22012", False)):
            raises = f"DO $$ BEGIN RAISE EXCEPTION SQLSTATE '{state}'; END $$"
            with pytest.raises(StoreError) as caught, database.writing() as connection:
                connection.exec_driver_sql(raises)
            assert is_conflict(caught.value) is is_one
    assert not is_conflict(StoreError("the disk is full"))


def test_a_file_that_is_no_database_is_told_so(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_bytes(b"no database at all, but as long as the head of one would be" * 20)
    before = path.read_bytes()
    with Database(path) as database, pytest.raises(StoreError) as caught, database.reading():
        pass
    assert str(caught.value) == f"{path}: this file is no database of SQLite"
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.int64, np.uint16, np.uint64])
def test_whole_numbers_of_numpy_are_numbers(database, kind):
    told = sa.Table("told", sa.MetaData(), sa.Column("whole", sa.BigInteger), sa.Column("facts", sa.JSON))
    with database.writing() as connection:
        told.create(connection)
        connection.execute(sa.insert(told).values(whole=kind(7), facts={"a": [kind(7)]}))
        assert connection.execute(sa.select(told).where(told.c.whole == kind(7))).one() == (7, {"a": [7]})
        assert connection.scalar(sa.select(told.c.whole + 1)) == 8
    with pytest.raises((TypeError, sa.exc.StatementError)), database.writing() as connection:
        connection.execute(sa.insert(told).values(facts={"a": 1j}))
