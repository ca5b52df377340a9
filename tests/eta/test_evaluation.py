from dataclasses import replace

import numpy as np
import pytest

from cities import line_city, random_trips
from dispatch.errors import InputError
from dispatch.eta.boosting import BoostingParams
from dispatch.eta.evaluation import predict_trips, seconds_of, trip_features
from dispatch.eta.features import COLUMNS, OF_DRIVER, Routed, hide_drivers, split_live
from dispatch.eta.live import LIVE_COLUMNS, LiveQueries, LiveTraffic
from dispatch.eta.live_ways import ways_as_told
from dispatch.eta.model import PROBES, EtaModel
from dispatch.eta.times import EtaTimes
from dispatch.eta.training import EtaParams, train_eta
from dispatch.eta.trip_set import trip_set
from dispatch.kernels.eta_predict import NUM_FORESTS, PROBES_S, TRIPS_S, Asked, predict
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.trips import RecordedTrips
from dispatch.units import NO_INDEX, NO_VALUE
from eta.eta_city import MONDAY_MS, PARAMS, eta_city, next_day, trained, week

TRIPS, PINGS = next_day()
USABLE, _ = trip_set(TRIPS)
EVERY = range(0, len(TRIPS), 9)
LIVE = [COLUMNS.index(name) for name in LIVE_COLUMNS]


@pytest.fixture(scope="module")
def told():
    return predict_trips(trained(), TRIPS, PINGS)


def ways_of(pings):
    return ways_as_told(eta_city(), pings)[0]


def features_of(trips, ways, pings):
    return trip_features(trained(), trip_set(trips)[0], ways, pings)[0]


def predictions(test):
    return np.column_stack([test.predicted_s, test.quantile_s])


# --- nothing of the future -----------------------------------------------------------------------


def test_the_model_leans_on_what_could_leak():
    """Else nothing here would tell: trips of the same driver, pings, live traffic are all asked."""
    asked = {COLUMNS[k] for forest in trained().forests for k in forest.feature}
    assert asked & {"driver_recent_mean", "driver_recent_num"}
    assert asked & {"ping_gap_s", "heading_along", "heading_across", "moved_x_m", "moved_y_m", "ping_moved_m"}
    assert asked & set(LIVE_COLUMNS)


@pytest.mark.parametrize("factor", [0.3, 2.5])
def test_the_own_duration_changes_later_trips_of_the_driver_only(told, factor):
    """One trip of each driver, in the middle of the day, takes another time."""
    chosen = np.array([np.flatnonzero(TRIPS.driver_id == driver)[5] for driver in range(16)])
    duration_s = TRIPS.duration_s.copy()
    duration_s[chosen] = np.rint(duration_s[chosen] * factor)
    again = predict_trips(trained(), replace(TRIPS, duration_s=duration_s), PINGS)
    changed = (predictions(again) != predictions(told)).any(axis=1)
    after = np.zeros(len(TRIPS), bool)
    for row in chosen:
        after |= (TRIPS.driver_id == TRIPS.driver_id[row]) & (
            TRIPS.requested_at_ms > TRIPS.requested_at_ms[row]
        )
    assert not changed[~after].any()
    assert changed[after].any()
    assert np.array_equal(again.actual_s, duration_s)


def test_durations_of_trips_that_had_not_ended_are_not_told():
    """For each trip, all trips that end later, itself among them, take another time.

    Two drivers go by one number, so that trips of a driver overlap.
    """
    shared = replace(TRIPS, driver_id=TRIPS.driver_id // 2)
    told = predictions(predict_trips(trained(), shared, PINGS))
    end_ms = TRIPS.requested_at_ms + 1000 * TRIPS.duration_s.astype(np.int64)
    for i in EVERY:
        wrong = end_ms > TRIPS.requested_at_ms[i]
        duration_s = np.where(wrong, 10_000 - TRIPS.duration_s, TRIPS.duration_s).astype(np.int32)
        again = predict_trips(trained(), replace(shared, duration_s=duration_s), PINGS)
        assert np.array_equal(predictions(again)[i], told[i])


def test_columns_that_are_not_known_before_are_not_read(told):
    rng = np.random.default_rng(0)
    again = predict_trips(
        trained(), replace(TRIPS, passengers=rng.integers(1, 99, len(TRIPS)).astype(np.int32)), PINGS
    )
    assert np.array_equal(predictions(again), predictions(told))


def test_later_trips_and_later_pings_tell_nothing():
    """All features to the bit, where the ways driven before are given: each trip is the last one of all."""
    ways, whole = ways_of(PINGS), features_of(TRIPS, ways_of(PINGS), PINGS)
    for i in EVERY:
        at_ms = int(TRIPS.requested_at_ms[i])
        so_far = TRIPS.select(np.arange(i + 1))
        known = features_of(so_far, ways.between(0, at_ms), PINGS.between(0, at_ms))
        assert np.array_equal(known[i], whole[i]), COLUMNS[np.flatnonzero(known[i] != whole[i])[0]]


def test_pings_from_the_start_on_change_nothing(told):
    """All features and all predictions to the bit, each trip with the pings strictly before it alone."""
    whole = features_of(TRIPS, ways_of(PINGS), PINGS)
    assert (whole[:, LIVE] != 0).any()
    for i in EVERY:
        pings = PINGS.between(0, int(TRIPS.requested_at_ms[i]))
        assert np.array_equal(features_of(TRIPS, ways_of(pings), pings)[i], whole[i])
        again = predict_trips(trained(), TRIPS, pings)
        assert np.array_equal(predictions(again)[i], predictions(told)[i])


def test_pings_elsewhere_at_the_start_or_later_tell_nothing_of_the_driver():
    """At the very instant of a start, cars are somewhere else: not one column that reads pings sees it."""
    ways, whole = ways_of(PINGS), features_of(TRIPS, ways_of(PINGS), PINGS)
    at_start = np.isin(PINGS.at_ms, TRIPS.requested_at_ms)
    assert at_start.any()
    for i in EVERY:
        later = PINGS.at_ms >= TRIPS.requested_at_ms[i]
        elsewhere = replace(PINGS, lat=np.where(later, PINGS.lat + 0.01, PINGS.lat))
        assert np.array_equal(features_of(TRIPS, ways, elsewhere)[i], whole[i])


# --- what is told --------------------------------------------------------------------------------


def test_all_that_is_told_of_trips(told):
    assert np.array_equal(told.requested_at_ms, TRIPS.requested_at_ms)
    assert np.array_equal(told.actual_s, TRIPS.duration_s)
    assert np.array_equal(told.from_lon, TRIPS.pickup_lon)
    assert np.array_equal(told.to_lat, TRIPS.dropoff_lat)
    assert (np.diff(told.quantile_s, axis=1) >= 0).all()
    assert np.array_equal(told.quantile_s[:, told.levels.index(0.5)], told.predicted_s)
    city, routed = eta_city(), Routed.of(trained().ground, USABLE)
    length_m = [
        city.graph.length_m[routed.edge[a:b]].sum()
        for a, b in zip(routed.first, routed.first[1:], strict=False)
    ]
    np.testing.assert_allclose(told.distance_m, length_m, rtol=1e-6)
    free_ms = city.free_flow().pairs_ms(TRIPS.pickup_node, TRIPS.dropoff_node)
    np.testing.assert_allclose(told.others["free flow"], free_ms / 1000)


def test_what_is_live_makes_predictions_better(told):
    def missed(test):
        return np.abs(np.log(test.predicted_s / test.actual_s)).mean()

    blind = predict_trips(trained(), replace(TRIPS, driver_id=np.full(len(TRIPS), NO_VALUE, np.int64)))
    assert missed(told) < 0.9 * missed(blind)


def test_trips_that_cannot_be_judged_are_counted():
    duration_s, node = TRIPS.duration_s.copy(), TRIPS.pickup_node.copy()
    duration_s[0], node[1] = NO_VALUE, NO_INDEX
    found = predict_trips(trained(), replace(TRIPS, duration_s=duration_s, pickup_node=node))
    assert len(found) == len(TRIPS) - 2
    assert [one.count for one in found.drops] == [1, 1]


def test_no_trips_give_an_empty_test():
    assert len(predict_trips(trained(), TRIPS.select(np.empty(0, np.int64)), PINGS)) == 0


def test_drivers_nobody_knows_are_not_one_driver(told):
    """Neither what one of them did before counts, nor trips of the training without a driver."""
    trips, _ = week()
    half = np.where(np.arange(len(trips)) % 2, trips.driver_id, NO_VALUE)
    model = train_eta(eta_city(), replace(trips, driver_id=half), params=PARAMS)
    nobody = replace(TRIPS, driver_id=np.full(len(TRIPS), NO_VALUE, np.int64))
    features = trip_features(model, trip_set(nobody)[0], None, None)[0]
    assert (features[:, list(OF_DRIVER)] == 0).all()
    apart = replace(TRIPS, driver_id=np.arange(1000, 1000 + len(TRIPS)))
    assert np.array_equal(predictions(predict_trips(model, nobody)), predictions(predict_trips(model, apart)))


@pytest.mark.parametrize("kind", ["free flow", PROBES])
def test_models_of_streets_predict_trips_that_end_where_they_begin(kind):
    city = line_city(6, sink=True)
    trips = random_trips(city, 30, recorded=True)
    trips = replace(trips, dropoff_node=np.where(np.arange(30) == 4, trips.pickup_node, trips.dropoff_node))
    model = EtaModel.free_flow(city)
    if kind == PROBES:
        model = EtaModel.of_streets(model.ground, PROBES, {})
    found = predict_trips(model, trips)
    assert found.predicted_s[4] == 1.0
    from_sink = (trips.pickup_node == 5) & (trips.dropoff_node != 5)
    assert from_sink.any()
    assert found.others["free flow"].max() < 3600
    assert (found.predicted_s[from_sink] > 5).all()


def test_trips_of_another_city_are_refused():
    with pytest.raises(InputError, match="nodes are 0 to 3"):
        predict_trips(EtaModel.free_flow(line_city(4)), TRIPS)


# --- the same as engines are told ----------------------------------------------------------------


@pytest.fixture(scope="module")
def live():
    """Live traffic after the first hours of the day."""
    traffic = LiveTraffic(eta_city(), trained().live)
    ways = ways_of(PINGS)
    usual_s = ways.usual_s(trained().ground.probes.slot_s(9))
    traffic.observe(ways, usual_s)
    return traffic


def live_rows(model, live, routed, at_ms):
    """Columns of live traffic of routes, at one instant, where nobody knows who drives."""
    num = len(routed.drives.slot)
    nobody = np.full(num, -(2**63), np.int64)
    usual_s = routed.entries_s(model.ground.probes)
    return live.known(LiveQueries(np.full(num, at_ms, np.int64), routed.first, routed.edge, usual_s, nobody))


@pytest.mark.parametrize("has_table", [True, False])
@pytest.mark.parametrize("has_live", [False, True])
@pytest.mark.parametrize("num", [7, 200])
def test_engines_are_told_what_trips_are_told_whose_driver_is_not_known(has_table, has_live, num, live):
    at_ms = int(PINGS.at_ms.max()) + 60_000
    model = replace(trained(), ground=replace(trained().ground))
    model.ground.__dict__["has_table"] = has_table
    trips = USABLE.take(np.arange(num))._replace(
        at_ms=np.full(num, at_ms), driver_id=np.full(num, NO_VALUE, np.int64)
    )
    features, routed, both = trip_features(model, trips, None, None)
    times = EtaTimes(model, live if has_live else None, remake_every_s=1.0)
    if has_live:
        features[:, LIVE] = live_rows(model, live, routed, at_ms)
        hide_drivers(features, np.ones(num, np.bool_))
        assert (features[:, LIVE[:6]] != 0).any()
        beyond = split_live(features[:, LIVE].T.copy(), model.ground.live_range)
        route = COLUMNS.index("live_route")
        features[:, route] = np.clip(features[:, route], *model.ground.live_range)
        both = both[0] * beyond, both[1] * beyond
    now, memory = times.at(at_ms)._now, times.memory()
    out_s = np.empty((NUM_FORESTS, num))
    asked = Asked(routed.drives, routed.first, routed.edge)
    predict(asked, model.kernel_ground, now, memory.model, NUM_FORESTS, memory.columns, out_s)
    np.testing.assert_allclose(memory.columns[:-1, :num], features[:, :].T, rtol=1e-4, atol=1e-5)
    for one, row in enumerate([TRIPS_S, PROBES_S, TRIPS_S, TRIPS_S, TRIPS_S]):
        expected = model.forests[one].predict(features) * both[row == PROBES_S]
        # A threshold may lie between two roundings of a column, which sends a drive another way.
        close = np.isclose(out_s[one], expected, rtol=1e-5 if has_live else 1e-6)
        assert close.mean() > (0.97 if has_live else 0.999)
    predicted_s, _ = seconds_of(model, features, both)
    np.testing.assert_allclose(np.maximum(out_s[:2].mean(axis=0), 1.0), predicted_s, rtol=0.05)


# --- a real city ---------------------------------------------------------------------------------


@pytest.mark.long
def test_san_francisco_is_predicted_better_than_free_flow_and_nothing_leaks(data):
    folder = data / "san_francisco"
    city = City.load(folder)
    trips = city.trips
    assert isinstance(trips, RecordedTrips)
    split_ms = int(np.quantile(trips.requested_at_ms, 0.85))
    trips = trips.select(trips.requested_at_ms >= split_ms - 5 * 86_400_000)
    pings = RecordedPings.load(city.pings_path, int(trips.requested_at_ms[0]), split_ms + 6 * 3_600_000)
    params = EtaParams(median=BoostingParams(trees=60), quantiles=BoostingParams(trees=40))
    model = train_eta(city, trips, pings, before_ms=split_ms, params=params)
    late = trips.select(
        (trips.requested_at_ms >= split_ms) & (trips.requested_at_ms < split_ms + 6 * 3_600_000)
    )
    recent = pings.between(split_ms - 3_600_000, split_ms + 6 * 3_600_000)
    found = predict_trips(model, late, recent)
    missed = np.abs(np.log(found.predicted_s / found.actual_s)).mean()
    assert missed < 0.75 * np.abs(np.log(found.others["free flow"] / found.actual_s)).mean()
    covered = (found.actual_s[:, None] <= found.quantile_s).mean(axis=0)
    assert np.abs(covered - found.levels).max() < 0.06
    half_ms = split_ms + 3 * 3_600_000
    begun = late.requested_at_ms < half_ms
    early = predict_trips(model, late.select(begun), recent.between(0, half_ms))
    both = early.requested_at_ms < half_ms - 600_000
    ratio = early.predicted_s[both] / found.predicted_s[: len(early)][both]
    assert np.mean(np.abs(ratio - 1)) < 1e-4


def test_a_day_of_the_small_city_begins_at_midnight():
    """Else its rush hour would lie elsewhere."""
    hour = (TRIPS.requested_at_ms - MONDAY_MS) % 86_400_000 / 3_600_000
    assert hour.min() >= 6
