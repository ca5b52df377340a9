"""A road network ready for any travel times: what is made once of its streets and turns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels.customization import customize, merge_rows, start_rows
from dispatch.roads.graph import RoadGraph
from dispatch.roads.hierarchy import Hierarchy
from dispatch.roads.metric import Metric
from dispatch.roads.turns import TurnGraph, expand_turns
from dispatch.units import DURATION_DTYPE, INDEX_DTYPE, UNREACHABLE_MS


class RoadNetwork:
    """A customizable contraction hierarchy over a road graph, forbidden turns included.

    Three lifetimes: this, once for the streets; a :class:`Metric`, for every change of travel times; a query.

    Parameters
    ----------
    graph : RoadGraph
    folder : path, optional
        Where the hierarchy of this graph is kept: loaded if it is there, else made and saved.

    Raises
    ------
    InputError
        The saved hierarchy is damaged.

    Notes
    -----
    Dibbelt, Strasser and Wagner, Customizable Contraction Hierarchies, JEA 21 (2016).
    """

    def __init__(self, graph: RoadGraph, folder: str | Path | None = None) -> None:
        self.graph = graph
        self.turns: TurnGraph = expand_turns(graph)
        found = None if folder is None else Hierarchy.load(Path(folder), self.turns)
        if found is None:
            east = np.cos(np.radians(graph.node_lat.mean())) if graph.num_nodes else 1.0
            node = self.turns.node_of_state
            found = Hierarchy.build(self.turns, graph.node_lon[node] * east, graph.node_lat[node])
            if folder is not None:
                found.save(Path(folder))
        self.hierarchy = found
        self.state_of_rank = np.empty(self.turns.num_states, INDEX_DTYPE)
        self.state_of_rank[found.rank] = np.arange(self.turns.num_states, dtype=INDEX_DTYPE)

    def customize(self, travel_ms: ArrayLike, num_threads: int = 1) -> Metric:
        """Make a metric of travel times.

        Parameters
        ----------
        travel_ms : (arcs,) int
            Travel time of each arc of the graph, 0 ms or more; ``UNREACHABLE_MS`` or more is closed.
        num_threads : int
            1 or 2.

        Raises
        ------
        InputError
            `travel_ms` has another shape, holds no integers or a negative one.
        """
        weights = _checked(travel_ms, self.graph.num_arcs)
        if num_threads not in (1, 2):
            raise InputError(f"num_threads is {num_threads}: it must be 1 or 2")
        hierarchy, work = self.hierarchy, self.hierarchy.workload
        ms = np.empty(2 * work.num_cells, DURATION_DTYPE)
        fixed = (hierarchy.tree, hierarchy.inputs)
        if num_threads == 1:
            whole = np.zeros(1, INDEX_DTYPE), np.full(1, len(hierarchy.rank), INDEX_DTYPE)
            customize(fixed[0], fixed[0].base, fixed[1], weights, *whole, ms)
            return Metric(self, weights, ms)
        bases = (hierarchy.tree.base, work.base)
        for base in bases:
            start_rows(fixed[0], base, fixed[1], weights, work.above, ms)
        with ThreadPoolExecutor(2) as pool:
            jobs = [
                pool.submit(customize, fixed[0], base, fixed[1], weights, begin, end, ms)
                for base, begin, end in zip(bases, work.begin, work.end, strict=True)
            ]
            for job in jobs:
                job.result()
        merge_rows(fixed[0], work.base, work.above, ms)
        customize(fixed[0], bases[0], fixed[1], weights, work.above, work.above + np.int32(1), ms)
        return Metric(self, weights, ms)


def _checked(travel_ms: ArrayLike, num_arcs: int) -> NDArray[np.int32]:
    """Give a private copy of valid travel times, closed arcs at ``UNREACHABLE_MS``."""
    given = np.asarray(travel_ms)
    if given.shape != (num_arcs,):
        raise InputError(
            f"travel_ms has the shape {given.shape}: the graph has {num_arcs} arcs, one value each"
        )
    if not np.issubdtype(given.dtype, np.integer):
        raise InputError(f"travel_ms holds {given.dtype}: it must hold integers, milliseconds")
    negative = given < 0
    if negative.any():
        row = int(np.argmax(negative))
        raise InputError(f"travel_ms[{row}] is {given[row]}: a travel time is 0 ms or more")
    return np.array(np.minimum(given, UNREACHABLE_MS), DURATION_DTYPE)
