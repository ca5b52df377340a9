"""What is known of a drive before it sets out, and of the way that it is expected to take."""

from math import hypot, pi
from typing import NamedTuple

import numpy as np

from dispatch.kernels.all_pairs import ALL_PAIRS
from dispatch.kernels.edge_times import EDGE_SECONDS
from dispatch.kernels.jit import F32, F32_2D, F64, I8, I32, I64, kernel, record
from dispatch.units import NO_INDEX, UNREACHABLE_MS

NUM_CLASSES = 8
NUM_COLUMNS = 16 + NUM_CLASSES
TURN = pi / 4
"""A change of direction of more than this is a turn"""


class Drives(NamedTuple):
    """Drives to predict; coordinates are metres of the city's plane."""

    from_x: np.ndarray
    """(n,) float64"""
    from_y: np.ndarray
    to_x: np.ndarray
    to_y: np.ndarray
    from_node: np.ndarray
    """(n,) int32, the nearest node"""
    to_node: np.ndarray
    minute: np.ndarray
    """(n,) int32, of the week, from Monday 0:00"""
    slot: np.ndarray
    """(n,) int32, of the tables of edge times"""
    part: np.ndarray
    """(n,) int32, part of the week, of pair effects"""


class Streets(NamedTuple):
    """What is fixed of streets."""

    node_x: np.ndarray
    """(nodes,) float64, metres"""
    node_y: np.ndarray
    free_s: np.ndarray
    """(edges,) float64, at free flow"""
    length_m: np.ndarray
    """(edges,) float64"""
    road_class: np.ndarray
    """(edges,) int8, 0 … ``NUM_CLASSES - 1``"""
    bearing: np.ndarray
    """(edges,) float32, direction in the plane, radians"""


DRIVES = record(Drives, F64, F64, F64, F64, I32, I32, I32, I32, I32)
STREETS = record(Streets, F64, F64, F64, F64, I8, F32)


@kernel((ALL_PAIRS, I32, I32, I64))
def count_route_edges(table, from_node, to_node, out_first):
    """Count the edges of the way of each pair (n,), as row starts (n + 1,)."""
    out_first[0] = 0
    for i in range(len(from_node)):
        node, to, num = from_node[i], to_node[i], 0
        if table.to_ms[to, table.place[node]] < UNREACHABLE_MS:
            while node != to:
                node = table.head[table.first_arc[node] + table.next_arc[to, table.place[node]]]
                num += 1
        out_first[i + 1] = out_first[i] + num


@kernel((ALL_PAIRS, I32, I32, I64, I32))
def lay_route_edges(table, from_node, to_node, first, out_edge):
    """Write the edges of the way of each pair (n,) into ``first[i] … first[i + 1] - 1``."""
    for i in range(len(from_node)):
        node, to = from_node[i], to_node[i]
        for at in range(first[i], first[i + 1]):
            edge = table.first_arc[node] + table.next_arc[to, table.place[node]]
            out_edge[at] = edge
            node = table.head[edge]


@kernel()
def _turn(bearing, before, edge):
    """Give the change of direction from one edge to the next, -pi … pi; positive to the left."""
    change = bearing[edge] - bearing[before]
    if change > pi:
        return change - 2.0 * pi
    return change + 2.0 * pi if change < -pi else change


@kernel((DRIVES, I64, I32, STREETS, EDGE_SECONDS, EDGE_SECONDS, F32_2D))
def write_route_columns(drives, first, edge, streets, probes, trips, out_columns):
    """Write the columns of drives whose ways are known.

    Parameters
    ----------
    drives : Drives
        (n,)
    first : (n + 1,) int64
    edge : (entries,) int32
        The way of drive ``i`` is ``edge[first[i]] … edge[first[i + 1] - 1]``.
    streets : Streets
    probes, trips : EdgeSeconds
        How long edges take, by pings and by recorded trips.
    out_columns : (at least NUM_COLUMNS, at least n) float32
        From and to (x, y), distance by air, hour, day of the week, seconds at free flow, kilometres, those by
        class, turns to the left and to the right, edges, distances to the first and from the last node,
        seconds by pings, seconds by trips.
    """
    for i in range(len(drives.slot)):
        probe_factor, trip_factor = probes.slot_factor[drives.slot[i]], trips.slot_factor[drives.slot[i]]
        free_s, km, probe_s, trip_s, left, right, before = 0.0, 0.0, 0.0, 0.0, 0, 0, NO_INDEX
        for one in range(NUM_CLASSES):
            out_columns[9 + one, i] = 0.0
        for k in range(first[i], first[i + 1]):
            e = edge[k]
            free_s += streets.free_s[e]
            km += streets.length_m[e] / 1000.0
            out_columns[9 + streets.road_class[e], i] += np.float32(streets.length_m[e] / 1000.0)
            probe_s += probes.edge_s[e] * probe_factor[probes.cell[e]]
            trip_s += trips.edge_s[e] * trip_factor[trips.cell[e]]
            if before != NO_INDEX:
                change = _turn(streets.bearing, before, e)
                left += change > TURN
                right += change < -TURN
            before = e
        from_x, from_y, to_x, to_y = drives.from_x[i], drives.from_y[i], drives.to_x[i], drives.to_y[i]
        from_node, to_node = drives.from_node[i], drives.to_node[i]
        out_columns[0, i], out_columns[1, i], out_columns[2, i], out_columns[3, i] = (
            from_x,
            from_y,
            to_x,
            to_y,
        )
        out_columns[4, i] = hypot(to_x - from_x, to_y - from_y)
        out_columns[5, i], out_columns[6, i] = drives.minute[i] % 1440 / 60.0, drives.minute[i] // 1440
        out_columns[7, i], out_columns[8, i] = free_s, km
        last = 9 + NUM_CLASSES
        out_columns[last, i], out_columns[last + 1, i], out_columns[last + 2, i] = (
            left,
            right,
            first[i + 1] - first[i],
        )
        out_columns[last + 3, i] = hypot(
            from_x - streets.node_x[from_node], from_y - streets.node_y[from_node]
        )
        out_columns[last + 4, i] = hypot(to_x - streets.node_x[to_node], to_y - streets.node_y[to_node])
        out_columns[last + 5, i], out_columns[last + 6, i] = probe_s, trip_s
