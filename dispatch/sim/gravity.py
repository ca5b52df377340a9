"""Where trips go: the nearer and the more there is to do, the likelier."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

NUM_CANDIDATES: Final = 24
"""Destinations weighed against each other for one trip."""
THINNING: Final = 1.4
"""1 belongs to the log-normal density, 0.4 to the room, which grows slower than a ring's: cities thin out."""
NARROW: Final = 8.0
"""Where everything is within so many median trips, enough candidates drawn anywhere are near enough."""
ANYWHERE: Final = 0.1
"""Share of candidates from the whole of a wide city: a house far from all others has some, too."""
MAX_SQUARES: Final = 1_500
"""Squares of a wide network: each knows how likely each other one is, at most 18 MB."""

Numbers = NDArray[np.float64]
Nodes = NDArray[np.int64]


class TripLengths(NamedTuple):
    """How long trips are, by air: a log-normal distribution."""

    median_m: float
    spread: float
    """standard deviation of the logarithm"""

    def log_pull(self, distance_m: Numbers) -> Numbers:
        """Give the logarithm of how much likelier a destination is for lying at a distance, up to a constant.

        The density of the length over the room at that distance.
        """
        log_m = np.log(np.maximum(distance_m, 1.0))
        fit: Numbers = -0.5 * ((log_m - np.log(self.median_m)) / self.spread) ** 2 - THINNING * log_m
        return fit


class Gravity:
    """Draws destinations for trips from anywhere.

    A destination is one of a few candidates, drawn by how well its distance fits the length of trips: a
    gravity model, sampled by importance. Candidates come from the whole city by their weights, or, where it
    is wide, from squares by weight and distance, which the choice among them makes up for.

    Parameters
    ----------
    plane : (nodes, 2) float64
        Metres.
    weights : (nodes,) float64
        How much there is to do, summing to 1.
    lengths : TripLengths
    """

    def __init__(self, plane: Numbers, weights: Numbers, lengths: TripLengths) -> None:
        self._plane, self._lengths = plane, lengths
        self._cumulated = np.cumsum(weights)
        self._squares: _Squares | None = None
        if np.ptp(plane, axis=0).max() > NARROW * lengths.median_m:
            self._squares = _Squares(plane, weights, lengths)

    def draw(self, rng: np.random.Generator, origin: Nodes) -> Nodes:
        """Draw a destination for each origin (n,); the origin itself only where all candidates are."""
        size = len(origin), NUM_CANDIDATES
        if self._squares is None:
            candidates = draw_nodes(rng, self._cumulated, size[0] * size[1]).reshape(size)
            favoured: Numbers | float = 0.0
        else:
            candidates, favoured = self._squares.draw(rng, origin)
        away = self._plane[candidates] - self._plane[origin][:, None]
        fit = self._lengths.log_pull(np.sqrt(away[..., 0] ** 2 + away[..., 1] ** 2)) - favoured
        fit[candidates == origin[:, None]] = -np.inf
        # The largest of fit plus Gumbel noise is a draw by exp(fit), and nothing underflows.
        best = np.argmax(fit + rng.gumbel(size=fit.shape), axis=1)
        return np.asarray(np.take_along_axis(candidates, best[:, None], axis=1)[:, 0], np.int64)


def draw_nodes(rng: np.random.Generator, cumulated: Numbers, num: int) -> Nodes:
    """Draw nodes (num,) by their weights, given as running sums; never one of weight 0."""
    found = np.searchsorted(cumulated, rng.random(num) * cumulated[-1], side="right")
    last = np.searchsorted(cumulated, cumulated[-1])  # a product may round up to the whole sum
    return np.asarray(np.minimum(found, last), np.int64)


class _Squares:
    """A wide city cut into squares, to draw candidates near the origin of a trip."""

    def __init__(self, plane: Numbers, weights: Numbers, lengths: TripLengths) -> None:
        width, height = np.ptp(plane, axis=0)
        side_m = max(
            lengths.median_m, math.sqrt(width * height / MAX_SQUARES), max(width, height) / MAX_SQUARES
        )
        column, row = np.floor((plane - plane.min(axis=0)) / side_m).astype(np.int64).T
        squares, self._of_node = np.unique(row * (column.max() + 1) + column, return_inverse=True)
        self._num = len(squares)
        self._node = np.argsort(self._of_node, kind="stable")
        self._cumulated = np.cumsum(weights[self._node])
        first = np.searchsorted(self._of_node[self._node], np.arange(self._num + 1))
        self._begin = np.append(0.0, self._cumulated)[first]
        self._last_used = _last_used(weights[self._node], first)
        weight = np.where(self._last_used >= 0, np.diff(self._begin), 0.0)
        middle = side_m * np.column_stack(np.divmod(squares, column.max() + 1))
        distance_m = np.hypot(*(middle[:, None] - middle[None]).transpose(2, 0, 1))
        log_pull = lengths.log_pull(np.maximum(distance_m, side_m / 2))
        log_pull -= log_pull[:, weight > 0].max(axis=1)[:, None]  # or all may underflow
        pull = np.exp(np.minimum(log_pull, 0.0))
        pull /= (pull @ weight)[:, None]
        favoured = (1 - ANYWHERE) * pull + ANYWHERE
        self._log_favoured = np.log(favoured)
        cumulated = np.cumsum(favoured * weight, axis=1)
        cumulated /= cumulated[:, -1:]
        # Row after row in one ascending array: one search finds the square for any origin.
        self._ascending = (cumulated + np.arange(self._num)[:, None]).ravel()
        self._last_square = int(np.flatnonzero(weight)[-1])

    def draw(self, rng: np.random.Generator, origin: Nodes) -> tuple[Nodes, Numbers]:
        """Draw candidates (n, NUM_CANDIDATES), and the logarithm of how much each was favoured."""
        size = len(origin), NUM_CANDIDATES
        row = self._of_node[origin][:, None]
        found = np.searchsorted(self._ascending, row + rng.random(size), side="right") - row * self._num
        square = np.minimum(found, self._last_square)  # a sum may round up to the next row
        begin, end = self._begin[square], self._begin[square + 1]
        at = np.searchsorted(self._cumulated, begin + rng.random(size) * (end - begin), side="right")
        candidates = self._node[np.minimum(at, self._last_used[square])]
        return candidates, self._log_favoured[row, square]


def _last_used(weights: Numbers, first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the last row with a weight of each group `first` (groups + 1,), -1 where none has one."""
    used = np.flatnonzero(weights > 0)
    last = np.searchsorted(used, first[1:]) - 1
    row = np.where(last >= 0, used[np.maximum(last, 0)], -1)
    return np.where(row >= first[:-1], row, -1)
