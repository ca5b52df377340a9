"""All travel times of a small network in one table, and the ways that they belong to, arc by arc."""

from typing import NamedTuple

import numpy as np
from numba import types

from dispatch.kernels.jit import F64, I32, I32_2D, i64, kernel, record
from dispatch.units import NO_INDEX, UNREACHABLE_MS

U8_2D = types.uint8[:, ::1]
NO_ARC = 255
"""In place of an arc's number where there is no way on."""


class AllPairs(NamedTuple):
    """Travel times from every node to every node."""

    to_ms: np.ndarray
    """(nodes, nodes) int32, a row a destination, a column a place: what one question asks for lies close"""
    next_arc: np.ndarray
    """(nodes, nodes) uint8, likewise: number of the arc, among those that leave a node, to take"""
    place: np.ndarray
    """(nodes,) int32, column of each node; nodes near each other have columns near each other"""
    first_arc: np.ndarray
    """(nodes + 1,) int32"""
    head: np.ndarray
    """(arcs,) int32"""
    travel_ms: np.ndarray
    """(arcs,) int32, at least 1: ways never run in circles"""
    length_m: np.ndarray
    """(arcs,) float64"""


ALL_PAIRS = record(AllPairs, I32_2D, U8_2D, I32, I32, I32, I32, F64)


@kernel((ALL_PAIRS, i64, i64))
def find_next_arcs(table, first_row, end_row):
    """Find the first arc of each way to the destinations ``first_row … end_row - 1``, in place.

    Of equally quick arcs the first one is taken.
    """
    for to in range(first_row, end_row):
        row, place = table.to_ms[to], table.place
        for node in range(len(row)):
            arc, left_ms = NO_ARC, row[place[node]]
            if node != to and left_ms < UNREACHABLE_MS:
                for a in range(table.first_arc[node], table.first_arc[node + 1]):
                    if row[place[table.head[a]]] + table.travel_ms[a] == left_ms:
                        arc = a - table.first_arc[node]
                        break
            table.next_arc[to, place[node]] = arc


@kernel()
def scaled(ms, permille):
    """Give a travel time at another pace, rounded; ``UNREACHABLE_MS`` stays, and nothing comes near it."""
    if ms >= UNREACHABLE_MS:
        return np.int32(UNREACHABLE_MS)
    return np.int32(min((np.int64(ms) * permille + 500) // 1000, UNREACHABLE_MS - 1))


@kernel((ALL_PAIRS, i64, I32, I32, I32))
def pairs(table, permille, from_node, to_node, out_ms):
    """Look up the travel time of each pair (n,), at a pace."""
    for i in range(len(from_node)):
        out_ms[i] = scaled(table.to_ms[to_node[i], table.place[from_node[i]]], permille)


@kernel((I32, i64))
def scale(ms, permille):
    """Give travel times (n,) at another pace, in place."""
    for i in range(len(ms)):
        ms[i] = scaled(ms[i], permille)


@kernel((ALL_PAIRS, I32, I32, I32))
def count_nodes(table, from_node, to_node, out_first):
    """Count the nodes of each way (n,), as row starts (n + 1,)."""
    out_first[0] = 0
    for i in range(len(from_node)):
        node, to, num = from_node[i], to_node[i], 0
        if table.to_ms[to, table.place[node]] < UNREACHABLE_MS:
            num = 1
            while node != to:
                node = table.head[table.first_arc[node] + table.next_arc[to, table.place[node]]]
                num += 1
        out_first[i + 1] = out_first[i] + num


@kernel((ALL_PAIRS, I32, I32, I32, I32, I32, F64, I32))
def lay_out(table, from_node, to_node, first, out_node, out_ms, out_m, out_arc):
    """Write nodes, times, metres and arcs of each way (n,) into rows ``first[i] … first[i + 1] - 1``."""
    for i in range(len(from_node)):
        node, to, at, metres, at_ms = from_node[i], to_node[i], first[i], 0.0, np.int32(0)
        if first[i + 1] == at:
            continue
        out_node[at], out_ms[at], out_m[at], out_arc[at] = node, 0, 0.0, NO_INDEX
        while node != to:
            arc = table.first_arc[node] + table.next_arc[to, table.place[node]]
            node = table.head[arc]
            metres += table.length_m[arc]
            at_ms += table.travel_ms[arc]
            at += 1
            out_node[at], out_ms[at] = node, at_ms
            out_m[at], out_arc[at] = metres, arc
