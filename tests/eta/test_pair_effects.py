import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.eta.pair_effects import LEVELS, MAX_RESIDUAL, PAIR_COLUMNS, PairEffects, fit_pair_effects
from dispatch.kernels.pair_effects import Ends
from naive.pair_effects import effects_of


def ends_of(rng, num, reach_m=1200.0):
    """Half of the trips begin and end near one of a few places."""
    at = rng.uniform(-reach_m, reach_m, (4, num))
    hubs = rng.uniform(-reach_m, reach_m, (4, 3))[:, rng.integers(0, 3, num)] + rng.normal(0, 20, (4, num))
    at = np.where(rng.random(num) < 0.5, hubs, at)
    return Ends(*(row.copy() for row in at), rng.integers(0, 12, num).astype(np.int32))


def trips_of(seed, num, num_days=4):
    rng = np.random.default_rng(seed)
    return ends_of(rng, num), rng.normal(0, 0.4, num), rng.integers(19_000, 19_000 + num_days, num)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_each_trip_is_told_what_other_days_left(seed, num):
    ends, residual, day = trips_of(seed, num)
    heard = np.clip(residual, -MAX_RESIDUAL, MAX_RESIDUAL)
    _, columns = fit_pair_effects(ends, residual, day)
    assert columns.shape == (len(PAIR_COLUMNS), num)
    for i in range(num):
        expected = effects_of(ends, i, ends, heard, (day[i], day), LEVELS)
        np.testing.assert_allclose(columns[:, i], expected, atol=1e-5)


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_a_day_of_its_own_is_told_what_the_others_would_tell_a_new_trip(seed):
    ends, residual, day = trips_of(seed, 40)
    day[7] = 77
    others = np.arange(40) != 7
    _, columns = fit_pair_effects(ends, residual, day)
    without, _ = fit_pair_effects(Ends(*(c[others] for c in ends)), residual[others], day[others])
    np.testing.assert_allclose(columns[:, 7], without.columns(Ends(*(c[7:8] for c in ends)))[:, 0], atol=1e-5)


def test_the_own_day_never_counts():
    ends, residual, day = trips_of(1, 200)
    _, columns = fit_pair_effects(ends, residual, day)
    mine = day == day[0]
    _, changed = fit_pair_effects(ends, np.where(mine, -residual - 0.3, residual), day)
    np.testing.assert_allclose(changed[:, mine], columns[:, mine], atol=1e-6)
    assert np.abs(changed[:, ~mine] - columns[:, ~mine]).max() > 0.01


def test_a_single_day_tells_its_trips_nothing():
    ends, residual, _ = trips_of(2, 50)
    _, columns = fit_pair_effects(ends, residual, np.full(50, 19_000))
    assert np.abs(columns).max() < 1e-6


def test_a_planted_effect_is_found_and_drawn_to_the_larger_square():
    rng = np.random.default_rng(3)
    ends = ends_of(rng, 4000)
    slow = np.hypot(ends.from_x - 900, ends.from_y - 900) < 250
    ends.from_x[:400], ends.from_y[:400], slow[:400] = 925.0, 925.0, True
    residual = np.where(slow, 0.4, 0.0) + rng.normal(0, 0.1, 4000)
    _, columns = fit_pair_effects(ends, residual, rng.integers(0, 9, 4000))
    from_mean = columns[PAIR_COLUMNS.index("from_mean")]
    assert abs(from_mean[:400].mean() - 0.4) < 0.05
    assert abs(from_mean[~slow].mean()) < 0.05


def test_one_wild_trip_counts_for_little():
    ends = Ends(*(np.full(2, 50.0) for _ in range(4)), np.zeros(2, np.int32))
    effects, _ = fit_pair_effects(ends, np.array([50.0, -50.0]), np.array([1, 2]))
    assert np.abs(effects.total).max() < 1e-6
    one, _ = fit_pair_effects(Ends(*(c[:1] for c in ends)), np.array([50.0]), np.array([1]))
    assert one.total.max() == np.float32(MAX_RESIDUAL)


def test_places_far_outside_are_told_nothing_of_the_city():
    ends, residual, day = trips_of(4, 100)
    effects, _ = fit_pair_effects(ends, residual, day)
    far = Ends(*(np.array([-1e7, 1e7]) for _ in range(4)), np.zeros(2, np.int32))
    assert (effects.columns(far) == 0).all()
    beyond, columns = fit_pair_effects(far, np.array([0.2, 0.3]), np.array([1, 2]))
    assert np.isfinite(columns).all()
    assert (beyond.key >= 0).all()


def test_no_trips_give_an_empty_table():
    none = Ends(*(np.empty(0) for _ in range(4)), np.empty(0, np.int32))
    effects, columns = fit_pair_effects(none, np.empty(0), np.empty(0, np.int64))
    assert columns.shape == (len(PAIR_COLUMNS), 0)
    assert (effects.columns(trips_of(0, 5)[0]) == 0).all()


def test_arrays_are_all_of_it():
    effects, _ = fit_pair_effects(*trips_of(5, 60))
    again = PairEffects.from_arrays(effects.arrays())
    asked = trips_of(6, 20)[0]
    assert np.array_equal(again.columns(asked), effects.columns(asked))


def damaged(**changed):
    effects, _ = fit_pair_effects(*trips_of(5, 20))
    return {name: changed.get(name, lambda a: a)(values.copy()) for name, values in effects.arrays().items()}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("key", lambda a: a[::-1]),
        ("key", lambda a: a - a[1]),
        ("key", lambda a: np.where(np.arange(len(a)) == 1, a[0], a)),
        ("key", lambda a: a[:, None]),
        ("key", lambda a: a.astype(float)),
        ("key", lambda a: a[:-1]),
        ("total", lambda a: a[:-1]),
        ("total", lambda a: np.full(a.shape, np.nan, a.dtype)),
        ("total", lambda a: a[0]),
        ("num", lambda a: a * np.float32(np.inf)),
        ("num", lambda a: a * 0),
        ("num", lambda a: a.astype(int)),
    ],
)
def test_arrays_that_are_no_table_are_refused(name, change):
    with pytest.raises(InputError, match="pair effects"):
        PairEffects.from_arrays(damaged(**{name: change}))
