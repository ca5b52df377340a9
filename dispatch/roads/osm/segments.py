"""Streets in their smallest pieces: from each node of a way to the next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from dispatch.roads.graph import ROAD_CLASSES
from dispatch.roads.osm.area import inside
from dispatch.roads.osm.car_profile import CLASS_OF_HIGHWAY, directions
from dispatch.roads.osm.reading import NO_PLACE, PER_DEGREE, Extract
from dispatch.roads.osm.speeds import Limits, speed_kph
from dispatch.units import INDEX_DTYPE, NO_INDEX

NO_NODES: Final = "pieces of streets whose nodes are not in the file"
OUTSIDE: Final = "pieces of streets outside of the area"
BARRIERS: Final = "passages that a barrier closes"

_GEOD: Final = Geod(ellps="WGS84")


@dataclass(frozen=True)
class Nodes:
    """The nodes of all streets, by rows."""

    id: NDArray[np.int64]
    """(nodes,) ids in the file, ascending; of those added for barriers NO_INDEX, behind all others"""
    lon: NDArray[np.float64]
    """(nodes,) degrees"""
    lat: NDArray[np.float64]
    """(nodes,) degrees"""

    def find(self, node_id: int) -> int:
        """Give the row of a node of the file, NO_INDEX if no street has it or a barrier stands there."""
        num_real = len(self.id) - int(np.count_nonzero(self.id == NO_INDEX))
        row = int(np.searchsorted(self.id[:num_real], node_id))
        return row if row < num_real and self.id[row] == node_id else NO_INDEX


@dataclass(frozen=True)
class Segments:
    """Pieces of streets, in the order of their ways.

    A *run* is a segment and a direction: run ``s`` leads from ``ends[0, s]`` to ``ends[1, s]``, run
    ``num_segments + s`` back.
    """

    ends: NDArray[np.int32]
    """(2, segments) rows of nodes"""
    way: NDArray[np.int32]
    """(segments,) row of the way"""
    kph: NDArray[np.float64]
    """(2, segments) speed there and back, 0: not allowed"""
    road_class: NDArray[np.int8]
    """(segments,)"""

    @property
    def num_segments(self) -> int:
        """Number of segments."""
        return len(self.way)

    @property
    def run_tail(self) -> NDArray[np.int32]:
        """(runs,) node that the run leaves."""
        return self.ends.ravel()

    @property
    def run_head(self) -> NDArray[np.int32]:
        """(runs,) node that the run enters."""
        return self.ends[::-1].ravel()

    @property
    def run_kph(self) -> NDArray[np.float64]:
        """(runs,) speed, 0: not allowed."""
        return self.kph.ravel()

    def select(self, keep: NDArray[np.bool_]) -> Segments:
        """Give the segments of a mask (segments,)."""
        return replace(
            self,
            ends=np.ascontiguousarray(self.ends[:, keep]),
            way=self.way[keep],
            kph=np.ascontiguousarray(self.kph[:, keep]),
            road_class=self.road_class[keep],
        )

    def lengths_m(self, nodes: Nodes) -> NDArray[np.float64]:
        """Give the length of each segment (segments,) on the ellipsoid."""
        (a, b), lon, lat = self.ends, nodes.lon, nodes.lat
        _, _, length_m = _GEOD.inv(lon[a], lat[a], lon[b], lat[b])
        return np.asarray(length_m, np.float64)


def segments_of(extract: Extract, limits: Limits, area: Any) -> tuple[Nodes, Segments, Counter[str]]:
    """Cut the streets of a file into segments, and leave out what is incomplete or outside of the area.

    Where a barrier lets no car pass, each street that meets there ends at a node of its own.
    """
    ids, first_use, node = np.unique(extract.node_id, return_index=True, return_inverse=True)
    x, y = extract.x[first_use], extract.y[first_use]
    nodes = Nodes(ids, np.asarray(x / PER_DEGREE, np.float64), np.asarray(y / PER_DEGREE, np.float64))
    last = extract.first_ref[1:] - 1
    starts = np.ones(len(extract.node_id), np.bool_)
    starts[last[last >= 0]] = False  # no segment starts at the last node of a way
    begin = np.flatnonzero(starts)
    way = np.repeat(np.arange(len(extract.way_id)), np.diff(extract.first_ref))[begin]
    ends = np.stack([node[begin], node[begin + 1]]).astype(INDEX_DTYPE)
    kph, road_class = _drive(extract.tag_sets, limits)
    segments = Segments(
        ends,
        way.astype(INDEX_DTYPE),
        np.ascontiguousarray(kph[:, extract.tag_set[way]]),
        road_class[extract.tag_set[way]],
    )
    known = (x != NO_PLACE) & (y != NO_PLACE)
    segments = segments.select(ends[0] != ends[1])  # some ways name a node twice in a row
    drops: Counter[str] = Counter()
    for reason, good in ((NO_NODES, known), (OUTSIDE, inside(area, nodes.lon, nodes.lat))):
        keep = good[segments.ends[0]] & good[segments.ends[1]]
        drops[reason] = int(np.count_nonzero(~keep))
        segments = segments.select(keep)
    nodes, segments, drops[BARRIERS] = _closed(nodes, segments, extract.barrier_id)
    return nodes, segments, drops


def _drive(tag_sets: list[dict[str, str]], limits: Limits) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Give speeds (2, tag sets), 0: not allowed, and classes (tag sets,)."""
    kph = np.zeros((2, len(tag_sets)))
    road_class = np.zeros(len(tag_sets), np.int8)
    for row, tags in enumerate(tag_sets):
        road_class[row] = ROAD_CLASSES.index(CLASS_OF_HIGHWAY[tags["highway"]])
        for side, (direction, allowed) in enumerate(
            zip(("forward", "backward"), directions(tags), strict=True)
        ):
            kph[side, row] = speed_kph(tags, direction, limits) if allowed else 0.0
    return kph, road_class


def _closed(nodes: Nodes, segments: Segments, barrier_id: NDArray[np.int64]) -> tuple[Nodes, Segments, int]:
    """Give each end of a segment at a barrier a node of its own; and at how many nodes that parts streets."""
    blocked = np.isin(nodes.id, barrier_id)
    at = blocked[segments.ends]
    copies = segments.ends[at]
    num_meeting = np.bincount(copies, minlength=len(nodes.id))
    ends = segments.ends.copy()
    ends[at] = np.arange(len(nodes.id), len(nodes.id) + len(copies), dtype=INDEX_DTYPE)
    more = Nodes(
        np.append(nodes.id, np.full(len(copies), NO_INDEX)),
        np.append(nodes.lon, nodes.lon[copies]),
        np.append(nodes.lat, nodes.lat[copies]),
    )
    # The node itself has no street any more and must not be found as the place of a restriction.
    return more, replace(segments, ends=ends), int(np.count_nonzero(num_meeting > 1))


def largest_part(nodes: Nodes, segments: Segments) -> tuple[Segments, int]:
    """Keep the largest part in which every node reaches every other one; and tell of how many parts.

    Size is the number of nodes, those along a street too. Turn restrictions are not looked at: they could
    leave a node of the part out of reach.
    """
    allowed = segments.run_kph > 0
    runs = (segments.run_tail[allowed], segments.run_head[allowed])
    adjacency = csr_array((np.ones(len(runs[0]), np.int8), runs), shape=(len(nodes.id),) * 2)
    _, part = connected_components(adjacency, directed=True, connection="strong")
    used = np.zeros(len(nodes.id), np.bool_)
    used[segments.ends] = True
    size = np.bincount(part[used], minlength=1)
    kept = part == np.argmax(size)
    inner = kept[segments.ends[0]] & kept[segments.ends[1]]
    return segments.select(inner), int(np.count_nonzero(size))
