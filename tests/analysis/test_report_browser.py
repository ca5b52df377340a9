import time

import pytest

from analysis.browser import errors, open_browser, open_page, requested, resize
from analysis.runs import CITY, record
from dispatch.analysis import KPI
from dispatch.analysis.recorded import EmptyDriving
from dispatch.analysis.report import write_report


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    window = open_browser(tmp_path_factory.mktemp("profile"))
    yield window
    window.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Paths of a report of one run, and of one of three runs of which one is partial."""
    folder = tmp_path_factory.mktemp("reports")
    one, three = folder / "one.html", folder / "three.html"
    write_report(one, CITY, [record(1, "batch")], EmptyDriving(0.4, 40.0, 100.0, 1000))
    several = [record(1, "batch"), record(2, "nearest"), record(3, "stopped early", partial=True)]
    write_report(three, CITY, several)
    return {"one": one, "three": three}


@pytest.mark.parametrize("which", ["one", "three"])
def test_it_opens_without_errors_and_without_a_network(browser, pages, which):
    resize(browser, 1400)
    open_page(browser, pages[which], "drawn")
    assert errors(browser) == []
    urls = requested(browser)
    assert urls, "the log must have seen the page itself"
    assert [url for url in urls if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize(("which", "num_charts"), [("one", 8), ("three", 12)])
def test_every_chart_is_drawn(browser, pages, which, num_charts):
    resize(browser, 1400)
    open_page(browser, pages[which], "drawn")
    charts = browser.execute_script(
        """
        return [...document.querySelectorAll(".chart")].map(gd => ({
          id: gd.id,
          points: gd.data.reduce((sum, trace) => sum + trace.x.length, 0),
          drawn: gd.querySelectorAll(".scatterlayer path, .barlayer path").length,
          pictures: gd.querySelectorAll(".layer-below image, .imagelayer image").length,
          width: gd.querySelector(".main-svg").getBoundingClientRect().width,
        }));
        """
    )
    assert len(charts) == num_charts
    for chart in charts:
        assert chart["points"] > 0, chart
        assert chart["drawn"] > 0, chart
        assert chart["width"] > 300, chart
        assert chart["id"].startswith("map") == (chart["pictures"] == 1), chart


def test_definitions_appear_when_pointed_at_or_focused(browser, pages):
    resize(browser, 1400)
    open_page(browser, pages["one"], "drawn")
    names = browser.execute_script(
        """
        return [...document.querySelectorAll(".known")].map(name =>
          document.getElementById(name.getAttribute("aria-describedby")).textContent);
        """
    )
    assert len(names) == len(KPI) + 6
    assert set(names) == {kpi.definition for kpi in KPI.values()}
    hint = "const hint = document.getElementById('hint'); return hint.hidden ? null : hint.textContent;"
    first = "const name = document.querySelector('[aria-describedby=row-golden5_share]');"
    assert browser.execute_script(hint) is None
    browser.execute_script(f"{first} name.scrollIntoView({{block: 'center'}});")
    time.sleep(0.2)
    for action in ("name.focus()", "name.dispatchEvent(new MouseEvent('mouseenter'))"):
        browser.execute_script(f"{first} {action};")
        assert browser.execute_script(hint) == KPI["golden5_share"].definition
        browser.execute_script("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape'}));")
        assert browser.execute_script(hint) is None


@pytest.mark.parametrize("which", ["one", "three"])
def test_nothing_scrolls_sideways(browser, pages, which):
    resize(browser, 400)
    open_page(browser, pages[which], "drawn")
    for width in (400, 360, 1400):
        resize(browser, width)
        time.sleep(0.3)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        # A definition opened at the right edge stays inside of the window as well.
        browser.execute_script("[...document.querySelectorAll('.card .known')].at(-1).focus();")
        right = "return document.getElementById('hint').getBoundingClientRect().right"
        assert browser.execute_script(right) <= width


def test_the_banner_of_a_partial_run_can_be_seen(browser, pages):
    resize(browser, 1400)
    open_page(browser, pages["three"], "drawn")
    banner = browser.execute_script(
        "const b = document.querySelector('.banner'); return [b.textContent, b.offsetHeight];"
    )
    assert "stopped early" in banner[0]
    assert banner[1] > 20
    open_page(browser, pages["one"], "drawn")
    assert browser.execute_script("return document.querySelector('.banner')") is None


def test_charts_fit_on_paper(browser, pages):
    resize(browser, 1400)
    open_page(browser, pages["one"], "drawn")
    widest = """
        const charts = [...document.querySelectorAll(".main-svg")];
        return Math.max(...charts.map(chart => chart.getBoundingClientRect().width));
    """
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'));")
    assert browser.execute_script(widest) <= 680
    browser.execute_script("window.dispatchEvent(new Event('afterprint'));")
    assert browser.execute_script(widest) > 900
