import re

from analysis.runs import log_in_city, record
from dispatch.analysis.charts import run_tables
from dispatch.analysis.group_tables import SHOWN, group_section, group_table
from dispatch.analysis.groups import kpis_by
from dispatch.analysis.kpi_list import KPI


def rows_of(html):
    return re.findall(r"<tr>.*?</tr>", html)


def num_measured(groups):
    return sum(any(value is not None for value in groups.value_of_kpi[name]) for name in SHOWN)


def test_a_table_tells_each_group_and_the_difference_to_the_first():
    groups = kpis_by(log_in_city(1), "tier")
    html = group_table(groups, "", "tier-test")
    head, *rows = rows_of(html)
    assert re.findall(r"tier \d", head) == ["tier 0", "tier 1", "tier 2"]
    assert f"{groups.num_orders[2]:,} orders" in head
    assert len(rows) == num_measured(groups)
    row = next(row for row in rows if "Completed orders" in row)
    first, *others = re.findall(r"<td[^>]*>(.*?)</td>", row)
    values = groups.value_of_kpi["completion_share"]
    assert first == KPI["completion_share"].format(values[0])
    for cell, value in zip(others, values[1:], strict=True):
        assert cell.startswith(KPI["completion_share"].format(value))
        assert "points" in cell or "±0" in cell


def test_what_was_not_measured_has_no_row():
    groups = kpis_by(log_in_city(1), "tier", nobody_cancels=True)
    html = group_table(groups, "", "tier-test")
    assert "Cancelled" not in html
    assert len(rows_of(html)) == 1 + num_measured(groups)


def test_groups_of_few_orders_are_faded():
    events = log_in_city(1)
    few = events["kind"] == 2
    events["tier"][few] = 0
    events["tier"][few.nonzero()[0][:2]] = 1
    row = rows_of(group_table(kpis_by(events, "tier"), "", "x"))[1]
    assert re.findall(r"<td( class=\"none\")?>", row) == ["", ' class="none"']


def test_there_is_a_part_only_where_there_is_something_to_tell():
    assert group_section(run_tables([record(4, "a")], "UTC")) == ""
    assert "<caption>" not in group_section(run_tables([record(1, "a")], "UTC"))
    assert group_section(run_tables([record(1, "a"), record(2, "<b>")], "UTC")).count("&lt;b&gt;") == 2
