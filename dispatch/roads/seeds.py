"""Where searches between nodes and places begin and end: states of the turn graph, and how far they are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.roads.graph import RoadGraph
from dispatch.roads.places import Places, check_edges
from dispatch.roads.travel_times import as_nodes
from dispatch.roads.turns import TurnGraph, members
from dispatch.units import DURATION_DTYPE, INDEX_DTYPE, NO_INDEX, UNREACHABLE_MS


class Seeds(NamedTuple):
    """States per source or target, in compressed sparse rows.

    Those of row ``i`` are ``first[i] … first[i + 1] - 1``, in no order. A row without any reaches nothing;
    in one row a state may occur twice (both directions of a street that ends where it begins).
    """

    first: NDArray[np.int32]
    """(n + 1,)"""
    state: NDArray[np.int32]
    """(seeds,) state of the turn graph"""
    ms: NDArray[np.int32]
    """(seeds,) from a source to its state, or from the state to the target"""


def source_seeds(
    graph: RoadGraph, turns: TurnGraph, where: Places | ArrayLike, travel_ms: NDArray[np.int32]
) -> Seeds:
    """Give the states that trips from nodes or places come to first.

    From a place one may drive either way, if its street has two; from a node, any way.

    Parameters
    ----------
    graph : RoadGraph
    turns : TurnGraph
        That of `graph`.
    where : Places, or (n,) int32 nodes
        NO_INDEX has no seeds.
    travel_ms : (arcs,) int32
        Travel time of each arc of `graph`; UNREACHABLE_MS or more is closed, and gives no seed.

    Raises
    ------
    InputError
        A row is no node or no arc of the graph.
    """
    if isinstance(where, Places):
        edge, share, whole_ms = _ways(graph, where, travel_ms)
        left_ms = whole_ms - _part_ms(share, whole_ms)
        return _seeds(len(where), edge, whole_ms < UNREACHABLE_MS, turns.state_after_edge, left_ms)
    node = _as_nodes(where, graph.num_nodes)
    there = node != NO_INDEX
    first = np.zeros(len(node) + 1, INDEX_DTYPE)
    np.cumsum(there, out=first[1:])
    return Seeds(first, node[there], np.zeros(first[-1], DURATION_DTYPE))


def target_seeds(
    graph: RoadGraph, turns: TurnGraph, where: Places | ArrayLike, travel_ms: NDArray[np.int32]
) -> Seeds:
    """Give the states from which trips to nodes or places come there without another state between.

    A node is reached in any of its states, a place from all states in which one may turn into its street.

    Parameters
    ----------
    graph, turns, where
        As in :func:`source_seeds`.
    travel_ms : (arcs,) int32
        As in :func:`source_seeds`.

    Raises
    ------
    InputError
        A row is no node or no arc of the graph.
    """
    if isinstance(where, Places):
        edge, share, whole_ms = _ways(graph, where, travel_ms)
        first, state = turns.entries
        size = np.where(whole_ms < UNREACHABLE_MS, first[edge + 1] - first[edge], 0)
        return _seeds(len(where), first[edge], size, state, _part_ms(share, whole_ms))
    node = _as_nodes(where, graph.num_nodes)
    size = np.where(node != NO_INDEX, turns.first_state[node + 1] - turns.first_state[node], 0)
    return _seeds(len(node), turns.first_state[node], size, turns.state)


def direct_ms(
    graph: RoadGraph, from_places: Places, to_places: Places, travel_ms: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Give the travel time along the one street on which both places lie, without leaving it.

    Parameters
    ----------
    graph : RoadGraph
    from_places, to_places : Places
        (n,) each.
    travel_ms : (arcs,) int32
        As in :func:`source_seeds`.

    Returns
    -------
    (n,) int32
        0 for the same place, even on a closed street; UNREACHABLE_MS where no street leads so.

    Raises
    ------
    InputError
        The numbers of places differ, or an edge is no arc of the graph.
    """
    if len(from_places) != len(to_places):
        raise InputError(
            f"from_places are {len(from_places)} and to_places {len(to_places)}: pairs are needed"
        )
    edge, start, whole_ms = _ways(graph, from_places, travel_ms)
    other, stop, _ = _ways(graph, to_places, travel_ms)
    # Both arcs of the target's street, and the same once more in the order of the source's.
    turned = np.repeat(edge[::2] == other[1::2], 2)
    other = np.where(turned, other.reshape(-1, 2)[:, ::-1].ravel(), other)
    stop = np.where(turned, stop.reshape(-1, 2)[:, ::-1].ravel(), stop)
    ahead = (edge == other) & (edge != NO_INDEX) & (start <= stop)
    time_ms = np.where(
        whole_ms < UNREACHABLE_MS, _part_ms(stop, whole_ms) - _part_ms(start, whole_ms), UNREACHABLE_MS
    )
    time_ms[start == stop] = 0
    time_ms[~ahead] = UNREACHABLE_MS
    return np.ascontiguousarray(time_ms.reshape(-1, 2).min(axis=1), DURATION_DTYPE)


def same_street(
    graph: RoadGraph, from_places: Places, to_places: Places
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the pairs (n,) of rows of both whose places lie on one street, be it driven the other way."""
    streets = []
    for places in (from_places, to_places):
        street, there = places.edge.copy(), places.edge != NO_INDEX
        twin = graph.twin[street[there]]
        street[there] = np.where(twin == NO_INDEX, street[there], np.minimum(street[there], twin))
        streets.append(street)
    order = np.argsort(streets[1], kind="stable")
    begin, end = (np.searchsorted(streets[1][order], streets[0], side) for side in ("left", "right"))
    which, place = members(np.where(streets[0] == NO_INDEX, 0, end - begin))
    return which, order[begin[which] + place]


def _ways(
    graph: RoadGraph, places: Places, travel_ms: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int32]]:
    """Give arc, share and the arc's travel time (2 n,) of places, each followed by the other direction.

    Where there is no such arc, it takes UNREACHABLE_MS.
    """
    check_edges(places, graph.num_arcs)
    there = places.edge != NO_INDEX
    twin = np.full(len(places), NO_INDEX, INDEX_DTYPE)
    twin[there] = graph.twin[places.edge[there]]
    edge = np.stack([places.edge, twin], axis=1).ravel()
    whole_ms = np.full(len(edge), UNREACHABLE_MS, DURATION_DTYPE)
    whole_ms[edge != NO_INDEX] = travel_ms[edge[edge != NO_INDEX]]
    return edge, np.stack([places.share, 1.0 - places.share], axis=1).ravel(), whole_ms


def _part_ms(share: NDArray[np.float64], whole_ms: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give the time to a share of the way along arcs (n,); the other part takes the rest of the whole."""
    return np.floor(share * whole_ms + 0.5).astype(DURATION_DTYPE)


def _seeds(
    num_rows: int,
    begin: NDArray[np.int32],
    size: NDArray[Any],
    state: NDArray[np.int32],
    ms: NDArray[np.int32] | None = None,
) -> Seeds:
    """Gather runs of states, ``state[begin[i] : begin[i] + size[i]]``, each with one time, 0 by default.

    Every row of the answer has equally many runs.
    """
    size = size.astype(INDEX_DTYPE)
    run, place = members(size)
    first = np.zeros(num_rows + 1, INDEX_DTYPE)
    np.cumsum(size.reshape(num_rows, len(size) // max(num_rows, 1)).sum(axis=1), out=first[1:])
    seed_ms = np.zeros(len(run), DURATION_DTYPE) if ms is None else ms[run]
    return Seeds(first, state[begin[run] + place], seed_ms)


def _as_nodes(node: ArrayLike, num_nodes: int) -> NDArray[np.int32]:
    """Give a caller's nodes (n,), checked."""
    nodes = as_nodes("nodes", np.atleast_1d(np.asarray(node)))
    wrong = np.flatnonzero((nodes < NO_INDEX) | (nodes >= num_nodes))
    if len(wrong):
        raise InputError(f"node at row {wrong[0]} is {nodes[wrong[0]]}: the graph has {num_nodes} nodes")
    return nodes
