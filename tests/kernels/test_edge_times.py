import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels.edge_times import Pulls, TimedWays, pull, way_seconds
from naive.edge_times import pulls_of, way_s
from random_drives import NUM_SLOTS, seconds_of, ways_of

NUM_EDGES = 12


def timed(rng, num_ways, seconds):
    """Ways, some of which count for nothing, with durations near what is thought of them."""
    first, edge = ways_of(rng, num_ways, NUM_EDGES)
    share = rng.choice([1.0, 0.5, 0.0], len(edge), p=[0.7, 0.2, 0.1])
    slot = rng.integers(0, NUM_SLOTS, num_ways).astype(np.int32)
    weight = rng.choice([0.0, 1.0, 2.5], num_ways)
    ways = TimedWays(first, edge, share, np.ones(num_ways), slot, weight)
    thought_s = np.array([sum(way_s(ways, seconds, i).values()) for i in range(num_ways)])
    return ways._replace(duration_s=(thought_s + 5.0) * rng.lognormal(0, 0.5, num_ways))


def pulled(ways, seconds, start_s, clip, begin=0.0):
    shape = seconds.slot_factor.shape
    pulls = Pulls(*(np.full(size, begin) for size in (NUM_EDGES, NUM_EDGES, shape, shape)))
    residual = np.full(len(ways.duration_s), np.nan)
    pull(ways, seconds, start_s, clip, pulls, residual)
    return pulls, residual


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 8), st.sampled_from([0.0, 30.0]), st.sampled_from([0.1, 5.0]))
def test_pulls_are_sums_of_clipped_residuals(seed, num_ways, start_s, clip):
    rng = np.random.default_rng(seed)
    seconds = seconds_of(rng, NUM_EDGES)
    ways = timed(rng, num_ways, seconds)
    pulls, residual = pulled(ways, seconds, start_s, clip)
    expected, edges, slots = pulls_of(ways, seconds, start_s, clip)
    np.testing.assert_allclose(residual, expected, atol=1e-12)
    for sums, pair in ((edges, (pulls.edge, pulls.edge_weight)), (slots, (pulls.slot, pulls.slot_weight))):
        for column, found in enumerate(pair):
            whole = np.zeros(found.shape)
            for key, value in sums.items():
                whole[key] = value[column]
            np.testing.assert_allclose(found, whole, atol=1e-12)


def test_pulls_are_added_to_what_is_there():
    rng = np.random.default_rng(3)
    seconds = seconds_of(rng, NUM_EDGES)
    ways = timed(rng, 6, seconds)
    fresh, _ = pulled(ways, seconds, 30.0, 0.5)
    added, _ = pulled(ways, seconds, 30.0, 0.5, begin=7.0)
    for one, other in zip(fresh, added, strict=True):
        np.testing.assert_allclose(other - 7.0, one, atol=1e-12)


def test_a_way_that_takes_no_time_says_nothing():
    seconds = seconds_of(np.random.default_rng(0), NUM_EDGES)
    ways = TimedWays(
        np.array([0, 0, 1], np.int64),
        np.array([3], np.int32),
        np.zeros(1),
        np.array([60.0, 60.0]),
        np.zeros(2, np.int32),
        np.ones(2),
    )
    pulls, residual = pulled(ways, seconds, 0.0, 0.5)
    assert residual.tolist() == [0, 0]
    assert all((part == 0).all() for part in pulls)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 8))
def test_seconds_of_ways(seed, num_ways):
    rng = np.random.default_rng(seed)
    seconds = seconds_of(rng, NUM_EDGES)
    ways = timed(rng, num_ways, seconds)
    out_s = np.full(num_ways, np.nan)
    way_seconds(ways.first, ways.edge, ways.share, ways.weight, ways.slot, seconds, out_s)
    expected = [ways.weight[i] * sum(way_s(ways, seconds, i).values()) for i in range(num_ways)]
    np.testing.assert_allclose(out_s, expected, rtol=1e-12)
