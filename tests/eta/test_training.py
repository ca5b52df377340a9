import datetime
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cities import grid_city
from dispatch.errors import InputError
from dispatch.eta.boosting import BoostingParams, Forest
from dispatch.eta.calibration import LEVELS
from dispatch.eta.driven_ways import driven_ways
from dispatch.eta.edge_times import EdgeTimes
from dispatch.eta.evaluation import predict_trips
from dispatch.eta.features import COLUMNS, GROUPS, OF_DRIVER, Routed
from dispatch.eta.ground import Ground
from dispatch.eta.map_matching import match_pings
from dispatch.eta.model import FREE_FLOW, LEARNT, PROBES
from dispatch.eta.training import (
    CALIBRATION_FOLDS,
    MIN_TRIPS,
    EtaParams,
    Prepared,
    _day,
    _folds,
    _Preparing,
    finish,
    grow,
    prepare,
    train_eta,
)
from dispatch.eta.trip_set import trip_set
from dispatch.roads.city import City
from dispatch.units import NO_INDEX, NO_VALUE
from eta.eta_city import (
    DAY_MS,
    MONDAY_MS,
    PARAMS,
    SLOW_DRIVER,
    eta_city,
    hour_factor,
    next_day,
    trained,
    true_edge_s,
    week,
)

TINY = BoostingParams(trees=3, leaves=4, min_leaf=20)
QUICK = replace(
    PARAMS,
    median=TINY,
    quantiles=TINY,
    probes=replace(PARAMS.probes, rounds=3),
    trips=replace(PARAMS.trips, rounds=3),
)
FRIDAY_MS = MONDAY_MS + 4 * DAY_MS + 11 * DAY_MS // 24


def quick(trips, pings=None, **options):
    return train_eta(eta_city(), trips, pings, params=options.pop("params", QUICK), **options)


def arrays_of(model):
    """All that predictions hang on."""
    parts = {
        "effects": model.effects.arrays(),
        "drivers": model.drivers.arrays(),
        "calibration": vars(model.calibration),
        "probes": vars(model.ground.probes),
        "trips": vars(model.ground.trips),
        **{f"forest {k}": forest.arrays() for k, forest in enumerate(model.forests)},
    }
    return {(part, name): values for part, held in parts.items() for name, values in held.items()}


def same(one, other):
    mine, theirs = arrays_of(one), arrays_of(other)
    return mine.keys() == theirs.keys() and all(np.array_equal(mine[k], theirs[k]) for k in mine)


# --- what is learnt ------------------------------------------------------------------------------


def test_a_city_of_known_times_is_learnt():
    """Noise alone would leave 9.6 % of a typical trip; free flow is wrong by half."""
    model, test = trained(), predict_trips(trained(), *next_day())
    missed = np.abs(np.log(test.predicted_s / test.actual_s)).mean()
    assert missed < 0.115
    assert np.abs(np.log(test.others["free flow"] / test.actual_s)).mean() > 0.4
    covered = (test.actual_s[:, None] <= test.quantile_s).mean(axis=0)
    assert np.abs(covered - LEVELS).max() < 0.17  # of 224 trips, by 15 trees
    assert (model.kind, model.city) == (LEARNT, eta_city())


def test_streets_hours_and_drivers_are_found():
    model = trained()
    driven = model.ground.probes.evidence > 100
    usual_s = model.ground.probes.edge_s * np.exp(
        np.log(model.ground.probes.slot_factor[11:20]).mean(axis=0)[model.ground.probes.cell]
    )
    ratio = usual_s / true_edge_s() / SLOW_DRIVER**0.5
    assert driven.sum() > 40
    assert np.abs(np.log(ratio[driven])).mean() < 0.12
    rush = model.ground.trips.slot_factor[8] / model.ground.trips.slot_factor[13]
    assert np.abs(rush / (hour_factor(8) / hour_factor(13)) - 1).max() < 0.25
    slow, quick_ones = (model.drivers.mean[0, model.drivers.driver_id % 2 == k].mean() for k in (1, 0))
    assert 0.65 * np.log(SLOW_DRIVER) < slow - quick_ones < 1.1 * np.log(SLOW_DRIVER)


def test_the_report_tells_what_was_used():
    trips, pings = week()
    report = trained().report
    assert report["trips"] == {"used": len(trips), "left_out": {}}
    assert report["pings"]["given"] == len(pings)
    assert report["pings"]["ways"] > 1000
    assert (report["city"], report["before_ms"], report["seed"]) == ("Gridville", None, 1)
    shares = report["gain"]
    assert sum(shares[name] for name in COLUMNS) == pytest.approx(1)
    assert sum(shares[f"all of {group}"] for group in GROUPS) == pytest.approx(1)


def test_progress_is_told():
    told = []
    quick(week().trips.select(np.arange(600)), on_progress=lambda *one: told.append(one))
    assert {"fitting streets", "fitting streets to trips", "gathering features", "growing trees"} <= {
        doing for doing, _, _ in told
    }
    assert all(0 <= done <= of for _, done, of in told)


# --- the same each time --------------------------------------------------------------------------


def test_the_same_data_and_seed_give_the_same_file(tmp_path):
    for name in ("one", "other"):
        quick(*week()).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_another_seed_gives_other_trees():
    trips = week().trips
    params = replace(QUICK, median=replace(TINY, feature_fraction=0.5))
    one, other = (quick(trips, params=replace(params, seed=seed)) for seed in (1, 2**31 - 2))
    assert not same(one, other)
    assert np.array_equal(one.ground.trips.edge_s, other.ground.trips.edge_s)


# --- the future ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def until_friday():
    """Trained on what was known on Friday at 11:00."""
    return quick(*week(), before_ms=np.int64(FRIDAY_MS))


def test_nothing_from_an_instant_on_is_used(until_friday):
    """What comes later is removed, or scrambled: durations, drivers, places, pings."""
    trips, pings = week()
    end_ms = trips.requested_at_ms + 1000 * trips.duration_s.astype(np.int64)
    ended, rng = end_ms < FRIDAY_MS, np.random.default_rng(0)
    assert (~ended & (trips.requested_at_ms < FRIDAY_MS)).any()
    removed = quick(trips.select(ended), pings.between(0, FRIDAY_MS))
    mixed = np.where(ended, np.arange(len(trips)), rng.permutation(len(trips)))
    scrambled = replace(
        trips,
        duration_s=np.where(ended, trips.duration_s, 9000 + trips.duration_s % 999).astype(np.int32),
        **{name: getattr(trips, name)[mixed] for name in ("driver_id", "dropoff_node", "dropoff_lon")},
    )
    later = pings.at_ms >= FRIDAY_MS
    elsewhere = replace(
        pings, lon=np.where(later, pings.lon[::-1], pings.lon), occupied=pings.occupied | later
    )
    again = quick(scrambled, elsewhere, before_ms=FRIDAY_MS)
    for other in (removed, again):
        assert same(until_friday, other)
    assert not same(until_friday, quick(trips, pings))


def test_what_was_not_known_yet_is_counted(until_friday, tmp_path):
    trips, _ = week()
    end_ms = trips.requested_at_ms + 1000 * trips.duration_s.astype(np.int64)
    report = until_friday.report
    assert report["before_ms"] == FRIDAY_MS
    assert report["trips"]["used"] == np.count_nonzero(end_ms < FRIDAY_MS)
    assert report["trips"]["used"] + sum(report["trips"]["left_out"].values()) == len(trips)
    until_friday.save(tmp_path / "city.npz")  # whatever kind of number the instant was


def prepared(trips, pings=None, params=QUICK):
    found = prepare(eta_city(), trips, pings, params=params)
    assert isinstance(found, Prepared)
    return found


def test_features_leave_out_the_own_day():
    """A whole day is half as slow again: its trips are not told, but that others look quicker beside it.

    Of the change, 0.4 in logarithms, the mean of other days takes a tenth away: the streets of their folds
    were fitted to that day too. The more days there are, the less.
    """
    trips, _ = week()
    mine = (trips.requested_at_ms - MONDAY_MS) // DAY_MS == 2
    longer = np.where(mine, trips.duration_s * 3 // 2, trips.duration_s).astype(np.int32)
    known = replace(QUICK, unknown_share=0.0)
    before, after = (prepared(one, params=known).learnt for one in (trips, replace(trips, duration_s=longer)))
    np.testing.assert_allclose(before.bases[0][mine], after.bases[0][mine], rtol=1e-6)
    change = dict(zip(COLUMNS, (after.features - before.features).T, strict=True))
    summed = [name for name in GROUPS["similar trips"] if "num" not in name] + ["driver_trip_mean"]
    for name, values in change.items():
        if name in summed:
            assert -0.07 < values[mine].min() <= values[mine].max() < 0.02, name
            assert np.abs(values[~mine]).max() > 0.02, name
        elif "recent" not in name:
            np.testing.assert_allclose(values[mine], 0, atol=1e-4, err_msg=name)


def test_what_is_usual_is_told_by_the_pings_of_other_folds():
    """Ways of a fold's own days that take three times as long change nothing for it, and much for others."""
    city, (trips, pings) = eta_city(), week()
    usable, ways = trip_set(trips)[0], driven_ways(city, pings, match_pings(city, pings))[0]
    free = EdgeTimes.free_flow(city.graph)
    routed = Routed.of(Ground(city, free, free, 0.0), usable)

    def usual(duration_s):
        told = ways._replace(duration_s=duration_s)
        return _Preparing(city, usable, pings, told, QUICK, {}, lambda *_: None)._usual(routed, free)

    day = _day(city, usable.at_ms)
    fold_of_day = dict(zip(day, _folds(day, 5), strict=True))
    own = np.array([fold_of_day[day] == 0 for day in _day(city, ways.ended_at_ms)])
    before, after = usual(ways.duration_s), usual(np.where(own, 3.0, 1.0) * ways.duration_s)
    of_trip = np.repeat(_folds(day, 5) == 0, np.diff(routed.first))
    for one, other, mine in zip(before, after, (np.repeat(own, np.diff(ways.first)), of_trip), strict=True):
        np.testing.assert_allclose(one[mine], other[mine])
        assert (np.abs(one[~mine] / other[~mine] - 1) > 1e-3).mean() > 0.9


def test_a_first_trip_of_a_driver_is_told_nothing_of_recent_ones():
    trips, pings = week()
    learnt = prepared(trips, pings, replace(QUICK, unknown_share=0.0)).learnt
    _, first = np.unique(trips.driver_id, return_index=True)
    recent = [COLUMNS.index(name) for name in ("driver_recent_mean", "driver_recent_num")]
    assert (learnt.features[np.ix_(first, recent)] == 0).all()
    assert (learnt.features[:, recent[1]] > 0).mean() > 0.8


def test_some_drivers_are_hidden():
    learnt = prepared(*week(), replace(QUICK, unknown_share=0.4)).learnt
    hidden = (learnt.features[:, list(OF_DRIVER)] == 0).all(axis=1)
    assert 0.36 < hidden.mean() < 0.46
    assert abs(hidden[:900].mean() - hidden[900:].mean()) < 0.08


# --- what there is not ---------------------------------------------------------------------------


def test_without_anything_the_model_is_free_flow_and_says_so():
    for trips in (None, week().trips.select(np.empty(0, np.int64))):
        model = quick(trips)
        assert model.kind == FREE_FLOW
        assert "no data" in model.report["note"]
        assert model.report["city"] == "Gridville"


def test_pings_alone_tell_how_fast_streets_are():
    model = train_eta(eta_city(), None, week().pings)
    assert model.kind == PROBES
    assert "no trips" in model.report["note"]
    assert model.report["pings"]["ways"] > 1000
    test = predict_trips(model, *next_day())
    missed = np.abs(np.log(test.predicted_s / test.actual_s)).mean()
    assert missed < 0.6 * np.abs(np.log(test.others["free flow"] / test.actual_s)).mean()


def test_few_pings_tell_nothing():
    _, pings = week()
    few = pings.between(MONDAY_MS, MONDAY_MS + 7 * DAY_MS // 24)
    model = quick(None, few)
    assert model.kind == FREE_FLOW
    assert model.report["pings"]["ways"] < 1000


@pytest.mark.parametrize("num", [1, MIN_TRIPS - 1])
def test_too_few_trips_are_refused(num):
    trips = week().trips.select(np.linspace(0, len(week().trips) - 1, num).astype(int))
    with pytest.raises(InputError, match=rf"trips holds {num} .*needs 500 or more; leave trips out"):
        quick(trips)


def test_trips_of_later_days_only_are_too_few():
    """Seconds in place of milliseconds, say."""
    with pytest.raises(InputError, match=r"trips holds 0 .*1,792 trips that had not ended"):
        quick(*week(), before_ms=MONDAY_MS // 1000)


def test_trips_of_a_single_day_are_refused():
    trips, _ = week()
    one_day = replace(trips, requested_at_ms=MONDAY_MS + (trips.requested_at_ms - MONDAY_MS) % DAY_MS)
    order = np.argsort(one_day.requested_at_ms, kind="stable")
    with pytest.raises(InputError, match=r"all of one day.*give trips of more days"):
        quick(one_day.select(order))


def test_two_days_are_enough():
    trips, _ = week()
    two = replace(trips, requested_at_ms=MONDAY_MS + (trips.requested_at_ms - MONDAY_MS) % (2 * DAY_MS))
    model = quick(two.select(np.argsort(two.requested_at_ms, kind="stable")))
    assert np.isfinite(predict_trips(model, next_day().trips).quantile_s).all()


def test_durations_in_milliseconds_are_counted_and_refused():
    trips, _ = week()
    with pytest.raises(InputError, match="1,792 trips longer than 3 hours"):
        quick(replace(trips, duration_s=trips.duration_s * 1000))


def test_trips_that_tell_nothing_are_counted():
    trips, _ = week()
    duration_s, node = trips.duration_s.copy(), trips.dropoff_node.copy()
    duration_s[:30], node[25:50] = NO_VALUE, NO_INDEX
    report = quick(replace(trips, duration_s=duration_s, dropoff_node=node)).report["trips"]
    assert report["used"] == len(trips) - 50
    assert report["left_out"] == {"trips without a duration": 30, "trips with an end off the network": 20}


def test_trips_of_another_city_are_refused():
    with pytest.raises(InputError, match="nodes are 0 to 15"):
        train_eta(grid_city(4, 4), week().trips, params=QUICK)


def test_trips_without_drivers_and_trips_that_end_where_they_begin():
    trips, pings = week()
    node = np.where(np.arange(len(trips)) % 9 == 0, trips.pickup_node, trips.dropoff_node)
    nobody = np.full(len(trips), NO_VALUE, np.int64)
    for start_s in (30.0, 0.0):
        params = replace(QUICK, trips=replace(QUICK.trips, start_s=start_s))
        model = quick(replace(trips, driver_id=nobody, dropoff_node=node), pings, params=params)
        asked = {COLUMNS[k] for forest in model.forests for k in forest.feature}
        assert asked.isdisjoint(COLUMNS[k] for k in OF_DRIVER)
        assert np.isfinite(predict_trips(model, *next_day()).predicted_s).all()


# --- folds and days ------------------------------------------------------------------------------


@given(st.integers(0, 400), st.integers(8, 60), st.integers(0, 10**6))
def test_no_fold_takes_all_of_one_kind_of_day(first, num_days, seed):
    """Nor does one of the three by which quantiles are calibrated."""
    rng = np.random.default_rng(seed)
    days = 19_000 + first + np.arange(num_days)
    day = rng.permutation(np.repeat(days, 3))
    fold = _folds(day, EtaParams().folds)
    assert set(fold.tolist()) <= set(range(EtaParams().folds))
    assert all(len(np.unique(fold[day == one])) == 1 for one in days)
    kind = np.maximum((day + 3) % 7, 4)
    for one in (4, 5, 6):
        if len(np.unique(day[kind == one])) > 1:
            assert len(np.unique(fold[kind == one])) > 1
            assert len(np.unique(fold[kind == one] % CALIBRATION_FOLDS)) > 1
    sizes = np.bincount(_folds(days, 5), minlength=5)
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("timezone", ["America/Los_Angeles", "Europe/Berlin", "Pacific/Auckland", "UTC"])
def test_days_last_from_four_to_four_also_when_clocks_change(timezone):
    city = City.from_graph("Somewhere", grid_city(3, 3).graph, timezone)
    zone = ZoneInfo(timezone)
    at_ms = np.arange(0, 366 * 24) * 3_600_000 + 1_704_067_200_000 + 59_000
    four_h = 4 * 3600
    dates = [datetime.datetime.fromtimestamp(ms / 1000 - four_h, zone).date() for ms in at_ms.tolist()]
    day = _day(city, at_ms)
    assert len(set(zip(day.tolist(), dates, strict=True))) == len(set(dates)) == len(set(day.tolist()))
    assert {d.weekday() for d, number in zip(dates, day.tolist(), strict=True) if (number + 3) % 7 == 6} == {
        6
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("folds", 1),
        ("folds", 21),
        ("folds", 2.0),
        ("unknown_share", 1.0),
        ("unknown_share", -0.1),
        ("unknown_share", float("nan")),
        ("seed", -1),
        ("seed", 2**31 - 1),
        ("seed", 1.5),
    ],
)
def test_parameters_out_of_range_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        EtaParams(**{name: value})


# --- forests -------------------------------------------------------------------------------------


def test_a_model_may_be_finished_apart():
    trips, pings = week()
    found = prepared(trips, pings)
    assert same(finish(found, QUICK), quick(trips, pings))
    forest = grow(found.learnt, 0.9, 0, QUICK, found.learnt.fold > 0)
    assert isinstance(forest, Forest)
    told_s = forest.predict(found.learnt.features) * found.learnt.bases[0]
    assert 0.85 < (found.learnt.duration_s <= told_s).mean() < 0.95
