"""CSV as people send it: each file is read as it was meant, or its rows and mistakes are named."""

import csv
import io
import threading

import pytest
from hypothesis import given, settings, strategies as st

from dispatch.crm.exchange.csv_rows import AT_ONCE, BadRow, CsvRows
from dispatch.errors import InputError

ENDLESS = "a quotation mark opens a text that does not end: it is cut off, or the mark should be two"


def read(path, content=None, encoding="utf-8", wanted=None):
    """Names of columns, and rows by their numbers."""
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    file, found = CsvRows(path, encoding), {}
    for numbers, columns in file.batches(wanted or [n for n in file.names if n], lambda *_: None):
        told = zip(*(column.to_pylist() for column in columns.values()), strict=True)
        found |= dict(zip(numbers, told, strict=True))
    return file, found


@pytest.fixture
def path(tmp_path):
    """A file that is not there yet."""
    return tmp_path / "people.csv"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_separators_line_ends_and_encodings(path, separator, end, encoding):
    lines = [["Name", f'"Pho{separator}ne"'], ["Zoë", "1"], ["", "2"], [f'"O{separator} ""Bo"""', "3"]]
    content = end.join(separator.join(line) for line in lines).encode(encoding)
    file, found = read(path, content, "utf-8" if encoding != "cp1252" else encoding)
    assert file.names == ["Name", " ".join(f"Pho{separator}ne".split())]
    assert found == {1: ("Zoë", "1"), 2: ("", "2"), 3: (f'O{separator} "Bo"', "3")}
    assert file.bad == []


def test_spreadsheets_tell_their_separator(path):
    for first in ("sep=;\r\n", '"sep=;"\n', "\ufeffSEP=;\n"):
        assert read(path, f"{first}Name;Phone,Fax\nAnn;1\n")[1] == {1: ("Ann", "1")}


def test_line_ends_within_texts_and_blank_lines_keep_numbers_right(path):
    content = 'Name,"Phone\nnumber"\n"Ann\nLee",1\n\n,\nBo,2,,\nCy,3\n'
    file, found = read(path, content)
    assert file.names == ["Name", "Phone number"]
    assert found == {1: ("Ann\nLee", "1"), 4: ("Bo", "2"), 5: ("Cy", "3")}
    assert (file.num_empty, file.bad) == (1, [])


def test_columns_without_names(path):
    file, found = read(path, ",Name,,Phone,,\nx,Ann,y,1,z,\n,Bo,,2\n")
    assert found == {1: ("Ann", "1"), 2: ("Bo", "2")}
    assert file.bad == []


def test_rows_of_other_lengths(path):
    file, found = read(path, "Name,Phone\nAnn\nBo,1\nCy,2,x\nDi,3,\n")
    assert found == {2: ("Bo", "1"), 4: ("Di", "3")}
    assert [one.row for one in file.bad] == [1, 3]
    assert [one.rule for one in file.bad] == [f"it has {n} columns, the header has 2" for n in (1, 3)]


def test_quotation_marks(path):
    file, found = read(path, 'Name,Phone\n"Ann" x,1\nBo "B",2\n5" Cy,3\n"Di,4\nEd,5\n')
    assert found == {2: ('Bo "B"', "2"), 3: ('5" Cy', "3")}
    assert file.bad == [
        BadRow(1, "", "letters stand behind a closing quotation mark"),
        BadRow(4, "", ENDLESS),
    ]
    file, found = read(path, "Name,Phone\nAnn,1\n" + '"' + "Bo,2\n" * 40_000)
    assert (found[1], file.bad[0]) == (("Ann", "1"), BadRow(2, "", ENDLESS))


def test_texts_in_another_encoding_are_named_by_row_and_column(path):
    content = "Name,Phone,Note\nAnn,1,\nZoë,2,\nBo,3,Zoë\nÖz,4é,\n".encode("cp1252")
    file, found = read(path, content, wanted=["Name", "Phone"])
    assert found == {1: ("Ann", "1"), 3: ("Bo", "3")}
    assert [(one.row, one.column) for one in file.bad] == [(2, "Name"), (4, "Name"), (4, "Phone")]
    assert "is not in the encoding 'utf-8'" in file.bad[0].rule
    assert len(read(path, encoding="cp1252")[1]) == 4
    with pytest.raises(InputError, match="not in the encoding 'utf-16'"):
        read(path, "Name,Phone\nAnn,1\n".encode("utf-16")[:-1], "utf-16")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it has no header"),
        ("\n\n", "it has no header"),
        (",,\n1,2,3\n", "it has no header"),
        ("Näme\n".encode("cp1252"), "its header cannot be read: a text is not in the encoding 'utf-8'"),
        ('"Name,Phone\nAnn,1\n', "its header cannot be read"),
        ("Ann Lee,ann@mail.example\n", "an address of mail or a telephone number in column 2"),
        ("Ann Lee,+1 (415) 555-0100\n", "an address of mail or a telephone number in column 2"),
    ],
)
def test_headers_that_are_none(path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read(path, content)
    assert "555" not in str(caught.value)
    assert "ann@" not in str(caught.value)


def test_a_header_and_nothing_else(path):
    for content in ("Name,Phone", "Name,Phone\n", "Name,Phone\r\n\r\n"):
        assert read(path, content)[1] == {}


def test_an_encoding_that_there_is_not(path):
    path.write_text("Name,Phone\nAnn,1\n")
    with pytest.raises(InputError, match="its header cannot be read"):
        CsvRows(path, "klingon")


def test_all_is_read_in_the_thread_that_asks(path, monkeypatch):
    """A thread that still reads while the process ends aborts it."""
    path.write_text("Name,Phone\n" + "Ann,1\n" * (2 * AT_ONCE + 5))
    threads, opened = [], type(path).open

    def noting(self, *args, **options):
        file = opened(self, *args, **options)
        read1 = file.read1

        class Noting:
            def __getattr__(self, name):
                return getattr(file, name)

            def read1(self, *sizes):
                threads.append(threading.get_ident())
                return read1(*sizes)

            def __enter__(self):
                return self

            def __exit__(self, *told):
                file.close()

        return Noting()

    monkeypatch.setattr(type(path), "open", noting)
    before = threading.active_count()
    told = []
    batches = CsvRows(path, "utf-8").batches(["Name"], lambda *one: told.append(one))
    assert [len(numbers) for numbers, _ in batches] == [AT_ONCE, AT_ONCE, 5]
    assert set(threads) == {threading.get_ident()}
    assert len(threads) > 3
    assert threading.active_count() == before
    assert told[-1] == (path.stat().st_size, path.stat().st_size)
    assert all(done <= total for done, total in told)


@pytest.fixture(scope="module")
def same_path(tmp_path_factory):
    """A file that each example writes anew."""
    return tmp_path_factory.mktemp("csv") / "people.csv"


CELL = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\x00") | st.sampled_from(',;"\n\r\t')
)


@given(
    st.lists(st.tuples(CELL, CELL, CELL), max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=100)
def test_what_others_write_comes_back(same_path, rows, separator, end):
    text = io.StringIO(newline="")
    # All are quoted: left to itself, this writer leaves a carriage return bare.
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("Name", "Phone", "Note"), *rows])
    file, found = read(same_path, text.getvalue())
    assert found == {number: row for number, row in enumerate(rows, 1) if any(row)}
    assert (file.bad, file.num_empty) == ([], len(rows) - len(found))


TOKENS = [
    b"Name", b"Phone", b",", b";", b"\t", b'"', b'""', b"\n", b"\r\n", b"\r", b"1", b"+14155550100", b" ",
    b"\x00", b"\xe9", b"\xff\xfe", b"\xef\xbb\xbf", b"sep=;", b"=1+1", b"\xc3\xab",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join),
    st.sampled_from(["utf-8", "cp1252", "gb18030", "utf-16", "ascii"]),
)
@settings(max_examples=300)
def test_whatever_the_bytes_rows_come_or_an_error_that_tells_why(same_path, content, encoding):
    try:
        file, found = read(same_path, content, encoding)
    except InputError:
        return
    numbers = sorted({*found, *(one.row for one in file.bad)})
    assert not set(found) & {one.row for one in file.bad}
    assert numbers == sorted(set(numbers))
    assert all(len(row) == len({name for name in file.names if name}) for row in found.values())
