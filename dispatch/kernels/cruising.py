"""What a driver without an order does next: stay, or drive to some node."""

import math
from typing import NamedTuple

import numpy as np
from numba import types

from dispatch.kernels.jit import F64, F64_2D, I32, I64, f64, i64, kernel, record
from dispatch.units import NO_INDEX

F64_3D = types.float64[:, :, ::1]


class Cruise(NamedTuple):
    """How idle drivers move, by local hour and cell; sums run up to exactly 1."""

    cell_of_node: np.ndarray
    """(nodes,) int32"""
    first_of_cell: np.ndarray
    """(cells + 1,) int32, cell ``c`` has the entries ``first_of_cell[c] … first_of_cell[c + 1] - 1``"""
    node_of_cell: np.ndarray
    """(nodes,) int32, nodes by cell"""
    node_cum: np.ndarray
    """(nodes,) float64, probabilities of `node_of_cell` as running sums within each cell"""
    stay_share: np.ndarray
    """(24,) float64, probability to stay"""
    stay_ms: np.ndarray
    """(24,) int64, mean length of a stay"""
    target_cum: np.ndarray
    """(24, cells, cells) float64, probabilities of the next cell as running sums along the last axis"""
    slowness: float
    """time of a leg / its free-flow time"""


CRUISE = record(Cruise, I32, I32, I32, F64, F64, I64, F64_3D, f64)


@kernel((CRUISE, i64, i64, f64, f64, f64, f64))
def next_move(cruise, hour, node, u_stay, u_cell, u_node, u_length):
    """Decide what an idle driver at `node` does in a local `hour`.

    A driver whose target is where it is already stays, so that no decision takes no time.

    Parameters
    ----------
    cruise : Cruise
    hour : int
        0 to 23.
    node : int
    u_stay, u_cell, u_node, u_length : float
        Uniform in [0, 1): whether to stay, which cell, which node of it, how long to stay.

    Returns
    -------
    target : int
        Node to drive to, ``NO_INDEX``: stay.
    stay_ms : int
        How long to stay, at least 1, exponentially distributed; 0 where the driver drives.
    """
    if u_stay >= cruise.stay_share[hour]:
        cell = cruise.cell_of_node[node]
        low, high = 0, cruise.target_cum.shape[2] - 1
        while low < high:  # the first cell whose sum exceeds u_cell: never one of probability 0
            middle = (low + high) // 2
            if cruise.target_cum[hour, cell, middle] > u_cell:
                high = middle
            else:
                low = middle + 1
        low, high = cruise.first_of_cell[low], cruise.first_of_cell[low + 1] - 1
        while low < high:
            middle = (low + high) // 2
            if cruise.node_cum[middle] > u_node:
                high = middle
            else:
                low = middle + 1
        target = cruise.node_of_cell[low]
        if target != node:
            return np.int64(target), np.int64(0)
    stay_ms = np.int64(math.ceil(-math.log1p(-u_length) * cruise.stay_ms[hour]))
    return np.int64(NO_INDEX), max(stay_ms, np.int64(1))


@kernel((CRUISE, I64, I32, F64_2D, I32, I64))
def next_moves(cruise, hour, node, uniform, out_target, out_stay_ms):
    """Decide for many drivers.

    Parameters
    ----------
    cruise : Cruise
    hour : (drivers,) int64
    node : (drivers,) int32
    uniform : (drivers, 4) float64
        In the order in which :func:`next_move` takes them.
    out_target : (drivers,) int32
    out_stay_ms : (drivers,) int64
    """
    for i in range(len(node)):
        u_stay, u_cell, u_node, u_length = uniform[i, 0], uniform[i, 1], uniform[i, 2], uniform[i, 3]
        at = np.int64(node[i])  # or a second version would be compiled
        out_target[i], out_stay_ms[i] = next_move(cruise, hour[i], at, u_stay, u_cell, u_node, u_length)
