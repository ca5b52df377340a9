import numpy as np
import pytest

from cities import T0, grid_city, line_city, places
from dispatch.sim.movement import Movement
from naive.movement import place

LINE = line_city(200)
TIMES = LINE.free_flow()


def nodes(*values):
    return np.array(values, np.int32)


def departed(from_node, to_node, duration_ms):
    movement = Movement(3, LINE.graph)
    paths = TIMES.paths(nodes(from_node), nodes(to_node))
    movement.depart(nodes(1), paths, np.array([T0]), np.array([duration_ms]))
    return movement


def test_a_vehicle_between_two_nodes():
    here = departed(3, 6, 30_000).places(nodes(1), T0 + 12_500)
    lon, lat = places(LINE, [4, 5])
    assert here.lon == pytest.approx(lon[0] + 0.25 * (lon[1] - lon[0]))
    assert here.lat == pytest.approx(lat[0] + 0.25 * (lat[1] - lat[0]))
    assert here.node.tolist() == [4]
    assert departed(3, 6, 30_000).places(nodes(1), T0 + 15_000).node.tolist() == [5]


def test_before_it_starts_and_after_it_ends_it_stands():
    movement = departed(3, 6, 60_000)
    for at_ms, node in ((T0 - 9999, 3), (T0, 3), (T0 + 60_000, 6), (T0 + 999_999, 6)):
        here = movement.places(nodes(1), at_ms)
        assert here.node.tolist() == [node]
        assert (here.lon, here.lat) == places(LINE, node)


def test_paths_longer_than_any_before_widen_the_table_and_keep_the_others():
    movement = departed(3, 6, 30_000)
    paths = TIMES.paths(nodes(0, 199), nodes(199, 0))
    movement.depart(nodes(0, 2), paths, np.array([T0, T0]), np.array([1_990_000, 1_990_000]))
    assert movement.places(nodes(0, 1, 2), T0 + 20_000).node.tolist() == [2, 5, 197]


def test_no_vehicle():
    movement = Movement(3, LINE.graph)
    assert len(movement.places(nodes(), T0).lon) == 0
    movement.depart(nodes(), TIMES.paths(nodes(), nodes()), np.empty(0, np.int64), np.empty(0, np.int64))


def test_many_vehicles_in_a_city_agree_with_plain_python():
    city, random = grid_city(seed=1), np.random.default_rng(1)
    times = city.free_flow()
    movement = Movement(50, city.graph)
    from_node, to_node = random.integers(0, city.graph.num_nodes, (2, 50)).astype(np.int32)
    paths = times.paths(from_node, to_node)
    start_at_ms, duration_ms = T0 + random.integers(0, 60_000, 50), random.integers(0, 400_000, 50)
    vehicles = random.permutation(50).astype(np.int32)
    movement.depart(vehicles, paths, start_at_ms, duration_ms)
    for now_ms in T0 + random.integers(0, 400_000, 20):
        here = movement.places(vehicles, int(now_ms))
        for i in range(50):
            way = slice(paths.first[i], paths.first[i + 1])
            timing = (int(start_at_ms[i]), int(duration_ms[i]), int(now_ms))
            node, ahead, share = place(paths.node[way].tolist(), paths.at_ms[way].tolist(), *timing)
            lon, lat = places(city, [node, ahead])
            assert here.lon[i] == pytest.approx(lon[0] + share * (lon[1] - lon[0]), abs=1e-12)
            assert here.lat[i] == pytest.approx(lat[0] + share * (lat[1] - lat[0]), abs=1e-12)
            assert here.node[i] == (node if share < 0.5 else ahead)
