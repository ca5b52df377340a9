import json
import re

import pytest

from analysis.communities import TIERS, community_day, community_days
from dispatch.analysis.community_report import write_community_report
from dispatch.errors import InputError

DAYS = community_days()


def written(path, days, **more):
    write_community_report(path, days, {"Seed": 7, "<set>": "<b>"}, **{"name": "town <1>", **more})
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("community")
    text = written(folder / "community.html", DAYS, tiers=TIERS, num_days=14)
    assert [one.name for one in folder.iterdir()] == ["community.html"]
    return text


def test_the_figures_of_the_run_stand_at_the_top(page):
    orders, done = sum(day.num_orders for day in DAYS), sum(day.num_completed for day in DAYS)
    for value in ("14", "513", f"{orders:,}", f"{100 * done / orders:.1f} %"):
        assert f'<span class="value">{value}</span>' in page
    assert "499 at the start" in page
    assert ">Dissatisfied (synthetic)</button>" in page
    assert 'role="alert"' not in page


def test_every_figure_has_its_place(page):
    data = json.loads(re.search(r'id="report-data">(.*?)</script>', page)[1])
    assert re.findall(r'<div class="chart" id="([\w-]+)"', page) == list(data["figures"])
    assert len(data["figures"]) == 11 + 9 + 3


def test_all_days_stand_in_a_table_with_their_sum(page):
    table = re.search(r'<table class="wide days">(.*?)</table>', page)[1]
    heads = table.count('<th scope="col">')
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", table)
    assert len(rows) == 15
    assert all(row.count("<td") == heads - 1 for row in rows)
    assert rows[2].startswith(f"3</th><td>{DAYS[2].num_orders}</td>")
    assert rows[-1].startswith(f"All</th><td>{sum(day.num_orders for day in DAYS):,}</td>")
    spans = re.findall(r'colspan="(\d+)"', table)
    assert sum(map(int, spans)) == heads - 1


def test_the_gap_is_told_beside_each_tier(page):
    row = re.search(r'<tr><th scope="row">gold</th>(.*?)</tr>', page)[1]
    cells = re.findall(r"<td.*?</td>", row)
    assert cells[0] == f"<td>{sum(2 + day for day in range(3, 14)):,}</td>"
    assert cells[1].startswith("<td>25.0 s<span")
    assert cells[3].startswith("<td>90.0 %<span")
    basic = re.search(r'<tr><th scope="row">basic</th>(.*?)</tr>', page)[1]
    assert 'class="by"' not in basic
    assert "<b>Longest wait caused by priority: 4 min 20 s.</b>" in page


def test_every_name_that_is_pointed_at_has_its_definition(page):
    asked = set(re.findall(r'aria-describedby="([\w-]+)"', page))
    defined = re.findall(r'<dd id="([\w-]+)">', page)
    assert len(defined) == len(set(defined))
    assert asked
    assert asked <= set(defined)


def test_names_are_no_html(page):
    for named in ("town &lt;1&gt;", "&lt;set&gt;"):
        assert named in page
    assert "town <1>" not in page


def test_a_run_that_was_stopped_says_so(tmp_path):
    page = written(tmp_path / "one.html", DAYS[:1], num_days=30)
    assert "Interrupted: 1 of 30 days are over." in page
    assert "town &lt;1&gt; · 1 day<" in page


def test_without_tiers_the_page_says_why_there_is_no_gap(tmp_path):
    page = written(tmp_path / "plain.html", [community_day(0), community_day(1)])
    assert "All orders were of one tier" in page
    assert 'id="gap-' not in page


def test_many_days_are_folded(tmp_path):
    page = written(tmp_path / "long.html", [community_day(day) for day in range(63)])
    assert "<details><summary>63 days</summary>" in page


def test_nothing_to_tell_and_nowhere_to_write(tmp_path):
    with pytest.raises(InputError, match="no day of town <1> is over"):
        written(tmp_path / "none.html", [])
    with pytest.raises(InputError, match="its folder does not exist"):
        written(tmp_path / "no" / "none.html", DAYS)
    assert list(tmp_path.iterdir()) == []
