"""A model of traffic from recorded trips, and how well it repeats how long trips lasted."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import ndtr, ndtri

from dispatch.errors import InputError
from dispatch.kernels.traffic import NUM_LEVELS
from dispatch.roads.city import City
from dispatch.roads.time_of_day import MINUTES_PER_DAY
from dispatch.roads.trips import MS_PER_MINUTE, RecordedTrips
from dispatch.roads.week_slots import slots_of
from dispatch.sim.traffic import LEVEL_Z, TrafficModel
from dispatch.units import MAX_TRAVEL_MS, MS_PER_S, NO_INDEX

MIN_RATIO: Final = 0.5
"""A recorded trip that took less than this times free flow is an error of its record."""
MAX_RATIO: Final = 10.0
"""One that took more was no way from one end to the other: it waited, or came back."""
MIN_TRIPS: Final = 500
"""Fewer tell nothing of a week."""
MAX_BINS: Final = 16
TRIPS_PER_BIN: Final = 500
"""What a bin of lengths needs at least: its quantile is good to a hundredth or two in probability."""
PRIOR_TRIPS: Final = 300
"""As many trips as this does a slot's prior count: chosen by predicting each of two weeks from the other."""
NUM_LAGS: Final = 8
"""Slots of the city, two hours, over which its memory is looked at."""
BAND_MIN: Final = 180
"""Minutes of a band of the day in :func:`duration_ks`."""

_SLOT_MIN: Final = 60
_SLOTS_PER_DAY: Final = MINUTES_PER_DAY // _SLOT_MIN
_CITY_SLOT_MIN: Final = 15
_KIND_OF_DAY: Final = np.array([0, 0, 0, 0, 0, 1, 2])

Numbers = NDArray[np.float64]
Wholes = NDArray[np.int64]


class UsableTrips(NamedTuple):
    """Trips that tell how long the way from one node to another took, and how many others do not."""

    rows: Wholes
    """(n,) ascending"""
    free_ms: Wholes
    """(n,) free-flow time, at least 1"""
    num_unknown: int
    """Trips without a duration, or with one of 0"""
    num_outside: int
    """Of the others, those with an end off the network, with equal ends, or without a way"""
    num_outliers: int
    """Of the others, those that took less than ``MIN_RATIO`` or more than ``MAX_RATIO`` times free flow"""


def usable_trips(city: City, trips: RecordedTrips) -> UsableTrips:
    """Find the trips on which travel times can be fitted, and measured."""
    timed = trips.duration_s > 0
    inside = (trips.pickup_node != NO_INDEX) & (trips.dropoff_node != NO_INDEX)
    rows = np.flatnonzero(timed & inside & (trips.pickup_node != trips.dropoff_node))
    free_ms = city.free_flow().pairs_ms(trips.pickup_node[rows], trips.dropoff_node[rows]).astype(np.int64)
    way = (free_ms > 0) & (free_ms <= MAX_TRAVEL_MS)
    rows, free_ms = rows[way], free_ms[way]
    ratio = trips.duration_s[rows] * float(MS_PER_S) / free_ms
    kept = (ratio >= MIN_RATIO) & (ratio <= MAX_RATIO)
    num_timed = int(timed.sum())
    return UsableTrips(
        rows[kept], free_ms[kept], len(trips) - num_timed, num_timed - len(rows), int((~kept).sum())
    )


def fit_traffic(city: City, trips: RecordedTrips, before_ms: int) -> TrafficModel:
    """Fit predicted and true travel times on the trips requested before an instant.

    The factor of a slot of the week is the median of recorded over free-flow time, weighted by free-flow
    time: it minimises the sum of absolute errors of predicted durations. A slot is drawn towards its prior,
    which counts as ``PRIOR_TRIPS`` trips: the median of the slots of that time, one earlier and one later, of
    all days of that kind (weekday, Saturday, Sunday), itself drawn towards that of all trips. The noise is
    what is left, by bins of equally many trips of like free-flow time. Parts of the day bring nothing beyond
    that: in San Francisco, the mean pinball loss of one week predicted from the other is 98.9 s without bins,
    89.8 s with 12 bins, and 89.8 s with 12 bins for each of 8 parts of the day.

    The correlation of the noise is that of normal scores of pairs of trips: in the same quarter of an hour
    it is rho, k quarters apart ``rho * phi**k``, fitted by least squares over two hours. Factors follow what
    moved the whole city in the hours they were fitted on, and so hide a part of it: of n weeks, one part in n
    of the variance of an hour's mean. It is given back, twofold at most. What shrinking leaves of a slot's
    own factor counts as common to all: it is, and nobody predicted it.

    Parameters
    ----------
    city : City
    trips : RecordedTrips
        Recorded in that city; see :func:`usable_trips` for those that count.
    before_ms : int
        Milliseconds since the epoch.

    Returns
    -------
    TrafficModel

    Raises
    ------
    InputError
        Fewer than ``MIN_TRIPS`` of the trips can be used.

    Notes
    -----
    Complexity: ``O(n log n)`` and a query of the road network a trip. The 223,000 trips of two weeks in San
    Francisco take 2.6 s.
    """
    trips = trips.select(trips.requested_at_ms < before_ms)
    usable = usable_trips(city, trips)
    num_trips = len(usable.rows)
    if num_trips < MIN_TRIPS:
        raise InputError(
            f"trips holds {num_trips} before that instant that tell how long a way took: a fit needs "
            f"{MIN_TRIPS} or more; use TrafficModel.assumed() or TrafficModel.exact()"
        )
    at_ms, free_ms = trips.requested_at_ms[usable.rows], usable.free_ms
    log_ratio = np.log(trips.duration_s[usable.rows] * float(MS_PER_S) / free_ms)
    slot = slots_of(at_ms, city.timezone, _SLOT_MIN)
    log_factor = _log_factors(log_ratio, free_ms.astype(np.float64), slot)
    noise = log_ratio - log_factor[slot]
    num_bins = min(MAX_BINS, num_trips // TRIPS_PER_BIN)
    edge_ms = np.unique(np.quantile(free_ms, np.arange(1, num_bins) / num_bins).astype(np.int64))
    bin_of = np.searchsorted(edge_ms, free_ms, side="right")
    rows_of_bin = [np.flatnonzero(bin_of == one) for one in range(len(edge_ms) + 1)]
    filled = np.array([len(rows) > 0 for rows in rows_of_bin])
    # An edge at the shortest length of all leaves nothing below it.
    edge_ms, rows_of_bin = edge_ms[filled[:-1]], [rows for rows in rows_of_bin if len(rows)]
    quantile, score = np.empty((len(rows_of_bin), NUM_LEVELS)), np.empty(num_trips)
    for one, rows in enumerate(rows_of_bin):
        quantile[one] = np.quantile(noise[rows], ndtr(LEVEL_Z))
        score[rows[np.argsort(noise[rows])]] = ndtri((np.arange(len(rows)) + 0.5) / len(rows))
    rho, phi = _copula(score, at_ms)
    return TrafficModel(
        np.exp(log_factor),
        edge_ms,
        np.maximum.accumulate(quantile, axis=1),  # interpolation may lose a last digit
        rho,
        phi,
        slot_min=_SLOT_MIN,
        city_slot_min=_CITY_SLOT_MIN,
        num_trips=num_trips,
    )


def _log_factors(log_ratio: Numbers, weight: Numbers, slot: Wholes) -> Numbers:
    """Give the logarithm of each slot's factor (slots,)."""
    overall = _weighted_median(log_ratio, weight)
    kind = _KIND_OF_DAY[slot // _SLOTS_PER_DAY]
    order = np.argsort(slot, kind="stable")
    first = np.searchsorted(slot[order], np.arange(7 * _SLOTS_PER_DAY + 1))
    prior = np.empty((3, _SLOTS_PER_DAY))
    for one in range(3):
        of_kind = np.flatnonzero(kind == one)
        for time in range(_SLOTS_PER_DAY):
            later = (slot[of_kind] - time + 1) % _SLOTS_PER_DAY
            rows = of_kind[later <= 2]
            prior[one, time] = _drawn(log_ratio[rows], weight[rows], overall)
    factor = np.empty(7 * _SLOTS_PER_DAY)
    for one in range(len(factor)):
        day, time = divmod(one, _SLOTS_PER_DAY)
        rows = order[first[one] : first[one + 1]]
        factor[one] = _drawn(log_ratio[rows], weight[rows], prior[_KIND_OF_DAY[day], time])
    return factor


def _drawn(value: Numbers, weight: Numbers, prior: float) -> float:
    """Give the weighted median of values (n,), drawn towards a prior."""
    if not len(value):
        return prior
    trust = len(value) / (len(value) + PRIOR_TRIPS)
    return trust * _weighted_median(value, weight) + (1 - trust) * prior


def _weighted_median(value: Numbers, weight: Numbers) -> float:
    order = np.argsort(value, kind="stable")
    sums = np.cumsum(weight[order])
    return float(value[order[np.searchsorted(sums, sums[-1] / 2)]])


def _copula(score: Numbers, at_ms: Wholes) -> tuple[float, float]:
    """Give rho and phi of normal scores (n,) of trips at instants (n,)."""
    quarter = at_ms // (_CITY_SLOT_MIN * MS_PER_MINUTE)
    quarter -= quarter.min()
    num, total = np.bincount(quarter).astype(np.float64), np.bincount(quarter, score)
    products = [np.sum(total**2 - np.bincount(quarter, score**2))]
    pairs = [np.sum(num * (num - 1))]
    for lag in range(1, min(NUM_LAGS, len(num) - 1) + 1):
        products.append(np.sum(total[lag:] * total[:-lag]))
        pairs.append(np.sum(num[lag:] * num[:-lag]))
    known = np.flatnonzero(pairs)
    if not len(known) or known[0] != 0:
        return 0.0, 0.0
    weight, lags = np.array(pairs)[known], known.astype(np.float64)
    covariance = np.array(products)[known] / weight

    def rho_of(phi: float) -> float:
        return float(np.sum(weight * covariance * phi**lags) / np.sum(weight * phi ** (2 * lags)))

    def error(phi: float) -> float:
        return float(np.sum(weight * (covariance - rho_of(phi) * phi**lags) ** 2))

    phi = float(minimize_scalar(error, bounds=(0.0, 0.999), method="bounded").x)
    rho = rho_of(phi)
    if rho <= 0:
        return 0.0, 0.0
    weeks = len(np.unique(quarter * _CITY_SLOT_MIN // MINUTES_PER_DAY)) / 7
    per_slot = _SLOT_MIN // _CITY_SLOT_MIN
    apart = np.abs(np.subtract.outer(np.arange(per_slot), np.arange(per_slot)))
    hidden = float(np.mean(phi**apart)) / weeks
    return min(rho / max(1.0 - hidden, 0.5), 1.0), phi


def duration_ks(
    city: City, trips: RecordedTrips, model: TrafficModel, from_ms: int, to_ms: int, seed: int
) -> dict[str, float]:
    """Measure how far durations of simulated trips are from recorded ones, by three-hour bands of the day.

    Each usable trip requested from `from_ms` to before `to_ms` is simulated between its own ends at its own
    time, and rounded to whole seconds as records are. Trips that :func:`usable_trips` leaves out are left out
    of both sides.

    Parameters
    ----------
    city : City
    trips : RecordedTrips
    model : TrafficModel
    from_ms, to_ms : int
        Milliseconds since the epoch.
    seed : int

    Returns
    -------
    dict of str to float
        The largest difference of the two distribution functions (Kolmogorov and Smirnov) by band of local
        time, ``"00-03"`` to ``"21-24"``; bands without trips are absent.
    """
    trips = trips.select((trips.requested_at_ms >= from_ms) & (trips.requested_at_ms < to_ms))
    usable = usable_trips(city, trips)
    at_ms = trips.requested_at_ms[usable.rows]
    recorded_s = trips.duration_s[usable.rows].astype(np.float64)
    sampled_ms = model.sample_ms(usable.free_ms, at_ms, city.timezone, np.random.default_rng(seed))
    band = slots_of(at_ms, city.timezone, BAND_MIN) % (MINUTES_PER_DAY // BAND_MIN)
    hours = BAND_MIN // 60
    return {
        f"{one * hours:02d}-{(one + 1) * hours:02d}": ks_distance(
            recorded_s[band == one], np.rint(sampled_ms[band == one] / MS_PER_S)
        )
        for one in np.unique(band).tolist()
    }


def ks_distance(one: Numbers, other: Numbers) -> float:
    """Give the largest difference of the distribution functions of two samples (n,) and (m,), not empty."""
    one, other = np.sort(one), np.sort(other)
    at = np.concatenate([one, other])
    shares = [np.searchsorted(sample, at, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())
