"""How long legs are predicted to take, and how long they really take.

Predicted time is free-flow time times the factor of the slot of the week, in local time, in which the leg
begins; a leg that begins at the end of a slot keeps its factor to the last metre. True time is predicted time
times ``exp(r)``: r is a quantile, empirical for a fitted model, of the distribution of its leg's length, at
the level of a normal score z. Scores of legs share the state c of the city,

    z = sqrt(rho) c[t] + sqrt(1 - rho) e,

where c is a stationary AR(1) over quarters of an hour and e belongs to the leg alone. This is a Gaussian
copula: z is standard normal whatever rho, so that a single leg is distributed as it was fitted, while legs of
the same hour are slow together.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels.traffic import LEVELS_PER_Z, MAX_Z, NUM_LEVELS, Traffic, city_path, come_true, predict
from dispatch.limits import check_range, check_whole
from dispatch.roads.time_of_day import MINUTES_PER_DAY, MINUTES_PER_WEEK
from dispatch.roads.trips import MS_PER_MINUTE
from dispatch.roads.week_slots import slots_of
from dispatch.units import MAX_TRAVEL_MS, MS_PER_S

KINDS: Final = ("exact", "assumed", "fitted")
LEVEL_Z: Final = np.arange(NUM_LEVELS) / LEVELS_PER_Z - MAX_Z
"""(levels,) normal scores of the levels on which quantiles are told"""


# What `assumed` assumes: factors at hours of a weekday and of a day at the weekend, linear between them.
_WEEKDAY: Final = (
    (0, 1.15),
    (5, 1.10),
    (8, 1.55),
    (10, 1.40),
    (14, 1.40),
    (17.5, 1.65),
    (20, 1.35),
    (24, 1.15),
)
_WEEKEND: Final = ((0, 1.20), (5, 1.10), (11, 1.30), (17, 1.40), (21, 1.30), (24, 1.15))
_TENTHS_Z: Final = (-1.2815515655446004, 0.0, 1.2815515655446004)
"""Scores of the levels 10, 50 and 90 %."""
_ASSUMED_SPREAD: Final = 0.25
_ASSUMED_RHO: Final = 0.02
_ASSUMED_PHI: Final = 0.85


@dataclass(frozen=True)
class TrafficModel:
    """Predicted and true travel times of legs, by the rule of this module.

    Slots begin on Monday at 0:00 of local time. Lengths of legs are free-flow times.

    Raises
    ------
    InputError
        A shape is wrong, or a value out of range.
    """

    factor: NDArray[np.float64]
    """(slots,) predicted over free-flow time, 0.1 … 100"""
    length_edge_ms: NDArray[np.int64]
    """(bins - 1,) ascending, free-flow times at which the next bin of lengths begins"""
    quantile: NDArray[np.float64]
    """(bins, levels) logarithm of true over predicted time at :data:`LEVEL_Z`, ascending, -10 … 10"""
    rho: float = 0.0
    """Correlation of the scores of two legs that begin in the same slot of the city, 0 … 1"""
    city_phi: float = 0.0
    """Correlation of the city's state with that of the slot before, 0 … below 1"""
    slot_min: int = 60
    """Minutes of a slot of the week; a divisor of the day's 1440"""
    city_slot_min: int = 15
    """Minutes for which the city's state holds; a divisor of the day's 1440"""
    kind: str = "fitted"
    """One of :data:`KINDS`"""
    num_trips: int = 0
    """Trips that it was fitted on"""

    def __post_init__(self) -> None:
        """Refuse values out of range, and keep copies of the arrays."""
        if self.kind not in KINDS:
            raise InputError(f"kind is {self.kind!r}: it must be one of {', '.join(KINDS)}")
        for name in ("slot_min", "city_slot_min"):
            check_whole(name, getattr(self, name), 1, MINUTES_PER_DAY)
            if MINUTES_PER_DAY % getattr(self, name):
                raise InputError(f"{name} is {getattr(self, name)}: it must divide the 1440 minutes of a day")
        check_range("rho", self.rho, 0.0, 1.0)
        check_range("city_phi", self.city_phi, 0.0, 0.9999)
        check_whole("num_trips", self.num_trips, 0, 2**53)
        edge_ms = np.asarray(self.length_edge_ms)
        if edge_ms.ndim != 1 or (edge_ms.dtype.kind not in "iu" and len(edge_ms)):
            raise InputError(
                f"length_edge_ms is {edge_ms.dtype} of shape {edge_ms.shape}: it must hold whole milliseconds"
            )
        if (np.diff(edge_ms, prepend=0) <= 0).any():
            raise InputError(f"length_edge_ms is {edge_ms.tolist()}: it must ascend from above 0")
        object.__setattr__(self, "length_edge_ms", np.array(edge_ms, np.int64))
        num_slots, num_bins = MINUTES_PER_WEEK // self.slot_min, len(edge_ms) + 1
        self._keep("factor", (num_slots,), 0.1, 100.0)
        self._keep("quantile", (num_bins, NUM_LEVELS), -10.0, 10.0)
        if (np.diff(self.quantile, axis=1) < 0).any():
            raise InputError("quantile must not fall from one level to the next")

    def _keep(self, name: str, shape: tuple[int, ...], low: float, high: float) -> None:
        values = np.array(getattr(self, name), np.float64, order="C")
        if values.shape != shape:
            raise InputError(f"{name} has the shape {values.shape}: it must have {shape}")
        wrong = np.flatnonzero(~((values >= low) & (values <= high)))
        if len(wrong):
            raise InputError(
                f"{name} holds {values.ravel()[wrong[0]]:g}: it must be a number from {low:g} to {high:g}"
            )
        object.__setattr__(self, name, values)

    @classmethod
    def exact(cls) -> TrafficModel:
        """Give the traffic in which every leg takes its free-flow time, as predicted."""
        flat = np.ones(MINUTES_PER_WEEK // 60)
        return cls(flat, np.empty(0, np.int64), np.zeros((1, NUM_LEVELS)), kind="exact")

    @classmethod
    def assumed(cls) -> TrafficModel:
        """Give an ordinary week's traffic, for cities where nothing tells how long trips last.

        An assumption, fitted on nothing: 1.1 times free flow before dawn, about 1.5 and 1.6 in the rush hours
        of a weekday, at most 1.4 at the weekend; log-normal noise around that of spread 0.25 (two legs of
        three within 0.78 and 1.28 times the prediction), of whose variance the whole city shares 2 %.
        """
        hour = np.arange(24) + 0.5
        weekday, weekend = (np.interp(hour, *np.transpose(points)) for points in (_WEEKDAY, _WEEKEND))
        return cls(
            np.concatenate([np.tile(weekday, 5), np.tile(weekend, 2)]),
            np.empty(0, np.int64),
            _ASSUMED_SPREAD * LEVEL_Z[None],
            _ASSUMED_RHO,
            _ASSUMED_PHI,
            kind="assumed",
        )

    @property
    def traffic(self) -> Traffic:
        """The arrays, as kernels take them."""
        return Traffic(self.factor, self.length_edge_ms, self.quantile)

    def slots_of(self, at_ms: ArrayLike, timezone: str) -> NDArray[np.int64]:
        """Give the slot of the week (n,) of instants `at_ms` (n,); see :func:`slots_of`."""
        return slots_of(at_ms, timezone, self.slot_min)

    def predicted_ms(self, free_ms: ArrayLike, at_ms: ArrayLike, timezone: str) -> NDArray[np.int64]:
        """Give the predicted travel times of legs.

        Parameters
        ----------
        free_ms : (n,) int
            Free-flow times, 0 … ``MAX_TRAVEL_MS``.
        at_ms : (n,) int
            When legs begin, milliseconds since the epoch.
        timezone : str
            IANA name of the local time of slots.

        Returns
        -------
        (n,) int64
            Rounded, at most ``MAX_TRAVEL_MS``.

        Raises
        ------
        InputError
            A free-flow time is out of range, or the time zone unknown.
        """
        free_ms, at_ms = _legs(free_ms, at_ms)
        out_ms = np.empty(len(free_ms), np.int64)
        predict(self.traffic, self.slots_of(at_ms, timezone), free_ms, out_ms)
        return out_ms

    def sample_ms(
        self, free_ms: ArrayLike, at_ms: ArrayLike, timezone: str, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Draw how long legs really take, together: those of the same time are slow together.

        Parameters
        ----------
        free_ms, at_ms, timezone
            As for :meth:`predicted_ms`.
        rng : numpy.random.Generator
            Two calls know nothing of each other: the city's state is drawn anew.

        Returns
        -------
        (n,) int64
            1 … ``MAX_TRAVEL_MS``; 0 where the free-flow time is.

        Raises
        ------
        InputError
            As for :meth:`predicted_ms`.
        """
        free_ms, at_ms = _legs(free_ms, at_ms)
        out_ms = np.empty(len(free_ms), np.int64)
        if len(free_ms):
            city_slot = at_ms // (self.city_slot_min * MS_PER_MINUTE)
            first = int(city_slot.min())
            city = self.city_states(int(city_slot.max()) - first + 1, rng)[city_slot - first]
            own = rng.standard_normal(len(free_ms))
            z = np.sqrt(self.rho) * city + np.sqrt(1.0 - self.rho) * own
            come_true(self.traffic, self.slots_of(at_ms, timezone), free_ms, z, out_ms)
        return out_ms

    def city_states(self, num_slots: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw the city's state (num_slots,) in slots of `city_slot_min` that follow each other."""
        out_city = np.empty(num_slots)
        city_path(self.city_phi, rng.standard_normal(num_slots), out_city)
        return out_city

    def ratios(self, levels: tuple[float, ...]) -> NDArray[np.float64]:
        """Give quantiles (bins, levels) of true over predicted times at levels above 0 and below 1."""
        z = [statistics.NormalDist().inv_cdf(level) for level in levels]
        return np.exp([np.interp(z, LEVEL_Z, row) for row in self.quantile])

    def describe(self) -> str:
        """Tell the model's figures, a clause each: for the notes of a run."""
        fitted = f" on {self.num_trips:,} trips" if self.kind == "fitted" else ""
        shares = [
            f"{bin_name} {' … '.join(f'{ratio:.2f}' for ratio in np.exp(np.interp(_TENTHS_Z, LEVEL_Z, row)))}"
            for bin_name, row in self._ends_of_bins()
        ]
        return (
            f"Travel times are {self.kind}{fitted}: predicted are {self.factor.min():.2f} … "
            f"{self.factor.max():.2f} × free flow by time of the week; true over predicted (p10, p50, p90): "
            f"{', '.join(shares)}; rho {self.rho:.3f}, phi {self.city_phi:.2f}."
        )

    def _ends_of_bins(self) -> list[tuple[str, NDArray[np.float64]]]:
        """Name the shortest and the longest bin of lengths, and give their quantiles (levels,)."""
        if not len(self.length_edge_ms):
            return [("all legs", self.quantile[0])]
        shortest_s, longest_s = (self.length_edge_ms[[0, -1]] / MS_PER_S).tolist()
        return [
            (f"legs below {shortest_s:.0f} s of free flow", self.quantile[0]),
            (f"from {longest_s:.0f} s", self.quantile[-1]),
        ]


def _legs(free_ms: ArrayLike, at_ms: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Check legs (n,) and give them as kernels take them."""
    free, at = np.asarray(free_ms), np.asarray(at_ms)
    for name, values in (("free_ms", free), ("at_ms", at)):
        if values.ndim != 1 or (values.dtype.kind not in "iu" and len(values)):
            raise InputError(
                f"{name} is {values.dtype} of shape {values.shape}: it must hold whole numbers, (n,)"
            )
    if len(free) != len(at):
        raise InputError(f"free_ms has {len(free)} legs and at_ms {len(at)}: they must be as many")
    wrong = np.flatnonzero((free < 0) | (free > MAX_TRAVEL_MS))
    if len(wrong):
        raise InputError(f"free_ms[{wrong[0]}] is {free[wrong[0]]}: it must be from 0 to {MAX_TRAVEL_MS}")
    return np.array(free, np.int64), np.array(at, np.int64)
