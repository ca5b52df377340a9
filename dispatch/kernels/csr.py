"""Compressed sparse rows: the shape of road graphs and of candidate sets."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import I32, record


class Arcs(NamedTuple):
    """Arcs of a directed graph, grouped by the node they leave.

    Arcs of node ``v`` are rows ``first_arc[v] … first_arc[v + 1] - 1``.
    """

    first_arc: np.ndarray
    """(nodes + 1,) int32"""
    head: np.ndarray
    """(arcs,) int32, the node that the arc enters"""
    travel_ms: np.ndarray
    """(arcs,) int32, non-negative"""


ARCS = record(Arcs, I32, I32, I32)


class Links(NamedTuple):
    """An undirected graph without loops and parallel links: each link is in the rows of both ends."""

    first: np.ndarray
    """(nodes + 1,) int32"""
    to: np.ndarray
    """(ends,) int32"""
    twin: np.ndarray
    """(ends,) int32, the same link in the row of the other end"""


LINKS = record(Links, I32, I32, I32)
