"""Undirected graphs in compressed sparse rows."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import I32, record


class Links(NamedTuple):
    """An undirected graph without loops and parallel links: each link is in the rows of both ends."""

    first: np.ndarray
    """(nodes + 1,) int32"""
    to: np.ndarray
    """(ends,) int32"""
    twin: np.ndarray
    """(ends,) int32, the same link in the row of the other end"""


LINKS = record(Links, I32, I32, I32)
