"""A made-up community over many days: who rides, how often, how they feel about it, who stays.

Every number is an assumption unless its source is told; what they feel is synthetic, as reports say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.limits import check_range, check_whole
from dispatch.sim.behaviour import check_share
from dispatch.sim.people import Wholes, luck

(
    RATE,
    QUALITY,
    ASKS,
    WHO_ASKS,
    FEELS,
    RATES,
    STARS,
    COMPLAINS,
    UPHELD,
    ANSWERED,
    LEAVES,
    JOINS,
    DRIVER_LEAVES,
    HIRED,
    REFERRED,
) = range(100, 115)
"""Streams of luck, apart from those of a day; each cause of unhappiness has one more, 1000 and up."""

CAUSES: Final = ("no_car", "driver_late", "long_wait", "rude_driver", "wrong_fare")
"""What makes customers unhappy, in the sequence in which it is asked; each is a code of the ride vertical, or
``long_wait``, which is complained of as ``driver_late``."""


@dataclass(frozen=True)
class CommunityParams:
    """People over many days.

    Parameters
    ----------
    days : int
    customers : int
        At the start.
    rate_shape : float
        Customers differ in how often they ride: rates are gamma distributed of this shape; smaller is more
        unequal.
    rating_share : float
        Share of rides that are rated.
    complain_share : float
        Share of the dissatisfied who complain; the others stay silent. A survey reports 10 %.
    unhappy_unserved, unhappy_late, unhappy_long_wait, unhappy_driver, unhappy_any : float
        Probability that an order leaves its customer dissatisfied: because no car came; the driver came more
        than 5 minutes later than promised; the wait was above 10 minutes; the driver (times 1 - its
        quality); anything else.
    leave_daily : float
        Share of customers who leave on any day ...
    leave_after_bad : float
        ... and probability to leave after a bad experience ...
    resolved_keeps : float
        ... which falls by this share where a complaint of it was upheld and made good.
    join_daily : float
        New customers a day, as a share of those at the start ...
    word_of_mouth : float
        ... which falls by this times the share of dissatisfied customers of the day before.
    referred_share : float
        Share of new customers who were referred by another one.
    upheld_share : float
        Share of complaints that are found right.
    answer_h : float
        Mean hours until a complaint is first answered; exponential, resolved after three times that.
    quality_low, quality_high : float
        Drivers' quality is uniform between these; what customers feel of it, nothing else.
    driver_leave_daily : float
        Share of drivers who leave on any day ...
    driver_leave_poor : float
        ... and of those who earned less than 60 % of the median an hour in the last seven days. Drivers are
        replaced by new ones.
    terms_every_min : float
        The engine is told new terms of drivers this often; events are applied as often.
    """

    days: int = 30
    customers: int = 20_000
    rate_shape: float = 0.8
    rating_share: float = 0.3
    complain_share: float = 0.1
    unhappy_unserved: float = 0.6
    unhappy_late: float = 0.25
    unhappy_long_wait: float = 0.15
    unhappy_driver: float = 0.3
    unhappy_any: float = 0.02
    leave_daily: float = 0.001
    leave_after_bad: float = 0.04
    resolved_keeps: float = 0.7
    join_daily: float = 0.004
    word_of_mouth: float = 1.0
    referred_share: float = 0.2
    upheld_share: float = 0.8
    answer_h: float = 3.0
    quality_low: float = 0.4
    quality_high: float = 1.0
    driver_leave_daily: float = 0.002
    driver_leave_poor: float = 0.02
    terms_every_min: float = 60.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_whole("days", self.days, 1, 3660)
        check_whole("customers", self.customers, 1, 10_000_000)
        check_range("rate_shape", self.rate_shape, 0.05, 100)
        check_range("answer_h", self.answer_h, 0.01, 1000, "hours")
        check_range("terms_every_min", self.terms_every_min, 1, 1440, "minutes")
        for one in fields(self):
            if one.type == "float" and one.name not in ("rate_shape", "answer_h", "terms_every_min"):
                check_share(one.name, getattr(self, one.name))
        if self.quality_high < self.quality_low:
            raise InputError(
                f"quality_high is {self.quality_high:g}: it must not be below quality_low, "
                f"{self.quality_low:g}"
            )


@dataclass
class Community:
    """Customers and drivers as the simulator knows them; row + 1 is their id.

    Everything drawn goes by the person's id, the day and the seed, so that two policies meet the same people.
    """

    params: CommunityParams
    seed: int
    rate: NDArray[np.float64]
    """(customers,) orders a day, relative"""
    is_there: NDArray[np.bool_]
    """(customers,) not left yet"""
    num_asked: Wholes
    """(customers,) orders so far"""
    driver_id: Wholes
    """(drivers,) on the roster now"""
    next_driver_id: int

    @classmethod
    def begin(cls, params: CommunityParams, num_drivers: int, seed: int) -> Community:
        """Give the people of the first day."""
        customers = np.arange(1, params.customers + 1)
        num = len(customers)
        return cls(
            params,
            seed,
            _rates(params, seed, customers),
            np.ones(num, np.bool_),
            np.zeros(num, np.int64),
            np.arange(1, num_drivers + 1),
            num_drivers + 1,
        )

    @property
    def num_customers(self) -> int:
        """All who ever joined."""
        return len(self.rate)

    def quality(self, driver_id: Wholes) -> NDArray[np.float64]:
        """Give the quality of drivers (n,)."""
        low, high = self.params.quality_low, self.params.quality_high
        return low + (high - low) * luck(self.seed, QUALITY, driver_id)

    def num_orders(self, day: int, usual: int) -> int:
        """Give how many orders there are on a day: as many as the rates of those who are there come to."""
        # So many a unit of rate that the community of the first day makes the usual number.
        expected = usual * float(self.rate[self.is_there].sum()) / max(self._first_sum, 1e-9)
        normal = float(_normal(luck(self.seed, ASKS, np.array([day])))[0])
        return max(1, round(expected + math.sqrt(expected) * normal))

    @property
    def _first_sum(self) -> float:
        return float(self.rate[: self.params.customers].sum())

    def who_asks(self, day: int, num_orders: int) -> Wholes:
        """Give the customers (num_orders,) of a day's orders, by their rates."""
        weight = np.cumsum(np.where(self.is_there, self.rate, 0.0))
        drawn = luck(self.seed, WHO_ASKS, np.arange(num_orders), day) * weight[-1]
        row = np.searchsorted(weight, drawn, side="right")
        customer_id: Wholes = np.minimum(row, len(self.rate) - 1).astype(np.int64) + 1
        return customer_id

    def first_orders(self, customer_id: Wholes) -> Wholes:
        """Tell which of a day's orders (n,), in the order of time, are their customers' first ever; count."""
        rows = customer_id - 1
        is_first = np.zeros(len(rows), np.int64)
        _, at = np.unique(rows, return_index=True)
        is_first[at] = self.num_asked[rows[at]] == 0
        np.add.at(self.num_asked, rows, 1)
        return is_first

    def leave(self, customer_id: Wholes) -> None:
        """Let customers go for good."""
        self.is_there[customer_id - 1] = False

    def join(self, num: int) -> Wholes:
        """Let new customers come; gives their ids (num,)."""
        fresh = np.arange(self.num_customers + 1, self.num_customers + num + 1)
        self.rate = np.append(self.rate, _rates(self.params, self.seed, fresh))
        self.is_there = np.append(self.is_there, np.ones(num, np.bool_))
        self.num_asked = np.append(self.num_asked, np.zeros(num, np.int64))
        return fresh

    def replace_drivers(self, gone: Wholes) -> Wholes:
        """Take drivers off the roster and hire as many; gives the ids (n,) of the new ones."""
        hired = np.arange(self.next_driver_id, self.next_driver_id + len(gone))
        self.next_driver_id += len(gone)
        self.driver_id = np.sort(np.append(np.setdiff1d(self.driver_id, gone), hired))
        return hired


def _rates(params: CommunityParams, seed: int, customer_id: Wholes) -> NDArray[np.float64]:
    """Draw gamma distributed rates of mean 1, by the quantile function."""
    from scipy.special import gammaincinv

    rate: NDArray[np.float64] = (
        gammaincinv(params.rate_shape, luck(seed, RATE, customer_id)) / params.rate_shape
    )
    return rate


def _normal(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import ndtri

    normal: NDArray[np.float64] = ndtri(drawn)
    return normal
