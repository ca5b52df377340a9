"""Travel times of one moment on a road network: exact answers to every question of dispatching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels.checks import first_outside
from dispatch.kernels.labels import Climb, Ends, pair_times
from dispatch.kernels.nearest_by_time import nearest_items
from dispatch.kernels.paths import Edges, PathNodes, lay_out_paths
from dispatch.kernels.travel_table import fill_table, one_to_all
from dispatch.kernels.unpacking import Shortcuts, find_paths
from dispatch.roads.places import Places
from dispatch.roads.reachable import reachable_area
from dispatch.roads.seeds import Seeds, direct_ms, source_seeds, target_seeds
from dispatch.roads.travel_times import Paths, as_nodes
from dispatch.units import DURATION_DTYPE, INDEX_DTYPE, MAX_TRAVEL_MS, NO_INDEX, UNREACHABLE_MS

if TYPE_CHECKING:
    from dispatch.roads.road_network import RoadNetwork

Where = Places | ArrayLike
"""Places on streets, or nodes (n,) int32; NO_INDEX is nowhere."""


class NearestByTime(NamedTuple):
    """Drivers of each order, those who are there first first."""

    first: NDArray[np.int32]
    """(orders + 1,) order ``i`` has the entries ``first[i] … first[i + 1] - 1``"""
    item: NDArray[np.int32]
    """(entries,) rows of the drivers"""
    ms: NDArray[np.int32]
    """(entries,) travel time to the order"""


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

    @property
    def cells_ms(self) -> NDArray[np.int32]:
        """(cells,) int32, travel times of the hierarchy's arcs, not to be written."""
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
        return reachable_area(self.network.graph, self.from_ms(source), self.travel_ms, max_ms)

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
        if isinstance(from_, Places) or isinstance(to, Places):
            sources, targets = self._ends(from_, True), self._ends(to, False)
            num = _paired(sources, targets)
            every = np.arange(num + 1, dtype=INDEX_DTYPE)
            found = self._pairs(True, sources, targets, every, every[:-1])
            if isinstance(from_, Places) and isinstance(to, Places):
                np.minimum(found, direct_ms(self.network.graph, from_, to, self.travel_ms), out=found)
            return found
        sources_at, targets_at = np.asarray(from_), np.asarray(to)
        if sources_at.shape != targets_at.shape:
            raise InputError(
                f"from_ has the shape {sources_at.shape} and to {targets_at.shape}: they must pair up"
            )
        if not len(sources_at):
            return np.empty(0, DURATION_DTYPE)
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
            and 0 <= from_node < self.num_nodes
            and 0 <= to_node < self.num_nodes
            and turns.first_state[to_node + 1] - turns.first_state[to_node] == 1
        ):
            rank = self.network.hierarchy.rank
            return int(self.network.pair_time(self._climb, int(rank[from_node]), int(rank[to_node])))
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
        """
        sources, targets = self._ends(drivers, True), self._ends(orders, False)
        found = self._pairs(False, targets, sources, first_candidate, candidate)
        if isinstance(drivers, Places) and isinstance(orders, Places):
            order = np.repeat(np.arange(len(first_candidate) - 1), np.diff(first_candidate))
            direct = direct_ms(
                self.network.graph, drivers.take(candidate), orders.take(order), self.travel_ms
            )
            np.minimum(found, direct, out=found)
        return found

    def table_ms(self, from_: Where, to: Where) -> NDArray[np.int32]:
        """Give the travel times from all of one side to all of the other, (from, to) int32."""
        sources, targets = self._ends(from_, True), self._ends(to, False)
        (sources, row), (targets, column) = _by_rank(sources), _by_rank(targets)
        found = np.empty((len(row), len(column)), DURATION_DTYPE)
        fill_table(self._climb, sources, targets, found)
        back_row, back_column = np.argsort(row), np.argsort(column)
        table: NDArray[np.int32] = np.take(np.take(found, back_row, axis=0), back_column, axis=1)
        if isinstance(from_, Places) and isinstance(to, Places):
            every = np.indices(table.shape).reshape(2, -1)
            direct = direct_ms(self.network.graph, from_.take(every[0]), to.take(every[1]), self.travel_ms)
            table = np.minimum(table, direct.reshape(table.shape))
        return table

    def from_ms(self, source: Where) -> NDArray[np.int32]:
        """Give the travel times from one node or place to all nodes, (nodes,) int32."""
        return self._all(source, True)

    def to_ms(self, target: Where) -> NDArray[np.int32]:
        """Give the travel times from all nodes to one node or place, (nodes,) int32."""
        return self._all(target, False)

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
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise InputError(f"k is {k!r}: it must be a whole number, at least 1")
        if not 0 <= max_ms <= MAX_TRAVEL_MS:
            raise InputError(f"max_ms is {max_ms}: it must be from 0 to {MAX_TRAVEL_MS}")
        items, others = self._ends(drivers, True), self._ends(orders, False)
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

        A pair of equal nodes has a way of that one node; a pair that no way joins has none.

        Parameters
        ----------
        from_node, to_node : (n,) int32

        Returns
        -------
        Paths
        """
        from_node = as_nodes("from_node", np.atleast_1d(np.asarray(from_node)))
        sources, targets = self._ends(from_node, True), self._ends(to_node, False)
        num = _paired(sources, targets)
        total_ms, first_edge = np.empty(num, DURATION_DTYPE), np.empty(num + 1, INDEX_DTYPE)
        hierarchy = self.network.hierarchy
        edge = find_paths(
            Shortcuts(self._climb, hierarchy.inputs, hierarchy.lower, self.travel_ms),
            sources,
            targets,
            max(hierarchy.height, 1),
            total_ms,
            first_edge,
        )
        return self._as_paths(from_node, total_ms < UNREACHABLE_MS, first_edge, edge)

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

    def _ends(self, where: Where, are_sources: bool) -> Ends:
        """Give the ranks at which searches from or to places begin, the deepest first."""
        network = self.network
        if not isinstance(where, Places) and (are_sources or network.turns.num_states == self.num_nodes):
            nodes = as_nodes("nodes", where)
            if not len(nodes) or first_outside(nodes, 0, self.num_nodes - 1) == NO_INDEX:
                first = np.arange(len(nodes) + 1, dtype=INDEX_DTYPE)
                return Ends(first, network.hierarchy.rank[nodes], np.zeros(len(nodes), DURATION_DTYPE))
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

    def _all(self, where: Where, is_source: bool) -> NDArray[np.int32]:
        network = self.network
        ends = self._ends(where, is_source)
        if len(ends.first) != 2:
            raise InputError(f"{len(ends.first) - 1} places are given: it must be one node or place")
        by_state = np.empty(network.turns.num_states, DURATION_DTYPE)
        height = max(network.hierarchy.height, 1)
        one_to_all(self._climb, is_source, ends, network.state_of_rank, by_state, height)
        if network.turns.num_states == self.num_nodes:
            return by_state
        if is_source:  # one has arrived in any state of a node
            turns = network.turns
            return np.minimum.reduceat(by_state[turns.state], turns.first_state[:-1])
        return by_state[: self.num_nodes]


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


def _paired(sources: Ends, targets: Ends) -> int:
    """Give the number of pairs."""
    num, other = len(sources.first) - 1, len(targets.first) - 1
    if num != other:
        raise InputError(f"{num} sources and {other} targets are given: they must pair up")
    return num
