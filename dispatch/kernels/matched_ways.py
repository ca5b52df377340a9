"""The ways between places that drivers were matched to, edge by edge, with the shares driven of each."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.all_pairs import ALL_PAIRS
from dispatch.kernels.jit import BOOL, F64, I32, I64, f64, kernel, record
from dispatch.units import NO_INDEX


class Placed(NamedTuple):
    """Pings and their places on edges, sorted by driver, then time."""

    edge: np.ndarray
    """(pings,) int32, NO_INDEX where there is no place"""
    share: np.ndarray
    """(pings,) float64, 0 … 1 of the way along it"""
    joined: np.ndarray
    """(pings,) bool, a way leads here from the last ping before that has a place"""


class Steps(NamedTuple):
    """From ping to ping."""

    from_ping: np.ndarray
    """(steps,) int32"""
    to_ping: np.ndarray
    """(steps,) int32"""
    stays: np.ndarray
    """(steps,) bool, on one edge, ahead or standing: no node lies between"""


class Routes(NamedTuple):
    """The edges between two others, from the head of one to the tail of the other, for some steps."""

    first: np.ndarray
    """(routes + 1,) int32"""
    edge: np.ndarray
    """(entries,) int32"""


class Ways(NamedTuple):
    """Edges driven in each step."""

    first: np.ndarray
    """(steps + 1,) int64"""
    edge: np.ndarray
    """(entries,) int32"""
    from_share: np.ndarray
    """(entries,) float64, where on the edge it begins"""
    to_share: np.ndarray
    """(entries,) float64, where it ends"""


PLACED = record(Placed, I32, F64, BOOL)
STEPS = record(Steps, I32, I32, BOOL)
ROUTES = record(Routes, I32, I32)
WAYS = record(Ways, I64, I32, F64, F64)


@kernel((PLACED, F64, f64, STEPS))
def find_steps(placed, length_m, back_m, out_steps):
    """List the steps between places that ways join; give their number.

    Parameters
    ----------
    placed : Placed
        (n,)
    length_m : (edges,) float64
    back_m : float
        Who seems to roll back by no more is standing.
    out_steps : Steps
        Room for n.
    """
    edge, share, joined = placed
    num, before = 0, NO_INDEX
    for p in range(len(edge)):
        if edge[p] == NO_INDEX:
            continue
        if joined[p] and before != NO_INDEX:
            out_steps.from_ping[num], out_steps.to_ping[num] = before, p
            back = (share[before] - share[p]) * length_m[edge[p]]
            out_steps.stays[num] = edge[before] == edge[p] and back <= back_m
            num += 1
        before = p
    return num


@kernel((ALL_PAIRS, I32, I32, I32))
def count_edges(table, from_node, to_node, out_first):
    """Count the edges of ways (n,) that there are, as row starts (n + 1,)."""
    out_first[0] = 0
    for i in range(len(from_node)):
        node, to, num = from_node[i], to_node[i], 0
        while node != to:
            node = table.head[table.first_arc[node] + table.next_arc[to, table.place[node]]]
            num += 1
        out_first[i + 1] = out_first[i] + num


@kernel((ALL_PAIRS, I32, I32, ROUTES))
def walk(table, from_node, to_node, out_routes):
    """Write the edges of ways (n,) whose row starts are known."""
    for i in range(len(from_node)):
        node, to = from_node[i], to_node[i]
        for k in range(out_routes.first[i], out_routes.first[i + 1]):
            arc = table.first_arc[node] + table.next_arc[to, table.place[node]]
            out_routes.edge[k] = arc
            node = table.head[arc]


@kernel((PLACED, STEPS, ROUTES, WAYS))
def lay_ways(placed, steps, routes, out_ways):
    """Write the edges of all steps, and give how many; who rolled back stands until passing where it was.

    Parameters
    ----------
    placed : Placed
    steps : Steps
        (n,)
    routes : Routes
        Of the steps that leave their edge, in their order.
    out_ways : Ways
        Room for one entry of each step that stays, two and the route of each other.
    """
    edge, share, _ = placed
    first, way_edge, from_share, to_share = out_ways
    num, route, at, last = 0, 0, 0.0, NO_INDEX
    first[0] = 0
    for s in range(len(steps.stays)):
        one, other = steps.from_ping[s], steps.to_ping[s]
        if one != last:
            at = share[one]
        way_edge[num], from_share[num] = edge[one], at
        if steps.stays[s]:
            at = max(at, share[other])
            to_share[num] = at
        else:
            to_share[num] = 1.0
            for k in range(routes.first[route], routes.first[route + 1]):
                num += 1
                way_edge[num], from_share[num], to_share[num] = routes.edge[k], 0.0, 1.0
            num += 1
            at = share[other]
            way_edge[num], from_share[num], to_share[num] = edge[other], 0.0, at
            route += 1
        num += 1
        first[s + 1] = num
        last = other
    return num
