import re
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


@pytest.mark.parametrize(("which", "num_charts"), [("one", 10), ("three", 19)])
def test_every_chart_is_drawn(browser, pages, which, num_charts):
    resize(browser, 1400)
    open_page(browser, pages[which], "drawn")
    charts = browser.execute_script(
        """
        return [...document.querySelectorAll(".chart")].map(gd => ({
          id: gd.id,
          points: gd.data.reduce((sum, trace) => sum + trace.x.length, 0),
          drawn: gd.querySelectorAll(".scatterlayer path, .barlayer path, .heatmaplayer image").length,
          pictures: gd.querySelectorAll(".layer-below .imagelayer image, .imagelayer image").length,
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
    assert len(names) > len(KPI) + 6, "cards, the table of all, and those of tiers and first orders"
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


def test_readers_choose_what_the_heat_maps_show(browser, pages):
    resize(browser, 1280)
    open_page(browser, pages["three"])
    shown = """
        return [0, 1, 2].map(n => document.getElementById("heat-" + n))
          .map(gd => gd._fullData.filter(t => t.visible === true).map(t => t.meta));
    """
    assert browser.execute_script(shown) == [["wait", "wait"]] * 3
    assert browser.execute_script(CELL_NUMBERS) > 0
    for name, expected in (("unserved", ["unserved"] * 2), ("orders", ["orders"]), ("wait", ["wait"] * 2)):
        browser.execute_script(f"document.querySelector('.choice input[value={name}]').click();")
        time.sleep(0.3)
        assert browser.execute_script(shown) == [expected] * 3
        assert browser.execute_script("return document.querySelector('.choice input:checked').value") == name


CELL_NUMBERS = "return document.querySelectorAll('#heat-0 .heatmap-label').length"


def test_narrow_cells_hold_no_numbers(browser, pages):
    resize(browser, 400)
    open_page(browser, pages["one"])
    assert browser.execute_script(CELL_NUMBERS) == 0


def test_names_of_zones_are_inside_of_the_chart(browser, pages):
    for width in (1280, 400):
        resize(browser, width)
        open_page(browser, pages["one"])
        labels = browser.execute_script(
            """
            const left = document.getElementById("heat-0").getBoundingClientRect().left;
            return [...document.querySelectorAll("#heat-0 .ytick text")]
              .map(label => [label.textContent, label.getBoundingClientRect().left - left]);
            """
        )
        assert len(labels) >= 3
        assert all(text and at >= 0 for text, at in labels), labels


def test_drivers_one_by_one_tell_who_did_what_when(browser, pages):
    resize(browser, 1280)
    open_page(browser, pages["one"])
    texts = browser.execute_script(
        "return [...new Set(document.getElementById('timeline-0').data[0].text.flat())].filter(Boolean);"
    )
    assert any(re.fullmatch(r"driver \d+, with a passenger", text) for text in texts), texts
    assert all(text.startswith("driver ") for text in texts)


def test_charts_keep_their_height_when_the_window_changes(browser, pages):
    resize(browser, 1280)
    open_page(browser, pages["three"])
    heights = """
        return Object.fromEntries([...document.querySelectorAll(".chart")].map(gd =>
          [gd.id, gd.querySelector(".main-svg").getBoundingClientRect().height]));
    """
    before = browser.execute_script(heights)
    resize(browser, 1100)
    time.sleep(1)
    assert browser.execute_script(heights) == before
    assert len(set(before.values())) > 3


def test_better_and_worse_are_told_by_word_and_colour(browser, pages):
    resize(browser, 1280)
    open_page(browser, pages["three"])
    colours = browser.execute_script(
        """
        return ["better", "worse"].map(name => {
          const cell = document.querySelector(".change." + name);
          return [cell.textContent, getComputedStyle(cell).color];
        });
        """
    )
    assert "better" in colours[0][0]
    assert "worse" in colours[1][0]
    assert colours[0][1] != colours[1][1]
