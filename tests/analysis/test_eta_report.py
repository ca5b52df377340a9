import json
import re
from dataclasses import replace

import pytest

from analysis.eta_tests import CITY, TRAINING, eta_test
from dispatch.analysis.eta_evaluation import evaluate_eta
from dispatch.analysis.eta_report import write_eta_report

FOUND = evaluate_eta(eta_test(), CITY)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("eta") / "eta.html"
    write_eta_report(path, FOUND, TRAINING, notes=["Trained on <other> days."])
    assert [one.name for one in path.parent.iterdir()] == ["eta.html"]
    return path.read_text(encoding="utf-8")


def figures_of(page):
    data = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', page, re.DOTALL)
    return json.loads(data[1])["figures"]


def test_every_figure_has_its_place(page):
    places = re.findall(r'<div class="chart" id="(\w+)"', page)
    assert sorted(places) == sorted(figures_of(page))
    assert len(places) == 12
    assert "$" not in page.split("<script>")[0]


def test_ids_are_unique_and_described(page):
    body = page.split("<script>")[0]
    ids = re.findall(r' id="([^"]+)"', body)
    described = set(re.findall(r'aria-describedby="([^"]+)"', body))
    assert described <= set(ids)
    assert len(set(ids)) == len(ids)


def test_it_says_what_was_tested_and_trained(page):
    assert "<title>Gridville · 2024-03-04 … 2024-03-07</title>" in page
    assert "Trained on &lt;other&gt; days." in page
    assert "Trips: left out: trips without a duration" in page
    assert "12,345" in page
    assert page.count("<details>") == 9


def test_one_day_and_no_training(tmp_path):
    day = FOUND.test.select(FOUND.local.day == FOUND.local.day.min())
    write_eta_report(tmp_path / "eta.html", evaluate_eta(day, CITY))
    page = (tmp_path / "eta.html").read_text(encoding="utf-8")
    assert "<title>Gridville · 2024-03-04</title>" in page
    assert "gain" not in figures_of(page)
    assert "does not tell" in page


def test_a_city_in_small_letters_gets_capitals(tmp_path):
    city = replace(CITY, name="san_francisco")
    write_eta_report(tmp_path / "eta.html", evaluate_eta(FOUND.test, city))
    assert "<title>San Francisco" in (tmp_path / "eta.html").read_text(encoding="utf-8")
