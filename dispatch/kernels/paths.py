"""Reading a table of travel times: pairs, and the paths that they stand for."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.csr import ARCS
from dispatch.kernels.jit import F64, I32, I32_2D, kernel, record
from dispatch.units import NO_INDEX, UNREACHABLE_MS


class TravelTable(NamedTuple):
    """Travel times from every node to some nodes."""

    row_of_node: np.ndarray
    """(nodes,) int32, the row with the travel times *to* a node, ``NO_INDEX`` where there is none"""
    to_row_ms: np.ndarray
    """(rows, nodes) int32, ``UNREACHABLE_MS`` where there is no path"""


class PathNodes(NamedTuple):
    """Nodes of many paths, one after another."""

    first: np.ndarray
    """(paths + 1,) int32, path ``i`` has the entries ``first[i] … first[i + 1] - 1``"""
    node: np.ndarray
    """(entries,) int32"""
    at_ms: np.ndarray
    """(entries,) int32, travel time since the start of the path"""
    at_m: np.ndarray
    """(entries,) float64, metres since the start of the path"""
    edge: np.ndarray
    """(entries,) int32, the arc that was driven to come to the node, ``NO_INDEX`` at the start"""


TRAVEL_TABLE = record(TravelTable, I32, I32_2D)
PATH_NODES = record(PathNodes, I32, I32, I32, F64, I32)


@kernel((I32, I32, TRAVEL_TABLE, I32))
def gather_pairs(from_node, to_node, table, out_ms):
    """Read the travel time of each pair whose row is in the table.

    Parameters
    ----------
    from_node, to_node : (n,) int32
        Pairs of nodes.
    table : TravelTable
        What is known.
    out_ms : (n,) int32
        Only entries that are negative are written; a pair without a row keeps its own.

    Returns
    -------
    int
        How many pairs still lack their row; -1 if a pair names no node.
    """
    num_nodes = len(table.row_of_node)
    num_missing = 0
    for i in range(len(from_node)):
        u, v = from_node[i], to_node[i]
        if u < 0 or v < 0 or u >= num_nodes or v >= num_nodes:
            return -1
        if out_ms[i] < 0:
            row = table.row_of_node[v]
            if row == NO_INDEX:
                num_missing += 1
            else:
                out_ms[i] = table.to_row_ms[row, u]
    return num_missing


@kernel((I32, I32, I32))
def list_missing(to_node, row_of_node, out_node):
    """List each node of `to_node` that has no row once, in order of first mention.

    Parameters
    ----------
    to_node : (n,) int32
        Valid nodes.
    row_of_node : (nodes,) int32
        ``NO_INDEX`` where a node has no row; marked meanwhile, as it was on return.
    out_node : (n,) int32
        The nodes found.

    Returns
    -------
    int
        How many were found.
    """
    mentioned = NO_INDEX - 1
    num_found = 0
    for i in range(len(to_node)):
        if row_of_node[to_node[i]] == NO_INDEX:
            row_of_node[to_node[i]] = mentioned
            out_node[num_found] = to_node[i]
            num_found += 1
    for i in range(num_found):
        row_of_node[out_node[i]] = NO_INDEX
    return num_found


@kernel()
def _next_arc(arcs, left_ms, node):
    """Give the first arc of `node` on a shortest path to where `left_ms` leads."""
    for arc in range(arcs.first_arc[node], arcs.first_arc[node + 1]):
        if arcs.travel_ms[arc] + left_ms[arcs.head[arc]] == left_ms[node]:
            return arc
    return NO_INDEX


@kernel((ARCS, I32, I32, TRAVEL_TABLE, I32))
def count_path_nodes(arcs, from_node, to_node, table, out_num_nodes):
    """Count the nodes on the path of each pair, both ends included; 0 where there is no path.

    Every node of `to_node` has a row in the table, and all arcs take at least 1 ms: the travel time
    that is left falls with every step.

    Parameters
    ----------
    arcs : Arcs
        The graph that the table was made from.
    from_node, to_node : (n,) int32
        Pairs of nodes.
    table : TravelTable
        With a row for each of `to_node`.
    out_num_nodes : (n,) int32
        The counts.
    """
    for i in range(len(from_node)):
        left_ms = table.to_row_ms[table.row_of_node[to_node[i]]]
        node = from_node[i]
        num_nodes = 0
        if left_ms[node] < UNREACHABLE_MS:
            num_nodes = 1
            while node != to_node[i]:
                node = arcs.head[_next_arc(arcs, left_ms, node)]
                num_nodes += 1
        out_num_nodes[i] = num_nodes


@kernel((ARCS, F64, I32, I32, TRAVEL_TABLE, PATH_NODES))
def trace_paths(arcs, length_m, from_node, to_node, table, out_paths):
    """Follow the path of each pair by descent: no parents need to be kept with the table.

    Parameters
    ----------
    arcs : Arcs
        The graph that the table was made from.
    length_m : (arcs,) float64
        Metres.
    from_node, to_node : (n,) int32
        Pairs of nodes.
    table : TravelTable
        With a row for each of `to_node`.
    out_paths : PathNodes
        ``first`` is given, from the counts of :func:`count_path_nodes`; the rest is written.
    """
    for i in range(len(from_node)):
        begin, end = out_paths.first[i], out_paths.first[i + 1]
        if begin == end:
            continue
        left_ms = table.to_row_ms[table.row_of_node[to_node[i]]]
        node = from_node[i]
        metres = 0.0
        out_paths.node[begin] = node
        out_paths.at_ms[begin] = 0
        out_paths.at_m[begin] = 0.0
        out_paths.edge[begin] = NO_INDEX
        for entry in range(begin + 1, end):
            arc = _next_arc(arcs, left_ms, node)
            node = arcs.head[arc]
            metres += length_m[arc]
            out_paths.node[entry] = node
            out_paths.at_ms[entry] = left_ms[from_node[i]] - left_ms[node]
            out_paths.at_m[entry] = metres
            out_paths.edge[entry] = arc
