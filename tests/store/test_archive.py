"""Archives: all kinds of columns come back as they were, and no changed bit goes unnoticed."""

import zipfile

import pytest
import sqlalchemy as sa

from dispatch.errors import InputError, StoreError
from dispatch.store.archive import Archive, follow_ids, write_archive
from dispatch.store.database import Database
from dispatch.store.sealing import Keyring

metadata = sa.MetaData()
person = sa.Table(
    "person",
    metadata,
    sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("is_here", sa.Boolean),
    sa.Column("seal", sa.LargeBinary),
    sa.Column("weight", sa.Float),
    sa.Column("facts", sa.JSON),
    sa.Column("order", sa.BigInteger),
)
thing = sa.Table(
    "thing",
    metadata,
    sa.Column("a", sa.Integer, primary_key=True),
    sa.Column("b", sa.Text, primary_key=True),
    sa.Column("owner_id", sa.ForeignKey(person.c.person_id)),
)
ROWS = [
    {"person_id": 3, "name": "Zoë\n\"x\", \\N", "is_here": True, "seal": bytes(range(256)), "weight": 0.1,
     "facts": {"b": [1, None, "ü"], "a": 2**60}, "order": -(2**62)},
    {"person_id": 70_000, "name": "", "is_here": False, "seal": b"", "weight": -1e300, "facts": None,
     "order": 0},
    {"person_id": 9, "name": None, "is_here": None, "seal": None, "weight": None, "facts": sa.null(),
     "order": None},
]  # fmt: skip
KEYS = Keyring.new()


@pytest.fixture
def database(database_url):
    with Database(database_url) as made:
        with made.writing() as connection:
            metadata.create_all(connection)
            for row in ROWS:
                connection.execute(sa.insert(person).values(**row))
            connection.execute(
                sa.insert(thing), [{"a": 1, "b": "x", "owner_id": 3}, {"a": 1, "b": "", "owner_id": None}]
            )
        yield made


def rows_of(connection):
    text = sa.cast(person.c.facts, sa.Text)
    query = sa.select(*(text if column is person.c.facts else column for column in person.c))
    return (
        connection.execute(query.order_by(person.c.person_id)).all(),
        connection.execute(sa.select(thing).order_by(thing.c.a, thing.c.b)).all(),
    )


def write(database, path, **more):
    with database.reading() as connection:
        return write_archive(path, connection, metadata.sorted_tables, KEYS, {"revision": "7"}, **more)


def test_rows_come_back_from_either_kind_of_database_into_both(database, tmp_path, postgres_url):
    told = []
    manifest = write(database, tmp_path / "all.zip", on_progress=lambda *one: told.append(one))
    assert {one.table: one.rows for one in manifest.members} == {"person": 3, "thing": 2}
    assert manifest.rows == 5
    assert told[-1] == ("thing", 5, 5)
    assert (tmp_path / "all.zip").stat().st_mode & 0o777 == 0o600
    with database.reading() as connection:
        before = rows_of(connection)
    for where in (tmp_path / "other.db", postgres_url):
        archive = Archive(tmp_path / "all.zip", KEYS)
        assert archive.manifest == manifest
        with Database(where) as other, other.writing() as connection:
            if not other.is_sqlite and not database.is_sqlite:
                connection.exec_driver_sql("DROP TABLE IF EXISTS thing, person")
            metadata.create_all(connection)
            done = [archive.load(connection, table, lambda _rows: None) for table in metadata.sorted_tables]
            assert done == [3, 2]
            assert rows_of(connection) == before
            follow_ids(connection, metadata.sorted_tables)
            added = connection.execute(sa.insert(person).values(name="new"))
            assert added.inserted_primary_key == (70_001,)


def test_no_changed_bit_goes_unnoticed(tmp_path):
    with Database(tmp_path / "one.db") as database:
        with database.writing() as connection:
            metadata.create_all(connection)
            for row in ROWS:
                connection.execute(sa.insert(person).values(**row))
        write(database, tmp_path / "all.zip")
    whole = (tmp_path / "all.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "all.zip") as packed:
        members = {one.filename: one for one in packed.infolist()}
        content = {name: packed.read(name) for name in members}
    assert set(members) == {"person.parquet", "thing.parquet", "manifest.json", "manifest.sig"}
    damaged = tmp_path / "damaged.zip"
    for name, one in members.items():
        first = one.header_offset + 30 + len(name) + (20 if name.endswith("parquet") else 0)
        assert whole[first : first + one.file_size] == content[name]
        for place in {first, first + one.file_size // 2, first + one.file_size - 1}:
            for bit in (1, 128):
                damaged.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
                with pytest.raises(
                    StoreError, match=name if name.endswith("parquet") else r"damaged|no backup"
                ):
                    Archive(damaged, KEYS)
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        damaged.write_bytes(whole[:length])
        with pytest.raises(StoreError, match="no backup"):
            Archive(damaged, KEYS)


def test_a_member_put_in_place_of_another_is_noticed(tmp_path):
    with Database(tmp_path / "one.db") as database:
        with database.writing() as connection:
            metadata.create_all(connection)
        write(database, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as packed:
        content = {name: packed.read(name) for name in packed.namelist()}
    other = content | {"person.parquet": content["thing.parquet"]}
    for told, message in (
        (other, "person.parquet is damaged"),
        (
            {name: content[name] for name in content if name != "thing.parquet"},
            "thing.parquet is damaged or missing",
        ),
        (
            content | {"manifest.json": content["manifest.json"].replace(b'"7"', b'"8"')},
            "manifest.json is damaged",
        ),
    ):
        with zipfile.ZipFile(tmp_path / "forged.zip", "w") as packed:
            for name, data in told.items():
                packed.writestr(name, data)
        with pytest.raises(StoreError, match=message):
            Archive(tmp_path / "forged.zip", KEYS)
    with pytest.raises(StoreError, match="signed by other keys"):
        Archive(tmp_path / "all.zip", Keyring.new())


def test_nothing_is_left_where_it_breaks_off(tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    with Database(tmp_path / "one.db") as database:
        with database.writing() as connection:
            metadata.create_all(connection)
            connection.execute(sa.insert(person).values(person_id=1))
        with pytest.raises(KeyboardInterrupt):
            write(database, tmp_path / "all.zip", on_progress=stop)
        assert [one.name for one in tmp_path.glob("*all.zip*")] == []
        write(database, tmp_path / "all.zip")
        with pytest.raises(InputError, match="there is such a file already"):
            write(database, tmp_path / "all.zip")
        with pytest.raises(InputError, match="its folder is not there"):
            write(database, tmp_path / "none" / "all.zip")


def test_members_without_end_are_not_unpacked(tmp_path):
    """Who has no keys can still send a file: nothing of it is unpacked before its signature is checked."""
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("manifest.json", b"0" * 10_000_000)
        packed.writestr("manifest.sig", b"00")
    with pytest.raises(StoreError, match="compressed, which those of a backup never are"):
        Archive(path, KEYS)
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("manifest.json", b"{}")
        packed.writestr("manifest.sig", b"00")
    told = path.read_bytes()
    at = told.rindex(b"PK\x01\x02", 0, told.rindex(b"PK\x01\x02"))  # the manifest's entry in the directory
    lies = (2**31 - 1).to_bytes(4, "little") * 2
    path.write_bytes(told[: at + 20] + lies + told[at + 28 :])
    with pytest.raises(StoreError, match="no backup, or its end was cut"):
        Archive(path, KEYS)
