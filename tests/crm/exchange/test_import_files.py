"""Files that are imported: their columns are found, their rows numbered, their mistakes named."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dispatch.crm.exchange.csv_rows import BadRow
from dispatch.crm.exchange.import_files import ImportFile
from dispatch.errors import InputError

USUAL = {
    "name": ("name", "full_name", "first_name+last_name", "customer"),
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
        assert file.guessed == ("name", "phone")
        assert (rows, file.num_empty) == ([1, 3], 1)
        assert columns == {"name": ["Ann Lee", "Bo two\nlines"], "phone": ["1", "2"]}


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
    assert file.guessed == ()
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
    file, rows, _ = read(path)
    assert (rows, [(one.row, one.column) for one in file.bad]) == ([], [(1, "name")])
    assert "not in the encoding 'utf-8'" in file.bad[0].rule
    with pytest.raises(InputError, match="its header cannot be read"):
        read(path, encoding="klingon")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no header"),
        ("\n1,2\n", "no header"),
        ("phone,phone\n1,2\n", "'phone' is there twice"),
        ("PHONE,Phone\n1,2\n", "'PHONE' and 'Phone' are called alike: the mapping must tell which is phone"),
    ],
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
    file, rows, _ = read(path, encoding=encoding)
    assert (rows, [(one.row, one.column) for one in file.bad]) == ([1], [(2, "name")])
    assert f"a text is not in the encoding '{encoding}'" in file.bad[0].rule


def test_columns_of_numbers_are_no_names(tmp_path):
    """``Customer`` is a number where first and last names stand beside it, or all of it are numbers."""
    path = tmp_path / "people.csv"
    path.write_text("Customer #,First Name,Last Name,Phone\n1001,Ann,Lee,1\n1002,Bob,Ray,2\n")
    file, _, columns = read(path)
    assert (columns["name"], file.ignored) == (["Ann Lee", "Bob Ray"], ("Customer #",))
    for text, told, ignored in (
        ("Customer,Phone\n1001,1\nC-1002,2\n,3\n", None, ("Customer",)),
        ("Name,Full Name,Phone\n1,Ann Lee,1\n2,Bob,2\n", ["Ann Lee", "Bob"], ("Name",)),
        ("Customer,Phone\nStudio 54,1\n4 Seasons,2\n", ["Studio 54", "4 Seasons"], ()),
        ("Customer,Phone\n1001,1\nAnn,2\n", ["1001", "Ann"], ()),
        ("Customer,Phone\n=HYPERLINK(1),1\n", ["=HYPERLINK(1)"], ()),
        ("Customer,Phone\nAnn-Lee2,1\n", ["Ann-Lee2"], ()),
        ("Customer,Phone\n", [], ()),
    ):
        path.write_text(text)
        file, _, columns = read(path)
        assert (columns.get("name"), file.ignored) == (told, ignored), text
    parquet = tmp_path / "people.parquet"
    pq.write_table(pa.table({"customer": [1001, 1002], "phone": ["1", "2"]}), parquet)
    assert read(parquet)[0].ignored == ("customer",)
    assert read(parquet, {"name": "customer"})[2]["name"] == ["1001", "1002"]


def test_columns_that_are_there_twice_matter_only_where_they_are_read(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("name,note,phone,note\nAnn,x,1,y\n")
    assert read(path)[2] == {"name": ["Ann"], "phone": ["1"]}
    with pytest.raises(InputError, match="'note' is there twice"):
        read(path, {"name": "note"})


def test_lines_that_end_in_other_ways(tmp_path):
    path = tmp_path / "people.csv"
    for end in (b"\r", b"\r\n", b"\n"):
        path.write_bytes(end.join((b"name,phone", b"Ann,1", b"")))
        assert read(path)[2] == {"name": ["Ann"], "phone": ["1"]}


def test_names_of_columns_do_not_steer_the_terminal_of_who_looks_at_them(tmp_path):
    for name in ("people.csv", "people.parquet"):
        path = tmp_path / name
        if name.endswith("csv"):
            path.write_text("name,phone,\x1b]0;mine\x07x\nAda,1,2\n")
        else:
            pq.write_table(pa.table({"name": ["Ada"], "phone": ["1"], "\x1b[2Jx": [1]}), path)
        with pytest.raises(InputError, match="the name of column 3 holds a control character") as caught:
            read(path)
        assert "\x1b" not in str(caught.value)
