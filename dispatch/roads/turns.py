"""Forbidden turns as a larger graph, on which any shortest-path search obeys them without knowing of them.

A node that a car may reach with a past that matters becomes several *states*. The states are those of the
automaton that finds forbidden sequences in the sequence of arcs driven (Aho and Corasick, Efficient string
matching, CACM 18(6), 1975): one for each proper beginning of a forbidden sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dispatch.roads.forbidden_turns import ForbiddenTurns
from dispatch.roads.graph import RoadGraph
from dispatch.units import INDEX_DTYPE

_ROOT = 0
"""State of the automaton without a past that matters."""


@dataclass(frozen=True)
class TurnGraph:
    """States and the arcs between them, in compressed sparse rows.

    State ``v`` is node ``v`` without a past that matters, for each node; the states from ``num_nodes`` on are
    nodes with one. A trip from a node begins in its plain state; it has arrived in any state of its
    destination. Leaving arcs of a state are sorted by the edge that they stand for. The rows of plain states
    come first: row ``a`` of the arcs stands for edge ``a`` as long as ``a`` is below the number of edges.

    *Edges* are the arcs of the road graph, *arcs* those between states. Arrays are never written.
    """

    first_arc: NDArray[np.int32]
    """(states + 1,)"""
    head: NDArray[np.int32]
    """(arcs,) state that the arc enters"""
    edge: NDArray[np.int32]
    """(arcs,) row of the road graph's arc that it stands for"""
    node_of_state: NDArray[np.int32]
    """(states,) node of the road graph"""
    first_state: NDArray[np.int32]
    """(nodes + 1,) where the states of each node begin in :attr:`state`"""
    state: NDArray[np.int32]
    """(states,) states by node, the plain one first"""
    state_after_edge: NDArray[np.int32]
    """(edges,) where one stands who began within this edge and drove to its end"""

    @property
    def num_states(self) -> int:
        """Number of states."""
        return len(self.node_of_state)

    @property
    def num_nodes(self) -> int:
        """Number of nodes of the road graph."""
        return len(self.first_state) - 1

    @property
    def num_edges(self) -> int:
        """Number of arcs of the road graph."""
        return len(self.state_after_edge)

    @cached_property
    def tail(self) -> NDArray[np.int32]:
        """(arcs,) state that the arc leaves."""
        return np.repeat(np.arange(self.num_states, dtype=INDEX_DTYPE), np.diff(self.first_arc))

    @cached_property
    def entries(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """From which states each edge may be driven, in compressed sparse rows.

        Returns
        -------
        first : (edges + 1,) int32
        state : (arcs,) int32
        """
        return _first(self.edge, self.num_edges), self.tail[np.argsort(self.edge, kind="stable")]

    def companions(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Give the pairs of states that a hierarchy has to join, beside those that an arc joins.

        With them, the states of one node, and those of both ends of an edge, are pairwise adjacent: they lie
        on one path to the root of any elimination tree. Only nodes with several states need any.

        Returns
        -------
        one, other : (pairs,) int32
            ``one < other``, no pair twice.
        """
        num_states = np.diff(self.first_state)
        split = np.flatnonzero(num_states > 1)
        from_node, to_node = (self.node_of_state[end[: self.num_edges]] for end in (self.tail, self.head))
        near = ((num_states[from_node] > 1) | (num_states[to_node] > 1)) & (from_node != to_node)
        at, beside = np.concatenate([split, from_node[near]]), np.concatenate([split, to_node[near]])
        which, place = members(num_states[at] * num_states[beside])
        at, beside = at[which], beside[which]
        one = self.state[self.first_state[at] + place // num_states[beside]]
        other = self.state[self.first_state[beside] + place % num_states[beside]]
        pairs = self._pairs(one, other)[one != other]
        pairs = np.setdiff1d(pairs, self._pairs(self.tail, self.head) if len(pairs) else pairs)
        return (pairs // self.num_states).astype(INDEX_DTYPE), (pairs % self.num_states).astype(INDEX_DTYPE)

    def _pairs(self, one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.int64]:
        """Give a number to each pair (n,) of states, the same in either order."""
        low, high = np.minimum(one, other), np.maximum(one, other)
        return low.astype(np.int64) * self.num_states + high


def expand_turns(graph: RoadGraph) -> TurnGraph:
    """Make the graph on which every path keeps to the rules of a road graph; without rules, the same graph.

    Parameters
    ----------
    graph : RoadGraph
        Its rules may be of any length, overlap, and contain each other.

    Raises
    ------
    InputError
        A rule is too short, names no arc of the graph, or its arcs do not follow each other.

    Notes
    -----
    O(arcs + the edges that leave extra states), with a binary search over the rules for each.
    """
    plain = np.arange(graph.num_nodes, dtype=INDEX_DTYPE)
    edges = np.arange(graph.num_arcs, dtype=INDEX_DTYPE)
    rules = graph.forbidden
    if rules is None or not rules.num_rules:
        first_state = np.arange(graph.num_nodes + 1, dtype=INDEX_DTYPE)
        return TurnGraph(graph.first_arc, graph.head, edges, plain, first_state, plain, graph.head)
    ForbiddenTurns.checked(rules.first, rules.arc, graph.tail, graph.head)
    automaton = _Automaton(rules, graph.num_arcs)
    past = np.flatnonzero(~automaton.is_forbidden)[1:]  # of the extra states
    node = graph.head[automaton.last_arc(past)]
    by_node = np.argsort(node, kind="stable")
    past, node = past[by_node], node[by_node]
    state_of_past = np.zeros(automaton.num_states, INDEX_DTYPE)
    state_of_past[past] = graph.num_nodes + np.arange(len(past))

    which, place = members(np.diff(graph.first_arc)[node])
    edge = np.concatenate([edges, (graph.first_arc[node][which] + place).astype(INDEX_DTYPE)])
    tail = np.concatenate([graph.tail, graph.num_nodes + which])
    new_past = automaton.step(np.concatenate([np.zeros(len(edges), np.int64), past[which]]), edge)
    allowed = ~automaton.is_forbidden[new_past]
    edge, tail, new_past = edge[allowed], tail[allowed], new_past[allowed]
    head = np.where(new_past == _ROOT, graph.head[edge], state_of_past[new_past])

    node_of_state = np.concatenate([plain, node])
    return TurnGraph(
        _first(tail, len(node_of_state)),
        head,
        edge,
        node_of_state,
        _first(node_of_state, graph.num_nodes),
        np.argsort(node_of_state, kind="stable").astype(INDEX_DTYPE),
        head[: graph.num_arcs].copy(),
    )


class _Automaton:
    """Reads arcs and tells when a forbidden sequence is complete.

    A state is a beginning of a rule: the root none, state ``k`` what :attr:`key` ``k - 1`` stands for, the
    state before its last arc and this arc. Keys ascend, since longer beginnings have higher numbers.
    """

    def __init__(self, rules: ForbiddenTurns, num_edges: int) -> None:
        self.num_edges = num_edges
        self.key = np.empty(0, np.int64)
        self.shorter = np.zeros(1, np.int64)
        """(states,) the longest other beginning of a rule that is an ending of this one"""
        self.is_forbidden = np.zeros(1, np.bool_)
        """(states,) whether it contains a whole rule"""
        length = np.diff(rules.first)
        at = np.zeros(rules.num_rules, np.int64)
        for depth in range(int(length.max())):
            longer = np.flatnonzero(length > depth)
            arc = rules.arc[rules.first[longer] + depth]
            key, which = np.unique(at[longer] * num_edges + arc, return_inverse=True)
            at[longer] = self.num_states + which
            before, last = key // num_edges, key % num_edges
            shorter = np.zeros(len(key), np.int64)
            if depth > 0:
                shorter = self.step(self.shorter[before], last)
            is_forbidden = self.is_forbidden[before] | self.is_forbidden[shorter]
            is_forbidden[which[length[longer] == depth + 1]] = True
            self.key = np.concatenate([self.key, key])
            self.shorter = np.concatenate([self.shorter, shorter])
            self.is_forbidden = np.concatenate([self.is_forbidden, is_forbidden])

    @property
    def num_states(self) -> int:
        """Number of states, the root included."""
        return len(self.shorter)

    def last_arc(self, state: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the arc by which each state (n,), none the root, is entered."""
        return self.key[state - 1] % self.num_edges

    def step(self, state: NDArray[np.int64], arc: NDArray[np.integer]) -> NDArray[np.int64]:
        """Give the state after one more arc for each state and arc (n,)."""
        after = np.zeros(len(state), np.int64)
        open_row = np.arange(len(state))
        while len(open_row):
            key = state * self.num_edges + arc
            row = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
            found = self.key[row] == key
            after[open_row[found]] = row[found] + 1
            on = ~found & (state != _ROOT)
            open_row, state, arc = open_row[on], self.shorter[state[on]], arc[on]
        return after


def _first(group: NDArray[np.int32], num_groups: int) -> NDArray[np.int32]:
    """Give where each group begins once its members (n,) are sorted by group."""
    first = np.zeros(num_groups + 1, INDEX_DTYPE)
    np.cumsum(np.bincount(group, minlength=num_groups), out=first[1:])
    return first


def members(size: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the members of groups.

    Parameters
    ----------
    size : (groups,) integer

    Returns
    -------
    group, place : (members,) int64
        The group of each member, and its place in it.
    """
    group = np.repeat(np.arange(len(size)), size)
    return group, np.arange(len(group)) - np.repeat(np.cumsum(size) - size, size)
