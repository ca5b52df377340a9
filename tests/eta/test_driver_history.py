import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import grid_city
from dispatch.errors import InputError
from dispatch.eta.driver_history import (
    MOVED_COLUMNS,
    Asked,
    DriverEffects,
    Observed,
    fit_driver_effects,
    moved_columns,
    recent_columns,
)
from dispatch.kernels.driver_history import FORGET_MS, PRIOR
from dispatch.roads.pings import RecordedPings
from naive.driver_history import moved, others_mean, recent

CITY = grid_city(5, 5)
MINUTE_MS = 60_000
T0_MS = 1_709_510_400_000
MOST_STEP_M = 3000.0


def pings_of(driver, minute, x, y):
    """Pings in the order of drivers and minutes."""
    driver, minute, x, y = (np.asarray(column) for column in (driver, minute, x, y))
    order = np.lexsort((y, x, minute, driver))
    lon, lat = CITY.projection.to_degrees(x[order].astype(float), y[order].astype(float))
    at_ms = T0_MS + (minute[order] * MINUTE_MS).astype(np.int64)
    return RecordedPings(driver[order].astype(np.int64), at_ms, lon, lat, np.zeros(len(order), np.bool_))


def asked_of(driver, minute, ends):
    x, y, to_x, to_y = (np.asarray(column, float) for column in ends)
    at_ms = T0_MS + (np.asarray(minute) * MINUTE_MS).astype(np.int64)
    from_, to = CITY.projection.to_degrees(x, y), CITY.projection.to_degrees(to_x, to_y)
    return Asked(np.asarray(driver, np.int64), at_ms, *from_, *to)


def random_day(seed, num_pings, num_asked, num_drivers=3):
    """Pings and drives on full minutes: many at the very same instants; some drivers sent no ping."""
    rng = np.random.default_rng(seed)
    pings = pings_of(
        rng.integers(0, num_drivers, num_pings),
        rng.integers(0, 150, num_pings),
        *rng.uniform(-4000, 4000, (2, num_pings)),
    )
    asked = asked_of(
        rng.integers(-1, num_drivers + 1, num_asked),
        rng.integers(-20, 230, num_asked),
        rng.uniform(-4000, 4000, (4, num_asked)),
    )
    return pings, asked


def by_hand(pings, asked, i):
    x, y = CITY.projection.to_plane(pings.lon, pings.lat)
    mine = pings.driver_id == asked.driver_id[i]
    own = list(zip(pings.at_ms[mine].tolist(), x[mine], y[mine], strict=True))
    ends = (asked.from_lon, asked.from_lat), (asked.to_lon, asked.to_lat)
    (from_x, from_y), (to_x, to_y) = (CITY.projection.to_plane(lon, lat) for lon, lat in ends)
    return moved(own, (int(asked.at_ms[i]), from_x[i], from_y[i], to_x[i], to_y[i]), MOST_STEP_M)


# --- pings before a drive ------------------------------------------------------------------------


@settings(max_examples=80)
@given(st.integers(0, 10**6), st.integers(0, 60), st.integers(0, 12))
def test_what_moved_is_what_a_reading_ping_by_ping_finds(seed, num_pings, num_asked):
    pings, asked = random_day(seed, num_pings, num_asked)
    columns = moved_columns(CITY, pings, asked)
    assert columns.shape == (len(MOVED_COLUMNS), num_asked)
    for i in range(num_asked):
        np.testing.assert_allclose(columns[:, i], by_hand(pings, asked, i), rtol=1e-6, atol=0.02)


def without(pings, keep):
    return RecordedPings(
        *(getattr(pings, name)[keep] for name in ("driver_id", "at_ms", "lon", "lat", "occupied"))
    )


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_pings_at_the_start_or_later_never_count(seed):
    """To the bit: whether they are removed, or somewhere else."""
    pings, asked = random_day(seed, 60, 8)
    columns = moved_columns(CITY, pings, asked)
    for i in range(8):
        one = Asked(*(column[i : i + 1] for column in asked))
        later = pings.at_ms >= asked.at_ms[i]
        lon = np.where(later, pings.lon + 0.02, pings.lon)
        elsewhere = RecordedPings(pings.driver_id, pings.at_ms, lon, pings.lat, pings.occupied)
        assert np.array_equal(moved_columns(CITY, without(pings, ~later), one)[:, 0], columns[:, i])
        assert np.array_equal(moved_columns(CITY, elsewhere, one)[:, 0], columns[:, i])


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_pings_of_other_drivers_do_not_matter(seed):
    pings, asked = random_day(seed, 60, 8)
    columns = moved_columns(CITY, pings, asked)
    for i in range(8):
        one = Asked(*(column[i : i + 1] for column in asked))
        alone = without(pings, pings.driver_id == asked.driver_id[i])
        assert np.array_equal(moved_columns(CITY, alone, one)[:, 0], columns[:, i])


def test_the_drive_of_the_last_driver_long_after_the_last_ping():
    pings = pings_of([1, 1, 2, 2], [0, 1, 0, 1], [0, 100, 0, 100], np.zeros(4))
    columns = moved_columns(CITY, pings, asked_of([2, 2, 2, 9], [7, 40, 300, 7], np.zeros((4, 4))))
    assert columns[MOVED_COLUMNS.index("pings_60min")].tolist() == [2, 2, 0, 0]
    assert columns[MOVED_COLUMNS.index("moved_15min_m")].round().tolist() == [100, 0, 0, 0]
    assert columns[MOVED_COLUMNS.index("moved_5min_m")].tolist() == [0, 0, 0, 0]


def test_who_comes_from_behind_and_who_turns_round():
    pings = pings_of([1], [0], [0.0], [0.0])
    ends = np.array([[100.0, 0, 1000, 0], [100.0, 0, -1000, 0], [100.0, 0, 100, 500]]).T
    columns = moved_columns(CITY, pings, asked_of([1, 1, 1], [1, 1, 1], ends))
    told = columns[[MOVED_COLUMNS.index(name) for name in ("heading_along", "heading_across")]]
    np.testing.assert_allclose(told.T, [(1, 0), (-1, 0), (0, 1)], atol=1e-6)


def test_pings_may_be_in_any_order():
    pings, asked = random_day(3, 60, 8)
    mixed = without(pings, np.random.default_rng(3).permutation(len(pings)))
    assert np.array_equal(moved_columns(CITY, mixed, asked), moved_columns(CITY, pings, asked))


def test_without_pings_all_is_nothing():
    none, asked = random_day(0, 0, 5)
    assert (moved_columns(CITY, none, asked) == 0).all()
    pings, nobody = random_day(0, 20, 0)
    assert moved_columns(CITY, pings, nobody).shape == (len(MOVED_COLUMNS), 0)


# --- trips before a trip -------------------------------------------------------------------------

TRIPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 600), st.sampled_from([1, 20, 60, 500]), st.floats(-3, 3)),
    max_size=15,
)


@settings(max_examples=80)
@given(TRIPS)
def test_recent_trips_are_those_that_had_ended(trips):
    driver, start, lasts = (np.array([trip[k] for trip in trips], np.int64) for k in range(3))
    residual = np.array([trip[3] for trip in trips], float)
    start_ms, end_ms = start * MINUTE_MS, (start + lasts) * MINUTE_MS
    columns = recent_columns(driver, start_ms, end_ms, residual)
    heard = np.clip(residual, -1, 1).tolist()
    told = list(zip(driver.tolist(), start_ms.tolist(), end_ms.tolist(), heard, strict=True))
    for i in range(len(trips)):
        np.testing.assert_allclose(columns[:, i], recent(told, i, 0.8, PRIOR, FORGET_MS), atol=1e-12)


# --- drivers -------------------------------------------------------------------------------------


def observed(seed, num):
    rng = np.random.default_rng(seed)
    return Observed(rng.integers(-1, 4, num), rng.integers(100, 104, num), rng.normal(0, 0.8, num))


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 20), st.integers(0, 20))
def test_drivers_differ_by_what_they_did_on_other_days(seed, num_trips, num_ways):
    trips, ways = observed(seed, num_trips), observed(seed + 1, num_ways)
    effects, columns = fit_driver_effects(trips, ways)
    lists = [list(zip(*(part.tolist() for part in one), strict=True)) for one in (trips, ways)]
    for i, (driver, day, _) in enumerate(lists[0]):
        expected = [
            *others_mean(lists[0], driver, day, 20.0, 1.0),
            *others_mean(lists[1], driver, day, 100.0, 1.0),
        ]
        np.testing.assert_allclose(columns[:, i], expected, atol=1e-12)
    for k, driver in enumerate(effects.driver_id.tolist()):
        expected = [
            *others_mean(lists[0], driver, None, 20.0, 1.0),
            *others_mean(lists[1], driver, None, 100.0, 1.0),
        ]
        np.testing.assert_allclose(effects.columns(np.array([driver]))[:, 0], expected, atol=1e-12)
        assert (effects.mean[0, k], effects.num[0, k]) == pytest.approx(expected[:2])


def test_the_own_day_of_a_trip_never_counts():
    trips, ways = observed(0, 40), observed(1, 40)
    _, columns = fit_driver_effects(trips, ways)
    changed = [one._replace(residual=np.where(one.day == 101, -0.7, one.residual)) for one in (trips, ways)]
    _, other = fit_driver_effects(*changed)
    mine = trips.day == 101
    np.testing.assert_allclose(other[:, mine], columns[:, mine], atol=1e-12)
    assert not np.allclose(other[:, ~mine], columns[:, ~mine])


def test_unknown_drivers_are_like_nobody():
    effects, _ = fit_driver_effects(observed(0, 40), observed(1, 40))
    assert (effects.columns(np.array([-99, 17, 2**62])) == 0).all()
    none = DriverEffects(np.empty(0, np.int64), np.empty((2, 0)), np.empty((2, 0)))
    assert (none.columns(np.array([1, 2])) == 0).all()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("driver_id", lambda a: a[::-1]),
        ("driver_id", lambda a: a[:, None]),
        ("driver_id", lambda a: a[:-1]),
        ("driver_id", lambda a: a.astype(float)),
        ("mean", lambda a: a.T),
        ("mean", lambda a: a * np.nan),
        ("mean", lambda a: a.astype(np.float32)),
        ("num", lambda a: a[:1]),
        ("num", lambda a: a + np.inf),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name, change):
    effects, _ = fit_driver_effects(observed(0, 40), observed(1, 40))
    arrays = effects.arrays()
    assert np.array_equal(DriverEffects.from_arrays(arrays).mean, effects.mean)
    with pytest.raises(InputError, match="driver effects"):
        DriverEffects.from_arrays(arrays | {name: change(arrays[name])})
