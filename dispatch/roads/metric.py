"""Travel times of one moment on a road network: exact answers to every question of dispatching."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels.checks import first_outside
from dispatch.kernels.jit import direct
from dispatch.kernels.labels import Climb, Ends, pair_times
from dispatch.kernels.nearest_by_time import nearest_items
from dispatch.kernels.paths import Edges, PathNodes, lay_out_paths
from dispatch.kernels.travel_table import fill_table, one_to_all
from dispatch.kernels.unpacking import Shortcuts, find_paths
from dispatch.roads.places import Places, check_edges
from dispatch.roads.reachable import own_pieces, reachable_area
from dispatch.roads.seeds import Seeds, direct_ms, same_street, source_seeds, target_seeds
from dispatch.roads.travel_times import NearestByTime, Paths, as_nodes
from dispatch.units import DURATION_DTYPE, INDEX_DTYPE, MAX_TRAVEL_MS, NO_INDEX, UNREACHABLE_MS

if TYPE_CHECKING:
    from dispatch.roads.all_pairs import AllPairsTimes
    from dispatch.roads.road_network import RoadNetwork

_PAIR_TIME: Final = direct("labels.pair_time")

Where = Places | ArrayLike
"""Places on streets, or nodes (n,) int32; NO_INDEX is nowhere."""


class Metric:
    """Exact travel times and ways for one set of travel times of a network's arcs.

    It never changes: any number of threads may ask it while another makes the next one. All times are int32
    milliseconds, ``UNREACHABLE_MS`` where there is no way (or none that takes less). Trips begin and end at
    nodes or at :class:`Places` on streets, whose part of the street counts. A node may be left any way.

    Made by :meth:`RoadNetwork.customize`.
    """

    def __init__(
        self,
        network: RoadNetwork,
        travel_ms: NDArray[np.int32],
        ms: NDArray[np.int32],
        version: int,
        history: tuple[tuple[int, NDArray[np.int32]], ...],
    ) -> None:
        self.network = network
        self.version, self.history = version, history
        """A number of its own; the versions that it came from by updates, each with the cells then changed"""
        self.travel_ms = travel_ms
        """(arcs,) int32, not to be written"""
        tree = network.hierarchy.tree
        graph = network.graph
        self._edges = Edges(
            np.require(graph.head, INDEX_DTYPE, ["C", "W"]),
            travel_ms,
            np.require(graph.length_m, np.float64, ["C", "W"]),
        )
        self._climb = Climb(*tree, ms)

    @property
    def num_nodes(self) -> int:
        """Number of nodes of the road graph."""
        return self.network.graph.num_nodes

    @property
    def num_bytes(self) -> int:
        """Memory of its own arrays, without those of the network."""
        return self.travel_ms.nbytes + self._climb.ms.nbytes

    def __copy__(self) -> Metric:
        """It never changes: a copy is itself."""
        return self

    @property
    def cells_ms(self) -> NDArray[np.int32]:
        """(cells,) int32, travel times of the hierarchy's arcs; its own: gone when the metric is gone."""
        return self._climb.ms

    def update(self, edge: ArrayLike, travel_ms: ArrayLike) -> Metric:
        """Give the metric after some arcs changed, much sooner than by customizing anew; this one stays.

        Parameters
        ----------
        edge : (n,) int32
            Rows of the graph's arcs, each once.
        travel_ms : (n,) int
            Their travel times from now on; ``UNREACHABLE_MS`` or more is closed.

        Raises
        ------
        InputError
            A row is no arc or given twice, or a travel time is negative.
        """
        return self.network.changed(self, edge, travel_ms)

    def reachable(self, source: Where, max_ms: int) -> Any:
        """Give the area that can be reached from one node or place in a time; see :func:`reachable_area`."""
        where = self._where("source", source)
        _check_whole("max_ms", max_ms, 0, MAX_TRAVEL_MS)
        by_state, turns = self._by_state("source", where, True), self.network.turns
        start_ms = np.full(turns.num_edges, UNREACHABLE_MS, DURATION_DTYPE)
        np.minimum.at(start_ms, turns.edge, by_state[turns.tail])
        node_ms = np.minimum.reduceat(by_state[turns.state], turns.first_state[:-1])
        own = None
        if isinstance(where, Places):
            own = own_pieces(self.network.graph, where, self.travel_ms, max_ms)
        return reachable_area(self.network.graph, node_ms, self.travel_ms, max_ms, start_ms, own)

    # --- travel times ----------------------------------------------------------------------------

    def pairs_ms(self, from_: Where, to: Where) -> NDArray[np.int32]:
        """Give the travel time of each pair.

        Parameters
        ----------
        from_, to : (n,) nodes or places
            Runs of equal nodes on one side, such as the candidates of an order, are cheapest.

        Returns
        -------
        (n,) int32

        Raises
        ------
        InputError
            The sides differ in length, or a row names no node or arc.
        """
        sources_at, targets_at = self._where("from_", from_), self._where("to", to)
        if len(sources_at) != len(targets_at):
            raise InputError(f"from_ has {len(sources_at)} rows and to {len(targets_at)}: they must pair up")
        if not len(sources_at):
            return np.empty(0, DURATION_DTYPE)
        if isinstance(sources_at, Places) or isinstance(targets_at, Places):
            sources, targets = self._ends(sources_at, True), self._ends(targets_at, False)
            every = np.arange(len(sources_at) + 1, dtype=INDEX_DTYPE)
            found = self._pairs(True, sources, targets, every, every[:-1])
            if isinstance(sources_at, Places) and isinstance(targets_at, Places):
                direct = direct_ms(self.network.graph, sources_at, targets_at, self.travel_ms)
                np.minimum(found, direct, out=found)
            return found
        begins = [np.flatnonzero(at[1:] != at[:-1]) + 1 for at in (sources_at, targets_at)]
        by_source = len(begins[0]) <= len(begins[1])
        grouped, listed = (sources_at, targets_at) if by_source else (targets_at, sources_at)
        begin = np.concatenate([[0], begins[0 if by_source else 1]])
        first = np.append(begin, len(grouped)).astype(INDEX_DTYPE)
        distinct, row = np.unique(listed, return_inverse=True)
        groups, others = self._ends(grouped[begin], by_source), self._ends(distinct, not by_source)
        return self._pairs(by_source, groups, others, first, row.astype(INDEX_DTYPE))

    def time_ms(self, from_node: int, to_node: int) -> int:
        """Give the travel time between two nodes; for many pairs, :meth:`pairs_ms` is cheaper."""
        turns = self.network.turns
        if (
            isinstance(from_node, int | np.integer)
            and isinstance(to_node, int | np.integer)
            and not isinstance(from_node, bool)
            and not isinstance(to_node, bool)
            and 0 <= from_node < self.num_nodes
            and 0 <= to_node < self.num_nodes
            and turns.first_state[to_node + 1] - turns.first_state[to_node] == 1
        ):
            rank = self.network.hierarchy.rank
            return int(_PAIR_TIME.call(self._climb, int(rank[from_node]), int(rank[to_node])))
        return int(self.pairs_ms([from_node], [to_node])[0])

    def candidates_ms(
        self, drivers: Where, orders: Where, first_candidate: NDArray[np.int32], candidate: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """Give the travel time from each candidate driver to its order.

        Parameters
        ----------
        drivers : (drivers,) nodes or places
        orders : (orders,) nodes or places
        first_candidate : (orders + 1,) int32
        candidate : (candidates,) int32
            Rows of `drivers`; those of order ``i`` are ``first_candidate[i] … first_candidate[i + 1] - 1``.

        Returns
        -------
        (candidates,) int32

        Raises
        ------
        InputError
            A row names no node, arc or driver, or the rows of candidates do not fit.
        """
        sources_at, targets_at = self._where("drivers", drivers), self._where("orders", orders)
        first, row = _checked_rows(first_candidate, candidate, len(targets_at), len(sources_at))
        is_named = np.zeros(len(sources_at), np.bool_)
        is_named[row] = True
        named = np.flatnonzero(is_named)
        which = (np.cumsum(is_named, dtype=INDEX_DTYPE) - np.int32(1))[row]
        some = sources_at.take(named)
        sources, targets = self._ends(some, True), self._ends(targets_at, False)
        found = self._pairs(False, targets, sources, first, which)
        if isinstance(sources_at, Places) and isinstance(targets_at, Places):
            order = np.repeat(np.arange(len(targets_at)), np.diff(first))
            pairs = (sources_at.take(row), targets_at.take(order))
            np.minimum(found, direct_ms(self.network.graph, *pairs, self.travel_ms), out=found)
        return found

    def table_ms(self, from_: Where, to: Where) -> NDArray[np.int32]:
        """Give the travel times from all of one side to all of the other, (from, to) int32."""
        sources_at, targets_at = self._where("from_", from_), self._where("to", to)
        sources, targets = self._ends(sources_at, True), self._ends(targets_at, False)
        (sources, row), (targets, column) = _by_rank(sources), _by_rank(targets)
        found = np.empty((len(row), len(column)), DURATION_DTYPE)
        fill_table(self._climb, sources, targets, found)
        back_row, back_column = np.argsort(row), np.argsort(column)
        table: NDArray[np.int32] = np.take(np.take(found, back_row, axis=0), back_column, axis=1)
        if isinstance(sources_at, Places) and isinstance(targets_at, Places):
            one, other = same_street(self.network.graph, sources_at, targets_at)
            pairs = (sources_at.take(one), targets_at.take(other))
            direct = direct_ms(self.network.graph, *pairs, self.travel_ms)
            table[one, other] = np.minimum(table[one, other], direct)
        return table

    def from_ms(self, source: Where) -> NDArray[np.int32]:
        """Give the travel times from one node or place to all nodes, (nodes,) int32."""
        by_state, turns = self._by_state("source", source, True), self.network.turns
        if turns.num_states == self.num_nodes:
            return by_state
        # One has arrived in any state of a node.
        return np.minimum.reduceat(by_state[turns.state], turns.first_state[:-1])

    def to_ms(self, target: Where) -> NDArray[np.int32]:
        """Give the travel times from all nodes to one node or place, (nodes,) int32."""
        return self._by_state("target", target, False)[: self.num_nodes]

    def nearest(
        self, drivers: ArrayLike, orders: ArrayLike, k: int, max_ms: int = MAX_TRAVEL_MS
    ) -> NearestByTime:
        """Find for each order the drivers that are there first, by road.

        Parameters
        ----------
        drivers, orders : (drivers,), (orders,) int32
            Nodes; drivers at NO_INDEX are nowhere.
        k : int
            How many at most, 1 or more.
        max_ms : int
            Drivers farther away are left out.

        Returns
        -------
        NearestByTime
            In compressed sparse rows; of equal times the lower row comes first.
        """
        _check_whole("k", k, 1, np.iinfo(np.int32).max)
        _check_whole("max_ms", max_ms, 0, MAX_TRAVEL_MS)
        items = self._ends(self._nodes("drivers", drivers), True)
        others = self._ends(self._nodes("orders", orders), False)
        (items, row), num = _by_rank(items), len(others.first) - 1
        order = np.argsort(others.rank[others.first[:-1]], kind="stable").astype(INDEX_DTYPE)
        width = min(int(k), len(row))
        item, ms = np.empty(num * width, INDEX_DTYPE), np.empty(num * width, DURATION_DTYPE)
        if width and num:
            nearest_items(self._climb, items, row.astype(INDEX_DTYPE), others, order, int(max_ms), item, ms)
        found = item != NO_INDEX
        first = np.zeros(num + 1, INDEX_DTYPE)
        np.cumsum(found.reshape(num, width).sum(axis=1), out=first[1:])
        return NearestByTime(first, item[found], ms[found])

    # --- ways ------------------------------------------------------------------------------------

    def paths(self, from_node: ArrayLike, to_node: ArrayLike) -> Paths:
        """Give a shortest way of each pair of nodes.

        A pair of equal nodes has a way of that one node; a pair that no way joins has none. Where arcs take
        no time at all, a way may come to a node twice.

        Parameters
        ----------
        from_node, to_node : (n,) int32

        Returns
        -------
        Paths
        """
        starts, stops = self._nodes("from_node", from_node), self._nodes("to_node", to_node)
        if len(starts) != len(stops):
            raise InputError(f"from_node has {len(starts)} rows and to_node {len(stops)}: they must pair up")
        sources, targets, num = self._ends(starts, True), self._ends(stops, False), len(starts)
        total_ms, first_edge = np.empty(num, DURATION_DTYPE), np.empty(num + 1, INDEX_DTYPE)
        edge = find_paths(
            self.shortcuts,
            sources,
            targets,
            max(self.network.hierarchy.height, 1),
            total_ms,
            first_edge,
        )
        return self._as_paths(starts, total_ms < UNREACHABLE_MS, first_edge, edge)

    @cached_property
    def all_pairs(self) -> AllPairsTimes:
        """All travel times as a table, for networks that :meth:`AllPairsTimes.suits`; made once."""
        from dispatch.roads.all_pairs import AllPairsTimes

        return AllPairsTimes(self)

    @property
    def shortcuts(self) -> Shortcuts:
        """What kernels find ways with."""
        hierarchy = self.network.hierarchy
        return Shortcuts(self._climb, hierarchy.inputs, hierarchy.lower, self.travel_ms)

    def ends(self, nodes: NDArray[np.int32], are_sources: bool) -> Ends:
        """Give nodes (n,), which are taken as valid, as kernels take starts or ends of ways."""
        return self._ends(nodes, are_sources)

    def _as_paths(
        self,
        from_node: NDArray[np.int32],
        has_way: NDArray[np.bool_],
        first_edge: NDArray[np.int32],
        edge: NDArray[np.int32],
    ) -> Paths:
        """Add nodes, times and metres; a way has one node more than edges."""
        first = np.zeros(len(has_way) + 1, INDEX_DTYPE)
        np.cumsum(np.diff(first_edge) + has_way, out=first[1:])
        size = int(first[-1])
        node, driven = np.empty(size, INDEX_DTYPE), np.empty(size, INDEX_DTYPE)
        found = PathNodes(first, node, np.empty(size, DURATION_DTYPE), np.empty(size), driven)
        lay_out_paths(self._edges, from_node, first_edge, edge, found)
        return Paths(*found)

    # --- where searches begin --------------------------------------------------------------------

    def _nodes(self, name: str, where: ArrayLike) -> NDArray[np.int32]:
        """Give a caller's nodes (n,), checked; NO_INDEX is one."""
        if isinstance(where, Places):
            raise InputError(f"{name} are places on streets: only nodes are understood here")
        nodes = as_nodes(name, np.atleast_1d(np.asarray(where)))
        if len(nodes) and not self.num_nodes:
            raise InputError(f"{name} has {len(nodes)} rows: the graph has no nodes to ask for")
        row = first_outside(nodes, NO_INDEX, self.num_nodes - 1)
        if row != NO_INDEX:
            raise InputError(f"{name}[{row}] is {nodes[row]}: nodes are 0 to {self.num_nodes - 1}")
        return nodes

    def _where(self, name: str, where: Where) -> Places | NDArray[np.int32]:
        """Give a caller's places or nodes, checked."""
        if not isinstance(where, Places):
            return self._nodes(name, where)
        check_edges(where, self.network.graph.num_arcs)
        return where

    def _ends(self, where: Places | NDArray[np.int32], are_sources: bool) -> Ends:
        """Give the ranks at which searches from or to places begin, the deepest first."""
        network = self.network
        is_plain = are_sources or network.turns.num_states == self.num_nodes
        if is_plain and not isinstance(where, Places) and first_outside(where, 0, self.num_nodes - 1) < 0:
            first = np.arange(len(where) + 1, dtype=INDEX_DTYPE)
            return Ends(first, network.hierarchy.rank[where], np.zeros(len(where), DURATION_DTYPE))
        seeds_of = source_seeds if are_sources else target_seeds
        seeds = seeds_of(network.graph, network.turns, where, self.travel_ms)
        return _as_ends(seeds, network.hierarchy.rank)

    def _pairs(
        self,
        are_sources: bool,
        groups: Ends,
        others: Ends,
        first_pair: NDArray[np.int32],
        other_of_pair: NDArray[np.int32],
    ) -> NDArray[np.int32]:
        found = np.empty(len(other_of_pair), DURATION_DTYPE)
        order = np.argsort(groups.rank[groups.first[:-1]], kind="stable").astype(INDEX_DTYPE)
        pair_times(self._climb, are_sources, groups, others, order, first_pair, other_of_pair, found)
        return found

    def _by_state(self, name: str, where: Where, is_source: bool) -> NDArray[np.int32]:
        """Give the travel times between one place and all states (states,)."""
        network = self.network
        ends = self._ends(self._where(name, where), is_source)
        if len(ends.first) != 2:
            raise InputError(f"{len(ends.first) - 1} places are given: {name} must be one node or place")
        by_state = np.empty(network.turns.num_states, DURATION_DTYPE)
        height = max(network.hierarchy.height, 1)
        one_to_all(self._climb, is_source, ends, network.state_of_rank, by_state, height)
        return by_state


def _check_whole(name: str, value: int, low: int, high: int) -> None:
    """Refuse what is no whole number within limits."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise InputError(f"{name} is {value!r}: it must be a whole number from {low} to {high}")


def _checked_rows(
    first_candidate: ArrayLike, candidate: ArrayLike, num_orders: int, num_drivers: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give rows of candidates that fit their orders and name drivers."""
    first, row = as_nodes("first_candidate", first_candidate), as_nodes("candidate", candidate)
    if len(first) != num_orders + 1 or first[0] != 0 or first[-1] != len(row) or (np.diff(first) < 0).any():
        raise InputError(
            f"first_candidate has {len(first)} entries: it must have {num_orders + 1}, one more than "
            f"orders, ascending from 0 to {len(row)}, the number of candidates"
        )
    wrong = first_outside(row, 0, num_drivers - 1)
    if wrong != NO_INDEX:
        raise InputError(f"candidate[{wrong}] is {row[wrong]}: there are {num_drivers} drivers")
    return first, row


def _as_ends(seeds: Seeds, rank_of_state: NDArray[np.int32]) -> Ends:
    """Translate states into ranks; a place without any gets an entry that leads nowhere."""
    rank = rank_of_state[seeds.state]
    num = np.diff(seeds.first)
    if len(num) == len(rank) and (num == 1).all():
        return Ends(seeds.first, rank, seeds.ms)
    place = np.repeat(np.arange(len(num)), num)
    nowhere = np.flatnonzero(num == 0)
    place = np.concatenate([place, nowhere])
    rank = np.concatenate([rank, np.zeros(len(nowhere), INDEX_DTYPE)])
    ms = np.concatenate([seeds.ms, np.full(len(nowhere), UNREACHABLE_MS, DURATION_DTYPE)])
    order = np.lexsort((rank, place))
    first = np.zeros(len(num) + 1, INDEX_DTYPE)
    np.cumsum(np.maximum(num, 1), out=first[1:])
    return Ends(first, rank[order], ms[order])


def _by_rank(ends: Ends) -> tuple[Ends, NDArray[np.intp]]:
    """Sort places by the ranks of their deepest nodes; give the sequence, too."""
    order = np.argsort(ends.rank[ends.first[:-1]], kind="stable")
    if len(ends.rank) == len(order):
        return Ends(ends.first, ends.rank[order], ends.ms[order]), order
    num = np.diff(ends.first)[order]
    first = np.zeros(len(order) + 1, INDEX_DTYPE)
    np.cumsum(num, out=first[1:])
    entry = np.repeat(ends.first[:-1][order] - first[:-1], num) + np.arange(first[-1])
    return Ends(first, ends.rank[entry], ends.ms[entry]), order
