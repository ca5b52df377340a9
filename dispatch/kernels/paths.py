"""Ways as rows of nodes, times and metres."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import F64, I32, kernel, record
from dispatch.units import NO_INDEX


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
    """(entries,) int32, the edge that was driven to come to the node, ``NO_INDEX`` at the start"""


class Edges(NamedTuple):
    """What driving along an edge means."""

    head: np.ndarray
    """(edges,) int32, node"""
    travel_ms: np.ndarray
    """(edges,) int32"""
    length_m: np.ndarray
    """(edges,) float64"""


PATH_NODES = record(PathNodes, I32, I32, I32, F64, I32)
EDGES = record(Edges, I32, I32, F64)


@kernel((EDGES, I32, I32, I32, PATH_NODES))
def lay_out_paths(edges, from_node, first_edge, edge, out_paths):
    """Turn ways given by their edges into nodes with times and metres.

    Parameters
    ----------
    edges : Edges
    from_node : (paths,) int32
    first_edge : (paths + 1,) int32
    edge : (entries,) int32
        Those of path ``i`` are ``first_edge[i] … first_edge[i + 1] - 1``.
    out_paths : PathNodes
        ``first`` is given: one node more than edges, or none at all. The rest is written.
    """
    for i in range(len(from_node)):
        begin, end = out_paths.first[i], out_paths.first[i + 1]
        if begin == end:
            continue
        out_paths.node[begin], out_paths.at_ms[begin], out_paths.at_m[begin] = from_node[i], 0, 0.0
        out_paths.edge[begin] = NO_INDEX
        shift = first_edge[i] - begin - 1
        for entry in range(begin + 1, end):
            driven = edge[entry + shift]
            out_paths.node[entry], out_paths.edge[entry] = edges.head[driven], driven
            out_paths.at_ms[entry] = out_paths.at_ms[entry - 1] + edges.travel_ms[driven]
            out_paths.at_m[entry] = out_paths.at_m[entry - 1] + edges.length_m[driven]
