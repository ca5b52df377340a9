from itertools import pairwise

import numpy as np
import pytest
import shapely

from analysis.runs import CITY, record
from dispatch.analysis.charts import run_tables
from dispatch.analysis.groups import kpis_by, pickup_zone
from dispatch.analysis.heat_maps import ELSEWHERE, MAX_LABEL, MEASURES, ZoneHours
from dispatch.analysis.run_record import RunRecord
from dispatch.analysis.series import MIN_ORDERS
from dispatch.engine.events import EVENT_DTYPE
from dispatch.roads.zones import Zones, grid_zones
from dispatch.units import NO_INDEX

ZONES = grid_zones(CITY, 1000)
TIMEZONE = "America/Los_Angeles"


def zone_hours_of(*runs, zones=ZONES):
    return ZoneHours(run_tables(runs, TIMEZONE), zones, [TIMEZONE] * len(runs))


def test_cells_agree_with_kpis_of_the_zone_and_of_the_hour(monkeypatch):
    monkeypatch.setattr("dispatch.analysis.heat_maps.MAX_ZONES", 100)
    run = record(1, "a")
    hours = zone_hours_of(run)
    by_zone, by_hour = (
        kpis_by(run.events, "zone", zones=ZONES),
        kpis_by(run.events, "hour", timezone=TIMEZONE),
    )
    cells = hours.cells[0]
    size = dict(zip(by_zone.group, by_zone.num_orders.tolist(), strict=True))
    assert np.nansum(cells["orders"], axis=1).tolist() == [size[name] for name in hours.names]
    assert hours.names == sorted(size, key=lambda name: (-size[name], ZONES.name.index(name)))
    assert np.nansum(cells["orders"], axis=0)[by_hour.key].tolist() == by_hour.num_orders.tolist()
    orders = run_tables([run], TIMEZONE)[0].orders
    lost = (orders.cancelled_at_ms >= 0) | (orders.expired_at_ms >= 0)
    assert np.nansum(cells["orders"] * cells["unserved"]) / 100 == pytest.approx(lost.sum())
    one_cell = Zones(("all",), ("report",), (shapely.box(-180, -90, 180, 90),))
    whole = zone_hours_of(run, zones=one_cell).cells[0]
    expected = by_hour.value_of_kpi["wait_p50_s"]
    assert [None if np.isnan(w) else w * 60 for w in whole["wait"][0][by_hour.key]] == [
        value if value is None else pytest.approx(value) for value in expected
    ]


def test_all_orders_are_somewhere():
    few = Zones(("N2 E2",), ("report",), (ZONES.polygon[0],))
    hours = zone_hours_of(record(1, "a"), record(2, "b"), zones=few)
    assert hours.names == ["N2 E2", ELSEWHERE]
    for one, cells in zip(run_tables([record(1, "a"), record(2, "b")], "UTC"), hours.cells, strict=True):
        assert np.nansum(cells["orders"]) == len(one.orders)
        inside = np.count_nonzero(pickup_zone(one.orders, few) != NO_INDEX)
        assert np.nansum(cells["orders"][0]) == inside
    assert hours.note() == "Everywhere else: pickups outside of all zones."


def test_less_busy_zones_are_one_row(monkeypatch):
    monkeypatch.setattr("dispatch.analysis.heat_maps.MAX_ZONES", 3)
    run = record(1, "a")
    hours = zone_hours_of(run)
    by_zone = kpis_by(run.events, "zone", zones=ZONES)
    assert hours.names[:3] == [by_zone.group[at] for at in np.argsort(-by_zone.num_orders, kind="stable")[:3]]
    assert hours.names[3:] == [ELSEWHERE]
    assert f"{len(by_zone) - 3} less busy zones" in hours.note()
    assert np.nansum(hours.cells[0]["orders"]) == by_zone.num_orders.sum()


def test_few_orders_are_faded_and_each_cell_is_drawn_once():
    hours = zone_hours_of(record(1, "a"))
    figure = hours.figure(0)
    assert [trace["meta"] for trace in figure["data"]] == ["wait", "wait", "unserved", "unserved", "orders"]
    assert [trace["visible"] for trace in figure["data"]] == [True, True, False, False, False]
    num_orders = hours.cells[0]["orders"]
    for measure in MEASURES:
        traces = [trace for trace in figure["data"] if trace["meta"] == measure.name]
        drawn = np.array([[[z is not None for z in row] for row in trace["z"]] for trace in traces])
        assert (drawn.sum(axis=0) == ~np.isnan(hours.cells[0][measure.name])).all()
        if measure.fades:
            assert not (drawn[0] & (num_orders < MIN_ORDERS)).any()
            assert not (drawn[1] & (num_orders >= MIN_ORDERS)).any()
            assert traces[0]["colorscale"] != traces[1]["colorscale"]


def test_runs_share_rows_and_scales():
    hours = zone_hours_of(record(1, "a"), record(2, "b"))
    one, other = hours.figure(0), hours.figure(1)
    assert one["layout"]["yaxis"] == other["layout"]["yaxis"]
    for a, b in zip(one["data"], other["data"], strict=True):
        assert (a["zmin"], a["zmax"]) == (b["zmin"], b["zmax"])
        assert a["zmax"] > 0


def test_long_names_are_cut_beside_the_rows_and_whole_when_pointed_at():
    name = "The <very> long name of a quarter by the river"
    whole = Zones((name,), ("report",), (shapely.box(-180, -90, 180, 90),))
    figure = zone_hours_of(record(1, "a"), zones=whole).figure(0)
    (shown,) = figure["layout"]["yaxis"]["ticktext"]
    assert shown.startswith("The &lt;very&gt; long")
    assert len(shown.replace("&lt;", "<").replace("&gt;", ">")) == MAX_LABEL
    hints = [text for text in figure["data"][0]["hovertext"][0] if text]
    assert all("long name of a quarter by the river" in hint for hint in hints)
    assert all("<very>" not in hint for hint in hints)


def test_a_run_without_orders_has_no_rows():
    empty = np.empty(0, EVENT_DTYPE)
    hours = zone_hours_of(RunRecord("none", {}, empty, record(1, "a").kpis))
    assert hours.names == []
    assert all(trace["z"] == [] for trace in hours.figure(0)["data"])
    assert hours.note() == ""


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("measure", MEASURES, ids=lambda one: one.name)
def test_colours_go_from_light_to_dark(measure):
    values = [luminance(colour) for colour in measure.colours]
    assert all(a > 1.3 * b for a, b in pairwise(values))
