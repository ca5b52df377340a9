from dataclasses import replace

import numpy as np
import pytest

from cities import city_of, grid_city
from dispatch.errors import InputError
from dispatch.eta.edge_times import (
    NUM_SLOTS,
    EdgeTimes,
    EdgeTimesParams,
    Ways,
    cells_of,
    fit_edge_times,
    week_slot,
)
from dispatch.units import MAX_TRAVEL_MS
from eta.eta_city import DAY_MS, MONDAY_MS, ways_between

CITY = grid_city(8, 8)
GRAPH = CITY.graph
FREE_S = GRAPH.free_flow_ms() / 1000
SHARP = EdgeTimesParams(rounds=60, edge_prior=0.5, slot_prior=2.0)


def single_edges(times=60, seed=0):
    """Each edge driven so many times, alone."""
    edge = np.random.default_rng(seed).permutation(np.tile(np.arange(GRAPH.num_arcs), times)).astype(np.int32)
    return Ways(np.arange(len(edge) + 1), edge, np.ones(len(edge)))


def random_ways(num, seed=0):
    rng = np.random.default_rng(seed)
    from_node = rng.integers(0, GRAPH.num_nodes, num)
    to_node = (from_node + rng.integers(1, GRAPH.num_nodes, num)) % GRAPH.num_nodes
    return ways_between(CITY, from_node, to_node)


def durations(ways, edge_s, slot, slot_factor=None, noise=0.0):
    """Seconds of ways, of edges and factors by slot."""
    factor = np.ones(NUM_SLOTS) if slot_factor is None else slot_factor
    whole = np.add.reduceat(ways.share * edge_s[ways.edge], ways.first[:-1])
    return (
        whole * factor[slot] * np.random.default_rng(9).lognormal(0, noise, len(slot))
        if noise
        else whole * factor[slot]
    )


def slots(num, seed=1):
    return np.random.default_rng(seed).integers(0, NUM_SLOTS, num).astype(np.int32)


def mean_s(times):
    return times.edge_s * np.exp(np.log(times.slot_factor).mean(axis=0))[times.cell]


# --- what was planted ----------------------------------------------------------------------------


def test_planted_times_of_edges_and_slots_are_found():
    rng = np.random.default_rng(2)
    true_s, factor = FREE_S * rng.uniform(0.9, 1.6, len(FREE_S)), np.ones(NUM_SLOTS)
    factor[[8, 9, 24 + 13]] = 1.4, 1.25, 0.8
    ways, slot = single_edges(150), slots(150 * GRAPH.num_arcs)
    times, residual = fit_edge_times(CITY, ways, durations(ways, true_s, slot, factor, 0.1), slot, SHARP)
    at = np.stack([times.slot_s(s) for s in range(NUM_SLOTS)]) / (true_s * factor[:, None])
    assert np.abs(np.log(at)).max() < 0.08
    assert np.abs(np.log(at)).mean() < 0.02
    assert abs(residual.std() - 0.1) < 0.01
    assert np.allclose(times.evidence, 150, rtol=1e-9)


def test_ways_of_many_edges_tell_edges_apart():
    true_s = FREE_S * np.random.default_rng(3).choice([1.0, 1.8], len(FREE_S))
    ways, slot = random_ways(20_000), slots(20_000)
    times, _ = fit_edge_times(CITY, ways, durations(ways, true_s, slot, noise=0.1), slot, SHARP)
    driven = times.evidence > 60
    assert driven.sum() > 50
    error = np.log(mean_s(times) / true_s)[driven]
    assert np.abs(error).mean() < 0.25 * np.abs(np.log(FREE_S / true_s))[driven].mean() + 0.02


def test_a_city_that_is_slower_everywhere_is_found_within_a_percent():
    ways, slot = random_ways(3000), slots(3000)
    for slower in (0.7, 1.5):
        times, residual = fit_edge_times(CITY, ways, durations(ways, slower * FREE_S, slot), slot)
        assert abs(residual.mean()) < 0.01
        assert abs(times.ways_s(ways, slot).sum() / (slower * FREE_S[ways.edge].sum()) - 1) < 0.01


def test_a_start_is_not_the_streets():
    ways, slot = random_ways(6000), slots(6000)
    duration_s = 45.0 + durations(ways, 1.2 * FREE_S, slot, noise=0.05)
    with_start, _ = fit_edge_times(CITY, ways, duration_s, slot, replace(SHARP, start_s=45.0))
    without, _ = fit_edge_times(CITY, ways, duration_s, slot, SHARP)
    usual = 1.2 * FREE_S[ways.edge].sum()
    assert abs(with_start.ways_s(ways, slot).sum() / usual - 1) < 0.02
    assert without.ways_s(ways, slot).sum() / usual > 1.1


def test_parts_of_edges_count_as_parts():
    ways = single_edges(80)
    ways = ways._replace(share=np.random.default_rng(4).uniform(0.3, 1.0, len(ways.edge)))
    slot = slots(len(ways.edge))
    times, _ = fit_edge_times(CITY, ways, durations(ways, 1.4 * FREE_S, slot, noise=0.05), slot, SHARP)
    assert np.abs(np.log(mean_s(times) / FREE_S / 1.4)).max() < 0.05


# --- where little is known -----------------------------------------------------------------------


def line(num_nodes=12):
    """A street whose nodes lie 200 m apart, both directions; 36 km/h."""
    there = [(k, k + 1) for k in range(num_nodes - 1)]
    return city_of(200.0 * np.arange(num_nodes), np.zeros(num_nodes), there + [(b, a) for a, b in there])


def test_an_edge_without_data_is_as_slow_as_the_street_that_it_continues():
    city = line()
    graph = city.graph
    eastward = np.flatnonzero(graph.head > graph.tail)
    unseen = eastward[np.argsort(graph.tail[eastward])][5]
    seen = np.setdiff1d(np.arange(graph.num_arcs), [unseen])
    slower = np.where(graph.head > graph.tail, 2.0, 1.0)
    edge = np.tile(seen, 60).astype(np.int32)
    ways = Ways(np.arange(len(edge) + 1), edge, np.ones(len(edge)))
    slot = slots(len(edge))
    duration_s = (graph.free_flow_ms() / 1000 * slower)[edge]
    times, _ = fit_edge_times(city, ways, duration_s, slot)
    ratio = times.edge_s / (graph.free_flow_ms() / 1000)
    eastward_ratio, westward_ratio = (
        np.median(ratio[np.intersect1d(seen, side)])
        for side in (eastward, np.flatnonzero(graph.head < graph.tail))
    )
    assert eastward_ratio > 1.5 * westward_ratio
    assert times.evidence[unseen] == 0
    assert abs(ratio[unseen] / eastward_ratio - 1) < 0.12


def test_a_slot_without_data_follows_the_hour_elsewhere():
    """Nobody drives in the west at 8:00; there it is as slow as in the east."""
    params = EdgeTimesParams(cell_m=500.0, slot_prior=5.0)
    cell = cells_of(CITY, params.cell_m)
    ways = single_edges(200)
    slot = slots(len(ways.edge))
    west = np.unique(cell[GRAPH.node_lon[GRAPH.tail] < np.median(GRAPH.node_lon) - 0.004])
    slot[(slot == 8) & np.isin(cell[ways.edge], west)] = 9
    factor = np.ones(NUM_SLOTS)
    factor[8] = 1.5
    duration_s = durations(ways, 1.1 * FREE_S, slot, factor)
    times, _ = fit_edge_times(CITY, ways, duration_s, slot, params)
    others = np.exp(np.log(np.delete(times.slot_factor, 8, axis=0)).mean(axis=0))
    ratio = times.slot_factor[8] / others
    assert len(west) < times.slot_factor.shape[1]
    assert np.abs(ratio[west] - 1.5).max() < 0.15
    assert np.abs(ratio - 1.5).max() < 0.15


def test_stops_hardly_move_an_edge():
    ways, slot = single_edges(100), slots(100 * GRAPH.num_arcs)
    duration_s = durations(ways, 1.2 * FREE_S, slot, noise=0.1)
    stopped = np.random.default_rng(7).random(len(slot)) < 0.05
    clean, _ = fit_edge_times(CITY, ways, duration_s, slot)
    moved, residual = fit_edge_times(CITY, ways, np.where(stopped, duration_s * 8, duration_s), slot)
    by_mean = np.log(8) * 0.05
    shift = np.log(mean_s(moved) / mean_s(clean))
    assert shift.mean() < 0.4 * by_mean
    assert residual[stopped].min() > 1


def test_ways_without_weight_tell_nothing_but_have_a_residual():
    ways, slot = single_edges(40), slots(40 * GRAPH.num_arcs)
    weight = (np.random.default_rng(0).random(len(slot)) < 0.5).astype(float)
    duration_s = durations(ways, 1.3 * FREE_S, slot)
    wild = np.where(weight == 0, 5000.0, duration_s)
    times, residual = fit_edge_times(CITY, ways, duration_s, slot, None, weight)
    same, other = fit_edge_times(CITY, ways, wild, slot, None, weight)
    assert np.array_equal(times.edge_s, same.edge_s)
    assert np.array_equal(residual[weight > 0], other[weight > 0])
    assert (other[weight == 0] > 2).all()


def test_without_ways_all_is_free_flow():
    none = Ways(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0))
    times, residual = fit_edge_times(CITY, none, np.empty(0), np.empty(0, np.int32))
    free = EdgeTimes.free_flow(GRAPH)
    assert len(residual) == 0
    for name in ("edge_s", "cell", "slot_factor", "evidence"):
        assert np.array_equal(getattr(times, name), getattr(free, name))


def test_ways_without_an_edge_do_no_harm():
    ways = Ways(np.array([0, 0, 1, 1], np.int64), np.array([3], np.int32), np.ones(1))
    times, residual = fit_edge_times(CITY, ways, np.array([50.0, 60.0, 70.0]), np.zeros(3, np.int32))
    assert np.isfinite(times.edge_s).all()
    assert residual[[0, 2]].tolist() == [0, 0]


# --- what is asked -------------------------------------------------------------------------------


def test_slots_are_hours_of_a_weekday_a_saturday_a_sunday():
    hour_ms = DAY_MS // 24
    at_ms = MONDAY_MS + np.array([0, 8, 24 * 4 + 8, 24 * 5 + 8, 24 * 6 + 23, 24 * 7]) * hour_ms
    assert week_slot(at_ms, "UTC").tolist() == [0, 8, 8, 24 + 8, 48 + 23, 0]
    assert week_slot(at_ms[:1], "America/New_York").tolist() == [48 + 19]


def test_times_of_a_slot_of_ways_and_of_the_day_agree():
    ways, slot = random_ways(500), slots(500)
    times, _ = fit_edge_times(CITY, ways, durations(ways, 1.3 * FREE_S, slot, noise=0.3), slot)
    by_hand = [
        times.slot_s(s)[ways.edge[a:b]].sum()
        for s, a, b in zip(slot, ways.first, ways.first[1:], strict=False)
    ]
    np.testing.assert_allclose(times.ways_s(ways, slot), by_hand)
    by_time = times.time_of_day()
    assert np.array_equal(by_time.travel_ms[24 + 9], times.travel_ms(24 + 9))
    starts, rows = by_time.week_starts()
    assert rows[starts == (5 * 24 + 9) * 60].tolist() == [24 + 9]
    usual = np.exp(np.mean([np.log(times.slot_s(s)) for s in range(NUM_SLOTS)], axis=0))
    assert np.abs(times.usual_ms() - 1000 * usual).max() <= 1


def test_travel_times_are_never_nothing_and_never_too_long():
    free = EdgeTimes.free_flow(GRAPH)
    for edge_s, expected in ((1e-9, 1), (1e12, MAX_TRAVEL_MS)):
        times = replace(free, edge_s=np.full(GRAPH.num_arcs, edge_s))
        assert (times.usual_ms() == expected).all()
        assert (times.travel_ms(3) == expected).all()


def test_cells_are_squares_in_which_edges_lie():
    cell = cells_of(CITY, 1000.0)
    x, y = CITY.projection.to_plane(GRAPH.node_lon, GRAPH.node_lat)
    column, row = (np.floor((at[GRAPH.tail] + at[GRAPH.head]) / 2000.0) for at in (x, y))
    pairs = set(zip(column.tolist(), row.tolist(), cell.tolist(), strict=True))
    assert len(pairs) == len({pair[:2] for pair in pairs}) == cell.max() + 1
    assert cells_of(CITY, 1e6).max() <= 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rounds", 0),
        ("rounds", 2.5),
        ("edge_prior", 0.0),
        ("slot_prior", float("nan")),
        ("clip", -1.0),
        ("start_s", 601.0),
        ("cell_m", "wide"),
    ],
)
def test_parameters_out_of_range_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        EdgeTimesParams(**{name: value})


def test_arrays_are_kept_as_kernels_read_them():
    """In Fortran's order, or in single precision, a kernel would read other numbers."""
    factor = np.asfortranarray(np.random.default_rng(0).uniform(0.5, 2, (NUM_SLOTS, 3)))
    times = EdgeTimes(np.ones(4, np.float32), np.array([0, 1, 2, 1]), factor, np.zeros(4))
    assert times.slot_factor.flags.c_contiguous
    assert np.array_equal(times.slot_factor, factor)
    assert [times.edge_s.dtype, times.cell.dtype] == [np.float64, np.int32]
