"""Run a day of the built-in city and take the picture of its report that the README shows.

Needs the `test` extra, Chromium and its driver. Writes `report.png` beside this file.
"""

import tempfile
from pathlib import Path

from selenium import webdriver

from dispatch import run, synthetic_scenario, write_report
from dispatch.sim.summary import run_record

WIDTH, HEIGHT = 1280, 1500


def main() -> None:
    scenario = synthetic_scenario(seed=1)
    scenario.prepare()
    finished = run(scenario)
    record = run_record(finished, finished.wall_s, 0.0)
    options = webdriver.ChromeOptions()
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", f"--window-size={WIDTH},{HEIGHT}"):
        options.add_argument(flag)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        write_report(page, scenario.city, [record], scenario.recorded)
        browser = webdriver.Chrome(options=options)
        try:
            browser.get(page.as_uri())
            browser.execute_script("document.querySelector('#map, .map, [id*=map]')?.scrollIntoView()")
            browser.save_screenshot(str(Path(__file__).with_name("report.png")))
        finally:
            browser.quit()


if __name__ == "__main__":
    main()
