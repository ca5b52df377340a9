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
