import re

import pytest

from analysis.browser import errors, open_browser, open_page, requested, resize, wait_until
from analysis.communities import TIERS, community_days
from dispatch.analysis.community_report import write_community_report


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    window = open_browser(tmp_path_factory.mktemp("profile"))
    yield window
    window.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("community") / "community.html"
    write_community_report(path, community_days(30), {"Seed": 7}, name="town", tiers=TIERS)
    return path


@pytest.fixture(scope="module")
def desk(browser, page):
    """The page on a wide screen, and what was complained of and asked for while it opened."""
    resize(browser, 1280)
    open_page(browser, page)
    complaints = errors(browser)
    return browser, complaints, requested(browser)


def test_it_draws_every_chart_without_errors_and_without_a_network(desk):
    browser, complaints, urls = desk
    assert complaints == []
    assert urls, "the log must have seen the page itself"
    assert [url for url in urls if not url.startswith(("file:", "data:"))] == []
    charts = browser.execute_script(
        """
        return [...document.querySelectorAll(".chart")].map(gd => ({
          id: gd.id,
          drawn: gd.querySelectorAll(".scatterlayer path, .barlayer path").length,
          width: gd.querySelector(".main-svg").getBoundingClientRect().width,
          titles: [...gd.querySelectorAll(".xtitle, .ytitle")].map(one => one.textContent),
        }));
        """
    )
    assert len(charts) == 23
    for chart in charts:
        assert chart["drawn"] > 0, chart
        assert chart["width"] > 250, chart
        assert len(chart["titles"]) == 2, chart
        assert all(chart["titles"]), chart


def test_neighbours_stand_on_one_line(desk):
    """A chart with a legend is as low as those without beside it."""
    browser = desk[0]
    tops = browser.execute_script(
        """
        return [...document.querySelectorAll(".two, .three")].map(row =>
          [...row.querySelectorAll(".chart")].map(gd => Math.round(gd.getBoundingClientRect().top)));
        """
    )
    assert len(tops) == 8
    for row in tops:
        assert len(row) in (2, 3)
        assert len(set(row)) == 1, tops


def test_numbers_stand_right_and_days_are_named_when_pointed_at(desk):
    browser = desk[0]
    sides = browser.execute_script(
        "return [...document.querySelectorAll('.days td')].map(td => getComputedStyle(td).textAlign);"
    )
    assert len(sides) == 31 * 17
    assert set(sides) == {"right"}
    plot = browser.find_element("css selector", "#completion .nsewdrag")
    webdriver = pytest.importorskip("selenium.webdriver")
    webdriver.ActionChains(browser).scroll_to_element(plot).move_to_element(plot).perform()
    hover = "document.querySelector('#completion .hoverlayer')?.textContent"
    wait_until(browser, hover)
    assert re.fullmatch(r"day \d+\D*[\d.]+ %", browser.execute_script(f"return {hover}"))


def test_nothing_scrolls_sideways_and_nothing_touches(desk, page):
    browser = desk[0]
    check_room(browser, 1280)
    # At a desk the table of all days needs no bar to be read.
    hidden = "const s = document.querySelector('.broad'); return s.scrollWidth - s.clientWidth;"
    assert browser.execute_script(hidden) <= 1
    resize(browser, 400)
    open_page(browser, page)
    check_room(browser, 400)


def check_room(browser, width):
    """All of the page is as wide as the window, and names on axes stand apart."""
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    touching = browser.execute_script(
        """
        return [...document.querySelectorAll(".chart")].filter(gd => {
          const boxes = [...gd.querySelectorAll(".xtick text")].map(one => one.getBoundingClientRect());
          boxes.sort((a, b) => a.left - b.left);
          return boxes.some((box, at) => at > 0 && box.left < boxes[at - 1].right);
        }).map(gd => gd.id);
        """
    )
    assert touching == []
