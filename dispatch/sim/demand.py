"""Orders of an ordinary day in a city of which only the land use is known, or guessed."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.limits import check_range
from dispatch.roads.city import City
from dispatch.roads.land_use import USES, LandUse
from dispatch.roads.trips import RecordedTrips
from dispatch.sim.gravity import Gravity, Nodes, Numbers, TripLengths, draw_nodes
from dispatch.units import INDEX_DTYPE, MS_PER_DAY, NO_VALUE, TIME_DTYPE

MS_PER_HOUR: Final = MS_PER_DAY // 24
CHUNK: Final = 32_768
"""Orders drawn at once: bounds memory."""
MAX_ROUNDS: Final = 50
"""An order whose two ends fall on one node is drawn anew, at most so often."""
MAX_ORDERS: Final = 20_000_000
PASSENGERS: Final = np.array([0.70, 0.19, 0.07, 0.04])
"""Share of orders with 1, 2, 3, 4 passengers."""
HOME_PAIRS: Final = 4_000
"""Drawn to tell how far apart homes are."""
TRIP_OF_HOMES: Final = 0.4
"""Median trip over the median distance of two homes; recorded taxis: San Francisco 0.41, Manhattan 0.34."""
SHORTEST_MEDIAN_M: Final = 100.0
WORTH_A_CAR_M: Final = 1000.0
LONGEST_MEDIAN_M: Final = 4000.0
"""Trips grow no longer where a region is wider than a city."""


@dataclass(frozen=True)
class Purpose:
    """Why a share of all trips is made: between which uses of land, when, and how far."""

    share: float
    origin: str
    """Column of :class:`LandUse`"""
    destination: str
    peaks: tuple[tuple[float, float, float], ...]
    """Hour of the day, spread in hours, share: a mixture of normal distributions, wrapped at midnight"""
    distance_matters: bool = True


@dataclass(frozen=True)
class DemandProfile:
    """What people travel for, as weights relative to each other, and how far.

    Raises
    ------
    InputError
        A weight is negative or not finite, all are 0, or a length is out of range.
    """

    commute_out: float = 0.19
    """Home to work, peak at 8"""
    commute_home: float = 0.17
    """Work to home, peak at 18"""
    leisure: float = 0.30
    """From home to a night out and back, evening to 3 at night; some lunch"""
    business: float = 0.12
    """Between jobs, 9 to 17"""
    airport: float = 0.07
    """To the airport early and in the afternoon, from it in the morning and late"""
    other: float = 0.15
    """Between homes, all day"""
    median_trip_m: float = 3500.0
    """Crow-fly length that half of the trips do not exceed, those to the airport apart; about"""
    trip_spread: float = 0.65
    """Standard deviation of the logarithm of the length"""

    def __post_init__(self) -> None:
        for name in WEIGHTS:
            check_range(name, getattr(self, name), 0.0, 1e6)
        if sum(getattr(self, name) for name in WEIGHTS) <= 0:
            raise InputError(f"{', '.join(WEIGHTS)} are all 0: give at least one purpose a positive weight")
        check_range("median_trip_m", self.median_trip_m, SHORTEST_MEDIAN_M, 1e6)
        check_range("trip_spread", self.trip_spread, 0.05, 3.0)

    def purposes(self) -> tuple[Purpose, ...]:
        """Give the purposes of trips, shares scaled to a sum of 1."""
        total = sum(getattr(self, name) for name in WEIGHTS)
        out, home, leisure, business, airport, other = (getattr(self, name) / total for name in WEIGHTS)
        return (
            Purpose(out, "homes", "jobs", ((8.1, 0.95, 0.85), (10.3, 1.5, 0.15))),
            Purpose(home, "jobs", "homes", ((17.9, 1.15, 0.8), (20.0, 1.6, 0.2))),
            Purpose(leisure / 2, "homes", "leisure", ((20.2, 1.6, 0.75), (13.0, 1.6, 0.25))),
            Purpose(leisure / 2, "leisure", "homes", ((23.4, 1.6, 0.65), (1.6, 1.0, 0.2), (15.0, 1.6, 0.15))),
            Purpose(business, "jobs", "jobs", ((10.8, 1.4, 0.5), (14.6, 1.6, 0.5))),
            Purpose(airport / 2, "homes", "airport", ((5.9, 1.1, 0.5), (16.2, 1.7, 0.5)), False),
            Purpose(airport / 2, "airport", "homes", ((9.6, 1.5, 0.35), (20.8, 1.7, 0.65)), False),
            Purpose(other, "homes", "homes", ((11.5, 3.0, 0.5), (17.5, 3.2, 0.5))),
        )


WEIGHTS: Final = tuple(f.name for f in fields(DemandProfile) if not f.name.startswith(("median", "trip")))
"""The fields of :class:`DemandProfile` that are weights of purposes."""
ORDINARY_DAY: Final = DemandProfile()


def synthetic_orders(
    city: City, num_orders: int, seed: int, *, profile: DemandProfile = ORDINARY_DAY
) -> RecordedTrips:
    """Draw the orders of one day.

    The purpose of an order sets when it is made and where it begins. Its destination is drawn by a gravity
    model, see :class:`dispatch.sim.gravity.Gravity`. Purposes that need an airport are left out in a city
    without one; the others take their share.

    Parameters
    ----------
    city : City
        With land use.
    num_orders : int
        0 … 20,000,000
    seed : int
        0 or more; the same seed gives the same orders.
    profile : DemandProfile
        What people travel for.

    Returns
    -------
    RecordedTrips
        (num_orders,) ordered by time, undated, in milliseconds from local midnight, both ends on nodes and
        different from each other; durations and drivers unknown.

    Raises
    ------
    InputError
        A number is out of range, the city has no land use, or its land use leaves no two different ends.

    Notes
    -----
    Complexity: ``O(num_orders log nodes)``, about 5 µs an order.
    """
    land_use = _checked(city, num_orders, seed)
    rng = np.random.default_rng(seed)
    purposes = _possible(profile.purposes(), land_use)
    counts = rng.multinomial(num_orders, [p.share for p in purposes])
    plane = np.column_stack(city.projection.to_plane(city.graph.node_lon, city.graph.node_lat))
    at_ms, pickup, dropoff = [], [], []
    for purpose, count in zip(purposes, counts, strict=True):
        if not count:
            continue
        of_purpose = _Ends(purpose, land_use, plane, profile)
        for first in range(0, int(count), CHUNK):
            size = min(CHUNK, int(count) - first)
            at_ms.append(_times_ms(rng, purpose, size))
            ends = of_purpose.draw(rng, size)
            pickup.append(ends[0])
            dropoff.append(ends[1])
    return _trips(rng, city, _joined(at_ms), _joined(pickup), _joined(dropoff))


def ordinary_day(city: City) -> DemandProfile:
    """Give an ordinary day with trips as long as suit the size of a city with land use.

    A small island's trips are shorter than a city's: the median is 0.4 times the median distance of two homes
    drawn at random, by air, and at most 4 km, since in a wide region people still go to their own town. It is
    at least 1 km, or 0.8 times that distance: nobody calls a car for less where there is farther to go.

    Parameters
    ----------
    city : City
        With land use.
    """
    homes = np.cumsum(_land_use(city).homes)
    rng = np.random.default_rng(0x7A1B)  # the same pairs each time: the median belongs to the city
    one, other = (draw_nodes(rng, homes, HOME_PAIRS) for _ in range(2))
    x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
    apart_m = float(np.median(np.hypot(x[one] - x[other], y[one] - y[other])))
    median_m = max(TRIP_OF_HOMES * apart_m, min(WORTH_A_CAR_M, 0.8 * apart_m), SHORTEST_MEDIAN_M)
    return DemandProfile(median_trip_m=min(round(median_m, -1), LONGEST_MEDIAN_M))


def _possible(purposes: tuple[Purpose, ...], land_use: LandUse) -> tuple[Purpose, ...]:
    """Leave out the purposes whose ends the city does not have."""
    missing = [use for use in USES if getattr(land_use, use) is None]
    there = [p for p in purposes if p.origin not in missing and p.destination not in missing]
    if len(there) == len(purposes):
        return purposes
    total = sum(p.share for p in there)
    if not total:
        raise InputError("airport is the only purpose with a weight, and the city has none: weigh another")
    return tuple(replace(p, share=p.share / total) for p in there)


def _checked(city: City, num_orders: Any, seed: Any) -> LandUse:
    """Check what :func:`synthetic_orders` was given; give the land use."""
    for name, value, high in (("num_orders", num_orders, MAX_ORDERS), ("seed", seed, 2**63 - 1)):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or not 0 <= value <= high:
            raise InputError(f"{name} is {value!r}: it must be a whole number, 0 … {high}")
    return _land_use(city)


def _land_use(city: City) -> LandUse:
    """Give the land use of a city, which has one weight a node."""
    if city.land_use is None:
        raise InputError(
            f"land_use of the city {city.name!r} is None: orders can be made up only where homes, jobs and "
            "leisure are known; give the city a LandUse, such as land_use_of_roads guesses, or use its "
            "recorded trips"
        )
    if len(city.land_use) != city.graph.num_nodes:
        raise InputError(
            f"land_use holds {len(city.land_use)} nodes and the city's graph {city.graph.num_nodes}: "
            "give one weight per node"
        )
    return city.land_use


def _times_ms(rng: np.random.Generator, purpose: Purpose, num: int) -> NDArray[np.int64]:
    """Draw times of day (num,), milliseconds from midnight."""
    hour, spread, share = np.array(purpose.peaks).T
    peak = rng.choice(len(share), num, p=share / share.sum())
    # Whole milliseconds before the wrap: the remainder of a tiny negative float is the whole day.
    at_ms = np.floor(rng.normal(hour[peak], spread[peak]) * MS_PER_HOUR).astype(TIME_DTYPE)
    return np.asarray(at_ms % MS_PER_DAY, TIME_DTYPE)


class _Ends:
    """Draws where the trips of one purpose begin and end."""

    def __init__(self, purpose: Purpose, land_use: LandUse, plane: Numbers, profile: DemandProfile) -> None:
        self._purpose = purpose
        from_weights, to_weights = (getattr(land_use, use) for use in (purpose.origin, purpose.destination))
        self._from_cum, self._to_cum = np.cumsum(from_weights), np.cumsum(to_weights)
        lengths = TripLengths(profile.median_trip_m, profile.trip_spread)
        self._gravity = Gravity(plane, to_weights, lengths) if purpose.distance_matters else None

    def draw(self, rng: np.random.Generator, num: int) -> tuple[Nodes, Nodes]:
        """Draw pickup and drop-off nodes (num,), different from each other."""
        pickup, dropoff = np.empty(num, np.int64), np.empty(num, np.int64)
        missing = np.arange(num)
        for _ in range(MAX_ROUNDS):
            pickup[missing] = draw_nodes(rng, self._from_cum, len(missing))
            dropoff[missing] = self._destinations(rng, pickup[missing])
            missing = missing[pickup[missing] == dropoff[missing]]
            if not len(missing):
                return pickup, dropoff
        raise InputError(
            f"land_use has too few places: no two different nodes found from {self._purpose.origin} to "
            f"{self._purpose.destination} in {MAX_ROUNDS} draws; spread the weights over more nodes"
        )

    def _destinations(self, rng: np.random.Generator, pickup: Nodes) -> Nodes:
        if self._gravity is None:
            return draw_nodes(rng, self._to_cum, len(pickup))
        return self._gravity.draw(rng, pickup)


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _trips(
    rng: np.random.Generator, city: City, at_ms: NDArray[np.int64], pickup: Nodes, dropoff: Nodes
) -> RecordedTrips:
    """Put orders into their order in time."""
    order = np.argsort(at_ms, kind="stable")
    pickup, dropoff = pickup[order], dropoff[order]
    lon, lat, num = city.graph.node_lon, city.graph.node_lat, len(order)
    passengers = 1 + rng.choice(len(PASSENGERS), num, p=PASSENGERS)
    return RecordedTrips(
        requested_at_ms=at_ms[order],
        pickup_node=pickup.astype(INDEX_DTYPE),
        dropoff_node=dropoff.astype(INDEX_DTYPE),
        pickup_lon=lon[pickup],
        pickup_lat=lat[pickup],
        dropoff_lon=lon[dropoff],
        dropoff_lat=lat[dropoff],
        duration_s=np.full(num, NO_VALUE, np.int32),
        driver_id=np.full(num, NO_VALUE, np.int64),
        passengers=passengers.astype(np.int32),
        dated=False,
        resolution_ms=1,
    )
