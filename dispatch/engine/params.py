"""What steers the engine: frozen, range-checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.policy import POLICIES, Policy, policy_named
from dispatch.errors import InputError
from dispatch.limits import check_range, check_whole
from dispatch.units import MAX_TRAVEL_MS, MS_PER_S, NO_VALUE

CANDIDATES_BY = ("air", "road")


@dataclass(frozen=True)
class DispatchParams:
    """How orders are matched and offered.

    Parameters
    ----------
    policy : Policy or str
        How the orders of a window are given to drivers, or the name of it: ``batch``, ``nearest``, …
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
    prebook_lead_s : float
        An order booked ahead is matched from so long before its wanted pickup on.
    upgrades : bool
        Cars of a class may serve orders that ask for a lower one; else only those that are entitled to it
        (:attr:`dispatch.NewOrders.may_upgrade`).
    reestimate_every_s : float
        Pickups under way are estimated anew from where their drivers are, so often, at steps. 0: never,
        unless the policy reassigns on misses.
    miss_after_s : float
        An order whose driver is expected so much later than promised at the assignment is a predicted miss:
        ``PICKUP_MISS_PREDICTED`` tells of it, once an assignment.
    keep_explanations : int
        Of so many orders, those matched latest, :meth:`dispatch.Dispatcher.explain` can tell who was
        considered, at up to 4 kB each. 0: of none; more takes longer a step.
    """

    policy: Policy | str = POLICIES["batch"]
    candidates_per_order: int = 24
    max_pickup_s: float = 1200.0
    offer_timeout_s: float = 30.0
    max_wait_s: float = 1800.0
    stale_position_s: float = 120.0
    snap_limit_m: float = 200.0
    candidates_by: str = "air"
    prebook_lead_s: float = 900.0
    upgrades: bool = True
    reestimate_every_s: float = 0.0
    miss_after_s: float = 300.0
    keep_explanations: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not isinstance(self.policy, Policy):
            object.__setattr__(self, "policy", policy_named(self.policy))
        if self.candidates_by not in CANDIDATES_BY:
            raise InputError(
                f"candidates_by is {self.candidates_by!r}: it must be one of {', '.join(CANDIDATES_BY)}"
            )
        check_whole("candidates_per_order", self.candidates_per_order, 1, 10_000)
        check_range("max_pickup_s", self.max_pickup_s, 1, MAX_TRAVEL_MS / MS_PER_S, "seconds")
        check_range("offer_timeout_s", self.offer_timeout_s, 0.001, 86_400, "seconds")
        check_range("max_wait_s", self.max_wait_s, 0.001, 7 * 86_400, "seconds")
        check_range("stale_position_s", self.stale_position_s, 0.001, 86_400, "seconds")
        check_range("prebook_lead_s", self.prebook_lead_s, 0, 86_400, "seconds")
        if not isinstance(self.upgrades, bool):
            raise InputError(f"upgrades is {self.upgrades!r}: it must be true or false")
        check_range("snap_limit_m", self.snap_limit_m, 0, 100_000, "metres")
        check_range("reestimate_every_s", self.reestimate_every_s, 0, 86_400, "seconds")
        check_range("miss_after_s", self.miss_after_s, 0, 86_400, "seconds")
        check_whole("keep_explanations", self.keep_explanations, 0, 1_000_000)

    @property
    def rules(self) -> Policy:
        """The policy itself, also where it was named."""
        return self.policy if isinstance(self.policy, Policy) else policy_named(self.policy)


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

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """(4,) base, per kilometre, per minute, minimum, as kernels take it."""
        return np.array(
            [self.base_cents, self.per_km_cents, self.per_minute_cents, self.minimum_cents], np.float64
        )

    def fare_cents(self, trip_m: NDArray[np.float64], trip_ms: NDArray[np.int64]) -> NDArray[np.int32]:
        """Price trips of `trip_m` metres and `trip_ms` milliseconds; unknown metres give ``NO_VALUE``."""
        metered = (
            self.base_cents + self.per_km_cents * trip_m / 1000 + self.per_minute_cents * trip_ms / 60_000
        )
        fare = np.clip(np.rint(metered), self.minimum_cents, np.iinfo(np.int32).max)
        return np.where(trip_m < 0, NO_VALUE, fare).astype(np.int32)
