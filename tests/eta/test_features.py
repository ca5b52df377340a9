import numpy as np
import pytest

from cities import grid_city, line_city, random_trips
from dispatch.errors import InputError
from dispatch.eta.driven_ways import DrivenWays
from dispatch.eta.features import (
    COLUMNS,
    GROUPS,
    OF_DRIVER,
    Routed,
    base_s,
    bases,
    hide_drivers,
    live_columns,
    moved_of,
    stacked,
    usual_of,
    ways_usual_s,
)
from dispatch.eta.live import LIVE_COLUMNS, LiveParams
from dispatch.eta.trip_set import trip_set
from dispatch.kernels.eta_predict import LEAST_S, base_seconds
from eta.test_ground import ground_of

CITY = grid_city(6, 6)
GROUND = ground_of(CITY)
TRIPS, _ = trip_set(random_trips(CITY, 60, recorded=True))
ROUTED = Routed.of(GROUND, TRIPS)


def way(i):
    return ROUTED.edge[ROUTED.first[i] : ROUTED.first[i + 1]]


def test_every_column_belongs_to_one_group():
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COLUMNS)
    assert len(set(COLUMNS)) == len(COLUMNS)
    told = {COLUMNS[k] for k in OF_DRIVER}
    assert told == {*GROUPS["driver"], "live_driver", "live_driver_weight"}


def test_seconds_of_ways_are_sums_of_their_edges():
    entries = ROUTED.entries_s(GROUND.probes)
    assert len(entries) == len(ROUTED.edge)
    for i, slot in enumerate(ROUTED.drives.slot):
        expected = GROUND.probes.slot_s(slot)[way(i)]
        np.testing.assert_allclose(entries[ROUTED.first[i] : ROUTED.first[i + 1]], expected)


def test_drives_without_a_way_are_told_by_air():
    city = line_city(5, sink=True)
    ground = ground_of(city)
    trips, _ = trip_set(random_trips(city, 40, recorded=True))
    trips = trips._replace(to_node=np.where(np.arange(40) == 3, trips.from_node, trips.to_node))
    routed = Routed.of(ground, trips)
    expected = (trips.from_node != 4) | (trips.to_node == 4)
    assert np.array_equal(routed.has_way, expected)
    assert not expected.all()
    route = ground.route_columns(routed.drives, routed.first, routed.edge)
    by_trips, by_probes = bases(ground, routed, route)
    air_m = np.hypot(routed.drives.to_x - routed.drives.from_x, routed.drives.to_y - routed.drives.from_y)
    for told, times in ((by_trips, ground.trips), (by_probes, ground.probes)):
        way_s = times.ways_s((routed.first, routed.edge, np.ones(len(routed.edge))), routed.drives.slot)
        np.testing.assert_allclose(told, 30.0 + np.where(expected, way_s, air_m / 8.0), rtol=1e-6)


def test_seconds_by_streets_are_those_of_the_kernel_and_never_nothing():
    rng = np.random.default_rng(0)
    way_s, air_m, has_way = rng.uniform(0, 900, 30), rng.uniform(0, 9000, 30), rng.random(30) < 0.5
    way_s[:3], air_m[:3] = 0.0, 0.0
    for start_s in (0.0, 30.0):
        told = base_s(start_s, way_s, air_m, has_way)
        one_by_one = [base_seconds(start_s, *row) for row in zip(way_s, air_m, has_way, strict=True)]
        assert told.tolist() == one_by_one
        assert told.min() >= LEAST_S


def test_trips_of_a_larger_network_are_refused():
    for name in ("from_node", "to_node"):
        nodes = getattr(TRIPS, name).copy()
        nodes[7] = CITY.graph.num_nodes
        with pytest.raises(InputError, match="nodes are 0 to 35"):
            Routed.of(GROUND, TRIPS._replace(**{name: nodes}))


# --- live traffic --------------------------------------------------------------------------------


def driven(ended_at_ms, slower=3.0, driver_id=5):
    """One way along the street of the first trip for each instant."""
    num, edges = len(ended_at_ms), way(0)
    first = np.arange(num + 1, dtype=np.int64) * len(edges)
    usual_s = GROUND.probes.slot_s(int(ROUTED.drives.slot[0]))[edges].sum()
    return DrivenWays(
        first,
        np.tile(edges, num).astype(np.int32),
        np.ones(num * len(edges)),
        np.full(num, slower * usual_s),
        np.sort(np.asarray(ended_at_ms, np.int64)),
        np.full(num, driver_id, np.int64) + np.arange(num) % 3,
    )


def live(ways):
    usual = usual_of(GROUND.city, ways, ROUTED, GROUND.probes)
    return live_columns(GROUND.city, LiveParams(), ways, TRIPS, ROUTED, usual)


def test_what_is_live_had_ended_before_the_trip_set_out():
    """A way that ends at the very instant is not told; one millisecond before, it is."""
    at_ms = int(TRIPS.at_ms[0])
    quiet = live(driven([at_ms, at_ms + 5, at_ms + 60_000]))
    assert (quiet[:, 0] == 0).all()
    jam = live(driven([at_ms - 1]))
    assert jam[LIVE_COLUMNS.index("live_route"), 0] > 0.1
    later = live(driven([at_ms - 1, at_ms, at_ms + 1]))
    assert np.array_equal(jam[:, 0], later[:, 0])


def test_without_ways_nothing_is_live():
    assert live(None).shape == (len(LIVE_COLUMNS), 60)
    assert (live(None) == 0).all()
    assert (moved_of(CITY, None, TRIPS) == 0).all()


def test_usual_seconds_of_parts_of_ways():
    ways = driven([int(TRIPS.at_ms[0]), int(TRIPS.at_ms[9])])
    ways = ways._replace(share=np.random.default_rng(0).uniform(0.1, 1, len(ways.share)))
    usual_s = ways_usual_s(CITY, ways, GROUND.probes)
    slots = np.repeat(ROUTED.drives.slot[[0, 9]], np.diff(ways.first))
    expected = [s * GROUND.probes.slot_s(t)[e] for s, t, e in zip(ways.share, slots, ways.edge, strict=True)]
    np.testing.assert_allclose(usual_s, expected)


# --- features ------------------------------------------------------------------------------------


def test_what_tells_of_drivers_can_be_hidden():
    features = np.ones((4, len(COLUMNS)), np.float32)
    hide_drivers(features, np.array([False, True, False, True]))
    of_driver = np.isin(np.arange(len(COLUMNS)), OF_DRIVER)
    assert (features[[0, 2]] == 1).all()
    assert (features[1] == ~of_driver).all()
    assert (features[3] == ~of_driver).all()


def test_groups_are_stacked_in_order():
    rows = stacked(np.array([[1.0, 2.0]]), np.array([[3, 4], [5, 6]], np.float32))
    assert rows.tolist() == [[1, 3, 5], [2, 4, 6]]
    assert (rows.dtype, rows.flags.c_contiguous) == (np.float32, True)
