"""A road network ready for any travel times: what is made once of its streets and turns."""

from __future__ import annotations

import weakref
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels.customization import customize, merge_rows, start_rows
from dispatch.kernels.repair import Marks, repair
from dispatch.roads.graph import RoadGraph
from dispatch.roads.hierarchy import Hierarchy
from dispatch.roads.metric import Metric
from dispatch.roads.turns import TurnGraph, expand_turns, members
from dispatch.units import DURATION_DTYPE, INDEX_DTYPE, UNREACHABLE_MS

_MOST_SPARE: Final = 2


class RoadNetwork:
    """A customizable contraction hierarchy over a road graph, forbidden turns included.

    Three lifetimes: this, once for the streets; a :class:`Metric`, for every change of travel times; a query.

    Parameters
    ----------
    graph : RoadGraph
    folder : path, optional
        Where the hierarchy of this graph may have been saved: it is then loaded instead of made.

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
        self.hierarchy = found
        self.state_of_rank = np.empty(self.turns.num_states, INDEX_DTYPE)
        self.state_of_rank[found.rank] = np.arange(self.turns.num_states, dtype=INDEX_DTYPE)
        # Appending and popping are atomic: threads never get the same scratch.
        self._spare: deque[tuple[int, NDArray[np.int32]]] = deque(maxlen=_MOST_SPARE)
        self._versions = count()
        self._marks: deque[Marks] = deque(maxlen=1)

    def save(self, folder: str | Path) -> Path:
        """Save the hierarchy into a folder, usually that of the city; give the folder of its own there."""
        return self.hierarchy.save(Path(folder))

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
        tree, inputs, work = self.hierarchy.tree, self.hierarchy.inputs, self.hierarchy.workload
        ms = self._room()
        if num_threads == 1:
            begin, end = np.zeros(1, INDEX_DTYPE), np.full(1, len(tree.parent), INDEX_DTYPE)
            customize(tree, tree.base, inputs, weights, begin, end, ms)
            return self._metric(weights, ms)
        bases = (tree.base, work.base)
        for base in bases:
            start_rows(tree, base, inputs, weights, work.above, ms)
        with ThreadPoolExecutor(2) as pool:
            jobs = [
                pool.submit(customize, tree, base, inputs, weights, begin, end, ms)
                for base, begin, end in zip(bases, work.begin, work.end, strict=True)
            ]
            for job in jobs:
                job.result()
        merge_rows(tree, work.base, work.above, ms)
        customize(tree, tree.base, inputs, weights, work.above, work.above + np.int32(1), ms)
        return self._metric(weights, ms)

    def changed(self, metric: Metric, edge: ArrayLike, travel_ms: ArrayLike) -> Metric:
        """Make a metric that differs from another in some arcs; see :meth:`Metric.update`.

        Parameters
        ----------
        metric : Metric
        edge, travel_ms : (n,) int
        """
        rows = as_rows("edge", edge, self.graph.num_arcs)
        given = _checked(travel_ms, len(rows), "edge")
        weights = metric.travel_ms.copy()
        weights[rows] = given
        rows = rows[weights[rows] != metric.travel_ms[rows]]
        ms = self._copy_of(metric)
        start = np.ascontiguousarray(self._cells_of_edge(rows))
        try:
            marks = self._marks.pop()
        except IndexError:
            marks = self._new_marks()
        tree, inputs, lower = self.hierarchy.tree, self.hierarchy.inputs, self.hierarchy.lower
        cells = repair(tree, inputs, lower, weights, start, max(self.hierarchy.height, 1), marks, ms)
        self._marks.append(marks)
        return self._metric(weights, ms, ((metric.version, cells), *metric.history[: _MOST_SPARE - 1]))

    def _cells_of_edge(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give nodes and cells (2, n) of all arcs that stand for some edges."""
        first, entry = self._entries
        which, place = members(np.diff(first)[rows])
        at = entry[first[rows][which] + place]
        return self._input_cells[:, at]

    @cached_property
    def _entries(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """By edge: where its inputs are, in compressed sparse rows."""
        edge = self.hierarchy.inputs.edge
        first = np.zeros(self.graph.num_arcs + 1, INDEX_DTYPE)
        np.cumsum(np.bincount(edge, minlength=self.graph.num_arcs), out=first[1:])
        return first, np.argsort(edge, kind="stable").astype(INDEX_DTYPE)

    @cached_property
    def _input_cells(self) -> NDArray[np.int32]:
        """(2, inputs) node and cell of each input."""
        tree, inputs = self.hierarchy.tree, self.hierarchy.inputs
        node = np.repeat(np.arange(len(tree.parent), dtype=INDEX_DTYPE), np.diff(inputs.first))
        return np.stack([node, tree.base[node] + inputs.cell])

    def _new_marks(self) -> Marks:
        num_cells = 2 * self.hierarchy.workload.num_cells
        return Marks(
            np.zeros(len(self.hierarchy.rank), np.int8),
            np.zeros(num_cells, np.int8),
            np.empty(num_cells, DURATION_DTYPE),
        )

    def _room(self) -> NDArray[np.int32]:
        """Give cells to fill: those of a metric that nobody has any more, or new ones.

        Fresh memory costs a tenth of a customization.
        """
        try:
            return self._spare.pop()[1]
        except IndexError:
            return np.empty(2 * self.hierarchy.workload.num_cells, DURATION_DTYPE)

    def _copy_of(self, metric: Metric) -> NDArray[np.int32]:
        """Give a copy of a metric's cells.

        A copy costs a tenth of a customization; the cells of a metric that this one came from by updates lack
        only what these changed.
        """
        for _ in range(len(self._spare)):
            try:
                version, ms = self._spare.popleft()
            except IndexError:  # another thread took it
                break
            missing: list[NDArray[np.int32]] = []
            for before, cells in metric.history:
                missing.append(cells)
                if before == version:
                    for changed in missing:
                        ms[changed] = metric.cells_ms[changed]
                    return ms
            self._spare.append((version, ms))
        ms = self._room()
        np.copyto(ms, metric.cells_ms)
        return ms

    def _metric(
        self,
        travel_ms: NDArray[np.int32],
        ms: NDArray[np.int32],
        history: tuple[tuple[int, NDArray[np.int32]], ...] = (),
    ) -> Metric:
        metric = Metric(self, travel_ms, ms, next(self._versions), history)
        weakref.finalize(metric, self._spare.append, (metric.version, ms)).atexit = False
        return metric


def _checked(travel_ms: ArrayLike, num: int, what: str = "the graph") -> NDArray[np.int32]:
    """Give a private copy of valid travel times, closed arcs at ``UNREACHABLE_MS``."""
    given = np.asarray(travel_ms)
    if given.shape != (num,):
        raise InputError(f"travel_ms has the shape {given.shape}: {what} has {num} arcs, one value each")
    if not np.issubdtype(given.dtype, np.integer) and num:
        raise InputError(f"travel_ms holds {given.dtype}: it must hold integers, milliseconds")
    if given.dtype.itemsize < DURATION_DTYPE().itemsize:
        given = given.astype(DURATION_DTYPE)
    negative = given < 0
    if negative.any():
        row = int(np.argmax(negative))
        raise InputError(f"travel_ms[{row}] is {given[row]}: a travel time is 0 ms or more")
    return np.array(np.minimum(given, UNREACHABLE_MS), DURATION_DTYPE)


def as_rows(name: str, given: ArrayLike, num: int) -> NDArray[np.int32]:
    """Give distinct rows (n,), checked."""
    rows = np.asarray(given)
    if rows.ndim != 1 or not (np.issubdtype(rows.dtype, np.integer) or not len(rows)):
        raise InputError(f"{name} is {rows.dtype} of shape {rows.shape}: it must be whole rows, (n,)")
    wrong = np.flatnonzero((rows < 0) | (rows >= num))
    if len(wrong):
        raise InputError(f"{name}[{wrong[0]}] is {rows[wrong[0]]}: the graph has {num} arcs")
    if len(np.unique(rows)) < len(rows):
        raise InputError(f"{name} names an arc twice: give one travel time each")
    return rows.astype(INDEX_DTYPE)
