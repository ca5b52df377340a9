import json
import re

import pytest

from analysis.crm_reports import crm_report
from dispatch.analysis.crm_report import write_crm_report
from dispatch.errors import InputError


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("crm") / "crm.html"
    write_crm_report(path, crm_report())
    assert [one.name for one in path.parent.iterdir()] == ["crm.html"]
    return path.read_text(encoding="utf-8")


def test_the_page_tells_the_figures_of_the_tables(page):
    tables = crm_report().tables
    orders = tables["orders"]
    assert f'<span class="value">{sum(orders["submitted"].to_pylist()):,}</span>' in page
    revenue = sum(orders["revenue_cents"].to_pylist())
    assert f'<span class="value">{revenue / 100:,.2f}</span>' in page
    for row in tables["channels"].to_pylist():
        assert f"<tr><th>{row['channel']}</th><td>{row['submitted']:,}</td>" in page
    data = json.loads(re.search(r'id="report-data">(.*?)</script>', page, re.DOTALL)[1])
    assert set(re.findall(r'<div class="chart" id="([\w-]+)"', page)) == set(data["figures"])
    assert len(data["figures"]) == 10


def test_names_of_places_are_no_html(page):
    assert "acme/oak&lt;land&gt;" in page
    assert "oak<land>" not in page


def test_every_name_that_is_pointed_at_has_its_definition(page):
    asked = set(re.findall(r'aria-describedby="(column-\w+)"', page))
    assert asked
    assert asked <= set(re.findall(r'<dd id="(column-\w+)">', page))


def test_a_page_about_nothing_says_so(tmp_path):
    write_crm_report(tmp_path / "none.html", crm_report(filled=False))
    page = (tmp_path / "none.html").read_text(encoding="utf-8")
    assert "Nothing is known of orders, customers, coupons and passes, points, complaints, energy" in page
    assert '<div class="chart"' not in page
    with pytest.raises(InputError, match="its folder does not exist"):
        write_crm_report(tmp_path / "no" / "none.html", crm_report(filled=False))
