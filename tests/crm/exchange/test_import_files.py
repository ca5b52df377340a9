"""Files that are imported: their columns are found, their rows numbered, their mistakes named."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dispatch.crm.exchange.import_files import BadRow, ImportFile
from dispatch.errors import InputError

USUAL = {
    "name": ("name", "full_name", "first_name+last_name"),
    "phone": ("phone", "mobile", "手机"),
    "birthday_mmdd": ("birthday",),
}


def read(path, mapping=None, encoding="utf-8"):
    file = ImportFile(path, USUAL, mapping or {}, encoding)
    progress, rows, columns = [], [], {name: [] for name in file.columns}
    for numbers, texts in file.batches(lambda *one: progress.append(one)):
        rows += numbers
        for name, values in texts.items():
            columns[name] += values
    assert all(0 <= done <= total for done, total in progress)
    return file, rows, columns


def test_csv_of_any_separator_and_usual_names(tmp_path):
    path = tmp_path / "people.csv"
    for separator in ",;\t|":
        lines = [
            ["First Name", "LAST-NAME", "Mobile", "Note"],
            ["Ann", " Lee ", " 1 ", "x"],
            ["", "", "", ""],
        ]
        text = "\n".join(separator.join(line) for line in lines)
        path.write_text("\ufeff" + text + '\nBo,"two\nlines",2,'.replace(",", separator), encoding="utf-8")
        file, rows, columns = read(path)
        assert file.columns == {"name": ("First Name", "LAST-NAME"), "phone": ("Mobile",)}
        assert file.ignored == ("Note",)
        assert rows == [1, 2, 3]
        assert columns == {"name": ["Ann Lee", None, "Bo two\nlines"], "phone": ["1", None, "2"]}


def test_parquet_of_numbers_and_days(tmp_path):
    path = tmp_path / "people.parquet"
    days = pa.array([datetime.date(1990, 2, 28), None])
    pq.write_table(
        pa.table({"name": ["Ann", None], "Phone": pa.array([14155550100, 2]), "birthday": days}), path
    )
    _, rows, columns = read(path)
    assert rows == [1, 2]
    assert columns == {
        "name": ["Ann", None],
        "phone": ["14155550100", "2"],
        "birthday_mmdd": ["1990-02-28", None],
    }
    pq.write_table(pa.table({"phone": pa.array([1.5])}), path)
    with pytest.raises(InputError, match="'phone' is of double"):
        read(path)


def test_a_mapping_comes_before_what_is_usual(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("name,A+B,Vor,Nach,mobile\nx,1,Ann,Lee,2\n")
    file, _, columns = read(path, {"phone": "A+B", "name": "Vor + Nach", "custom.size": "mobile"})
    assert columns == {"phone": ["1"], "name": ["Ann Lee"], "custom.size": ["2"]}
    assert file.ignored == ("name",)
    for mapping, message in (
        ({"phone": "Handy"}, "it has no column 'Handy' for phone"),
        ({"shoe": "name"}, "mapping has the field 'shoe'"),
    ):
        with pytest.raises(InputError, match=message):
            ImportFile(path, USUAL, mapping)


def test_rows_of_other_lengths_are_named_and_the_others_keep_their_numbers(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("name,phone\nAnn,1\nBo\nCy,3\nDi,4,5\nEd,6\n")
    file, rows, columns = read(path)
    assert file.bad == [
        BadRow(2, "", "it has 1 columns, the header has 2"),
        BadRow(4, "", "it has 3 columns, the header has 2"),
    ]
    assert rows == [1, 3, 5]
    assert columns["name"] == ["Ann", "Cy", "Ed"]


def test_encodings(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("name,手机\n张伟,1\n", encoding="gb18030")
    _, _, columns = read(path, encoding="gb18030")
    assert columns == {"name": ["张伟"], "phone": ["1"]}
    with pytest.raises(InputError, match="its header cannot be read"):
        read(path)
    path.write_bytes(b"name,phone\n\xff\xfe,1\n")
    with pytest.raises(InputError, match="not in the encoding 'utf-8'"):
        read(path)
    with pytest.raises(InputError, match="its header cannot be read"):
        read(path, encoding="klingon")


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "no header"), ("\n1,2\n", "no header"), ("a,a\n1,2\n", "'a' is there twice")],
)
def test_headers_that_are_none(tmp_path, text, message):
    path = tmp_path / "people.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read(path)


def test_no_file_and_no_parquet(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none.csv")
    path = tmp_path / "people.parquet"
    path.write_text("name,phone\n")
    with pytest.raises(InputError, match="no Parquet file"):
        read(path)


def test_damaged_pages_and_texts_that_are_none(tmp_path):
    path = tmp_path / "people.parquet"
    pq.write_table(pa.table({"phone": [f"+1415555{n}" for n in range(1000, 3000)]}), path)
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged") as caught:
        read(path)
    assert "1415" not in str(caught.value)
    column = pa.array(["abc"], pa.string())
    any_bytes = pa.StringArray.from_buffers(1, column.buffers()[1], pa.py_buffer(b"a\xf9c"))
    pq.write_table(pa.table({"phone": any_bytes}), path)
    with pytest.raises(InputError, match="'phone' is of string: it holds what is no text"):
        read(path)
    pq.write_table(pa.table({"phone": [b"\xff\xfe"]}), path)
    with pytest.raises(InputError, match="'phone' is of binary: it holds what is no text"):
        read(path)


@pytest.mark.parametrize("encoding", ["gb18030", "ascii"])
def test_texts_in_other_encodings_than_told(tmp_path, encoding):
    path = tmp_path / "people.csv"
    path.write_bytes(b"name,phone\nAnn,1\n\xff\xff,2\n")
    with pytest.raises(InputError, match=f"a text is not in the encoding '{encoding}'"):
        read(path, encoding=encoding)


def test_lines_that_end_in_a_way_that_headers_are_not_told_by(tmp_path):
    path = tmp_path / "people.csv"
    path.write_bytes(b"name,phone\rAnn,1\r")
    with pytest.raises(InputError, match="its lines end"):
        read(path)
    path.write_bytes(b"name,phone\r\nAnn,1\r\n")
    assert read(path)[2] == {"name": ["Ann"], "phone": ["1"]}
