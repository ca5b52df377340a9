"""From turn restrictions of OpenStreetMap to sequences of arcs that may not be driven.

A restriction becomes paths of runs (segments with a direction) before the segments are joined: from the last
run of its first way, over all runs of the ways between, to the first run of its last way. Afterwards each run
is read as the arc that it lies on.

``no_…`` forbids its path. ``only_…`` forbids whatever leaves its path at a crossing on the way, turning round
included: who comes from the first way has to follow it to the last one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from dispatch.roads.forbidden_turns import ForbiddenTurns
from dispatch.roads.osm.chains import Chains
from dispatch.roads.osm.reading import Extract
from dispatch.roads.osm.restriction_tags import BROKEN, ELSEWHERE, Restriction
from dispatch.roads.osm.segments import Nodes, Segments
from dispatch.units import INDEX_DTYPE, NO_INDEX

Path = tuple[int, ...]


@dataclass(frozen=True)
class Paths:
    """What the restrictions of a file say, as paths of runs."""

    forbidden: list[Path] = field(default_factory=list)
    mandatory: list[Path] = field(default_factory=list)
    places: set[int] = field(default_factory=set)
    """Nodes that must stay: where a path turns from one way into another"""
    drops: Counter[str] = field(default_factory=Counter)

    @property
    def nodes(self) -> NDArray[np.int32]:
        """(n,) nodes that must stay, ascending."""
        return np.array(sorted(self.places), INDEX_DTYPE)


class _Streets:
    """Looks up ways and the runs at a node."""

    def __init__(self, extract: Extract, nodes: Nodes, segments: Segments) -> None:
        self._extract, self._nodes, self._segments = extract, nodes, segments
        self._num = segments.num_segments
        self._tail, self._head = segments.run_tail, segments.run_head
        self._order = np.argsort(self._tail, kind="stable")
        self._sorted_tail = self._tail[self._order]
        self._allowed = segments.run_kph > 0
        self._way_order = np.argsort(extract.way_id, kind="stable")
        self._sorted_way = extract.way_id[self._way_order]

    def row_of_way(self, way_id: int) -> int:
        """Give the row of a way, NO_INDEX if it is not in the file or not for cars."""
        at = int(np.searchsorted(self._sorted_way, way_id))
        found = at < len(self._sorted_way) and self._sorted_way[at] == way_id
        return int(self._way_order[at]) if found else NO_INDEX

    def ends_of_way(self, row: int) -> set[int]:
        """Give the ids of the first and the last node of a way."""
        first, last = self._extract.first_ref[row], self._extract.first_ref[row + 1] - 1
        return {int(self._extract.node_id[first]), int(self._extract.node_id[last])}

    def has_node(self, row: int, node_id: int) -> bool:
        """Tell whether a way has a node."""
        first, last = self._extract.first_ref[row : row + 2]
        return bool((self._extract.node_id[first:last] == node_id).any())

    def node(self, node_id: int) -> int:
        """Give the row of a node by its id, NO_INDEX if no street has it."""
        return self._nodes.find(node_id)

    def leaving(self, node: int) -> list[int]:
        """Give the runs on which a car may leave a node."""
        runs = self._all_leaving(node)
        return [run for run in runs if self._allowed[run]]

    def entering(self, node: int) -> list[int]:
        """Give the runs on which a car may enter a node."""
        return [back for run in self._all_leaving(node) if self._allowed[back := self.back(run)]]

    def _all_leaving(self, node: int) -> list[int]:
        begin, end = np.searchsorted(self._sorted_tail, [node, node + 1])
        runs: list[int] = self._order[begin:end].tolist()
        return runs

    def back(self, run: int) -> int:
        """Give the same segment driven the other way."""
        return (run + self._num) % (2 * self._num)

    def way_of(self, run: int) -> int:
        """Give the row of the way that a run lies on."""
        return int(self._segments.way[run % self._num])

    def along(self, way: int, start: int, end: int) -> list[int] | None:
        """Give the runs over a whole way from one of its ends to the other; None if a car may not."""
        rows = np.arange(*np.searchsorted(self._segments.way, [way, way + 1]))
        for runs in (rows.tolist(), (rows[::-1] + self._num).tolist()):
            whole = runs and self._tail[runs[0]] == start and self._head[runs[-1]] == end
            joined = all(self._head[one] == self._tail[other] for one, other in pairwise(runs))
            if whole and joined and self._allowed[runs].all():
                return [int(run) for run in runs]
        return None


def paths_of(extract: Extract, nodes: Nodes, segments: Segments) -> Paths:
    """Find the paths of all restrictions among the segments of the network."""
    paths, streets = Paths(), _Streets(extract, nodes, segments)
    for restriction in extract.restrictions:
        ways = [
            tuple(streets.row_of_way(way_id) for way_id in members)
            for members in (restriction.from_ways, restriction.via_ways, restriction.to_ways)
        ]
        if any(NO_INDEX in rows for rows in ways):
            found: list[Path] | str = ELSEWHERE
        elif restriction.via_node is not None:
            found = _over_node(streets, restriction, restriction.via_node, ways[0], ways[2])
        else:
            found = _over_ways(streets, [*ways[0], *ways[1], *ways[2]])
        if isinstance(found, str):
            paths.drops[found] += 1
            continue
        (paths.mandatory if restriction.only else paths.forbidden).extend(found)
        for path in found:
            turns = (
                run
                for run, after in pairwise(path)
                if len(path) == 2 or streets.way_of(run) != streets.way_of(after)
            )
            paths.places.update(int(segments.run_head[run]) for run in turns)
    return paths


def _over_node(
    streets: _Streets, restriction: Restriction, node_id: int, from_ways: Path, to_ways: Path
) -> list[Path] | str:
    """Give the paths of a restriction at one node, or why there is none."""
    if not all(streets.has_node(way, node_id) for way in (*from_ways, *to_ways)):
        return BROKEN
    node = streets.node(node_id)
    paths: list[Path] = []
    for from_way, to_way in product(from_ways, to_ways):
        into = [run for run in streets.entering(node) if streets.way_of(run) == from_way]
        out = [run for run in streets.leaving(node) if streets.way_of(run) == to_way]
        if restriction.u_turn and from_way == to_way:
            paths += [(run, streets.back(run)) for run in into if streets.back(run) in out]
        elif len(into) > 1 or len(out) > 1:
            return BROKEN  # the way runs through the place: which half is meant?
        elif into and out:
            paths.append((into[0], out[0]))
    return paths or ELSEWHERE


def _over_ways(streets: _Streets, ways: list[int]) -> list[Path] | str:
    """Give the path of a restriction from a way over other ways to a last one, or why there is none."""
    shared = [streets.ends_of_way(one) & streets.ends_of_way(other) for one, other in pairwise(ways)]
    for place, (before, after) in enumerate(pairwise(shared)):
        if len(before) == 1:
            shared[place + 1] = after - before
        elif len(after) == 1:
            shared[place] = before - after
    if any(len(ids) != 1 for ids in shared):
        return BROKEN
    places = [streets.node(next(iter(ids))) for ids in shared]
    path: list[int] = []
    for way, (start, end) in zip(ways[1:-1], pairwise(places), strict=True):
        runs = streets.along(way, start, end)
        if runs is None:
            return ELSEWHERE
        path += runs
    into = [run for run in streets.entering(places[0]) if streets.way_of(run) == ways[0]]
    out = [run for run in streets.leaving(places[-1]) if streets.way_of(run) == ways[-1]]
    if not into or not out:
        return ELSEWHERE
    return [(into[0], *path, out[0])] if len(into) == len(out) == 1 else BROKEN


def forbidden_turns(paths: Paths, chains: Chains, segments: Segments) -> ForbiddenTurns | None:
    """Read the paths as sequences of arcs, None if nothing is forbidden."""
    rules = {_arcs_of(path, chains): None for path in paths.forbidden}
    arcs_from: dict[int, list[int]] = {}
    for arc, node in enumerate(chains.ends(segments)[0].tolist()):
        arcs_from.setdefault(node, []).append(arc)
    heads = chains.ends(segments)[1]
    for path in paths.mandatory:
        arcs = _arcs_of(path, chains)
        for length, follower in enumerate(arcs[1:], 1):
            crossing = int(heads[arcs[length - 1]])
            others = (arc for arc in arcs_from[crossing] if arc != follower)
            rules.update(dict.fromkeys((*arcs[:length], other) for other in others))
    return ForbiddenTurns.of(sorted(rules)) if rules else None


def _arcs_of(path: Path, chains: Chains) -> tuple[int, ...]:
    """Give the arcs that a path drives one after the other."""
    first, *rest = path
    arcs = [first, *(run for run in rest if chains.starts_arc[run])]
    return tuple(int(chains.arc_of_run[run]) for run in arcs)
