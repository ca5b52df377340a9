import builtins
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import shapely

from analysis.runs import CITY, record
from dispatch.analysis import KPIS, kpis, report
from dispatch.analysis.recorded import EmptyDriving
from dispatch.analysis.report import write_report
from dispatch.analysis.run_record import RunRecord
from dispatch.engine.events import EVENT_DTYPE
from dispatch.errors import DispatchError, InputError
from dispatch.roads.zones import Zones

REAL = EmptyDriving(0.399, 53_694.0, 134_628.0, 451_560)


def page_of(path, *runs, **options):
    write_report(path / "report.html", CITY, runs, **options)
    return (path / "report.html").read_text(encoding="utf-8")


def words(page):
    """The page without its scripts and styles."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)


def figures(page):
    text = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', page, re.DOTALL)[1]
    return json.loads(text)["figures"]


def test_one_run_says_what_was_run_and_what_came_of_it(tmp_path):
    run = record(1, "batch", my_setting="on purpose")
    page = page_of(tmp_path, run, recorded=REAL)
    text = words(page)
    assert "<title>Gridville · 2008-05-31 · batch</title>" in page
    for kpi in KPIS:
        assert kpi.format(run.kpis[kpi.name]) in text
        assert text.count(f'id="row-{kpi.name}"') == 1
    for expected in ("Request time is the recorded boarding.", "39.9 %", "on purpose", "My setting"):
        assert expected in text
    assert "What really happened" in text
    assert "park between orders" in text
    assert "Partial run" not in text
    assert "✓" not in text, "there is nothing to compare with"


def test_without_recorded_driving_there_is_no_such_column(tmp_path):
    assert "What really happened" not in words(page_of(tmp_path, record(1, "batch")))


def test_the_page_needs_nothing_else(tmp_path):
    page = page_of(tmp_path, record(1, "batch"))
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]*"', words(page))
    assert "http" not in words(page)
    assert page.count("plotly.js v") == 1


def test_partial_runs_carry_a_banner(tmp_path):
    assert "Partial run" in words(page_of(tmp_path, record(1, "batch", partial=True)))
    two = words(page_of(tmp_path, record(1, "a"), record(2, "stopped one", partial=True)))
    assert "Stopped: stopped one." in two


def test_what_callers_name_cannot_become_markup(tmp_path):
    evil = "</script><script>alert(1)</script>"
    run = record(1, evil, policy=evil, notes=[evil])
    page = page_of(tmp_path, run, replace(run, label="plain"))
    assert evil not in page
    assert evil not in json.dumps(figures(page))


def test_every_chart_of_four_runs_has_points(tmp_path):
    page = page_of(tmp_path, *(record(seed, f"run {seed}") for seed in range(4)))
    drawn = figures(page)
    assert len(drawn) == 7 + 4 * 4
    for name, figure in drawn.items():
        assert sum(len(trace["x"]) for trace in figure["data"]) > 0, name
        for trace in figure["data"]:
            if trace["type"] == "heatmap":
                assert len(trace["z"]) == len(trace["y"]), name
                assert all(len(row) == len(trace["x"]) for row in trace["z"]), name
            else:
                assert len(trace["x"]) == len(trace["y"]), name


def test_histograms_hold_everyone(tmp_path):
    run = record(3, "batch")
    drawn = figures(page_of(tmp_path, run))
    for name in ("waits", "trips", "income"):
        assert sum(drawn[name]["data"][0]["y"]) == pytest.approx(100, abs=0.3), name


def test_a_large_map_is_sampled_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("dispatch.analysis.map_chart.MAX_POINTS", 20)
    page = page_of(tmp_path, record(1, "a"), record(2, "b"))
    for name in ("map-0", "map-1"):
        assert sum(len(trace["x"]) for trace in figures(page)[name]["data"]) <= 10
    assert re.search(r"A random sample of 10 of \d+ pickups", words(page))


@pytest.mark.parametrize("length", [0, 1, 7])
def test_hardly_any_events(tmp_path, length):
    events = record(1, "x").events[:length] if length else np.empty(0, EVENT_DTYPE)
    page = page_of(tmp_path, RunRecord("short", {}, events, kpis(events), True))
    assert "NaN" not in words(page)


@pytest.mark.parametrize(
    ("labels", "rule"), [([], "1 to 4"), (["a"] * 2, "must be different"), (list("abcde"), "1 to 4")]
)
def test_numbers_of_runs_and_labels(tmp_path, labels, rule):
    with pytest.raises(InputError, match=rule):
        write_report(tmp_path / "report.html", CITY, [record(1, label) for label in labels])
    assert list(tmp_path.iterdir()) == []


def test_without_plotly_the_error_says_what_to_install(tmp_path, monkeypatch):
    real_import = builtins.__import__

    def without_plotly(name, *rest, **more):
        if name.startswith("plotly"):
            raise ImportError(name)
        return real_import(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_plotly)
    with pytest.raises(DispatchError, match=r'pip install "dispatch-engine\[report\]"'):
        write_report(tmp_path / "report.html", CITY, [record(1, "batch")])
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_report(tmp_path, monkeypatch):
    target = tmp_path / "report.html"
    target.write_text("old")
    monkeypatch.setattr(report, "page_part", lambda name: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        write_report(target, CITY, [record(1, "batch")])
    assert target.read_text() == "old"


def test_the_same_runs_write_the_same_page(tmp_path):
    assert page_of(tmp_path, record(1, "batch")) == page_of(tmp_path, record(1, "batch"))


def test_tiers_and_first_orders_are_told_where_the_log_tells_them(tmp_path):
    told = words(page_of(tmp_path, record(1, "a")))
    assert "By membership tier" in told
    assert "Longest wait caused by priority:" in told
    assert "First orders" in told
    assert "Tiers and first orders" not in words(page_of(tmp_path, record(4, "a")))
    both = words(page_of(tmp_path, record(1, "a"), record(4, "untold"), record(2, "c")))
    assert both.count("<caption>") == 4, "two runs, two tables each"


def test_what_changed_is_told_of_several_runs_only(tmp_path):
    assert "Before and after" not in words(page_of(tmp_path, record(1, "a")))
    several = words(page_of(tmp_path, record(1, "a"), record(2, "b"), record(3, "c")))
    assert "the change against a" in several
    assert several.count("h better,") > 20


def test_no_id_stands_twice(tmp_path):
    page = words(page_of(tmp_path, *(record(seed, f"run {seed}") for seed in (1, 2, 3))))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'aria-describedby="([^"]+)"', page)) <= set(ids)


def test_zones_of_the_user_are_named_and_geofences_are_not_rows(tmp_path):
    lon, lat = CITY.graph.node_lon, CITY.graph.node_lat
    half = (
        float(lon.min() + lon.max()) / 2,
        float(lat.min()) - 1,
        float(lon.max()) + 1,
        float(lat.max()) + 1,
    )
    whole = (float(lon.min()) - 1, *half[1:])
    zones = Zones(
        ("<b>East", "Everything", "Closed street"),
        ("report", "report", "no_pickup"),
        (shapely.box(*half), shapely.box(*whole), shapely.box(*whole)),
    )
    page = page_of(tmp_path, record(1, "a"), zones=zones)
    shown = figures(page)["heat-0"]["layout"]["yaxis"]["ticktext"]
    assert sorted(shown) == ["&lt;b&gt;East", "Everything"]
    assert "squares of 2 km" not in page
    assert "squares of 2 km" in page_of(tmp_path, record(1, "a"))
