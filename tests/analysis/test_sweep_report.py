import re
from dataclasses import replace
from html import escape

import pytest

from analysis.sweeps import sweep_table
from dispatch.analysis.kpi_list import KPI
from dispatch.analysis.sweep_report import write_sweep_report
from dispatch.analysis.sweep_table import difference_text
from dispatch.errors import InputError

SETTINGS = {"Scenario": "made_up", "day.orders": 4000}


@pytest.fixture
def page(tmp_path):
    """Writes a report and gives its text without the library that draws."""

    def write(table, **more):
        path = tmp_path / "sweep.html"
        write_sweep_report(path, table, SETTINGS, **more)
        text = path.read_text(encoding="utf-8")
        return re.sub(r"<script>.*?</script>", "", text, flags=re.S)

    return write


def test_it_tells_everything(page):
    table = sweep_table()
    text = page(table)
    assert "made_up" in text
    assert "15 variants" not in text
    assert "<span>6 variants</span><span>4 seeds</span><span>24 runs</span>" in text
    assert "Differences are paired" in text
    assert "Differences to drivers 300 · policy nearest" in text
    assert "day.orders" in text
    for kpi in KPI.values():
        assert escape(kpi.definition) in text
    difference = table.difference(5, "golden5_share").mean
    assert difference_text(KPI["golden5_share"], difference) in text


def test_marks_say_better_or_worse_where_the_interval_excludes_zero(page):
    text = page(sweep_table())
    section = text[text.index("Differences to") : text.index("<h2>Means")]
    assert 'title="better">▲' in section
    # Utilisation is better up, too; empty driving rises with the made-up figures, which is worse.
    assert 'title="worse">▼' in section
    rows = re.findall(r"<tr>(.*?)</tr>", section)
    assert len(rows) == 6
    swapped = page(replace(sweep_table(), baseline_idx=5))
    assert "Differences to drivers 500 · policy batch" in swapped
    assert "batch (baseline)" in swapped


def test_one_seed_claims_nothing(page):
    text = page(sweep_table(num_seeds=1))
    assert "One seed (1): there are no intervals" in text
    assert "▲" not in text
    assert "±" not in text


def test_an_incomplete_sweep_says_so(page):
    table = sweep_table()
    some = replace(table, kpis={place: run for place, run in table.kpis.items() if place[1] < 3})
    assert "Incomplete: 12 runs are missing" in page(some)
    assert "Incomplete" not in page(table)


def test_one_variant_has_nothing_to_compare(page):
    assert "nothing to compare" in page(sweep_table((), ()))


def test_targets_are_told(page):
    text = page(sweep_table(), targets={"wait_p90_s": 180.0}, answer=400, notes=["400 <drivers>"])
    assert "Fleet size" in text
    assert "to be ≤ 3 min 00 s" in text
    assert "400 &lt;drivers&gt;" in text
    assert 'id="chart-wait_p90_s"' in text


def test_more_lines_than_a_chart_can_show(page):
    table = sweep_table(("drivers", "city"), ((1, 2), tuple(f"c{i}" for i in range(40))), num_seeds=1)
    assert "charts show 32 lines, tables show all" in page(table)


def test_nothing_to_report(tmp_path):
    with pytest.raises(InputError, match="no finished run"):
        write_sweep_report(tmp_path / "no.html", replace(sweep_table(), kpis={}), {})
    assert list(tmp_path.iterdir()) == []
