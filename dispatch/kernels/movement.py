"""Vehicles under way: their legs as rows of nodes and times, and where they are at an instant."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import F64, I32, I32_2D, I64, i64, kernel, record


class Legs(NamedTuple):
    """The leg that each vehicle drives, one row a vehicle."""

    node: np.ndarray
    """(vehicles, width) int32, nodes of the path; the first ``num_nodes`` of a row mean something"""
    at_ms: np.ndarray
    """(vehicles, width) int32, travel time since the start of the path"""
    num_nodes: np.ndarray
    """(vehicles,) int32, 0: no leg"""
    start_at_ms: np.ndarray
    """(vehicles,) int64"""
    duration_ms: np.ndarray
    """(vehicles,) int64, how long the leg really takes: the path's times are stretched to it"""


LEGS = record(Legs, I32_2D, I32_2D, I32, I64, I64)


@kernel((I32, I32, I32, I32, LEGS))
def set_legs(vehicles, first, node, at_ms, out_legs):
    """Write paths (CSR `first`, `node`, `at_ms`) as the legs of `vehicles` (n,); rows must be wide enough."""
    for i in range(len(vehicles)):
        vehicle, begin = vehicles[i], first[i]
        num_nodes = first[i + 1] - begin
        out_legs.num_nodes[vehicle] = num_nodes
        for k in range(num_nodes):
            out_legs.node[vehicle, k] = node[begin + k]
            out_legs.at_ms[vehicle, k] = at_ms[begin + k]


@kernel((I32, i64, LEGS, I32, I32, F64))
def locate(vehicles, now_ms, legs, out_node, out_next_node, out_share):
    """Tell where vehicles with a leg are: `out_share` (n,) of the way from `out_node` to `out_next_node`."""
    for i in range(len(vehicles)):
        vehicle = vehicles[i]
        last = legs.num_nodes[vehicle] - 1
        path_ms, duration_ms = legs.at_ms[vehicle, last], legs.duration_ms[vehicle]
        elapsed = min(max(now_ms - legs.start_at_ms[vehicle], 0), duration_ms)
        along_ms = path_ms * (elapsed / duration_ms) if duration_ms > 0 else float(path_ms)
        low, high = 0, last
        while low < high:  # the last node passed
            middle = (low + high + 1) // 2
            if legs.at_ms[vehicle, middle] <= along_ms:
                low = middle
            else:
                high = middle - 1
        ahead = min(low + 1, last)
        arc_ms = legs.at_ms[vehicle, ahead] - legs.at_ms[vehicle, low]
        out_node[i], out_next_node[i] = legs.node[vehicle, low], legs.node[vehicle, ahead]
        out_share[i] = (along_ms - legs.at_ms[vehicle, low]) / arc_ms if arc_ms > 0 else 0.0
