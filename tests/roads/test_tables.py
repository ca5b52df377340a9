import math

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from dispatch.errors import InputError
from dispatch.roads.tables import Column, Dropped, Sieve, find_table, read_table

BOTH = pytest.mark.parametrize("suffix", ["parquet", "csv"])
NUMBER = Column("speed", ("maxspeed", "v_max"))
WHOLE = Column("id", ("osmid",), "whole", required=True)


def write(path, columns):
    table = pa.table(columns)
    pq.write_table(table, path) if path.suffix == ".parquet" else pa_csv.write_csv(table, path)
    return path


def table_of(tmp_path, suffix, columns, *wanted):
    return read_table(write(tmp_path / f"t.{suffix}", columns), wanted)


@BOTH
def test_aliases_case_and_blanks(tmp_path, suffix):
    table = table_of(
        tmp_path, suffix, {" OSMID ": [1, 2], "V_max": [3, 4], "other": ["a", "b"]}, WHOLE, NUMBER
    )
    assert table.num_rows == 2
    assert table.wholes("id")[0].tolist() == [1, 2]
    assert table.floats("speed").tolist() == [3.0, 4.0]
    assert table.found_as == {"id": " OSMID ", "speed": "V_max"}
    assert "other" not in table


@BOTH
def test_the_own_name_wins_over_aliases(tmp_path, suffix):
    table = table_of(
        tmp_path, suffix, {"v_max": [1.0], "maxspeed": [2.0], "osmid": [8], "id": [9]}, WHOLE, NUMBER
    )
    assert table.wholes("id")[0].tolist() == [9]
    assert table.floats("speed").tolist() == [2.0]


@BOTH
def test_a_missing_column_names_what_was_looked_for_and_what_is_there(tmp_path, suffix):
    with pytest.raises(
        InputError, match=r"t\.\w+: missing column 'id' \(or osmid\); the file has name, size$"
    ):
        table_of(tmp_path, suffix, {"name": ["x"], "size": [1]}, WHOLE, NUMBER)


@BOTH
def test_an_empty_table(tmp_path, suffix):
    with pytest.raises(InputError, match="the table has no rows"):
        table_of(tmp_path, suffix, {"id": pa.array([], pa.int64())}, WHOLE)


def test_files_that_are_no_table(tmp_path):
    with pytest.raises(InputError, match=r"t\.csv: no such file"):
        read_table(tmp_path / "t.csv", [WHOLE])
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"must be one of \.parquet, \.csv"):
        read_table(tmp_path / "t.xlsx", [WHOLE])
    (tmp_path / "t.csv").write_bytes(b"")
    with pytest.raises(InputError, match="the file is empty"):
        read_table(tmp_path / "t.csv", [WHOLE])
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00id\n1\n")
    with pytest.raises(InputError, match="no readable CSV file"):
        read_table(tmp_path / "t.csv", [WHOLE])
    (tmp_path / "t.parquet").write_bytes(b"id\n1\n")
    with pytest.raises(InputError, match="no readable Parquet file"):
        read_table(tmp_path / "t.parquet", [WHOLE])


@pytest.mark.parametrize("cut", [1, 8, 100, -1])
def test_truncated_parquet(tmp_path, cut):
    path = write(tmp_path / "t.parquet", {"id": np.arange(1000)})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match="perhaps truncated"):
        read_table(path, [WHOLE])


def test_corrupt_pages_of_parquet(tmp_path):
    path = write(tmp_path / "t.parquet", {"id": np.random.default_rng(0).integers(0, 2**60, 5000)})
    content = bytearray(path.read_bytes())
    content[10:4000] = b"\x00" * 3990
    path.write_bytes(content)
    with pytest.raises(InputError, match="no readable Parquet file"):
        read_table(path, [WHOLE])


@BOTH
def test_empty_cells(tmp_path, suffix):
    columns = {"id": [1, None, 3], "speed": [1.5, None, math.nan], "kind": ["a", None, "b"]}
    table = table_of(tmp_path, suffix, columns, WHOLE, NUMBER, Column("kind", kind="text"))
    values, known = table.wholes("id")
    assert (values.tolist(), known.tolist()) == ([1, 0, 3], [True, False, True])
    assert np.isnan(table.floats("speed")).tolist() == [False, True, True]
    assert table.filled("speed").tolist() == [True, False, True]  # NaN is a number that is none
    codes, texts = table.texts("kind")
    assert [None if code < 0 else texts[code] for code in codes] == ["a", None, "b"]


@BOTH
def test_a_column_that_is_empty_throughout(tmp_path, suffix):
    columns = {"id": pa.nulls(2), "speed": pa.nulls(2), "kind": pa.nulls(2), "x": [1, 2]}
    table = table_of(tmp_path, suffix, columns, WHOLE, NUMBER, Column("kind", kind="text"))
    assert table.wholes("id")[1].tolist() == [False, False]
    assert np.isnan(table.floats("speed")).all()
    assert table.texts("kind")[0].tolist() == [-1, -1]


@BOTH
def test_whole_numbers_among_floats(tmp_path, suffix):
    table = table_of(tmp_path, suffix, {"id": [1.0, None, 2.0**40], "speed": [1, 2, 3]}, WHOLE)
    assert table.wholes("id")[0].tolist() == [1, 0, 2**40]
    with pytest.raises(InputError, match=r"column 'id' \(id\) holds double; it must hold whole numbers"):
        table_of(tmp_path, suffix, {"id": [1.0, 2.5]}, WHOLE).wholes("id")


def test_large_ids_keep_their_digits(tmp_path):
    for suffix in ("parquet", "csv"):
        table = table_of(tmp_path, suffix, {"id": [2**62 + 1, -(2**62) - 1]}, WHOLE)
        assert table.wholes("id")[0].tolist() == [2**62 + 1, -(2**62) - 1]
    with pytest.raises(InputError, match="it must hold whole numbers"):
        table_of(tmp_path, "parquet", {"id": np.array([2**63], np.uint64)}, WHOLE).wholes("id")


def test_wrong_types(tmp_path):
    columns = {"id": ["one"], "speed": ["fast"], "kind": [1.5]}
    table = table_of(tmp_path, "parquet", columns, WHOLE, NUMBER, Column("kind", kind="text"))
    for read, name, rule in (
        (table.floats, "speed", "holds string; it must hold numbers"),
        (table.wholes, "id", "holds string; it must hold whole numbers"),
        (table.texts, "kind", "holds double; it must hold texts"),
    ):
        with pytest.raises(InputError, match=rule):
            read(name)


def test_a_wrong_value_in_csv_is_named_with_its_row(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,speed\n1,30\n2,fast\n")
    with pytest.raises(InputError, match=r"column #1.*Row #3.*invalid value 'fast'"):
        read_table(path, [WHOLE, NUMBER])


def test_csv_lines_with_a_wrong_number_of_fields_are_counted(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,speed\n1,30\n2\n3,4,5\n6,7\n")
    table = read_table(path, [WHOLE, NUMBER])
    assert table.wholes("id")[0].tolist() == [1, 6]
    assert table.drops() == (Dropped("lines with a wrong number of fields", 2, "t.csv"),)


def test_csv_with_nameless_columns_at_the_end_mark_and_blank_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("\ufeffid,speed\r\n\r\n1,30,,\r\n2,40,,\r\n".encode())
    table = read_table(path, [WHOLE, NUMBER])
    assert table.wholes("id")[0].tolist() == [1, 2]
    assert table.floats("speed").tolist() == [30.0, 40.0]
    assert table.drops() == ()


def test_texts_of_a_dictionary(tmp_path):
    kinds = pa.array(["a", "b", "a"]).dictionary_encode()
    table = table_of(tmp_path, "parquet", {"kind": kinds}, Column("kind", kind="text"))
    codes, texts = table.texts("kind")
    assert [texts[code] for code in codes] == ["a", "b", "a"]


@BOTH
def test_arrays_are_ready_for_kernels(tmp_path, suffix):
    table = table_of(tmp_path, suffix, {"id": [1, 2], "speed": [1.0, 2.0]}, WHOLE, NUMBER)
    for array in (table.floats("speed"), *table.wholes("id"), table.filled("id")):
        assert array.flags.c_contiguous
        assert array.flags.writeable


def test_parquet_comes_before_csv(tmp_path):
    assert find_table(tmp_path, "nodes") is None
    write(tmp_path / "nodes.csv", {"id": [1]})
    assert find_table(tmp_path, "nodes") == tmp_path / "nodes.csv"
    write(tmp_path / "nodes.parquet", {"id": [1]})
    assert find_table(tmp_path, "nodes") == tmp_path / "nodes.parquet"


def test_a_row_counts_once():
    sieve = Sieve(4, "file")
    sieve.drop("first", np.array([True, True, False, False]))
    sieve.drop("second", np.array([False, True, True, False]))
    sieve.drop("third", np.array([True, True, True, False]))
    assert sieve.drops == [Dropped("first", 2, "file"), Dropped("second", 1, "file")]
    assert sieve.keep.tolist() == [False, False, False, True]
