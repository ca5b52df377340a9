"""Run a day of the built-in city and take the picture of its report that the README shows.

Needs the `test` extra, Chromium and its driver. Writes `report.png` beside this file.
"""

import tempfile
import time
from pathlib import Path
from shutil import which

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

from dispatch import run, synthetic_scenario, write_report
from dispatch.sim.summary import run_record

WIDTH, HEIGHT = 1280, 1720


def main() -> None:
    scenario = synthetic_scenario(seed=1)
    finished = run(scenario)
    record = run_record(finished, prepare_s=0.0, compile_s=0.0)
    options = webdriver.ChromeOptions()
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", f"--window-size={WIDTH},{HEIGHT}"):
        options.add_argument(flag)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        write_report(page, scenario.city, [record], scenario.recorded)
        browser = webdriver.Chrome(options, webdriver.ChromeService(which("chromedriver")))
        try:
            browser.get(page.as_uri())
            # The long table of key figures is left out of the picture, so that the map and the day fit in.
            browser.execute_script("document.querySelectorAll('main > section')[1].style.display = 'none'")
            drawn = (By.CSS_SELECTOR, ".js-plotly-plot .trace")
            WebDriverWait(browser, 60).until(expected_conditions.presence_of_element_located(drawn))
            time.sleep(2)
            browser.save_screenshot(str(Path(__file__).with_name("report.png")))
        finally:
            browser.quit()


if __name__ == "__main__":
    main()
