"""What steers the engine: frozen, range-checked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.units import MAX_TRAVEL_MS, MS_PER_S, NO_VALUE

POLICIES = ("batch", "nearest")
CANDIDATES_BY = ("air", "road")


def check_range(name: str, value: float, low: float, high: float = math.inf, unit: str = "") -> None:
    """Raise :class:`InputError` unless ``low <= value <= high``."""
    if isinstance(value, bool) or not (
        isinstance(value, int | float | np.integer | np.floating) and low <= value <= high
    ):
        limits = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise InputError(f"{name} is {value!r}: it must be a number {limits}{' ' + unit if unit else ''}")


def check_whole(name: str, value: float, low: float, high: float) -> None:
    """Raise :class:`InputError` unless `value` is a whole number and ``low <= value <= high``."""
    check_range(name, value, low, high)
    if not isinstance(value, int | np.integer):
        raise InputError(f"{name} is {value!r}: it must be a whole number")


def check_seed(seed: float) -> None:
    """Raise :class:`InputError` unless `seed` can seed a random generator."""
    check_whole("seed", seed, 0, 2**64)


@dataclass(frozen=True)
class DispatchParams:
    """How orders are matched and offered.

    Parameters
    ----------
    policy : 'batch' or 'nearest'
        ``batch`` serves as many orders of a window as possible at the least total pickup time, exactly
        so among the candidates; ``nearest`` gives each order, first come first served, the free candidate
        with the least pickup ETA.
    candidates_per_order : int
        How many free drivers, the nearest, are an order's candidates. All free drivers are where these leave
        it without one.
    max_pickup_s : float
        No driver farther away than this, in travel time, is offered an order.
    offer_timeout_s : float
        An offer not answered in this time counts as declined.
    max_wait_s : float
        An order without a driver after this time expires.
    stale_position_s : float
        A driver whose position is older is no candidate and is shown to nobody.
    snap_limit_m : float
        A position farther from the nearest street is off the network. One nearer to it, but not to any node,
        counts as at the nearer end of that street.
    candidates_by : 'air' or 'road'
        Candidates are nearest by straight lines, which is cheaper, or by travel time, which sees rivers; the
        latter needs a :class:`dispatch.Metric`. The pickup ETA is by road in either case.
    """

    policy: str = "batch"
    candidates_per_order: int = 24
    max_pickup_s: float = 1200.0
    offer_timeout_s: float = 30.0
    max_wait_s: float = 1800.0
    stale_position_s: float = 120.0
    snap_limit_m: float = 200.0
    candidates_by: str = "air"

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.policy not in POLICIES:
            raise InputError(f"policy is {self.policy!r}: it must be one of {', '.join(POLICIES)}")
        if self.candidates_by not in CANDIDATES_BY:
            raise InputError(
                f"candidates_by is {self.candidates_by!r}: it must be one of {', '.join(CANDIDATES_BY)}"
            )
        check_whole("candidates_per_order", self.candidates_per_order, 1, 10_000)
        check_range("max_pickup_s", self.max_pickup_s, 1, MAX_TRAVEL_MS / MS_PER_S, "seconds")
        check_range("offer_timeout_s", self.offer_timeout_s, 0.001, 86_400, "seconds")
        check_range("max_wait_s", self.max_wait_s, 0.001, 7 * 86_400, "seconds")
        check_range("stale_position_s", self.stale_position_s, 0.001, 86_400, "seconds")
        check_range("snap_limit_m", self.snap_limit_m, 0, 100_000, "metres")


@dataclass(frozen=True)
class FareRule:
    """The declared fare: ``max(minimum, base + distance + time)``, in cents.

    The defaults are an assumption of the size of a city taxi's tariff, not any company's price list.
    """

    base_cents: int = 350
    per_km_cents: int = 170
    per_minute_cents: int = 30
    minimum_cents: int = 500

    def __post_init__(self) -> None:
        """Refuse negative amounts."""
        for name in ("base_cents", "per_km_cents", "per_minute_cents", "minimum_cents"):
            check_whole(name, getattr(self, name), 0, 1_000_000)

    def fare_cents(self, trip_m: NDArray[np.float64], trip_ms: NDArray[np.int64]) -> NDArray[np.int32]:
        """Price trips of `trip_m` metres and `trip_ms` milliseconds; unknown metres give ``NO_VALUE``."""
        metered = (
            self.base_cents + self.per_km_cents * trip_m / 1000 + self.per_minute_cents * trip_ms / 60_000
        )
        fare = np.clip(np.rint(metered), self.minimum_cents, np.iinfo(np.int32).max)
        return np.where(trip_m < 0, NO_VALUE, fare).astype(np.int32)
