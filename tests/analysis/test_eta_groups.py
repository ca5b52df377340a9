import datetime
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analysis.eta_tests import CITY, eta_test
from dispatch.analysis.eta_groups import (
    DISTANCE_EDGES_M,
    GROUPINGS,
    MIN_ROUTE_TRIPS,
    LocalTime,
    band_label,
    distance_label,
    groupings,
    measure_groups,
    measure_routes,
    rows_by,
)
from dispatch.analysis.eta_measures import ErrorFigures
from dispatch.roads.zones import grid_zones

TEST = eta_test()
ZONES = grid_zones(CITY, 1500)
LOCAL = LocalTime.of(TEST.requested_at_ms, "UTC")
BY = groupings(TEST, LOCAL, ZONES)


@pytest.mark.parametrize("timezone", ["UTC", "America/Los_Angeles", "Asia/Kathmandu"])
def test_local_time_is_that_of_clocks_and_calendars(timezone):
    # Around the hour that clocks skip in Los Angeles.
    at_ms = 1_710_040_000_000 + np.arange(-200, 200) * 977_000
    local = LocalTime.of(at_ms, timezone)
    for row, ms in enumerate(at_ms.tolist()):
        told = datetime.datetime.fromtimestamp(ms / 1000, ZoneInfo(timezone))
        assert (local.hour[row], local.weekday[row]) == (told.hour, told.weekday())
        assert datetime.date(1970, 1, 1) + datetime.timedelta(days=int(local.day[row])) == told.date()
    assert len(LocalTime.of(at_ms[:0], timezone).hour) == 0


def test_every_grouping_holds_every_trip_once():
    assert set(BY) == set(GROUPINGS)
    for by in BY.values():
        found = measure_groups(TEST, {"model": TEST.predicted_s}, by)
        assert sum(group.num for group in found) == len(TEST)
        keys = [group.key for group in found]
        assert len(set(keys)) == len(keys)


def test_a_group_is_measured_like_its_trips_alone():
    predictors = {"model": TEST.predicted_s, "free flow": TEST.others["free flow"]}
    (group,) = [one for one in measure_groups(TEST, predictors, BY["hour"]) if one.key == 7]
    assert group.label == "07:00"
    inside = LOCAL.hour == 7
    for name, values in predictors.items():
        assert group.errors[name] == ErrorFigures.of(values[inside], TEST.actual_s[inside])
    assert group.quantiles.coverage[2] == np.mean(TEST.actual_s[inside] <= TEST.quantile_s[inside, 2])


def test_bands_of_distance_begin_at_their_edge():
    few = TEST.select(np.arange(4))
    few = replace(few, distance_m=np.array([0.0, 999.9, 1000.0, 1e6]))
    key = groupings(few, LocalTime.of(few.requested_at_ms, "UTC"), ZONES)["distance"].key
    assert key.tolist() == [0, 0, 1, len(DISTANCE_EDGES_M)]
    assert [distance_label(one) for one in (0, 1, 6)] == ["under 1 km", "1–2 km", "over 15 km"]
    assert [band_label(one) for one in (0, 5)] == ["00–04 h", "20–24 h"]


def test_those_outside_of_all_zones_come_last():
    away = replace(TEST, from_lon=np.where(np.arange(len(TEST)) % 2, TEST.from_lon, 20.0))
    by = groupings(away, LOCAL, ZONES)
    last = measure_groups(away, {"model": away.predicted_s}, by["from_zone"])[-1]
    assert (last.label, last.key, last.num) == ("outside of all zones", -1, len(TEST) // 2)
    routes = measure_routes(away, by["from_zone"], by["to_zone"])
    assert sum(route.num for route in routes) <= len(TEST) // 2


def test_routes_are_measured_from_zone_to_zone():
    routes = measure_routes(TEST, BY["from_zone"], BY["to_zone"])
    assert routes
    assert [route.sum_s for route in routes] == sorted((route.sum_s for route in routes), reverse=True)
    pair = np.char.add(
        np.array(ZONES.name)[BY["from_zone"].key], np.char.add(" ", np.array(ZONES.name)[BY["to_zone"].key])
    )
    names, num = np.unique(pair, return_counts=True)
    assert {f"{route.from_zone} {route.to_zone}" for route in routes} == set(names[num >= MIN_ROUTE_TRIPS])
    route = routes[0]
    rows = np.flatnonzero(pair == f"{route.from_zone} {route.to_zone}")
    error_s = TEST.actual_s[rows] - TEST.predicted_s[rows]
    assert route.num == len(rows)
    assert route.mae_s == pytest.approx(np.abs(error_s).mean())
    assert route.sum_s == pytest.approx(np.abs(error_s).sum())
    assert route.bias_s == pytest.approx(error_s.mean())
    assert route.actual_s - route.predicted_s == pytest.approx(route.bias_s)
    assert route.late5_share == np.mean(error_s > 300)
    assert route.to_lat == pytest.approx(TEST.to_lat[rows].mean())


def test_rows_by_key():
    found = {key: rows.tolist() for key, rows in rows_by(np.array([3, -1, 3, 0]))}
    assert found == {-1: [1], 0: [3], 3: [0, 2]}
    assert dict(rows_by(np.empty(0, np.int64))) == {}
