"""Many rows at once: the same as one by one, on both databases."""

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings, strategies as st

from dispatch.store import bulk
from dispatch.store.database import Database

metadata = sa.MetaData()
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
sums = sa.Table(
    "sums",
    metadata,
    sa.Column("who", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("cents", sa.BigInteger),
    sa.Column("word", sa.Text),
)
counted = sa.Table(
    "counted", metadata, sa.Column("counted_id", BIG, primary_key=True), sa.Column("blob", sa.LargeBinary)
)


@pytest.fixture
def database(database_url):
    with Database(database_url) as made:
        with made.writing() as connection:
            metadata.create_all(connection)
        yield made


def rows_of(connection, table):
    return [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns))]


def test_insert(database):
    with database.writing() as connection:
        told = {
            "who": np.arange(3),
            "day": [1, 1, 2],
            "cents": np.array([7, -1, 2**62]),
            "word": ["a\tb\n\\", None, "é"],
        }
        assert bulk.insert(connection, sums, told) == 3
        assert bulk.insert(connection, sums, {"who": [], "day": []}) == 0
        assert bulk.insert(connection, sums, {}) == 0
        assert bulk.insert(connection, counted, {"counted_id": [5], "blob": [bytes(range(256))]}) == 1
        assert rows_of(connection, sums) == [(0, 1, 7, "a\tb\n\\"), (1, 1, -1, None), (2, 2, 2**62, "é")]
        assert rows_of(connection, counted) == [(5, bytes(range(256)))]
    for columns in ({"who": [0], "day": [1]}, {"who": [8, 8], "day": [1, 1]}):
        with pytest.raises(sa.exc.IntegrityError), database.writing() as connection:
            bulk.insert(connection, sums, columns)
    with pytest.raises(ValueError), database.writing() as connection:
        bulk.insert(connection, sums, {"who": [1, 2], "day": [1]})


def test_errors_do_not_repeat_rows(database):
    with pytest.raises(sa.exc.DBAPIError) as caught, database.writing() as connection:
        bulk.insert(connection, sums, {"who": [1, 1], "day": [1, 1], "word": ["SECRET", "SECRET"]})
    assert "SECRET" not in str(caught.value)


ROWS = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.integers(0, 2),
        st.none() | st.integers(-9, 9),
        st.none() | st.sampled_from("abc"),
    ),
    max_size=8,
    unique_by=lambda row: row[:2],
)


@given(st.lists(ROWS, max_size=4), st.booleans(), st.booleans())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_upsert_is_as_a_dictionary_would(database, batches, adds, keeps_known):
    expected = {}
    with database.writing() as connection:
        connection.execute(sa.delete(sums))
        for batch in batches:
            rows = [
                (who, day, 0 if adds and cents is None else cents, word) for who, day, cents, word in batch
            ]
            columns = (
                dict(zip(("who", "day", "cents", "word"), map(list, zip(*rows, strict=True)), strict=True))
                if rows
                else {}
            )
            bulk.upsert(connection, sums, columns, adds=("cents",) if adds else (), keeps_known=keeps_known)
            for who, day, cents, word in rows:
                old = expected.get((who, day))
                if old is not None:
                    cents = old[0] + cents if adds else old[0] if keeps_known and cents is None else cents
                    word = old[1] if keeps_known and word is None else word
                expected[who, day] = (cents, word)
        assert rows_of(connection, sums) == [(*key, *expected[key]) for key in sorted(expected)]


def test_upsert_of_keys_alone(database):
    with database.writing() as connection:
        for _ in range(2):
            bulk.upsert(connection, counted, {"counted_id": [1, 2]})
        assert rows_of(connection, counted) == [(1, None), (2, None)]


def test_among(database):
    with database.writing() as connection:
        bulk.insert(connection, counted, {"counted_id": [1, 5, 2**62]})
        for told, found in (([5, 2**62, 7], {5, 2**62}), (np.array([1]), {1}), ([], set())):
            where = bulk.among(connection, counted.c.counted_id, told)
            assert set(connection.scalars(sa.select(counted.c.counted_id).where(where))) == found
        many = range(100_000)
        where = bulk.among(connection, counted.c.counted_id, list(many))
        assert set(connection.scalars(sa.select(counted.c.counted_id).where(where))) == {1, 5}


def test_ids_are_taken_above_all_there_are(database):
    def take(connection, num):
        ids = bulk.take_ids(connection, counted.c.counted_id, num)
        bulk.insert(connection, counted, {"counted_id": ids})
        return ids

    with database.writing() as connection:
        assert take(connection, 3) == [1, 2, 3]
        bulk.insert(connection, counted, {"counted_id": [50]})
        assert take(connection, 2) == [51, 52]
        bulk.insert(connection, counted, {"counted_id": [7]})
        assert take(connection, 1) == [53]
    with database.writing() as connection:
        added = connection.execute(sa.insert(counted))  # by itself, it goes on behind them
        assert added.inserted_primary_key[0] == 54
        assert bulk.take_ids(connection, counted.c.counted_id, 0) == []
        assert take(connection, 1) == [55]


def test_rows_as_arrays(database):
    with database.writing() as connection:
        bulk.insert(connection, sums, {"who": [2, 1], "day": [1, 1], "cents": [None, 7]})
        query = sa.select(sums.c.who, sums.c.cents).order_by(sums.c.who)
        found = bulk.fetch(connection, query)
        assert found.dtype == np.int64
        assert found.tolist() == [[1, 2], [7, -1]]
        assert bulk.fetch(connection, query.where(sums.c.who > 9)).shape == (2, 0)
        floats = bulk.fetch_floats(connection, sa.select(sums.c.who * 0.5).order_by(sums.c.who))
        assert floats.tolist() == [[0.5, 1.0]]
        told = bulk.numbered(connection, [2.5, -1.0])
        assert [
            tuple(row) for row in connection.execute(sa.select(told.c.row, told.c.value).order_by(told.c.row))
        ] == [
            (0, 2.5),
            (1, -1.0),
        ]
        bulk.insert(connection, counted, {"counted_id": [9]})
        bulk.count_on(connection, counted)
        assert connection.execute(sa.insert(counted)).inserted_primary_key[0] == 10


def test_ids_of_rows_that_others_name(database):
    with database.writing() as connection:
        for num in (3, 0, 2):
            ids = bulk.next_ids(connection, counted, num)
            assert len(set(ids)) == num
            bulk.insert(connection, counted, {"counted_id": ids})
        added = connection.execute(sa.insert(counted)).inserted_primary_key[0]
        assert added > max(
            connection.scalars(sa.select(counted.c.counted_id).where(counted.c.counted_id != added))
        )


def test_columns_of_different_lengths_are_refused_before_anything_is_written(database):
    with database.writing() as connection:
        with pytest.raises(ValueError, match="who 3, day 2"):
            bulk.insert(connection, sums, {"who": [1, 2, 3], "day": [1, 1]})
        assert rows_of(connection, sums) == []


@pytest.mark.parametrize("num", [63, 64, 65, 200])
def test_as_many_rows_as_there_are(database, num):
    with database.writing() as connection:
        who = np.arange(num)
        assert bulk.insert(connection, sums, {"who": who, "day": who % 7, "cents": -who}) == num
        told = {"who": who, "day": who % 7, "cents": who, "word": ["x"] * num}
        assert bulk.upsert(connection, sums, told, adds=["cents"]) == num
        assert rows_of(connection, sums) == [(one, one % 7, 0, "x") for one in range(num)]


def test_columns_that_are_kept_are_written_with_new_rows_alone(database):
    with database.writing() as connection:
        bulk.insert(connection, sums, {"who": [1], "day": [1], "cents": [5], "word": ["old"]})
        told = {"who": [1, 2], "day": [1, 1], "cents": [6, 7], "word": ["new", "new"]}
        bulk.upsert(connection, sums, told, keeps=["word"])
        assert rows_of(connection, sums) == [(1, 1, 6, "old"), (2, 1, 7, "new")]


def test_prepared_statements_do_what_sqlalchemy_s_own_do(database):
    column = sums.c.who
    asked = sa.select(column, sums.c.word).where(bulk.among_told(column, "ids"), sums.c.day == 1)
    found = bulk.Prepared(asked.order_by(column))
    change = bulk.Prepared(
        sa.update(sums).where(bulk.among_told(column, "ids")).values(cents=sa.bindparam("to"))
    )
    with database.writing() as connection:
        bulk.insert(connection, sums, {"who": [1, 2, 3], "day": [1, 1, 2], "word": ["a", None, "c"]})
        for ids in ([1, 2, 3, 99], np.array([3, 2]), (), (2**62,)):
            expected = connection.execute(asked, {"ids": ids}).all()
            assert found.rows(connection, ids=ids) == [tuple(row) for row in expected]
        change.run(connection, ids=[2, 3], to=8)
        assert [row[2] for row in rows_of(connection, sums)] == [None, 8, 8]
    broken = bulk.Prepared(sa.insert(sums).values(who=1, day=1, word=sa.bindparam("secret")))
    with pytest.raises(sa.exc.IntegrityError) as caught, database.writing() as connection:
        broken.run(connection, secret="SECRET")
    assert "SECRET" not in str(caught.value)


def test_among_finds_its_tables_and_aliases(database):
    with database.writing() as connection:
        bulk.insert(connection, sums, {"who": [1, 2, 3], "day": [1, 1, 1], "cents": [1, 2, 4]})
        other = sums.alias("other")
        mine = bulk.among(connection, sums.c.who, [1, 3])
        assert connection.scalar(sa.select(sa.func.count()).where(mine)) == 2
        assert connection.scalar(sa.select(sa.func.count()).where(~mine)) == 1
        theirs = bulk.among(connection, other.c.who, np.array([2, 3]))
        both = sa.select(sa.func.sum(other.c.cents)).join(sums, sums.c.who == other.c.who).where(mine, theirs)
        assert connection.scalar(both) == 4
        if connection.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(
                "EXPLAIN QUERY PLAN SELECT 1 FROM sums WHERE "
                + str(mine.compile(dialect=connection.dialect)).replace("?", "'[1]'")
            )
            assert "SEARCH sums USING" in str(plan.all())
