"""Intervals of shares, and of the difference of two: for small numbers and shares near 0 or 1, too.

Wilson (1927), Probable inference, the law of succession, and statistical inference; Newcombe (1998), Interval
estimation for the difference between independent proportions, method 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from dispatch.errors import InputError
from dispatch.limits import check_whole

Z_95: Final = 1.959963984540054
"""Of a two-sided interval of 95 %."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval of 95 %."""

    value: float
    low: float
    high: float


def share(num: int, of: int) -> Estimate:
    """Estimate a share by Wilson's score interval; of nothing, all is possible and the value is NaN."""
    check_whole("of", of, 0, 2**53)
    check_whole("num", num, 0, 2**53)
    if num > of:
        raise InputError(f"num is {num}: it must be at most {of}, all that there are")
    if not of:
        return Estimate(math.nan, 0.0, 1.0)
    p, z2 = num / of, Z_95**2
    centre, spread = p + z2 / (2 * of), Z_95 * math.sqrt(p * (1 - p) / of + z2 / (4 * of * of))
    whole = 1 + z2 / of
    low = 0.0 if num == 0 else (centre - spread) / whole
    high = 1.0 if num == of else (centre + spread) / whole
    return Estimate(p, low, high)


def difference(num: int, of: int, other_num: int, other_of: int) -> Estimate:
    """Estimate how much a share is above another one, by Newcombe's hybrid of two score intervals."""
    one, other = share(num, of), share(other_num, other_of)
    if not of or not other_of:
        return Estimate(math.nan, -1.0, 1.0)
    d = one.value - other.value
    low = d - math.hypot(one.value - one.low, other.high - other.value)
    high = d + math.hypot(one.high - one.value, other.value - other.low)
    return Estimate(d, low, high)
