import time

import pytest

from analysis.browser import errors, open_browser, open_page, requested, resize
from analysis.crm_reports import crm_report
from dispatch.analysis.crm_report import write_crm_report


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    window = open_browser(tmp_path_factory.mktemp("profile"))
    yield window
    window.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("crm") / "crm.html"
    write_crm_report(path, crm_report())
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
          drawn: gd.querySelectorAll(".scatterlayer path, .barlayer path").length,
          width: gd.querySelector(".main-svg").getBoundingClientRect().width,
        }));
        """
    )
    assert len(charts) == 10
    for chart in charts:
        assert chart["drawn"] > 0, chart
        assert chart["width"] > 300, chart


def test_names_on_axes_do_not_touch_and_nothing_scrolls_sideways(browser, page):
    for width in (400, 1280):
        resize(browser, width)
        open_page(browser, page)
        time.sleep(0.3)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        if width < 1000:
            continue
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
