"""Formulas in CSV: none is left that a spreadsheet runs, and every value comes back."""

import csv
import io
import re

import pyarrow as pa
import pytest
from hypothesis import example, given, strategies as st

from dispatch.crm.exchange.spreadsheets import freed, freed_text, guarded, guarded_table, guarded_text

RUNS = "=+-@＝＋－＠"
# Letters that matter, more often than others.
TEXTS = st.text(
    st.one_of(st.sampled_from("=+-@＝＋－＠'\"\t\r\n;, 0aé"), st.characters(codec="utf-8")), max_size=12
)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('=HYPERLINK("http://x.example";"Ada")', '\'=HYPERLINK("http://x.example";"Ada")'),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1", "'＝1"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("\tAda", "'\tAda"),
        (" =1", "' =1"),
        ("'=1", "''=1"),
        ("''=1", "'''=1"),
        ("Ada;=1", "Ada;'=1"),
        ("Ada; '=1", "Ada;' '=1"),
        ("1 Main St\n=1", "1 Main St\n'=1"),
        ('Ada;"=1', "Ada;'\"=1"),
        ("+1415;=1", "'+1415;'=1"),
        ("+14155552671\n", "'+14155552671\n"),
        ("'+14155552671", "''+14155552671"),
        # Nothing that is run: names, numbers of phones, what has such letters further on.
        ("+14155552671", "+14155552671"),
        ("Ada", "Ada"),
        ("O'Neil", "O'Neil"),
        ("'t Hooft", "'t Hooft"),
        ("a=1, -b @c", "a=1, -b @c"),
        ("zoe@mail.example", "zoe@mail.example"),
        ("1 Main St\nOakland", "1 Main St\nOakland"),
        ("", ""),
    ],
)
def test_what_begins_like_a_formula_gets_an_apostrophe(text, cell):
    assert guarded_text(text) == cell
    assert freed_text(cell) == text
    for texts, cells in (([text, None, "Ada"], [cell, None, "Ada"]), ([text] * 2, [cell] * 2)):
        assert guarded(pa.array(texts, pa.string())).to_pylist() == cells
        assert freed(pa.array(cells, pa.string())).to_pylist() == texts


@given(TEXTS)
@example("'\t;=")
@example("'\n'\n=")
@example("\t\t'=")
@example("=;';=;'=")
@example('x;"=1')
def test_every_value_comes_back_and_none_is_run(text):
    cell = guarded_text(text)
    assert freed_text(cell) == text
    assert freed(guarded(pa.array([text], pa.string()))).to_pylist() == [text]
    assert guarded(pa.array([text], pa.string())).to_pylist() == [cell]
    assert not list(run_by_spreadsheets(cell))


def run_by_spreadsheets(cell):
    """Give what is run of a line with a cell, whichever the separator of the spreadsheet's country is."""
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_NONNUMERIC).writerow([7, cell])
    (_, whole), *_ = csv.reader(io.StringIO(line.getvalue(), newline=""))
    if whole.lstrip(" \t\r\n")[:1] in [*RUNS] and not re.fullmatch(r"\+[0-9]+", whole):
        yield whole
    # To others the line begins with a cell `7,"…`, whose quotation marks are letters. A cell that begins with
    # two is empty between them, and goes on behind.
    for part in re.split(r"[;\t\r\n]", line.getvalue()):
        if part.lstrip(' "')[:1] in [*RUNS]:
            yield part


def test_the_reading_of_spreadsheets_is_able_to_find_what_is_run():
    for text in ("=1", " =1", "\t=1", "x;=1", 'x;"=1', 'x\n""=1', "x\t@1"):
        assert list(run_by_spreadsheets(text)), text
    assert not list(run_by_spreadsheets("+14155552671"))


@given(st.lists(st.one_of(st.none(), TEXTS), max_size=6))
def test_columns_are_guarded_as_texts_are(texts):
    column = pa.array(texts, pa.string())
    expected = [None if text is None else guarded_text(text) for text in texts]
    assert guarded(column).to_pylist() == expected
    assert freed(guarded(column)).to_pylist() == texts


def test_numbers_stay():
    table = pa.table({"cents": [-5, 3], "share": [-0.5, None], "name": ["=1", "Ada"], "none": pa.nulls(2)})
    told = guarded_table(table)
    assert told.schema == table.schema
    assert told.to_pylist()[0] == {"cents": -5, "share": -0.5, "name": "'=1", "none": None}
    assert guarded_table(table.slice(0, 0)).num_rows == 0
