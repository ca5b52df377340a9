"""What models predicted for trips that they had not seen, beside how long these really took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.roads.tables import Dropped


@dataclass(frozen=True)
class EtaTest:
    """Trips in the order of their requests, each predicted from what was known before it set out.

    Raises
    ------
    InputError
        Columns differ in length, a number is not finite, a duration is negative, levels do not ascend
        between 0 and 1, or the quantiles of a trip do not ascend.
    """

    requested_at_ms: NDArray[np.int64]
    """(n,) milliseconds since the epoch"""
    from_lon: NDArray[np.float64]
    """(n,) degrees, WGS84"""
    from_lat: NDArray[np.float64]
    """(n,)"""
    to_lon: NDArray[np.float64]
    """(n,)"""
    to_lat: NDArray[np.float64]
    """(n,)"""
    distance_m: NDArray[np.float64]
    """(n,) metres of the way that a router gives: known when the trip is predicted"""
    actual_s: NDArray[np.float64]
    """(n,) seconds that the trip took"""
    predicted_s: NDArray[np.float64]
    """(n,) seconds, the median"""
    levels: tuple[float, ...]
    """(levels,) ascending, between 0 and 1"""
    quantile_s: NDArray[np.float64]
    """(n, levels) seconds, ascending along a row"""
    others: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """(n,) seconds of other predictors, by name"""
    others_quantile_s: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """(n, levels) seconds of other predictors of quantiles, by name; the same levels"""
    drops: tuple[Dropped, ...] = ()
    """Trips that were left out, by reason"""

    def __post_init__(self) -> None:
        _check_levels(self.levels)
        num, num_levels = len(self.requested_at_ms), len(self.levels)
        for name, values in self._columns().items():
            expected = (num, num_levels) if values.ndim == 2 or "quantile_s" in name else (num,)
            if values.shape != expected:
                raise InputError(f"{name} has shape {values.shape}: it must be {expected}")
            if not np.isfinite(values).all():
                raise InputError(f"{name} holds numbers that are not finite: leave those trips out")
            if name.endswith("_s") and len(values) and values.min() < 0:
                raise InputError(f"{name} holds {values.min():g}: a duration must not be negative")
            if values.ndim == 2 and (np.diff(values, axis=1) < 0).any():
                raise InputError(f"{name} does not ascend along its rows: quantiles must not cross")

    def __len__(self) -> int:
        """Number of trips."""
        return len(self.requested_at_ms)

    def _columns(self) -> dict[str, NDArray[Any]]:
        """Give all arrays by their names."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        columns = {name: values for name, values in own.items() if isinstance(values, np.ndarray)}
        columns |= {f"others of {name}, _s": values for name, values in self.others.items()}
        columns |= {f"others_quantile_s of {name}, _s": v for name, v in self.others_quantile_s.items()}
        return columns

    def select(self, mask_or_idx: NDArray[Any]) -> EtaTest:
        """Give the trips of a mask (n,) bool or of rows (m,) int."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        chosen: dict[str, Any] = {
            name: values[mask_or_idx] for name, values in own.items() if isinstance(values, np.ndarray)
        }
        for name in ("others", "others_quantile_s"):
            chosen[name] = {one: values[mask_or_idx] for one, values in own[name].items()}
        return replace(self, **chosen)


def _check_levels(levels: tuple[float, ...]) -> None:
    steps = np.diff(np.array([0.0, *levels, 1.0]))
    if not levels or not (steps > 0).all():
        raise InputError(f"levels is {levels}: they must ascend between 0 and 1, and be at least one")
