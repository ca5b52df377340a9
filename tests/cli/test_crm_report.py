"""Operating reports by command."""

import pyarrow.parquet as pq
import pytest

from crm.filled import fill
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


def test_the_last_thirty_days_are_the_default(dispatch, db):
    status, out, _ = dispatch("crm", "report", "--db", db)
    assert status == 0
    assert " … " in out
    assert "Orders" not in out, "there were none lately"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--from", "soon"), "--from is 'soon'"),
        (("--from", "2024-01-02", "--to", "2024-01-01"), "until is 2024-01-01"),
        (("--by", "year"), "--by is 'year'"),
        (("--timezone", "Mars"), "timezone is 'Mars'"),
        (("--place", "acme"), "--place is 'acme'"),
        (("--place", "acme/rome"), "place is 'acme/rome'"),
        (("--only", "dogs"), "--only is 'dogs'"),
        (("--export", "nov.xlsx"), "nov.xlsx: cannot tell the format"),
    ],
)
def test_what_is_wrong_is_told(dispatch, db, options, message):
    status, _, err = dispatch("crm", "report", "--db", db, *options)
    assert status == 2
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1
