"""When and where drivers come on duty: made up by a rule, or as recorded taxis did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.on_shift import on_shift
from dispatch.errors import InputError
from dispatch.limits import check_range, check_seed, check_whole
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.snapping import MAX_SNAP_M
from dispatch.roads.trips import RecordedTrips
from dispatch.units import MS_PER_DAY, NO_INDEX

_MS_PER_HOUR = 3_600_000


@dataclass(frozen=True)
class Shifts:
    """Spells of duty, sorted by driver, then start; those of one driver do not overlap."""

    driver_id: NDArray[np.int64]
    """(shifts,)"""
    start_at_ms: NDArray[np.int64]
    """(shifts,)"""
    end_at_ms: NDArray[np.int64]
    """(shifts,) after the start"""
    node: NDArray[np.int32]
    """(shifts,) where the driver comes on duty"""

    def __len__(self) -> int:
        """Count the shifts."""
        return len(self.driver_id)

    @property
    def num_drivers(self) -> int:
        """Number of different drivers."""
        return len(np.unique(self.driver_id))


def made_up_shifts(
    num_drivers: int, orders: RecordedTrips, day_ms: tuple[int, int], shift_h: float, seed: int
) -> Shifts:
    """Make one shift a driver, of `shift_h` hours, so that supply follows demand.

    A shift covers the instant of an order drawn at random. Days repeat: a shift that runs over midnight
    is worked at both ends of the day. It starts at the pickup of an order drawn among those of the hour
    around. With 24 hours every driver is on duty all the time.

    Fleets are nested: of two sizes with one seed, the larger has the drivers and shifts of the smaller, and
    more. What chance does to both falls out of their difference.

    Parameters
    ----------
    num_drivers : int
    orders : RecordedTrips
        The demand to follow, at least one order, sorted by time.
    day_ms : (start, end)
        Instants between which drivers are on duty; the day and some time after it, for its last orders.
    shift_h : float
        Hours, above 0 and up to 24.
    seed : int
    """
    check_whole("drivers", num_drivers, 1, 1_000_000)
    check_range("shift_h", shift_h, 0.1, 24, "hours")
    check_seed(seed)
    if not len(orders):
        raise InputError("there are no orders: without demand no driver's place and shift can be drawn")
    start_ms, end_ms = day_ms
    random = np.random.default_rng([seed, 0x5217])
    driver_id = np.arange(num_drivers, dtype=np.int64)
    if shift_h >= 24:
        begin, end = np.full(num_drivers, start_ms), np.full(num_drivers, end_ms)
    else:
        length_ms = round(shift_h * _MS_PER_HOUR)
        covered, before = random.random((num_drivers, 2)).T
        covered_at_ms = orders.requested_at_ms[(covered * len(orders)).astype(np.int64)]
        into_day_ms = (covered_at_ms - start_ms - (before * length_ms).astype(np.int64)) % MS_PER_DAY
        over_ms = into_day_ms + length_ms - MS_PER_DAY
        early = np.flatnonzero(over_ms > 0)
        driver_id = np.append(driver_id[early], driver_id)
        begin = start_ms + np.append(np.zeros(len(early), np.int64), into_day_ms)
        end = np.minimum(np.append(start_ms + over_ms[early], start_ms + into_day_ms + length_ms), end_ms)
    order = np.lexsort((begin, driver_id))
    begin = begin[order]
    places = np.random.default_rng([seed, 0x5217, 1])
    return Shifts(driver_id[order], begin, end[order], _pickups_around(begin, orders, places))


def _pickups_around(
    at_ms: NDArray[np.int64], orders: RecordedTrips, random: np.random.Generator
) -> NDArray[np.int32]:
    """Draw for each instant a pickup node among the orders of the hour around, or of all if it has none."""
    near = np.searchsorted(orders.requested_at_ms, at_ms - _MS_PER_HOUR // 2, side="left")
    far = np.searchsorted(orders.requested_at_ms, at_ms + _MS_PER_HOUR // 2, side="right")
    near, far = np.where(near < far, (near, far), [[0], [len(orders)]])
    drawn = near + (random.random(len(at_ms)) * (far - near)).astype(np.int64)
    node: NDArray[np.int32] = orders.pickup_node[drawn]
    return node


def recorded_shifts(
    pings: RecordedPings, trips: RecordedTrips, city: City, day_ms: tuple[int, int]
) -> Shifts:
    """Read shifts off the pings of real taxis.

    Drivers are on duty as :func:`dispatch.analysis.on_shift.on_shift` finds taxis on shift, from where they
    really were.

    Parameters
    ----------
    pings : RecordedPings
        Sorted by driver, then time.
    trips : RecordedTrips
        All recorded trips around the day, with their drivers and durations.
    city : City
    day_ms : (start, end)
        Instants between which drivers are on duty.
    """
    pings = pings.between(*day_ms)
    spells = on_shift(pings, trips, city)
    return Shifts(
        pings.driver_id[spells.first_ping],
        pings.at_ms[spells.first_ping],
        pings.at_ms[spells.last_ping],
        spells.node,
    )


def why_no_shifts(pings: RecordedPings, city: City) -> str:
    """Say what is wrong with the pings of a day that no shift follows from."""
    near = city.snap(pings.lon, pings.lat)[0] != NO_INDEX
    num_near, num_empty = np.count_nonzero(near), np.count_nonzero(near & ~pings.occupied)
    possible = np.abs(pings.lon) <= 90
    num_swapped = np.count_nonzero(city.snap(pings.lat[possible], pings.lon[possible])[0] != NO_INDEX)
    left_out = "".join(f", {drop.count} {drop.what} left out" for drop in pings.drops)
    if not len(pings):
        reason = "check the date, and that times are seconds since the epoch, in UTC"
    elif 2 * num_swapped > len(pings) and num_swapped > num_near:
        reason = f"{num_swapped} would with longitude and latitude swapped: swap the two columns"
    elif not num_near:
        reason = f"they look like those of another city than {city.name}"
    else:
        reason = f"{num_empty} of these have no passenger; a shift begins at one and lasts until a later ping"
    return (
        f"the fleet is empty: no driver is on duty on that day; {len(pings)} pings were read on it"
        f"{left_out}, {num_near} lie within {MAX_SNAP_M:g} m of the network: {reason}; or give --drivers N "
        "for made-up drivers"
    )
