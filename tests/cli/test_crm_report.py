"""Operating reports by command."""

import io
import re

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from crm.filled import fill
from dispatch.cli import crm_report
from dispatch.crm.crm import Crm

SPAN = ("--from", "2023-11-20", "--to", "2023-11-30")


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """A database with two weeks of business."""
    path = tmp_path_factory.mktemp("crm") / "crm.db"
    with Crm.create(path) as crm:
        fill(crm, crm.scope("acme", "san_francisco"), num_orders=200, num_customers=30)
    return path


def test_tables_page_and_files(dispatch, db, tmp_path):
    html, files = tmp_path / "nov.html", tmp_path / "nov.parquet"
    options = ("--by", "week", "--timezone", "America/Los_Angeles", "--html", html, "--export", files)
    status, out, err = dispatch("crm", "report", "--db", db, *SPAN, *options)
    assert (status, err) == (0, "")
    words = " ".join(out.split())
    for part in (
        "ride · 2023-11-20 … 2023-11-30 · America/Los_Angeles", "Orders by period", "2023-W47", "Energy sold",
        "12 tables", f"report: {html}",
    ):  # fmt: skip
        assert part in words
    assert "Operating report by week" in html.read_text()
    orders = pq.read_table(tmp_path / "nov_orders.parquet")
    for row in orders.to_pylist():
        assert f"{row['period']} {row['submitted']}" in words


def test_some_tables_of_one_place(dispatch, db):
    status, out, _ = dispatch(
        "crm", "report", "--db", db, *SPAN, "--only", "channels,points", "--place", "acme/san_francisco"
    )
    assert status == 0
    assert "Orders by channel" in out
    assert "Orders by period" not in out


def test_the_latest_days_with_data_are_the_default(dispatch, db):
    status, out, _ = dispatch("crm", "report", "--db", db, "--only", "orders")
    first, *_ = out.splitlines()
    assert status == 0
    found = re.fullmatch(r"ride · (\S+) … (\S+) · UTC · the latest with data", first)
    assert found is not None
    assert found[1] in out.splitlines()[5], "the first day has data"
    assert found[2] in out.splitlines()[-2], "as the last one has"
    late = dispatch("crm", "report", "--db", db, "--from", "2030-01-01")[1]
    assert late.splitlines() == [
        f"ride · 2030-01-01 … 2030-01-01 · UTC · the latest data are of {found[2]}",
        "nothing to tell of these days",
    ]
    early = dispatch("crm", "report", "--db", db, "--to", "2001-01-30")[1]
    assert early.startswith("ride · 2001-01-01 … 2001-01-30 · UTC · there are no data until then\n")
    told = dispatch("crm", "report", "--db", db, "--by", "week", "--to", found[2], "--only", "orders")[1]
    assert told.startswith(f"ride · {found[1]} … {found[2]} · UTC\n")


def test_a_database_without_data_says_so(dispatch, tmp_path):
    Crm.create(tmp_path / "new.db", "fuel").close()
    status, out, _ = dispatch("crm", "report", "--db", tmp_path / "new.db")
    assert status == 0
    assert re.fullmatch(
        r"fuel · \S+ … \S+ · UTC · there are no data yet\nnothing to tell of these days\n", out
    )


def test_no_figure_is_cut_however_narrow_the_terminal(dispatch, db, monkeypatch):
    _, piped, _ = dispatch("crm", "report", "--db", db, *SPAN)
    assert "…" not in piped.partition("\n")[2]
    file = io.StringIO()
    monkeypatch.setattr(crm_report, "out", Console(file=file, width=60, force_terminal=True, no_color=True))
    assert dispatch("crm", "report", "--db", db, *SPAN)[0] == 0
    narrow = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()).partition("\n")[2]
    assert "…" not in narrow
    assert max(map(len, narrow.splitlines())) <= 60 < max(map(len, piped.splitlines()))
    figures = re.compile(r"[\d,.]+\d")
    assert sorted(set(figures.findall(narrow))) == sorted(set(figures.findall(piped.partition("\n")[2])))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--from", "soon"), "--from is 'soon'"),
        (("--from", "2024-01-02", "--to", "2024-01-01"), "--to is 2024-01-01: it must not be before --from"),
        (("--from", "2000-01-02", "--to", "2024-01-01"), "--to is 2024-01-01: a report takes 3660 days"),
        (("--by", "year"), "--by is 'year'"),
        (("--timezone", "Mars"), "timezone is 'Mars'"),
        (("--place", "acme"), "--place is 'acme'"),
        (("--place", "acme/rome"), "--place is 'acme/rome'"),
        (("--only", "dogs"), "--only is 'dogs'"),
        (("--export", "nov.xlsx"), "nov.xlsx: cannot tell the format"),
    ],
)
def test_what_is_wrong_is_told(dispatch, db, options, message):
    status, _, err = dispatch("crm", "report", "--db", db, *options)
    assert status == 2
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1
