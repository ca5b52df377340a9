import time

import pytest

from analysis.browser import errors, open_browser, open_page, requested, resize
from analysis.eta_tests import CITY, TRAINING, eta_test
from dispatch.analysis.eta_evaluation import evaluate_eta
from dispatch.analysis.eta_report import write_eta_report

MAPS = {"map_error", "map_bias", "map_routes"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    window = open_browser(tmp_path_factory.mktemp("profile"))
    yield window
    window.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("eta") / "eta.html"
    write_eta_report(path, evaluate_eta(eta_test(), CITY), TRAINING)
    return path


def test_it_draws_every_chart_without_errors_and_without_a_network(browser, page):
    resize(browser, 1280)
    open_page(browser, page)
    assert errors(browser) == []
    urls = requested(browser)
    assert urls, "the log must have seen the page itself"
    assert [url for url in urls if not url.startswith(("file:", "data:"))] == []
    charts = browser.execute_script(
        """
        return [...document.querySelectorAll(".chart")].map(gd => ({
          id: gd.id,
          points: gd.data.reduce((sum, trace) => sum + trace.x.length, 0),
          drawn: gd.querySelectorAll(".scatterlayer path, .barlayer path").length,
          pictures: gd.querySelectorAll(".layer-below .imagelayer image, .imagelayer image").length,
          width: gd.querySelector(".main-svg").getBoundingClientRect().width,
        }));
        """
    )
    assert len(charts) == 12
    for chart in charts:
        assert chart["points"] > 0, chart
        assert chart["drawn"] > 0, chart
        assert chart["width"] > 300, chart
        assert (chart["id"] in MAPS) == (chart["pictures"] == 1), chart


@pytest.mark.parametrize(("which", "number"), [("map_error", 12), ("map_routes", 0)])
def test_maps_tell_figures_where_the_mouse_is(browser, page, which, number):
    resize(browser, 1280)
    open_page(browser, page)
    at = browser.execute_script(
        """
        const [id, number] = arguments, gd = document.getElementById(id);
        gd.scrollIntoView({block: "center"});
        const trace = gd._fullData.at(number), box = gd.getBoundingClientRect();
        const middle = values => trace.fill === "toself"
          ? (Math.min(...values) + Math.max(...values)) / 2 : values[4];
        const place = (axis, values) => axis._offset + axis.d2p(middle(values));
        const {xaxis, yaxis} = gd._fullLayout;
        return [box.left + place(xaxis, trace.x), box.top + place(yaxis, trace.y)];
        """,
        which,
        number,
    )
    for shift in (3, 0):
        moved = {"type": "mouseMoved", "x": at[0] + shift, "y": at[1]}
        browser.execute_cdp_cmd("Input.dispatchMouseEvent", moved)
        time.sleep(0.15)
    text = browser.execute_script(
        "return document.querySelector(`#${arguments[0]} .hoverlayer`).textContent", which
    )
    assert "trips" in text
    assert "late by over 5 min" in text


def test_nothing_scrolls_sideways(browser, page):
    resize(browser, 400)
    open_page(browser, page)
    for width in (400, 1280):
        resize(browser, width)
        time.sleep(0.3)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_definitions_appear_when_focused(browser, page):
    resize(browser, 1280)
    open_page(browser, page)
    name = "const name = document.querySelector('[aria-describedby=errors-0]');"
    browser.execute_script(f"{name} name.scrollIntoView({{block: 'center'}});")
    time.sleep(0.2)
    browser.execute_script(f"{name} name.focus();")
    hint = "const hint = document.getElementById('hint'); return hint.hidden ? null : hint.textContent;"
    assert browser.execute_script(hint) == "Mean of |actual − predicted| over all trips."
