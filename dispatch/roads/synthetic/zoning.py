"""Who uses which corner of the built-in city for what."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from dispatch.roads.graph import RoadGraph
from dispatch.roads.land_use import LandUse
from dispatch.roads.synthetic.arterials import MOTORWAY, SECONDARY, SERVICE
from dispatch.roads.synthetic.terrain import Points, waves

NUM_SUBCENTRES: Final = 4
BEACH_M: Final = 420.0
"""Streets so close to the water are worth a walk."""
THROUGH_ROAD: Final = 0.12
"""A place that only main roads touch counts so much."""

Numbers = NDArray[np.float64]


def make_land_use(
    rng: np.random.Generator, graph: RoadGraph, ground: Points, radius_m: float, water: Any, parks: Any
) -> LandUse:
    """Give each node its share of homes, jobs, leisure and air travel.

    Parameters
    ----------
    ground : (nodes, 2) float64
        Metres east and north of the centre.
    radius_m : float
        How far the city reaches.
    water : shapely geometry
        In the same plane.
    parks : shapely geometry
        In degrees, handed on for drawing.
    """
    lowest, highest = _classes(graph)
    built = _built_area(graph) * np.where(highest <= SECONDARY, THROUGH_ROAD, 1.0)
    built *= (highest != MOTORWAY) & (lowest != SERVICE)
    reach = radius_m / 11_500
    r = np.hypot(*ground.T) / reach
    shapely.prepare(water)
    beach = shapely.dwithin(water, shapely.points(ground), BEACH_M)
    sub = _subcentres(rng, ground, r, reach)
    texture = np.exp(
        waves(rng, 0.9, (1500, 4500), 4)(ground[:, 0]) + waves(rng, 0.9, (1500, 4500), 4)(ground[:, 1])
    )
    homes = texture * np.exp(-r / 5500) * (1 - 0.65 * np.exp(-((r / 1000) ** 2))) * (1 + 0.4 * beach)
    jobs = 14 * np.exp(-((r / 1500) ** 2)) + 1.2 * np.exp(-r / 4000) + 5 * sub + 0.15
    leisure = 18 * np.exp(-((r / 850) ** 2)) + 2.5 * np.exp(-((r / 2200) ** 2)) + 5 * sub + 0.12
    leisure *= 1 + 2.0 * (beach & (r < 7000))
    return LandUse(built * homes, built * jobs, built * leisure, 1.0 * (lowest == SERVICE), parks)


def _classes(graph: RoadGraph) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Give the most and the least important road class that touches each node."""
    lowest, highest = np.full(graph.num_nodes, 127, np.int8), np.full(graph.num_nodes, -1, np.int8)
    for end in (graph.tail, graph.head):
        np.minimum.at(lowest, end, graph.road_class)
        np.maximum.at(highest, end, graph.road_class)
    lowest[(highest == SERVICE) & (lowest > MOTORWAY)] = SERVICE
    return lowest, highest


def _built_area(graph: RoadGraph) -> Numbers:
    """Give the area that belongs to each node, from the lengths of its streets; at most a large block."""
    length = np.minimum(graph.length_m, 220.0)
    total = np.bincount(graph.tail, length, graph.num_nodes) + np.bincount(
        graph.head, length, graph.num_nodes
    )
    count = np.bincount(graph.tail, minlength=graph.num_nodes) + np.bincount(
        graph.head, minlength=graph.num_nodes
    )
    return np.asarray((total / count) ** 2, np.float64)


def _subcentres(rng: np.random.Generator, ground: Points, r: Numbers, reach: float) -> Numbers:
    """Give the pull of the centres of boroughs at each node, 1 in their middle."""
    candidates = np.flatnonzero((r > 3000) & (r < 7500))
    middle = ground[rng.choice(candidates, NUM_SUBCENTRES, replace=False)]
    distance = np.hypot(*np.moveaxis(ground[:, None] - middle, 2, 0)) / reach
    return np.asarray(np.exp(-((distance / 480) ** 2)).sum(axis=1), np.float64)
