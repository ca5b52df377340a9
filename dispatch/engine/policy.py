"""Policies: how a window's orders are given to drivers. Frozen parameters, by name or by one's own class."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.limits import check_range

MATCHINGS: Final = ("batch", "nearest")
MISS_GAIN_S: Final = 60.0
"""What a change of drivers must gain where the policy does not say: a driver's position is a minute old."""


@dataclass(frozen=True)
class Window:
    """What a policy sees when it is asked: the orders of a window, oldest first, and their candidates.

    Candidates of order ``i`` are rows ``first_candidate[i] … first_candidate[i + 1] - 1``, nearest first.
    """

    now_ms: int
    first_candidate: NDArray[np.int32]
    """(orders + 1,)"""
    candidate_driver: NDArray[np.int32]
    """(candidates,) 0 … num_drivers - 1"""
    eta_ms: NDArray[np.int32]
    """(candidates,) pickup ETA, the rest of a trip under way included"""
    num_drivers: int
    order_id: NDArray[np.int64]
    """(orders,)"""
    driver_id: NDArray[np.int64]
    """(num_drivers,)"""
    waited_ms: NDArray[np.int64]
    """(orders,) since the order was submitted, or since the pickup wanted where it was booked ahead"""
    tier: NDArray[np.int8]
    """(orders,)"""
    cost: NDArray[np.int64]
    """(candidates,) the pickup ETA, what the risk of a missed promise costs, and the driver's terms, ms"""
    weight: NDArray[np.float64]
    """(orders,) of leaving the order unserved, capped; 1 where the policy does not weigh people"""


@dataclass(frozen=True)
class Policy:
    """What steers the matching of a window.

    To plug in a policy of your own, subclass this and override :meth:`choose`; its name then is
    ``package.module:Class``.

    Parameters
    ----------
    name : str
        In reports.
    matching : 'batch' or 'nearest'
        ``batch`` serves as many orders as possible at the least total pickup time, exactly so among the
        candidates; ``nearest`` gives each order, first come first served, its nearest free candidate.
    chain_before_dropoff_s : float
        Drivers who will drop off within this time are candidates, too: chained dispatch. 0: never.
    patient_base_s, patient_slope : float
        The largest pickup ETA of an order is ``patient_base_s + patient_slope`` times the time it has waited,
        at most ``max_pickup_s``. ``patient_base_s`` of 0: always ``max_pickup_s``.
    reassign_gain_s : float
        Orders whose driver is on the way take part in each matching, and change drivers where the sum of
        pickup times falls by at least this for each change, or another order is served for it. 0: never; nor
        where :meth:`choose` is overridden, which is asked about open orders only.
    preposition_every_s : float
        Idle drivers are advised where to wait, so often. 0: never.
    preposition_horizon_min : float
        For the demand of so many minutes ahead.
    priority_weights : tuple of float
        Weight of leaving an order of each tier unserved; an order's own ``priority`` takes its place. Empty:
        all tiers are equal.
    priority_cap : float
        No weight is larger, whatever a tier, an order's own priority or its patience make it.
    patience_weight : float
        The weight of an order grows by the factor ``1 + patience_weight`` times the share of its expected
        patience that it has waited. 0: not at all.
    pickup_weight : float
        How far weights count in the choice of drivers, too: an order's pickup time, with all that is added to
        it, costs ``1 + pickup_weight`` times (its weight − 1) as much, so that of two orders the heavier one
        gets the nearer driver. 0: weights tell only who goes without one. ``matching`` ``batch`` alone.
    starvation_s : float
        An order that waited longer comes before all others, whatever their weights, and before those that
        began to wait later: no driver whom it could have is given to them. Orders whose driver is on the way
        keep one, and drivers who queue at a rank go by the queue. A :meth:`choose` of one's own and
        assignments by hand are not bound by it. 0: no order comes first for its wait.
    promise_s : float
        Customers are promised a car within this time of the wanted pickup.
    risk_cost_s : float
        What it costs to miss that promise with certainty, as pickup time: candidates cost their pickup ETA,
        and this times how likely they come later. Travel times must be
        :class:`~dispatch.roads.travel_times.UncertainTimes`. Where cars are few, orders come first whose
        promise can still be kept: ``starvation_s`` bounds how long others wait. 0: the pickup ETA alone.
    reassign_on_miss : bool
        Orders that are predicted to be reached too late (``miss_after_s`` of :class:`DispatchParams`) take
        part in each matching, and change to a driver who is there earlier than their own by at least
        ``reassign_gain_s``, or :data:`MISS_GAIN_S` where that is 0. Pickups under way are estimated anew at
        every step where ``reestimate_every_s`` is 0.
    """

    name: str = "batch"
    matching: str = "batch"
    chain_before_dropoff_s: float = 0.0
    patient_base_s: float = 0.0
    patient_slope: float = 3.0
    reassign_gain_s: float = 0.0
    preposition_every_s: float = 0.0
    preposition_horizon_min: float = 15.0
    priority_weights: tuple[float, ...] = ()
    starvation_s: float = 0.0
    promise_s: float = 600.0
    risk_cost_s: float = 0.0
    reassign_on_miss: bool = False
    priority_cap: float = 10.0
    patience_weight: float = 0.0
    pickup_weight: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.matching not in MATCHINGS:
            raise InputError(f"matching is {self.matching!r}: it must be one of {', '.join(MATCHINGS)}")
        check_range("chain_before_dropoff_s", self.chain_before_dropoff_s, 0, 3600, "seconds")
        check_range("patient_base_s", self.patient_base_s, 0, 86_400, "seconds")
        check_range("patient_slope", self.patient_slope, 0, 1000)
        check_range("reassign_gain_s", self.reassign_gain_s, 0, 3600, "seconds")
        check_range("preposition_every_s", self.preposition_every_s, 0, 86_400, "seconds")
        check_range("preposition_horizon_min", self.preposition_horizon_min, 1, 240, "minutes")
        check_range("promise_s", self.promise_s, 0, 86_400, "seconds")
        check_range("risk_cost_s", self.risk_cost_s, 0, 86_400, "seconds")
        if not isinstance(self.reassign_on_miss, bool):
            raise InputError(f"reassign_on_miss is {self.reassign_on_miss!r}: it must be true or false")
        for name, what in (
            ("reassign_gain_s", "a change of drivers gains anything"),
            ("reassign_on_miss", "a change of drivers gains anything"),
            ("risk_cost_s", "a sure driver is worth a longer way"),
            ("pickup_weight", "a heavier order is worth a nearer driver"),
        ):
            if getattr(self, name) and self.matching != "batch":
                raise InputError(
                    f"{name} is {getattr(self, name)!r} and matching {self.matching!r}: only 'batch' weighs "
                    f"whether {what}"
                )
        if not isinstance(self.priority_weights, tuple):
            raise InputError(f"priority_weights is {self.priority_weights!r}: it must be a list of numbers")
        for tier, weight in enumerate(self.priority_weights):
            check_range(f"priority_weights[{tier}]", weight, 0.001, 1000)
        check_range("starvation_s", self.starvation_s, 0, 86_400, "seconds")
        check_range("priority_cap", self.priority_cap, 1, 1000)
        check_range("patience_weight", self.patience_weight, 0, 10)
        check_range("pickup_weight", self.pickup_weight, 0, 1)

    @property
    def weighs_people(self) -> bool:
        """Whether orders differ in weight: tiers, told priorities and patience count, or none does."""
        return bool(self.priority_weights) or self.patience_weight > 0

    @property
    def least_gain_s(self) -> float:
        """What a change of drivers must gain."""
        return self.reassign_gain_s or (MISS_GAIN_S if self.reassign_on_miss else 0.0)

    @property
    def is_own(self) -> bool:
        """Whether :meth:`choose` was overridden."""
        return type(self).choose is not Policy.choose

    def choose(self, window: Window) -> NDArray[np.int32]:  # noqa: ARG002 - read by those who override it
        """Choose a candidate for each order, where a subclass says how.

        Parameters
        ----------
        window : Window

        Returns
        -------
        (orders,) int32
            Row of the candidate that each order takes, ``NO_INDEX`` for none; no driver twice.
        """
        raise InputError(
            f"the policy {self.name!r} has no choose of its own; subclass Policy and override it"
        )


POLICIES: Final[Mapping[str, Policy]] = {
    policy.name: policy
    for policy in (
        Policy("batch"),
        Policy("nearest", matching="nearest"),
        Policy("lookahead", chain_before_dropoff_s=120.0),
        Policy("patient", patient_base_s=300.0),
        Policy("patient_lookahead", chain_before_dropoff_s=120.0, patient_base_s=300.0),
        Policy("reassign", reassign_gain_s=30.0),
        Policy("preposition", preposition_every_s=300.0),
        Policy("priority", priority_weights=(1.0, 2.0, 4.0), starvation_s=600.0),
        Policy("promise", risk_cost_s=300.0),
        Policy("rescue", reassign_on_miss=True),
    )
}
"""By name."""


def policy_named(name: str, **changes: Any) -> Policy:
    """Give a policy by its name or as ``package.module:Class``, with some parameters changed.

    Raises
    ------
    InputError
        There is none of that name, its class cannot be imported or is no :class:`Policy`, or a parameter is
        unknown or out of range.
    """
    if not isinstance(name, str):
        raise InputError(f"policy is {name!r}: it must be a name or package.module:Class")
    known = {f for f in inspect.signature(Policy).parameters if f != "name"}
    if ":" not in name:
        if name not in POLICIES:
            raise InputError(
                f"policy is {name!r}: it must be one of {', '.join(POLICIES)}, or package.module:Class"
            )
        policy = POLICIES[name]
    else:
        policy = _imported(name)
        known |= {f for f in inspect.signature(type(policy)).parameters if f != "name"}
    unknown = sorted(changes.keys() - known)
    if unknown:
        raise InputError(f"policy has no parameter {unknown[0]!r}: they are {', '.join(sorted(known))}")
    return replace(policy, **changes) if changes else policy


def _imported(name: str) -> Policy:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(f"policy is {name!r}: it cannot be imported ({error})") from error
    if not (isinstance(found, type) and issubclass(found, Policy)):
        raise InputError(f"policy is {name!r}: it must be a class derived from dispatch.Policy")
    return found(name=attribute)


def largest_pickup_s(policy: Policy, max_pickup_s: float, waited_s: float) -> float:
    """Give the largest pickup ETA that is offered to an order after a wait; the rule in plain words."""
    if policy.patient_base_s <= 0:
        return max_pickup_s
    return min(policy.patient_base_s + policy.patient_slope * waited_s, max_pickup_s)
