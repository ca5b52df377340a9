import itertools

import numpy as np
import pytest

from analysis.runs import CITY, record
from dispatch.analysis import map_chart
from dispatch.analysis.charts import run_tables
from dispatch.analysis.map_chart import CityMap
from dispatch.units import NO_COORDINATE

LABELS = ["up to 3 min", "3–5 min", "5–10 min", "over 10 min", "not served"]


@pytest.fixture(scope="module")
def tables():
    return run_tables([record(4, "a"), record(5, "b")], "UTC")


def points_of(figure, label):
    return sum(len(trace["x"]) for trace in figure["data"] if trace["legendgroup"] == label)


def test_every_order_is_in_the_class_of_its_wait(tables):
    one = tables[0]
    figure, note = CityMap(CITY, tables).figure(one)
    waits_s = (one.orders.picked_up_at_ms - one.orders.submitted_at_ms) / 1000
    picked_up = one.orders.picked_up_at_ms != -1
    edges = [-1, 180, 300, 600, np.inf]
    expected = [int(np.sum(picked_up & (waits_s > a) & (waits_s <= b))) for a, b in itertools.pairwise(edges)]
    expected.append(int(np.sum(~picked_up)))
    assert [points_of(figure, label) for label in LABELS] == expected
    assert note == ""


def test_points_lie_on_the_pickups(tables):
    one = tables[0]
    figure, _ = CityMap(CITY, tables).figure(one)
    x, y = CITY.projection.to_plane(one.orders.pickup_lon_e6 * 1e-6, one.orders.pickup_lat_e6 * 1e-6)
    expected = sorted(zip(np.rint(x).tolist(), np.rint(y).tolist(), strict=True))
    drawn = [point for trace in figure["data"] for point in zip(trace["x"], trace["y"], strict=True)]
    assert sorted(drawn) == expected


def test_each_class_is_in_the_legend_once_with_its_share(tables):
    figure, _ = CityMap(CITY, tables).figure(tables[0])
    named = [trace["name"] for trace in figure["data"] if trace["showlegend"]]
    assert [name.rsplit(" (", 1)[0] for name in named] == LABELS
    shares = [float(name.rsplit("(", 1)[1].removesuffix(" %)")) for name in named]
    assert sum(shares) == pytest.approx(100, abs=0.3)


def test_orders_without_a_place_are_told_of_and_not_drawn(tables):
    run = record(4, "a")
    submitted = np.flatnonzero(run.events["kind"] == 2)[:3]
    for axis in ("lon_e6", "lat_e6"):
        run.events[axis][submitted] = NO_COORDINATE
    (one,) = run_tables([run], "UTC")
    figure, note = CityMap(CITY, [one]).figure(one)
    assert sum(points_of(figure, label) for label in LABELS) == len(one.orders) - 3
    assert note == "3 pickups lie outside of the map."


def test_a_sample_is_the_same_each_time(tables, monkeypatch):
    monkeypatch.setattr(map_chart, "MAX_POINTS", 30)
    first, second = (CityMap(CITY, tables).figure(tables[0])[0] for _ in range(2))
    assert first == second
    assert sum(points_of(first, label) for label in LABELS) == 15


def test_the_scale_bar_is_as_long_as_it_says(tables):
    layout = CityMap(CITY, tables).figure(tables[0])[0]["layout"]
    number, unit = layout["annotations"][0]["text"].split()
    bar = layout["shapes"][0]
    assert bar["x1"] - bar["x0"] == pytest.approx(float(number) * {"m": 1, "km": 1000}[unit])
