"""A real browser without a window, for pages that must work by themselves."""

import json
import os
import shutil
import time

import pytest

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def unavailable(why):
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why}: pages must be opened in a browser on CI")
    pytest.skip(why)


def open_browser(profile):
    """Start one that keeps its files in the folder `profile`; skip the test where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver")
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        unavailable("no chromium or no chromedriver on PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def open_page(browser, path, mark="drawn"):
    """Open a file and wait until the page tells `mark`, a key of its data, to be true."""
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(path.as_uri())
    wait_until(browser, f"document.documentElement.dataset.{mark} === 'true'")


def wait_until(browser, condition, seconds=60):
    """Wait for a condition in the page."""
    deadline = time.monotonic() + seconds
    while not browser.execute_script(f"return Boolean({condition})"):
        assert time.monotonic() < deadline, (condition, browser.get_log("browser"))
        time.sleep(0.05)


def resize(browser, width, height=900):
    """Give the page another size; a narrow one is a telephone's."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def errors(browser):
    """What the page complained of since it was opened."""
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def requested(browser):
    """Addresses that were asked for since the page was opened, its own among them."""
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [one["params"]["request"]["url"] for one in sent if one["method"] == "Network.requestWillBeSent"]
