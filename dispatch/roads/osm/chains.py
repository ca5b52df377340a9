"""Segments of a street joined to arcs from crossing to crossing: nodes of degree two are contracted.

A node stays where more or fewer than two segments meet, where class, speed or permitted directions change,
and where a turn restriction needs it. Chains are followed by pointer jumping (Wyllie 1979): as many rounds as
the number of runs has binary digits, each over all runs at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.roads.edge_shapes import EdgeShapes
from dispatch.roads.osm.segments import Nodes, Segments
from dispatch.units import INDEX_DTYPE, NO_INDEX


@dataclass(frozen=True)
class Chains:
    """Arcs as sequences of runs."""

    first_run: NDArray[np.int64]
    """(arcs + 1,) where the runs of an arc begin"""
    run: NDArray[np.int64]
    """(entries,) runs of the segments, each beginning where the one before ends"""
    arc_of_run: NDArray[np.int32]
    """(runs,) NO_INDEX where driving is not allowed"""
    starts_arc: NDArray[np.bool_]
    """(runs,) whether the run is the first one of its arc"""

    def ends(self, segments: Segments) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Give the nodes (arcs,) that the arcs leave and enter."""
        first, last = self.run[self.first_run[:-1]], self.run[self.first_run[1:] - 1]
        return segments.run_tail[first], segments.run_head[last]

    def lengths_m(self, segment_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up the lengths of segments (segments,) along each arc (arcs,), to the millimetre.

        Thus a street is as long in both directions, whatever order its segments are added in.
        """
        total_m = np.add.reduceat(segment_m[self.run % len(segment_m)], self.first_run[:-1])
        return np.asarray(np.round(total_m, 3), np.float64)

    def shapes(self, nodes: Nodes, segments: Segments) -> EdgeShapes:
        """Give the points of each arc."""
        num_arcs = len(self.first_run) - 1
        _, head = self.ends(segments)
        first_point = self.first_run + np.arange(num_arcs + 1)
        point = np.empty(first_point[-1], np.int64)
        point[first_point[1:] - 1] = head
        inner = np.ones(len(point), np.bool_)
        inner[first_point[1:] - 1] = False
        point[inner] = segments.run_tail[self.run]
        return EdgeShapes(first_point.astype(INDEX_DTYPE), nodes.lon[point], nodes.lat[point])


def join(segments: Segments, must_stay: NDArray[np.int32], num_nodes: int) -> Chains:
    """Join the segments of each street, except at the nodes of `must_stay` (n,)."""
    following = _following(segments, must_stay, num_nodes)
    last, steps = _last_runs(following)
    if len(last) and (following[last] != NO_INDEX).any():
        # A ring without any crossing, which then is the whole network: cut it at one node.
        ring = int(np.argmax(following[last] != NO_INDEX))
        cut = np.append(must_stay, segments.run_tail[ring])
        following = _following(segments, cut.astype(INDEX_DTYPE), num_nodes)
        last, steps = _last_runs(following)
    order = np.lexsort((-steps, last))
    order = order[segments.run_kph[order] > 0]
    new = np.ones(len(order), np.bool_)
    new[1:] = last[order[1:]] != last[order[:-1]]
    arc_of_run = np.full(len(following), NO_INDEX, INDEX_DTYPE)
    arc_of_run[order] = np.cumsum(new) - 1
    starts_arc = np.zeros(len(following), np.bool_)
    starts_arc[order[new]] = True
    return Chains(np.append(np.flatnonzero(new), len(order)), order, arc_of_run, starts_arc)


def _following(segments: Segments, must_stay: NDArray[np.int32], num_nodes: int) -> NDArray[np.int64]:
    """Give the run that goes on where a run ends at a node to contract, else NO_INDEX."""
    num = segments.num_segments
    leaving = np.argsort(segments.run_tail, kind="stable")
    degree = np.bincount(segments.run_tail, minlength=num_nodes)
    passing = degree == 2
    passing[must_stay] = False
    ours = leaving[passing[segments.run_tail[leaving]]].reshape(-1, 2)
    back = (ours + num) % (2 * num)
    kph, road_class = segments.run_kph, segments.road_class
    # Runs that enter a node are the ways back of those that leave it.
    alike = (kph[back[:, 0]] == kph[ours[:, 1]]) & (kph[back[:, 1]] == kph[ours[:, 0]])
    alike &= road_class[ours[:, 0] % num] == road_class[ours[:, 1] % num]
    following = np.full(2 * num, NO_INDEX, np.int64)
    following[back[alike, 0]] = ours[alike, 1]
    following[back[alike, 1]] = ours[alike, 0]
    return following


def _last_runs(following: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the last run of the chain of each run, and how many steps it is away; rings have none."""
    runs = np.arange(len(following))
    last = np.where(following == NO_INDEX, runs, following)
    steps = (following != NO_INDEX).astype(np.int64)
    for _ in range(len(following).bit_length()):
        steps += steps[last]
        last = last[last]
    return last, steps
