from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st

from analysis.logs import random_log
from analysis.runs import CITY, log_in_city
from analysis.test_order_table import big_log
from dispatch.analysis.groups import (
    GROUPINGS,
    has_first_orders,
    has_tiers,
    kpis_by,
    local_hour,
    pickup_zone,
)
from dispatch.analysis.kpi_list import KPI, KPIS
from dispatch.analysis.kpis import kpis
from dispatch.analysis.measured import measured
from dispatch.analysis.order_table import order_table
from dispatch.engine.events import EVENT_DTYPE, EventKind
from dispatch.errors import InputError
from dispatch.roads.zones import Zones, grid_zones
from dispatch.units import NO_COORDINATE, NO_INDEX
from naive.replay import orders_in_plain_python

TIMEZONE = "America/Los_Angeles"
ZONES = grid_zones(CITY, 1000)


def grouped(events, by, **more):
    return kpis_by(events, by, zones=ZONES, timezone=TIMEZONE, **more)


def key_in_plain_python(row, by):
    if by == "hour":
        return datetime.fromtimestamp(row["submitted_at_ms"] / 1000, ZoneInfo(TIMEZONE)).hour
    if by == "zone":
        point = shapely.Point(row["pickup_lon_e6"] * 1e-6, row["pickup_lat_e6"] * 1e-6)
        return next((z for z, one in enumerate(ZONES.polygon) if one.intersects(point)), NO_INDEX)
    return row["tier"] if by == "tier" else row["is_first"]


@pytest.mark.parametrize("by", ["hour", "zone", "tier", "first"])
@pytest.mark.parametrize("seed", [1, 2, 4])
def test_groups_agree_with_plain_python(seed, by):
    events = log_in_city(seed, num_steps=600)
    got = grouped(events, by)
    rows_of_key = {}
    for row in orders_in_plain_python(events):
        rows_of_key.setdefault(key_in_plain_python(row, by), []).append(row)
    assert dict(zip(got.key.tolist(), got.num_orders.tolist(), strict=True)) == {
        key: len(rows) for key, rows in rows_of_key.items()
    }
    assert got.key.tolist() == sorted(rows_of_key, key=lambda key: key % 2**32), "what tells none comes last"
    for at, key in enumerate(got.key.tolist()):
        rows = rows_of_key[key]
        done = sum("dropped_off_at_ms" in row for row in rows)
        assert got.value_of_kpi["completion_share"][at] == done / len(rows)
        waits = [max(r["picked_up_at_ms"] - r["wanted_at_ms"], 0) for r in rows if "picked_up_at_ms" in r]
        expected = np.mean(waits) / 1000 if waits else None
        assert got.value_of_kpi["wait_mean_s"][at] == (pytest.approx(expected) if waits else None)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), by=st.sampled_from(GROUPINGS))
def test_every_order_is_in_one_group_and_drivers_in_none(seed, by):
    events = random_log(seed, complete=seed % 2 == 0)
    got = grouped(events, by)
    assert got.num_orders.sum() == len(order_table(events))
    assert (got.num_orders > 0).all()
    assert len(set(got.group)) == len(got) == len(got.key)
    assert list(got.value_of_kpi) == list(KPI)
    for kpi in KPIS:
        values = got.value_of_kpi[kpi.name]
        assert len(values) == len(got)
        if kpi.of == "drivers" and by != "all":
            assert set(values) <= {None}


def test_all_orders_have_the_kpis_of_the_log():
    events = log_in_city(2)
    got = kpis_by(events, "all")
    assert got.group == ("all orders",)
    assert {name: values[0] for name, values in got.value_of_kpi.items()} == dict(kpis(events))


def test_what_is_void_overall_is_void_in_groups():
    got = grouped(log_in_city(1), "tier", travel_is_predicted=True, nobody_cancels=True)
    void = [kpi.name for kpi in KPIS if kpi.needs_driven_travel or kpi.needs_cancelling]
    assert all(set(got.value_of_kpi[name]) == {None} for name in void)


def test_groups_have_names_for_people():
    events = log_in_city(1)
    assert grouped(events, "tier").group == ("tier 0", "tier 1", "tier 2")
    assert grouped(events, "first").group == ("later orders", "first orders")
    assert all(name.endswith(":00") for name in grouped(events, "hour").group)
    assert set(grouped(events, "zone").group) <= set(ZONES.name)
    assert grouped(log_in_city(4), "tier").group == ("not told",)
    far = Zones(("far",), ("report",), (shapely.box(0, 0, 1, 1),))
    assert kpis_by(events, "zone", zones=far).group == ("outside of all zones",)


def test_tiers_against_the_lowest():
    got = grouped(log_in_city(1), "tier")
    against, response = got.against(), got.value_of_kpi["response_p50_s"]
    assert against["response_p50_s"] == (0.0, response[1] - response[0], response[2] - response[0])
    assert against["utilisation_share"] == (None, None, None)


def test_the_table_is_tidy():
    got = grouped(log_in_city(1), "tier")
    table = got.table()
    assert table.num_rows == 3 * len(KPIS)
    rows = {(row["group"], row["kpi"]): row for row in table.to_pylist()}
    for at, name in enumerate(got.group):
        row = rows[name, "wait_mean_s"]
        assert row["value"] == got.value_of_kpi["wait_mean_s"][at]
        assert (row["num_orders"], row["key"], row["by"]) == (got.num_orders[at], at, "tier")
    assert rows["tier 1", "utilisation_share"]["value"] is None


@pytest.mark.parametrize("by", GROUPINGS)
def test_an_empty_log_has_no_groups(by):
    got = grouped(np.empty(0, EVENT_DTYPE), by)
    assert len(got) == got.table().num_rows == 0
    assert got.table().schema.names == ["by", "group", "key", "kpi", "value", "num_orders"]


@pytest.mark.parametrize(
    ("by", "more", "said"),
    [
        ("day", {}, "by is 'day': it must be one of all, hour"),
        ("zone", {}, "zones is None"),
        ("hour", {}, "timezone is None"),
        ("hour", {"timezone": "Mars/Olympus"}, "Mars/Olympus"),
    ],
)
def test_what_is_missing_is_named(by, more, said):
    with pytest.raises(InputError, match=said):
        kpis_by(random_log(1), by, **more)


@settings(max_examples=100)
@given(
    at_ms=st.integers(0, 2**41),
    timezone=st.sampled_from([TIMEZONE, "UTC", "Asia/Kathmandu", "Australia/Lord_Howe"]),
)
def test_local_hours_agree_with_the_calendar(at_ms, timezone):
    expected = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(timezone)).hour
    assert local_hour(np.array([at_ms]), timezone).tolist() == [expected]


def test_a_pickup_without_a_place_is_in_no_zone():
    events = log_in_city(1)
    first = np.flatnonzero(events["kind"] == EventKind.ORDER_SUBMITTED)[0]
    assert pickup_zone(order_table(events), ZONES)[0] != NO_INDEX
    events["lon_e6"][first] = NO_COORDINATE
    assert pickup_zone(order_table(events), ZONES)[0] == NO_INDEX


def test_whether_there_is_anything_to_tell_apart():
    assert has_tiers(order_table(random_log(1)))
    assert has_first_orders(order_table(random_log(1)))
    assert not has_tiers(order_table(random_log(4)))
    assert not has_first_orders(order_table(random_log(4)))


def test_400_000_orders_are_all_grouped():
    events = big_log(400_000)
    submitted = events["kind"] == EventKind.ORDER_SUBMITTED
    node = events["order_id"][submitted] % CITY.graph.num_nodes
    for axis in ("lon", "lat"):
        degrees = getattr(CITY.graph, f"node_{axis}")[node]
        events[f"{axis}_e6"][submitted] = (degrees * 1e6).round().astype(np.int32)
    events["tier"][submitted] = node % 3
    tables = measured(events)
    for by in ("hour", "zone", "tier"):
        assert grouped(tables, by).num_orders.sum() == 400_000
