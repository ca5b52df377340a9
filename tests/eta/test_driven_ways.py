import numpy as np
import pytest

from cities import T0, grid_city
from dispatch.eta.driven_ways import LEAST_M, MOST_RATIO, driven_ways
from dispatch.eta.map_matching import match_pings
from dispatch.roads.pings import RecordedPings
from eta.incidents import drives, usual_ms


@pytest.fixture(scope="module")
def town():
    return grid_city(8, 8, seed=2, block_m=200.0)


@pytest.fixture(scope="module")
def pings(town):
    nodes = np.arange(town.graph.num_nodes)
    return drives(town, [(nodes, nodes)] * 12, 1_800.0)


def by_hand(city, pings, matched, only_occupied):
    """Ways and reasons, step by step."""
    free_s, length_m = city.graph.free_flow_ms() / 1000, city.graph.length_m
    ways, reasons = [], {}
    for step, (one, other) in enumerate(zip(matched.step_from, matched.step_to, strict=True)):
        some = slice(matched.first[step], matched.first[step + 1])
        edge, share = matched.path_edge[some], matched.path_to[some] - matched.path_from[some]
        took_s = (pings.at_ms[other] - pings.at_ms[one]) / 1000
        usual_s = float((share * free_s[edge]).sum())
        if only_occupied and not (pings.occupied[one] and pings.occupied[other]):
            why = "steps without a passenger"
        elif (share * length_m[edge]).sum() < LEAST_M:
            why = "steps of cars that stand"
        elif took_s < 20:
            why = "steps too short in time"
        elif took_s > 200:
            why = "steps too long in time"
        elif took_s < 0.4 * usual_s:
            why = "steps too fast to be true"
        elif took_s > MOST_RATIO * usual_s:
            why = "steps too slow for a drive"
        else:
            entries = [(int(e), float(part)) for e, part in zip(edge, share, strict=True) if part > 0]
            ways.append((int(pings.at_ms[other]), int(pings.driver_id[other]), took_s, entries))
            continue
        reasons[why] = reasons.get(why, 0) + 1
    return sorted(ways), reasons


def listed(ways):
    """Ways as they are listed by hand."""
    for w in range(ways.num_ways):
        some = slice(ways.first[w], ways.first[w + 1])
        entries = list(zip(ways.edge[some].tolist(), ways.share[some].tolist(), strict=True))
        yield int(ways.ended_at_ms[w]), int(ways.driver_id[w]), float(ways.duration_s[w]), entries


@pytest.mark.parametrize("only_occupied", [True, False])
def test_equals_what_is_found_step_by_step(town, pings, only_occupied):
    matched = match_pings(town, pings)
    ways, drops = driven_ways(town, pings, matched, only_occupied=only_occupied)
    expected, reasons = by_hand(town, pings, matched, only_occupied)
    assert list(listed(ways)) == expected
    assert {drop.what: drop.count for drop in drops} == reasons
    assert ways.num_ways + sum(drop.count for drop in drops) == len(matched.step_from)
    assert ways.num_ways > 50
    assert ("steps without a passenger" in reasons) == only_occupied


def test_pings_in_any_order_tell_the_same(town, pings):
    order = np.random.default_rng(1).permutation(len(pings))
    columns = ("driver_id", "at_ms", "lon", "lat", "occupied")
    mixed = RecordedPings(*(getattr(pings, name)[order] for name in columns))
    one, other = (driven_ways(town, given, match_pings(town, given))[0] for given in (pings, mixed))
    assert all(np.array_equal(left, right) for left, right in zip(one, other, strict=True))


def test_steps_that_are_no_drives_are_counted(town):
    graph, plane = town.graph, town.projection
    x, y = plane.to_plane(graph.node_lon, graph.node_lat)
    along = np.array([0.0, 0.0, 0.9, 1.0, 1.9, 2.8])  # of blocks along the first street
    at_s = np.array([0, 60, 120, 125, 135, 500])
    px, py = (np.interp(along, np.arange(8), at[:8]) for at in (x, y))
    lon, lat = plane.to_degrees(px, py)
    pings = RecordedPings(np.zeros(6, np.int64), T0 + at_s * 1000, lon, lat, np.ones(6, np.bool_))
    ways, drops = driven_ways(town, pings, match_pings(town, pings))
    assert {drop.what for drop in drops} >= {"steps of cars that stand", "steps too short in time"}
    assert ways.ended_at_ms.tolist() == [T0 + 120_000]


def test_a_part_of_the_ways(town, pings):
    ways, _ = driven_ways(town, pings, match_pings(town, pings))
    middle = int(ways.ended_at_ms[ways.num_ways // 2])
    parts = [ways.between(0, middle), ways.between(middle, middle + 10_000_000)]
    assert [w for part in parts for w in listed(part)] == list(listed(ways))
    assert ways.between(middle, middle - 1).num_ways == 0
    edge_s = usual_ms(town) / 1000
    np.testing.assert_allclose(
        np.concatenate([part.usual_s(edge_s) for part in parts]), ways.share * edge_s[ways.edge]
    )


def test_no_pings_no_ways(town, pings):
    none = pings.between(0, 1)
    ways, drops = driven_ways(town, none, match_pings(town, none))
    assert ways.num_ways == len(ways.edge) == 0
    assert ways.first.tolist() == [0]
    assert drops == ()
