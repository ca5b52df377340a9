"""The smaller streets: a grid of its own in each district between main streets, a tangle in the old town."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Voronoi

from dispatch.roads.synthetic.arterials import OLD_TOWN_M, RESIDENTIAL, SECONDARY, TERTIARY, Frame
from dispatch.roads.synthetic.crossings import Integers, Segments, Stops, cross, segments_of
from dispatch.roads.synthetic.terrain import BANK_M, SHORE_ROAD_V, Points, Terrain, waves

SECONDARY_EVERY_M: Final = 900.0
MOTORWAY_CLEAR_M: Final = 58.0
DENSE: Final = 0.37
"""Streets are one-way up to this share of the city's radius."""

MIN_HAMLET: Final = 30
"""Fewer crossings than this, cut off from the other small streets, are left out."""
CENTRAL: Final = 0.36
"""Up to this share of the city's radius every place is built on."""
REACH: Final = 1.95
"""Loose ends look so far for a main street, as a multiple of the street that they would have been."""
MIN_ANGLE: Final = 0.45
"""A small street meets a main one at this angle or more, radians."""


class Blocks(NamedTuple):
    """Streets of districts on the plan: nodes, edges, and loose ends that look for a main street."""

    node: Points
    edge: Integers
    """(edges, 2) from, to"""
    edge_class: Integers
    edge_one_way: NDArray[np.bool_]
    ray: Integers
    """(rays,) node that the loose end leaves"""
    ray_target: Points
    """(rays, 2) where it leads"""
    ray_class: Integers
    ray_one_way: Integers
    """(rays,) 0 both ways, 1 away from the node, -1 towards it"""


@dataclass(frozen=True)
class Grid:
    """How the grid of one district lies."""

    origin: Points
    """(2,)"""
    bearing: float
    spacing: tuple[float, float]
    """Metres between streets along and across"""
    wave_m: float
    """By how much its streets sway"""
    wave_length_m: float
    one_way: bool
    jitter_m: float


def make_blocks(
    rng: np.random.Generator, land: Terrain, frame: Frame, num_nodes: int
) -> tuple[Blocks, Stops]:
    """Fill the districts with about `num_nodes` nodes of streets.

    Returns
    -------
    the streets, and where each of their loose ends (rays) meets a main street
    """
    blocked = _blocked(land, frame)
    shapely.prepare(blocked)
    inner = {side: _inner_grid(rng, land, side) for side in (-1, 1)}
    growth = waves(rng, 1.0, (2500, 6000), 4), waves(rng, 1.0, (2500, 6000), 4)
    parts = []
    for face in _faces(land, frame):
        middle = np.array([[face.centroid.x, face.centroid.y]])
        distance = float(land.from_centre(middle)[0])
        if distance < 0.75 * OLD_TOWN_M and face.area < 3 * OLD_TOWN_M**2:
            parts.append(_tangle(rng, face, 84.0))
            continue
        near = distance < 0.9 * frame.inner_m
        grid = inner[int(np.copysign(1, middle[0, 0]))] if near else _outer_grid(rng, land, middle, distance)
        parts.append(_grid_streets(rng, face, grid))
    blocks = _join(parts)
    free = ~shapely.contains_xy(blocked, blocks.node)
    attraction = np.where(free, _attraction(land, blocks.node, growth), -np.inf)
    settled = np.zeros(len(free), np.bool_)
    settled[np.argsort(-attraction, kind="stable")[:num_nodes]] = True
    axes = shapely.union_all([shapely.linestrings(one.points) for one in frame.motorways])
    central = land.from_centre(blocks.node) < CENTRAL * land.radius_m
    kept = _keep(blocks, settled & free, central, land.water, axes)
    return _loose_ends(_thin(rng, land, kept), frame, land.water, axes)


def _faces(land: Terrain, frame: Frame) -> list[Any]:
    """Give the pieces of land between main streets, large ones only, in a fixed order."""
    lines = [shapely.linestrings(one.points) for one in frame.streets]
    rim = shapely.Point(land.centre[0]).buffer(1.01 * land.radius_m, quad_segs=24).boundary
    faces = shapely.get_parts(
        shapely.polygonize(shapely.get_parts(shapely.node(shapely.union_all([*lines, rim]))))
    )
    middles = shapely.get_coordinates(shapely.centroid(faces))
    order = np.lexsort((middles[:, 1], middles[:, 0]))
    return [faces[k] for k in order if faces[k].area > 2e4 and middles[k, 1] > SHORE_ROAD_V]


def _blocked(land: Terrain, frame: Frame) -> Any:
    """Give the area of the plan where no small street begins."""
    motorways = [shapely.linestrings(one.points).buffer(MOTORWAY_CLEAR_M) for one in frame.motorways]
    return shapely.union_all([land.water.buffer(BANK_M), land.parks, frame.airport_area, *motorways])


def _inner_grid(rng: np.random.Generator, land: Terrain, side: int) -> Grid:
    """Give the one grid of the inner city on one bank of the river."""
    bearing = side * np.radians(rng.uniform(-22, 22))
    spacing = (float(rng.uniform(92, 102)), float(rng.uniform(106, 122)))
    return Grid(land.centre[0], bearing, spacing, 0.0, 1e4, True, 3.0)


def _outer_grid(rng: np.random.Generator, land: Terrain, middle: Points, distance_m: float) -> Grid:
    """Give the grid of a district: along the shore, towards the centre, or as chance would have it."""
    share = distance_m / land.radius_m
    outward = float(np.arctan2(*(middle - land.centre)[0, ::-1]))
    kind = rng.random()
    if middle[0, 1] < 1500 or abs(middle[0, 0]) < 900:
        bearing = np.radians(rng.uniform(-6, 6))
    elif kind < 0.65:
        bearing = outward + np.radians(rng.uniform(-14, 14))
    else:
        bearing = rng.uniform(0, np.pi / 2)
    base = 100.0 + 95.0 * share
    spacing = (base * float(rng.uniform(0.86, 1.0)), base * float(rng.uniform(1.05, 1.35)))
    sway = float(rng.uniform(0.2, 0.75)) * base if share > 0.45 and rng.random() < 0.7 else 0.0
    return Grid(
        middle[0],
        float(bearing),
        spacing,
        sway,
        float(rng.uniform(1100, 2200)),
        share < DENSE,
        base * (0.02 + 0.07 * share),
    )


def _grid_streets(rng: np.random.Generator, face: Any, grid: Grid) -> Blocks:
    """Lay a grid over one district."""
    clear = 0.42 * min(grid.spacing)
    core = face.buffer(-clear)
    along = np.array([np.cos(grid.bearing), np.sin(grid.bearing)])
    axes = np.array([along, [-along[1], along[0]]])
    corners = (shapely.get_coordinates(face) - grid.origin) @ axes.T / grid.spacing
    low, high = np.floor(corners.min(axis=0)).astype(int) - 2, np.ceil(corners.max(axis=0)).astype(int) + 3
    i, j = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]), indexing="ij")
    s, t = i * grid.spacing[0], j * grid.spacing[1]
    turn = rng.uniform(0, 2 * np.pi, 2)
    swayed_t = t + grid.wave_m * np.sin(2 * np.pi * s / grid.wave_length_m + turn[0])
    swayed_s = s + 0.6 * grid.wave_m * np.sin(2 * np.pi * t / grid.wave_length_m + turn[1])
    points = grid.origin + np.stack([swayed_s, swayed_t], axis=-1) @ axes
    points = points + rng.normal(0, grid.jitter_m, points.shape).clip(-2 * grid.jitter_m, 2 * grid.jitter_m)
    shapely.prepare(core)
    inside = shapely.contains_xy(core, points[..., 0], points[..., 1])
    return _lattice(points, inside, i, j, grid)


def _lattice(points: Points, inside: NDArray[np.bool_], i: Integers, j: Integers, grid: Grid) -> Blocks:
    """Join the neighbours of a grid that are `inside`; where only one is, it gets a loose end."""
    number = np.cumsum(inside.ravel()).reshape(inside.shape) - 1
    edges, classes, ways, rays, targets, ray_classes, ray_ways = [], [], [], [], [], [], []
    for axis, (row, gap) in enumerate(((j, grid.spacing[1]), (i, grid.spacing[0]))):
        first = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        last = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        every = max(4, 2 * round(SECONDARY_EVERY_M / gap / 2))
        row = row[first]
        kind = np.where(
            row % every == 0, SECONDARY, np.where(row % every == every // 2, TERTIARY, RESIDENTIAL)
        )
        way = np.where((kind != SECONDARY) & grid.one_way, 1 - 2 * (row % 2), 0)
        both = inside[first] & inside[last]
        ends = np.column_stack([number[first][both], number[last][both]])
        edges.append(np.where(way[both][:, None] < 0, ends[:, ::-1], ends))
        classes.append(kind[both])
        ways.append(way[both] != 0)
        for here, there, sign in ((first, last, 1), (last, first, -1)):
            loose = inside[here] & ~inside[there]
            rays.append(number[here][loose])
            targets.append(points[there][loose])
            ray_classes.append(kind[loose])
            ray_ways.append(sign * way[loose])
    return Blocks(
        points[inside],
        np.vstack(edges),
        np.concatenate(classes),
        np.concatenate(ways),
        np.concatenate(rays),
        np.vstack(targets),
        np.concatenate(ray_classes),
        np.concatenate(ray_ways),
    )


def _tangle(rng: np.random.Generator, face: Any, spacing_m: float) -> Blocks:
    """Fill the old town with the crooked lanes between the cells of scattered points."""
    low_u, low_v, high_u, high_v = face.bounds
    u, v = np.meshgrid(
        np.arange(low_u - 300, high_u + 300, spacing_m), np.arange(low_v - 300, high_v + 300, 0.9 * spacing_m)
    )
    u[1::2] += spacing_m / 2
    seeds = np.column_stack([u.ravel(), v.ravel()])
    cells = Voronoi(seeds + rng.uniform(-0.33, 0.33, seeds.shape) * spacing_m)
    ridge = np.asarray(cells.ridge_vertices, np.int64)
    ridge = ridge[(ridge >= 0).all(axis=1)]
    core = face.buffer(-0.3 * spacing_m)
    shapely.prepare(core)
    inside = shapely.contains_xy(core, cells.vertices)
    number = np.cumsum(inside) - 1
    both = inside[ridge].all(axis=1)
    edge = number[ridge[both]]
    half = ridge[inside[ridge[:, 0]] != inside[ridge[:, 1]]]
    half = np.where(inside[half[:, :1]], half, half[:, ::-1])
    return Blocks(
        cells.vertices[inside],
        edge,
        np.full(len(edge), RESIDENTIAL),
        rng.random(len(edge)) < 0.35,
        number[half[:, 0]],
        cells.vertices[half[:, 0]] + 1.5 * (cells.vertices[half[:, 1]] - cells.vertices[half[:, 0]]),
        np.full(len(half), RESIDENTIAL),
        np.zeros(len(half), np.int64),
    )


def _join(parts: list[Blocks]) -> Blocks:
    """Put districts together."""
    first = np.cumsum([0, *(len(p.node) for p in parts)])
    shifted = [p._replace(edge=p.edge + k, ray=p.ray + k) for p, k in zip(parts, first, strict=False)]
    return Blocks(*(np.concatenate(column) for column in zip(*shifted, strict=True)))


def _attraction(land: Terrain, node: Points, growth: Any) -> NDArray[np.float64]:
    """Tell how early each place is built on: the centre first, then patches further and further out."""
    share = land.from_centre(node) / land.radius_m
    patches = growth[0](node[:, 0] + 0.4 * node[:, 1]) * growth[1](node[:, 1] - 0.3 * node[:, 0])
    return np.asarray(np.where(share < CENTRAL, 9.0 - share, 1.3 * patches - 1.8 * share**2), np.float64)


def _keep(
    blocks: Blocks, keep: NDArray[np.bool_], central: NDArray[np.bool_], water: Any, motorways: Any
) -> Blocks:
    """Keep the nodes of a mask, hamlets only if central, and the edges that cross no water.

    Only secondary streets may pass under a motorway.
    """
    rows = np.flatnonzero(keep[blocks.edge].all(axis=1))
    rows = rows[_free(blocks.node[blocks.edge[rows]], blocks.edge_class[rows], water, motorways)]
    tail, head = blocks.edge[rows].T
    links = coo_array((np.ones(len(tail)), (tail, head)), shape=(len(keep), len(keep)))
    _, label = connected_components(links, directed=False)
    keep = keep & ((np.bincount(label)[label] >= MIN_HAMLET) | central)
    number = np.cumsum(keep) - 1
    kept = _select(blocks, rows[keep[tail]], np.flatnonzero(keep[blocks.ray]))
    return kept._replace(node=blocks.node[keep], edge=number[kept.edge], ray=number[kept.ray])


def _select(blocks: Blocks, edges: NDArray[Any], rays: NDArray[Any]) -> Blocks:
    """Choose edges and loose ends by mask or rows."""
    return Blocks(blocks.node, *(c[edges] for c in blocks[1:4]), *(c[rays] for c in blocks[4:]))


def _loose_ends(blocks: Blocks, frame: Frame, water: Any, motorways: Any) -> tuple[Blocks, Stops]:
    """Lead each loose end to the first main street that it meets squarely enough; drop the others."""
    start = blocks.node[blocks.ray]
    end = start + REACH * (blocks.ray_target - start)
    rays = Segments(np.arange(len(start)), start, end, np.zeros(len(start)))
    lines = segments_of(frame.streets)
    ray, along, piece, fraction = cross(rays, lines)
    first = np.lexsort((along, ray))
    first = first[np.r_[True, np.diff(ray[first]) > 0]]
    ray, piece, fraction = ray[first], piece[first], fraction[first]
    a, b = end[ray] - start[ray], lines.end[piece] - lines.start[piece]
    sine = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / (np.hypot(*a.T) * np.hypot(*b.T))
    meeting = lines.start[piece] + fraction[:, None] * b
    good = sine > np.sin(MIN_ANGLE)
    good &= _free(np.stack([start[ray], meeting], axis=1), blocks.ray_class[ray], water, motorways)
    at_m = lines.at_m[piece] + fraction * lines.length_m()[piece]
    everything = np.ones(len(blocks.edge), np.bool_)
    return _select(blocks, everything, ray[good]), Stops(lines.line[piece[good]], at_m[good])


def _free(ends: NDArray[np.float64], road_class: Integers, water: Any, motorways: Any) -> NDArray[np.bool_]:
    """Tell which straight streets (n, 2, 2) touch no water; only secondary ones may pass under a motorway."""
    lines = shapely.linestrings(ends)
    shapely.prepare(water)
    shapely.prepare(motorways)
    wet, under = shapely.intersects(water, lines), shapely.intersects(motorways, lines)
    return np.asarray(~wet & ~(under & (road_class != SECONDARY)), np.bool_)


def _thin(rng: np.random.Generator, land: Terrain, blocks: Blocks) -> Blocks:
    """Take some small streets out, more of them further out: longer blocks, T-junctions, cul-de-sacs."""
    share = land.from_centre(blocks.node) / land.radius_m
    draws = rng.random(len(blocks.edge)), rng.random(len(blocks.ray))
    edges = (blocks.edge_class != RESIDENTIAL) | (draws[0] > 0.06 + 0.2 * share[blocks.edge[:, 0]])
    rays = (blocks.ray_class != RESIDENTIAL) | (draws[1] > 0.05 + 0.3 * share[blocks.ray])
    return _select(blocks, edges, rays)
