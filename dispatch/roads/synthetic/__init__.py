"""The built-in city: a port that no map shows, made of nothing but a seed.

It is designed on a flat plan (:mod:`.terrain` says why): main streets and motorways (:mod:`.arterials`),
where they cross (:mod:`.crossings`), the streets of the districts between them (:mod:`.districts`). Then the
plan is bent onto the ground, motorways get carriageways and ramps (:mod:`.motorways`), everything is joined
into one strongly connected graph (:mod:`.network`), and its nodes get homes, jobs, leisure and an airport
(:mod:`.zoning`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.synthetic.arterials import Line, make_frame
from dispatch.roads.synthetic.districts import make_blocks
from dispatch.roads.synthetic.network import build_streets, strongest, to_graph, uncrossed
from dispatch.roads.synthetic.terrain import make_terrain
from dispatch.roads.synthetic.zoning import make_land_use
from dispatch.spatial.projection import LocalProjection

NAME: Final = "Port Meridian"
TIMEZONE: Final = "UTC"
CENTRE: Final = LocalProjection(0.0, 4.0)
"""Open sea on the prime meridian, so near the equator that degrees draw almost undistorted."""
MIN_NODES: Final = 2000
MAX_NODES: Final = 100_000
RADIUS_M: Final = 11_500.0
"""How far a city of 8,000 nodes reaches from its centre."""
MARGIN_M: Final = 2500.0
"""Water is drawn so far beyond the last street."""


def synthetic_city(seed: int = 1, *, num_nodes_about: int = 8000) -> City:
    """Make a city by the sea that needs no data: the same for the same seed, another one for another seed.

    Parameters
    ----------
    seed : int
        0 or more.
    num_nodes_about : int
        Size, 2,000 … 100,000; the outcome lies within about a tenth of it.

    Returns
    -------
    City
        With land use and, for drawing, water and parks; without recorded trips. Every node can be reached
        from every other one, and arcs are as long as they are drawn.

    Raises
    ------
    InputError
        An argument is no whole number or out of range.
    """
    _check("seed", seed, 0, None)
    _check("num_nodes_about", num_nodes_about, MIN_NODES, MAX_NODES)
    terrain_rng, frame_rng, blocks_rng, zoning_rng = (np.random.default_rng([seed, k]) for k in range(4))
    size = num_nodes_about / 8000
    # Larger cities hold more countryside between their suburbs.
    land = make_terrain(terrain_rng, RADIUS_M * size**0.5 * max(1.0, size) ** 0.05)
    frame = make_frame(frame_rng, land)
    land = land.landscaped(_drawn([*frame.streets, *frame.motorways]), _drawn(frame.motorways))
    blocks, hits = make_blocks(blocks_rng, land, frame, round(0.785 * num_nodes_about))
    streets = strongest(uncrossed(build_streets(land, frame, blocks, hits)))
    graph = to_graph(streets, CENTRE)
    water, parks = land.geometry_to_ground(land.water), land.geometry_to_ground(land.parks)
    low, high = streets.node.min(axis=0) - MARGIN_M, streets.node.max(axis=0) + MARGIN_M
    seen = shapely.intersection(water, shapely.box(*low, *high))
    return City.from_graph(
        NAME,
        graph,
        TIMEZONE,
        land_use=make_land_use(zoning_rng, graph, streets.node, land.radius_m, water, _in_degrees(parks)),
        water=_in_degrees(seen),
    )


def _check(name: str, value: Any, low: int, high: int | None) -> None:
    """Refuse what is no whole number of the range."""
    span = f"{low} or more" if high is None else f"{low} … {high}"
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        raise InputError(f"{name} is {value!r}: it must be a whole number, {span}")


def _drawn(lines: list[Line]) -> Any:
    return shapely.multilinestrings([shapely.linestrings(one.points) for one in lines])


def _in_degrees(geometry: Any) -> Any:
    def degrees(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(CENTRE.to_degrees(points[:, 0], points[:, 1]))

    return shapely.transform(geometry, degrees)
