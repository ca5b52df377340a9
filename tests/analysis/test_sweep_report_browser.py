import time

import pytest

from analysis.sweeps import sweep_table
from analysis.test_report_browser import browser, open_page, resize  # noqa: F401 - a fixture
from dispatch.analysis.kpi_list import KPI
from dispatch.analysis.sweep_report import write_sweep_report
from dispatch.analysis.sweep_table import MAIN_KPIS


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Paths of reports: of a number and a policy, and of policies alone."""
    folder = tmp_path_factory.mktemp("sweeps")
    tables = {"numbers": sweep_table(), "names": sweep_table(("policy",), (("nearest", "batch", "patient"),))}
    for name, table in tables.items():
        write_sweep_report(folder / f"{name}.html", table, {"Scenario": "made_up"})
    return {name: folder / f"{name}.html" for name in tables}


@pytest.mark.parametrize(("which", "num_traces"), [("numbers", 4), ("names", 1)])
def test_it_draws_every_chart_without_errors(browser, pages, which, num_traces):  # noqa: F811 - the fixture
    resize(browser, 1400)
    open_page(browser, pages[which])
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    charts = browser.execute_script(
        """
        return [...document.querySelectorAll(".chart")].map(gd => ({
          id: gd.id, traces: gd.data.length,
          drawn: gd.querySelectorAll(".scatterlayer path").length,
          width: gd.querySelector(".main-svg").getBoundingClientRect().width,
        }));
        """
    )
    assert [chart["id"] for chart in charts] == [f"chart-{name}" for name in MAIN_KPIS]
    for chart in charts:
        assert chart["traces"] == num_traces, chart
        assert chart["drawn"] > 0, chart
        assert chart["width"] > 300, chart


def test_every_definition_can_be_reached(browser, pages):  # noqa: F811 - the fixture
    resize(browser, 1400)
    open_page(browser, pages["numbers"])
    names = browser.execute_script(
        """
        return [...document.querySelectorAll(".known")].map(name =>
          document.getElementById(name.getAttribute("aria-describedby")).textContent);
        """
    )
    measured = {kpi.definition for kpi in sweep_table().measured_kpis}
    assert set(names) == measured
    terms = browser.execute_script("return document.querySelectorAll('dl dt').length")
    assert terms == len(KPI)
    hint = "const hint = document.getElementById('hint'); return hint.hidden ? null : hint.textContent;"
    name = "document.querySelector('[aria-describedby=difference-golden5_share]')"
    browser.execute_script(f"{name}.scrollIntoView({{block: 'center'}});")
    time.sleep(0.2)
    browser.execute_script(f"{name}.focus();")
    assert browser.execute_script(hint) == KPI["golden5_share"].definition


@pytest.mark.parametrize("which", ["numbers", "names"])
def test_nothing_scrolls_sideways(browser, pages, which):  # noqa: F811 - the fixture
    resize(browser, 400)
    open_page(browser, pages[which])
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
    resize(browser, 1280)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 1280
    # At a desk the table of differences needs no bar to be read.
    scroll = "const s = document.querySelector('.scroll'); return s.scrollWidth - s.clientWidth;"
    assert browser.execute_script(scroll) <= 1
