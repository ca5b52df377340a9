"""Streets on the ground, put together and made into one strongly connected road graph."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from dispatch.roads.graph import RoadGraph
from dispatch.roads.synthetic.arterials import MOTORWAY, RESIDENTIAL, Frame
from dispatch.roads.synthetic.crossings import (
    Segments,
    Stops,
    cross,
    line_crossings,
    place,
    shape_stops,
    string,
)
from dispatch.roads.synthetic.districts import Blocks
from dispatch.roads.synthetic.motorways import build_carriageways, find_interchanges
from dispatch.roads.synthetic.terrain import Points, Terrain
from dispatch.spatial.projection import LocalProjection

MERGE_M: Final = 30.0
"""Crossings of streets so close together are one."""
SPEED_KPH: Final = np.array([100.0, 80.0, 43.0, 37.0, 32.0, 27.0, 27.0, 27.0])
"""By road class, in the inner city; main streets are faster further out."""
FASTER_KPH: Final = np.array([0.0, 0.0, 24.0, 18.0, 8.0, 3.0, 3.0, 3.0])
"""What is gained towards the rim."""

Integers = NDArray[np.int64]


class Streets(NamedTuple):
    """Streets on the ground."""

    node: Points
    """(nodes, 2) metres"""
    tail: Integers
    head: Integers
    road_class: Integers
    speed_kph: NDArray[np.float64]
    one_way: NDArray[np.bool_]
    """(streets,) like those above"""

    def select(self, keep: NDArray[Any]) -> Streets:
        """Give the streets of a mask (streets,) or of rows (n,), on the same nodes."""
        return Streets(self.node, *(column[keep] for column in self[1:]))


def build_streets(land: Terrain, frame: Frame, blocks: Blocks, hits: Stops) -> Streets:
    """Join main streets, small streets and motorways."""
    found = find_interchanges(frame)
    here, there = line_crossings(frame.streets, frame.streets)
    once = (here.line < there.line) | ((here.line == there.line) & (here.at_m < there.at_m - 200))
    num = np.cumsum([0, int(once.sum()), len(blocks.ray), len(found.feet.line)])
    fixed = _stack([_pick(here, once), hits, found.feet, _pick(there, once)])
    shape = shape_stops(frame.streets, fixed)
    dry = ~shapely.contains_xy(land.water.buffer(25.0), place(frame.streets, shape))
    stops = _stack([fixed, _pick(shape, dry)])
    own = np.r_[np.arange(num[3]), np.arange(num[1]), num[3] + np.arange(int(dry.sum()))]
    plan = np.empty((num[3] + int(dry.sum()), 2))
    plan[own] = place(frame.streets, stops)
    tail, head, line = string(stops, own)
    road_class = np.array([one.road_class for one in frame.streets])[line]
    one_way = np.array([one.one_way for one in frame.streets])[line]

    first = len(plan)
    ends = np.column_stack([blocks.ray + first, num[1] + np.arange(len(blocks.ray))])
    way = blocks.ray_one_way
    ends = np.where(way[:, None] < 0, ends[:, ::-1], ends)
    node = land.to_ground(np.vstack([plan, blocks.node]))
    tail = np.concatenate([tail, blocks.edge[:, 0] + first, ends[:, 0]])
    head = np.concatenate([head, blocks.edge[:, 1] + first, ends[:, 1]])
    road_class = np.concatenate([road_class, blocks.edge_class, blocks.ray_class])
    one_way = np.concatenate([one_way, blocks.edge_one_way, way != 0])
    speed = _speed_kph(land, node, tail, head, road_class)

    roads = build_carriageways(land, frame, found)
    far = np.array([roads.tail, roads.head])
    far = np.where(far < 0, num[2] - 1 - far, far + len(node))
    num_far = far.shape[1]
    return _merge(
        Streets(
            np.vstack([node, np.array(roads.points)]),
            np.concatenate([tail, far[0]]),
            np.concatenate([head, far[1]]),
            np.concatenate([road_class, np.full(num_far, MOTORWAY)]),
            np.concatenate([speed, roads.speed_kph]),
            np.concatenate([one_way, np.ones(num_far, np.bool_)]),
        ),
        len(node),
    )


def _pick(stops: Stops, rows: Any) -> Stops:
    return Stops(stops.line[rows], stops.at_m[rows])


def _stack(parts: list[Stops]) -> Stops:
    return Stops(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _speed_kph(
    land: Terrain, node: Points, tail: Integers, head: Integers, road_class: Integers
) -> NDArray[np.float64]:
    """Give the free-flow speed of each street: by class, slower in the old town, faster further out."""
    share = np.hypot(*((node[tail] + node[head]) / 2).T) / land.radius_m
    speed = SPEED_KPH[road_class] + FASTER_KPH[road_class] * np.clip((share - 0.25) / 0.5, 0, 1)
    return np.where((road_class == RESIDENTIAL) & (share < 0.07), 25.0, np.rint(speed))


def _merge(streets: Streets, num_merging: int) -> Streets:
    """Make one node of those that lie close together, among the first `num_merging`."""
    pairs = cKDTree(streets.node[:num_merging]).query_pairs(MERGE_M, output_type="ndarray")
    num = len(streets.node)
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(num, num))
    count, label = connected_components(links, directed=False)
    size = np.bincount(label, minlength=count)
    node = np.column_stack([np.bincount(label, streets.node[:, k], count) / size for k in (0, 1)])
    return _simple(streets._replace(node=node, tail=label[streets.tail], head=label[streets.head]))


def _simple(streets: Streets) -> Streets:
    """Drop loops, and of streets between the same two nodes all but the most important."""
    low, high = np.minimum(streets.tail, streets.head), np.maximum(streets.tail, streets.head)
    order = np.lexsort((streets.one_way, streets.road_class, high, low))
    fresh = np.r_[True, (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)]
    rows = np.sort(order[fresh])
    return streets.select(rows[streets.tail[rows] != streets.head[rows]])


def uncrossed(streets: Streets) -> Streets:
    """Drop the lesser of two streets that cross without meeting; motorways pass over everything."""
    rows = np.flatnonzero(streets.road_class != MOTORWAY)
    start, end = streets.node[streets.tail[rows]], streets.node[streets.head[rows]]
    lines = Segments(rows, start, end, np.zeros(len(rows)))
    a, along_a, b, along_b = cross(lines, lines)
    inner = (np.minimum(along_a, along_b) > 1e-6) & (np.maximum(along_a, along_b) < 1 - 1e-6)
    pair = np.column_stack([a[inner], b[inner]])
    rank = np.argsort(np.lexsort((lines.length_m(), streets.road_class[rows])))
    lesser = np.where(rank[pair[:, 0]] > rank[pair[:, 1]], pair[:, 0], pair[:, 1])
    keep = np.ones(len(streets.tail), np.bool_)
    keep[rows[lesser]] = False
    return streets.select(keep)


def strongest(streets: Streets) -> Streets:
    """Keep the largest strongly connected part; streets that one-way rules alone cut off become two-way."""
    part = _in_largest_part(streets)
    cut_off = ~(part[streets.tail] & part[streets.head]) & (streets.road_class != MOTORWAY)
    streets = streets._replace(one_way=streets.one_way & ~cut_off)
    keep = _in_largest_part(streets)
    number = np.cumsum(keep) - 1
    streets = streets.select(keep[streets.tail] & keep[streets.head])
    return streets._replace(node=streets.node[keep], tail=number[streets.tail], head=number[streets.head])


def _in_largest_part(streets: Streets) -> NDArray[np.bool_]:
    """Tell which nodes are in the largest strongly connected part."""
    tail, head = _arcs(streets)[:2]
    num = len(streets.node)
    _, label = connected_components(
        coo_array((np.ones(len(tail)), (tail, head)), shape=(num, num)), directed=True, connection="strong"
    )
    return np.asarray(label == np.bincount(label).argmax(), np.bool_)


def _arcs(streets: Streets) -> tuple[Integers, Integers, Integers]:
    """Give tail, head and street of every directed arc."""
    back = np.flatnonzero(~streets.one_way)
    rows = np.concatenate([np.arange(len(streets.tail)), back])
    return (
        np.concatenate([streets.tail, streets.head[back]]),
        np.concatenate([streets.head, streets.tail[back]]),
        rows,
    )


def to_graph(streets: Streets, projection: LocalProjection) -> RoadGraph:
    """Give the road graph."""
    tail, head, row = _arcs(streets)
    return RoadGraph.from_edges(
        projection.to_degrees(streets.node[:, 0], streets.node[:, 1]),
        tail.astype(np.int32),
        head.astype(np.int32),
        np.hypot(*(streets.node[tail] - streets.node[head]).T),
        streets.speed_kph[row],
        streets.road_class[row].astype(np.int8),
    )
