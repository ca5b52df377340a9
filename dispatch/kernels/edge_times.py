"""Times of edges from ways whose durations are known: what each way says, summed for edges and slots."""

from math import log
from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import F64, F64_2D, I32, I64, f64, kernel, record


class TimedWays(NamedTuple):
    """Ways driven, and how long each took."""

    first: np.ndarray
    """(ways + 1,) int64"""
    edge: np.ndarray
    """(entries,) int32, way ``i`` drove the edges ``first[i] … first[i + 1] - 1``"""
    share: np.ndarray
    """(entries,) float64, of the edge's length, 0 … 1"""
    duration_s: np.ndarray
    """(ways,) float64, positive"""
    slot: np.ndarray
    """(ways,) int32"""
    weight: np.ndarray
    """(ways,) float64; 0: its residual is found, but nothing is learnt from it"""


class EdgeSeconds(NamedTuple):
    """How long edges are thought to take."""

    edge_s: np.ndarray
    """(edges,) float64, positive"""
    cell: np.ndarray
    """(edges,) int32, the part of the city in which the edge lies"""
    slot_factor: np.ndarray
    """(slots, cells) float64, positive"""


class Pulls(NamedTuple):
    """Where ways took longer than thought: sums of weights, and of weights times clipped residuals."""

    edge: np.ndarray
    """(edges,) float64"""
    edge_weight: np.ndarray
    """(edges,) float64"""
    slot: np.ndarray
    """(slots, cells) float64"""
    slot_weight: np.ndarray
    """(slots, cells) float64"""


TIMED_WAYS = record(TimedWays, I64, I32, F64, F64, I32, F64)
EDGE_SECONDS = record(EdgeSeconds, F64, I32, F64_2D)
PULLS = record(Pulls, F64, F64, F64_2D, F64_2D)


@kernel((TIMED_WAYS, EDGE_SECONDS, f64, f64, PULLS, F64))
def pull(ways, seconds, start_s, clip, out_pulls, out_residual):
    """Add up what ways say of edges and slots.

    A way's residual, cut off at `clip`, is shared out over its entries by the time that each is thought to
    take: a quasi-Newton step of a robust least-squares fit of logarithms.

    Parameters
    ----------
    ways : TimedWays
    seconds : EdgeSeconds
    start_s : float
        What every way takes beyond its edges.
    clip : float
        Largest residual that counts in full, of logarithms: what stops and detours do is not the streets'.
    out_pulls : Pulls
        Added to.
    out_residual : (ways,) float64
        Logarithm of the duration over the time thought.
    """
    edge_s, cell, slot_factor = seconds.edge_s, seconds.cell, seconds.slot_factor
    for i in range(len(ways.duration_s)):
        factor = slot_factor[ways.slot[i]]
        total_s = start_s
        for k in range(ways.first[i], ways.first[i + 1]):
            edge = ways.edge[k]
            total_s += ways.share[k] * edge_s[edge] * factor[cell[edge]]
        residual = log(ways.duration_s[i] / total_s) if total_s > 0.0 else 0.0
        out_residual[i] = residual
        if ways.weight[i] == 0.0 or total_s <= 0.0:
            continue
        heard = min(max(residual, -clip), clip)
        for k in range(ways.first[i], ways.first[i + 1]):
            edge = ways.edge[k]
            part = ways.weight[i] * ways.share[k] * edge_s[edge] * factor[cell[edge]] / total_s
            out_pulls.edge[edge] += part * heard
            out_pulls.edge_weight[edge] += part
            out_pulls.slot[ways.slot[i], cell[edge]] += part * heard
            out_pulls.slot_weight[ways.slot[i], cell[edge]] += part


@kernel((I64, I32, F64, F64, I32, EDGE_SECONDS, F64))
def way_seconds(first, edge, share, weight, slot, seconds, out_s):
    """Write how long ways (n,) are thought to take in their slots, times `weight` (n,)."""
    for i in range(len(slot)):
        factor, total_s = seconds.slot_factor[slot[i]], 0.0
        for k in range(first[i], first[i + 1]):
            total_s += share[k] * seconds.edge_s[edge[k]] * factor[seconds.cell[edge[k]]]
        out_s[i] = weight[i] * total_s
