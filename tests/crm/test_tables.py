"""The tables as a whole: what is personal is sealed and a person's, amounts are whole, names are sound."""

import pytest
import sqlalchemy as sa

from dispatch.crm.people.persons import ID_COLUMN
from dispatch.crm.tables import base
from dispatch.crm.tables.everything import metadata
from dispatch.store.database import Database

TABLES = metadata.sorted_tables


def test_there_are_no_fractions_and_no_times_of_the_database():
    wrong = [
        str(column)
        for table in TABLES
        for column in table.c
        if isinstance(column.type, sa.Float | sa.Numeric | sa.DateTime | sa.Date | sa.Time)
    ]
    assert wrong == []


def test_amounts_and_instants_are_whole_and_wide():
    ends = ("_ms", "_cents", "_id", "_e6", "_m")
    for table in TABLES:
        for column in table.c:
            if column.name.endswith(ends) and column.name not in ("stream_id", "turn_id"):
                assert isinstance(column.type, sa.BigInteger), str(column)


def test_what_is_personal_is_bytes_of_a_person():
    """Sealed, or a keyed hash; empty once the person is erased; a person's by the row or what it notes."""
    found = 0
    for table in TABLES:
        personal = [column for column in table.c if column.info.get("personal")]
        found += len(personal)
        for column in personal:
            assert isinstance(column.type, sa.LargeBinary), str(column)
            assert column.nullable, str(column)
        if personal:
            names = {column.name for column in table.c}
            owned = (
                names & set(ID_COLUMN.values()) or {"kind", "person_id"} <= names or "complaint_id" in names
            )
            assert owned, table.name
    assert found >= 20


def test_words_that_people_write_are_nowhere_but_sealed():
    """A column of that name would be the first place to forget to seal."""
    names = {"name", "phone", "email", "address", "comment", "note", "words", "plate", "number", "custom"}
    plain = {
        "campaign.name": "of an action of the business",
        "coupon.name": "of a kind of coupon",
        "event_stream.name": "of an engine's log",
        "installation.name": "of the database",
        "merchant.name": "of a business",
        "segment.name": "of a rule",
        "survey.name": "of a form",
    }
    for table in TABLES:
        for column in table.c:
            if column.name in names and f"{table.name}.{column.name}" not in plain:
                assert not isinstance(column.type, sa.Text), f"{table.name}.{column.name} is plain"


def test_every_table_has_a_key_and_constraints_have_names():
    for table in TABLES:
        assert list(table.primary_key.columns), table.name
        for constraint in table.constraints:
            if isinstance(constraint, sa.UniqueConstraint | sa.CheckConstraint | sa.ForeignKeyConstraint):
                assert constraint.name is not None, table.name
        for index in table.indexes:
            assert index.name is not None


def test_ids_of_people_refer_to_no_row():
    """Events of somebody whom the CRM does not know are kept all the same."""
    for table in TABLES:
        for column in table.c:
            if column.name in ID_COLUMN.values():
                assert not column.foreign_keys, str(column)


def test_columns(database_url):
    """The kinds of columns take what they say, on both databases."""
    told = sa.MetaData()
    table = sa.Table(
        "one",
        told,
        base.id_column("one_id"),
        base.whole("some", default=0),
        base.perhaps("more"),
        base.text("word"),
        base.sealed("secret"),
        base.index_of("secret_index"),
        base.facts("details"),
    )
    with Database(database_url) as database, database.writing() as connection:
        told.create_all(connection)
        connection.execute(sa.insert(table).values(word="é", more=2**62, secret=b"\0\1", details={"a": [1]}))
        row = connection.execute(sa.select(table)).one()
        assert tuple(row) == (1, 0, 2**62, "é", b"\0\1", None, {"a": [1]})
    with (
        Database(database_url) as database,
        pytest.raises(sa.exc.IntegrityError),
        database.writing() as connection,
    ):
        connection.execute(sa.insert(table).values(some=1))
