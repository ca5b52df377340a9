"""A model of ETAs from recorded trips and pings.

No trip is told what it could not know. What is summed over other trips (edge times, effects of places and of
drivers) is found without those of its own day, or of its own fold of days, while a model is trained; what is
summed over time (live traffic, a driver's last trips) from what had ended before the trip set out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.eta.boosting import BoostingParams, Forest, Sample, train_forest
from dispatch.eta.calibration import LEVELS, fit_calibration
from dispatch.eta.driven_ways import DrivenWays, driven_ways
from dispatch.eta.driver_history import DriverEffects, Observed, fit_driver_effects, recent_columns
from dispatch.eta.edge_times import EdgeTimes, EdgeTimesParams, Ways, fit_edge_times, week_slot
from dispatch.eta.features import (
    COLUMNS,
    GROUPS,
    Routed,
    Usual,
    bases,
    hide_drivers,
    live_columns,
    moved_of,
    split_live,
    stacked,
    usual_of,
)
from dispatch.eta.ground import Ground, ends_of
from dispatch.eta.live import LIVE_COLUMNS, LiveParams
from dispatch.eta.map_matching import match_pings
from dispatch.eta.model import LEARNT, PROBES, EtaModel, fingerprint
from dispatch.eta.pair_effects import PairEffects, fit_pair_effects
from dispatch.eta.trip_set import TripSet, trip_set
from dispatch.kernels.eta_predict import PROBES_S, TRIPS_S
from dispatch.limits import check_range, check_whole
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.tables import Dropped
from dispatch.roads.trips import RecordedTrips
from dispatch.roads.week_slots import days_of
from dispatch.units import MAX_TRAVEL_MS, MS_PER_S

MIN_TRIPS: Final = 500
"""Fewer tell nothing of how trips differ."""
MIN_DAYS: Final = 2
CALIBRATION_FOLDS: Final = 3
"""Quantiles are held against so many parts of the days, each by forests that had not seen it."""
MIN_WAYS: Final = 1000
"""Fewer ways between pings tell nothing of streets."""

_MS_PER_HOUR: Final = 3_600_000
_LEAST_RATIO, _MOST_RATIO = 0.2, 10.0
"""Of durations over free flow in the median: what lies outside is a wrong unit"""
_EPOCH_WEEKDAY: Final = 3
"""1970-01-01 was a Thursday."""

_KNOWN: Final = (0.005, 0.995)
"""Quantiles within which forests are asked; beyond, trees would answer as at the end"""
_BY_PROBES: Final = EdgeTimesParams(clip=0.5, edge_prior=5.0, slot_prior=20.0)
_BY_TRIPS: Final = EdgeTimesParams(clip=0.2, edge_prior=2.0, slot_prior=5.0, start_s=30.0, cell_m=1000.0)
_MEDIAN: Final = BoostingParams(
    trees=250, leaves=31, learning_rate=0.1, min_leaf=40, feature_fraction=0.5, bagging_fraction=0.6
)
_QUANTILES: Final = BoostingParams(
    trees=120, leaves=31, learning_rate=0.1, min_leaf=100, feature_fraction=0.5, bagging_fraction=0.6
)

Progress = Callable[[str, int, int], None]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class EtaParams:
    """How a model is trained."""

    probes: EdgeTimesParams = _BY_PROBES
    """Edge times by ways between pings"""
    trips: EdgeTimesParams = _BY_TRIPS
    """Edge times by trips"""
    median: BoostingParams = _MEDIAN
    quantiles: BoostingParams = _QUANTILES
    live: LiveParams = field(default_factory=LiveParams)
    folds: int = 5
    """Days are dealt to so many folds; 2 to 20"""
    unknown_share: float = 0.25
    """Of the trips, in training, whose driver is hidden: engines ask for cars whose driver nobody knows"""
    no_live_share: float = 0.15
    """Of those that are told no live traffic: a service begins without"""
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_whole("folds", self.folds, 2, 20)
        check_range("unknown_share", self.unknown_share, 0.0, 0.99)
        check_range("no_live_share", self.no_live_share, 0.0, 0.99)
        check_whole("seed", self.seed, 0, 2**31 - 2)


class Learnt(NamedTuple):
    """What forests are grown on."""

    features: NDArray[np.float32]
    """(trips, features) by ``COLUMNS``"""
    bases: tuple[Numbers, Numbers]
    """(trips,) seconds by streets, by trips and by pings, each from other days than the trip's own"""
    duration_s: Numbers
    fold: NDArray[np.int64]
    """(trips,)"""


class Prepared(NamedTuple):
    """A model but for its forests."""

    ground: Ground
    learnt: Learnt
    effects: PairEffects
    drivers: DriverEffects
    report: dict[str, Any]


def train_eta(
    city: City,
    trips: RecordedTrips | None,
    pings: RecordedPings | None = None,
    *,
    before_ms: int | None = None,
    params: EtaParams | None = None,
    on_progress: Progress | None = None,
) -> EtaModel:
    """Learn how long drives take in a city.

    Without trips, pings alone tell how fast streets are; without both, the model is free flow, and says so.

    Parameters
    ----------
    city : City
    trips : RecordedTrips, optional
        Recorded in that city.
    pings : RecordedPings, optional
        Of cars, those of the trips among them.
    before_ms : int, optional
        Nothing from that instant on is used, no trip that had not ended; milliseconds since the epoch.
    params : EtaParams, optional
    on_progress : callable, optional
        Called with what is being done, how much is done, and of how much.

    Returns
    -------
    EtaModel
        Its `report` tells what was used and what was left out.

    Raises
    ------
    InputError
        There are trips, but fewer than ``MIN_TRIPS`` that can be used, or all of one day; or LightGBM is not
        there.
    """
    found = prepare(city, trips, pings, before_ms=before_ms, params=params, on_progress=on_progress)
    return found if isinstance(found, EtaModel) else finish(found, params, on_progress)


def prepare(
    city: City,
    trips: RecordedTrips | None,
    pings: RecordedPings | None = None,
    *,
    before_ms: int | None = None,
    params: EtaParams | None = None,
    on_progress: Progress | None = None,
) -> Prepared | EtaModel:
    """Do all of :func:`train_eta` but the forests: for those who grow other ones on the same features.

    Where no trips are given, the model is there already.
    """
    params, tell = params or EtaParams(), on_progress or _nobody
    if before_ms is not None and pings is not None:
        pings = pings.between(0, before_ms)
    report = _head(city, before_ms, params)
    usable = None
    if trips is not None and len(trips):
        usable, drops = _usable(city, trips, before_ms)
        report["trips"] = {"used": len(usable.row), "left_out": _counts(drops)}
    ways = _ways(city, pings, report, tell)
    if usable is None:
        return _of_pings(city, ways, params, report)
    return _Preparing(city, usable, pings, ways, params, report, tell).prepared()


def finish(
    prepared: Prepared, params: EtaParams | None = None, on_progress: Progress | None = None
) -> EtaModel:
    """Grow the forests, and calibrate quantiles on folds that theirs had not seen."""
    params, tell, learnt = params or EtaParams(), on_progress or _nobody, prepared.learnt
    tails = [level for level in LEVELS if level != 0.5]
    total, done = CALIBRATION_FOLDS * len(LEVELS) + 2 + len(tails), 0
    unseen = np.ones((len(learnt.fold), len(LEVELS)))
    for one in range(CALIBRATION_FOLDS):
        mine = learnt.fold % CALIBRATION_FOLDS == one
        for column, level in enumerate(LEVELS if mine.any() else ()):
            tell("calibrating quantiles", done := done + 1, total)
            forest = grow(learnt, level, 0, params, ~mine)
            unseen[mine, column] = forest.predict(learnt.features[mine]) * learnt.bases[0][mine]
    unseen = np.maximum(unseen, 1.0)
    hour = learnt.features[:, COLUMNS.index("hour")]
    calibration = fit_calibration(learnt.duration_s, unseen[:, LEVELS.index(0.5)], unseen, hour)
    forests = []
    for level, base in ((0.5, 0), (0.5, 1), *((level, 0) for level in tails)):
        tell("growing trees", done := done + 1, total)
        forests.append(grow(learnt, level, base, params))
    report = prepared.report | {"gain": _asked(forests[0])}
    parts = prepared.effects, prepared.drivers, params.live
    return EtaModel(prepared.ground, tuple(forests), calibration, *parts, LEARNT, report)


def _usable(city: City, trips: RecordedTrips, before_ms: int | None) -> tuple[TripSet, tuple[Dropped, ...]]:
    """Give the trips to learn from, and what was left out; refuse those that are too few."""
    if not trips.dated:
        raise InputError("trips tell the minute of the day only: a model needs trips with dates")
    usable, drops = trip_set(trips)
    if before_ms is not None:
        known = usable.end_ms < before_ms
        if not known.all():
            num = int(np.count_nonzero(~known))
            drops = (*drops, Dropped("trips that had not ended before the instant given", num, "trips"))
            usable = usable.take(np.flatnonzero(known))
    left_out = "; ".join(f"{one.count:,} {one.what}" for one in drops) or "none was left out"
    if len(usable.row) < MIN_TRIPS:
        raise InputError(
            f"trips holds {len(usable.row)} that tell how long a drive took ({left_out}): a model needs "
            f"{MIN_TRIPS} or more; leave trips out to learn from pings alone"
        )
    if len(np.unique(_day(city, usable.at_ms))) < MIN_DAYS:
        raise InputError(
            f"trips holds {len(usable.row)} that tell how long a drive took, all of one day: a model learns "
            "from what one day tells of another; give trips of more days"
        )
    return usable, drops


def _nobody(doing: str, done: int, of: int) -> None:
    """Tell nobody."""


def _head(city: City, before_ms: int | None, params: EtaParams) -> dict[str, Any]:
    from dispatch import __version__

    return {
        "version": __version__,
        "city": city.name,
        "fingerprint": fingerprint(city.graph),
        "before_ms": None if before_ms is None else int(before_ms),
        "seed": params.seed,
    }


def _counts(drops: tuple[Dropped, ...]) -> dict[str, int]:
    return {one.what: one.count for one in drops}


def _ways(
    city: City, pings: RecordedPings | None, report: dict[str, Any], tell: Progress
) -> DrivenWays | None:
    """Match pings, and give the ways between them; None where they are too few to tell anything."""
    if pings is None or not len(pings):
        return None
    matched = match_pings(city, pings, on_progress=lambda done, of: tell("matching pings", done, of))
    ways, drops = driven_ways(city, pings, matched)
    report["pings"] = {
        "given": len(pings),
        "matched": int(np.count_nonzero(matched.is_matched)),
        "left_out": _counts((*pings.drops, *matched.drops)),
        "ways": ways.num_ways,
        "ways_left_out": _counts(drops),
    }
    if ways.num_ways < MIN_WAYS:
        report["note"] = (
            f"pings were left out: {ways.num_ways:,} ways between them tell how fast streets are, fewer than "
            f"{MIN_WAYS:,}"
        )
        return None
    return ways


def _of_pings(city: City, ways: DrivenWays | None, params: EtaParams, report: dict[str, Any]) -> EtaModel:
    """Give the model where no trips are recorded."""
    if ways is None:
        model = EtaModel.free_flow(city)
        return replace(model, report=model.report | report)
    times, _ = _fit_probes(city, ways, params)
    report["note"] = "no trips: streets' times by pings, and a spread that is assumed, not measured"
    return EtaModel.of_streets(Ground(city, times, times, 0.0), PROBES, report)


def _fit_probes(
    city: City, ways: DrivenWays, params: EtaParams, used: NDArray[np.bool_] | None = None
) -> tuple[EdgeTimes, Numbers]:
    """Fit edge times on ways between pings: all, or those `used` (ways,)."""
    slot, weight = week_slot(ways.ended_at_ms, city.timezone), None
    if used is not None:
        weight = used.astype(np.float64)
    driven = Ways(ways.first, ways.edge, ways.share)
    return fit_edge_times(city, driven, ways.duration_s, slot, params.probes, weight)


def _check_unit(city: City, trips: TripSet) -> None:
    """Refuse durations that cannot be seconds."""
    free_ms = city.free_flow().pairs_ms(trips.from_node, trips.to_node).astype(np.float64)
    moved = (free_ms > 0) & (free_ms <= MAX_TRAVEL_MS)
    ratio = float(np.median(trips.duration_s[moved] * MS_PER_S / free_ms[moved])) if moved.any() else 1.0
    if not _LEAST_RATIO <= ratio <= _MOST_RATIO:
        raise InputError(
            f"duration_s is {ratio:.3g} times free flow in the median: it must hold seconds, and speeds "
            "kilometres an hour"
        )


def _day(city: City, at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the days (n,) of instants (n,), from four to four: nights belong to the evening before.

    So a trip and the ways driven on it are of one day, but for few.
    """
    return days_of(at_ms - 4 * _MS_PER_HOUR, city.timezone)


def _folds(day: NDArray[np.int64], num: int) -> NDArray[np.int64]:
    """Deal days (n,) to folds, weekdays, Saturdays and Sundays each in turn: no fold takes all of a kind.

    Where both Sundays of two weeks were in one fold, its trips were seen as 15 % slower than predicted.
    """
    days, row = np.unique(day, return_inverse=True)
    of_week = (days + _EPOCH_WEEKDAY) % 7
    order = np.lexsort((days, np.maximum(of_week, 4)))
    rank = np.empty(len(days), np.int64)
    rank[order] = np.arange(len(days))
    return rank[row] % num


class _Preparing:
    """The steps from trips and ways to what forests are grown on."""

    def __init__(
        self,
        city: City,
        trips: TripSet,
        pings: RecordedPings | None,
        ways: DrivenWays | None,
        params: EtaParams,
        report: dict[str, Any],
        tell: Progress,
    ) -> None:
        self.city, self.trips, self.pings, self.ways = city, trips, pings, ways
        self.params, self.report, self.tell = params, report, tell
        self.day = _day(city, trips.at_ms)
        self.fold = _folds(self.day, params.folds)

    def prepared(self) -> Prepared:
        """Do all of them."""
        self.tell("fitting streets", 0, self.params.folds + 1)
        _check_unit(self.city, self.trips)
        probes = EdgeTimes.free_flow(self.city.graph)
        if self.ways is not None:
            probes, _ = _fit_probes(self.city, self.ways, self.params)
        draft = Ground(self.city, probes, probes, self.params.trips.start_s)
        routed = Routed.of(draft, self.trips)
        usual = self._usual(routed, probes)
        trip_times, unseen_s = self._trip_times(routed)
        ground = replace(draft, trips=trip_times)
        return Prepared(*self._learnt(ground, routed, unseen_s, usual), self.report)

    def _usual(self, routed: Routed, probes: EdgeTimes) -> Usual:
        """Give what is usual of ways and of trips, by the pings of other folds."""
        ways, usual = self.ways, usual_of(self.city, self.ways, routed, probes)
        if ways is None:
            return usual
        of_day = dict(zip(self.day.tolist(), self.fold.tolist(), strict=True))
        days, row = np.unique(_day(self.city, ways.ended_at_ms), return_inverse=True)
        fold = np.array([of_day.get(day, -1) for day in days.tolist()])[row]
        for one in range(self.params.folds):
            self.tell("fitting streets", one + 1, self.params.folds + 1)
            times, _ = _fit_probes(self.city, ways, self.params, fold != one)
            unseen = usual_of(self.city, ways, routed, times)
            for column, mine, first in zip(
                range(2), (fold == one, self.fold == one), (ways.first, routed.first), strict=True
            ):
                entries = np.repeat(mine, np.diff(first))
                usual[column][entries] = unseen[column][entries]
        return usual

    def _trip_times(self, routed: Routed) -> tuple[EdgeTimes, Numbers]:
        """Fit edge times on trips, and the seconds of each trip's way by those of other folds."""
        params, slot = self.params.trips, routed.drives.slot
        ways = Ways(routed.first, routed.edge, np.ones(len(routed.edge)))
        rounds = [*range(self.params.folds), -1]
        unseen_s = np.zeros(len(self.trips.row))
        for done, one in enumerate(rounds):
            self.tell("fitting streets to trips", done, len(rounds))
            weight = (routed.has_way & (self.fold != one)).astype(np.float64)
            times, _ = fit_edge_times(self.city, ways, self.trips.duration_s, slot, params, weight)
            mine = self.fold == one
            unseen_s[mine] = times.ways_s(ways, slot)[mine]
        return times, unseen_s

    def _learnt(
        self, ground: Ground, routed: Routed, unseen_s: Numbers, usual: Usual
    ) -> tuple[Ground, Learnt, PairEffects, DriverEffects]:
        """Gather the features of all trips, each as if its own day had not been recorded."""
        trips, tell = self.trips, self.tell
        tell("gathering features", 0, 1)
        route = ground.route_columns(routed.drives, routed.first, routed.edge)
        route[TRIPS_S], route[PROBES_S] = unseen_s, routed.sums(usual.routes_s)
        both = bases(ground, routed, route)
        residual = np.log(trips.duration_s / both[0])
        effects, pair = fit_pair_effects(ends_of(routed.drives), residual, self.day)
        ways = self.ways
        seen = Observed(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        if ways is not None:
            residual_of_way = np.log(ways.duration_s / np.add.reduceat(usual.ways_s, ways.first[:-1]))
            seen = Observed(ways.driver_id, _day(self.city, ways.ended_at_ms), residual_of_way)
        drivers, of_driver = fit_driver_effects(Observed(trips.driver_id, self.day, residual), seen)
        recent = recent_columns(trips.driver_id, trips.at_ms, trips.end_ms, residual)
        live = live_columns(self.city, self.params.live, ways, trips, routed, usual)
        rng = np.random.default_rng([self.params.seed, 1])
        live[:, rng.random(len(residual)) < self.params.no_live_share] = 0.0
        live_range = _known_range(live[LIVE_COLUMNS.index("live_route")])
        beyond = split_live(live, live_range)
        moved = moved_of(self.city, self.pings, trips)
        features = stacked(route, pair, live, of_driver, recent, moved)
        hidden = (rng.random(len(features)) < self.params.unknown_share) | (trips.driver_id < 0)
        hide_drivers(features, hidden)
        both = both[0] * beyond, both[1] * beyond
        learnt = Learnt(features, both, trips.duration_s, self.fold)
        return replace(ground, live_range=live_range), learnt, effects, drivers


def grow(
    learnt: Learnt, level: float, base: int, params: EtaParams, rows: NDArray[np.bool_] | None = None
) -> Forest:
    """Grow the forest of a quantile: of the ratio to one of two bases, each trip weighed by its seconds.

    Trips are all, or those of `rows` (trips,) bool.
    """
    used = slice(None) if rows is None else rows
    base_s = learnt.bases[base][used]
    sample = Sample(np.ascontiguousarray(learnt.features[used]), learnt.duration_s[used] / base_s, base_s)
    if level == 0.5:
        boosting = replace(params.median, seed=params.seed + base)
        return train_forest(sample, names=COLUMNS, objective="l1", params=boosting)
    boosting = replace(params.quantiles, seed=params.seed)
    return train_forest(sample, names=COLUMNS, objective="quantile", alpha=level, params=boosting)


def _known_range(live_route: NDArray[np.float32]) -> tuple[float, float]:
    """Give between which logarithms of a route's live factor there were trips enough to learn from."""
    told = live_route[live_route != 0.0]
    if not len(told):
        return 0.0, 0.0
    low, high = np.quantile(told, _KNOWN)
    return min(float(low), 0.0), max(float(high), 0.0)


def _asked(forest: Forest) -> dict[str, float]:
    """Give how often each feature, and each group, is asked, as shares: what a forest leans on."""
    asked = np.bincount(forest.feature, minlength=len(COLUMNS)) / max(len(forest.feature), 1)
    shares = {name: float(share) for name, share in zip(COLUMNS, asked, strict=True)}
    groups = {f"all of {group}": sum(shares[name] for name in names) for group, names in GROUPS.items()}
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    return groups | dict(ranked)
