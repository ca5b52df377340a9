"""Where people live, work and go out, guessed from the roads alone.

A road network is all that an extract of a map gives. Yet it tells a lot: homes line residential streets, the
more of them the denser the streets are; shops and offices line the larger streets of a town, where junctions
are close to each other; nobody gets into a car on a motorway.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dispatch.errors import InputError
from dispatch.roads.graph import ROAD_CLASSES, RoadGraph
from dispatch.roads.land_use import LandUse
from dispatch.spatial.projection import LocalProjection
from dispatch.units import NO_INDEX

CELLS_PER_SPREAD: Final = 4
"""Densities are smoothed on squares so much narrower than the distance over which they are smoothed."""
MAX_CELLS: Final = 4_000_000
"""Of a very large network squares are wider than that: 4 million take 32 MB."""
MIN_JUNCTION_STREETS: Final = 3

_FAST: Final = (ROAD_CLASSES.index("motorway"), ROAD_CLASSES.index("trunk"))

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class RoadDemandParams:
    """What a metre of street is good for, and how strongly towns attract.

    The weights by class are in the sequence of :data:`ROAD_CLASSES`: motorway, trunk, primary, secondary,
    tertiary, residential, service, other. They are relative to each other within a use.

    Raises
    ------
    InputError
        A value is out of range.
    """

    homes_of_class: tuple[float, ...] = (0.0, 0.0, 0.3, 0.5, 0.7, 1.0, 0.1, 0.4)
    """Homes along a metre of street"""
    jobs_of_class: tuple[float, ...] = (0.0, 0.0, 1.0, 1.0, 0.9, 0.3, 0.1, 0.4)
    """Jobs along a metre of street"""
    leisure_of_class: tuple[float, ...] = (0.0, 0.0, 0.6, 1.0, 1.0, 0.3, 0.05, 0.4)
    """Restaurants, bars and shops along a metre of street"""
    longest_frontage_m: float = 250.0
    """Of a street without a junction no more than this is built up: the rest is a road through fields"""
    street_m: float = 300.0
    """Homes are the denser, the more streets of homes lie so near (standard deviation) …"""
    centre_m: float = 700.0
    """How far the centre of a town reaches: junctions and large streets close together"""
    town_m: float = 2500.0
    """… and in the town around; larger towns have larger houses, and busier centres"""
    homes_gather: float = 1.0
    """Exponent: 0 spreads homes evenly along the streets, 1 makes them follow the streets' density"""
    jobs_gather: float = 2.0
    """Exponent on how much of a centre a place is"""
    leisure_gather: float = 3.0
    """Likewise; bars are more central than offices"""
    street_m_per_order: float = 200.0
    """Residential street, other classes by their homes, that makes one order a day; an assumption"""

    def __post_init__(self) -> None:
        for name in ("homes_of_class", "jobs_of_class", "leisure_of_class"):
            object.__setattr__(self, name, _weights(name, getattr(self, name)))
        for name, low, high in _RANGES:
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not low <= value <= high:
                raise InputError(f"{name} is {value!r}: it must be a number from {low:g} to {high:g}")

    @classmethod
    def from_toml(cls, path: Path) -> RoadDemandParams:
        """Read the parameters of a TOML file, one key a field; a field that it leaves out has its default.

        Raises
        ------
        InputError
            The file is unreadable, or a key or a value is wrong.
        """
        try:
            told = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"{path}: no readable TOML file ({error})") from error
        names = [f.name for f in fields(cls)]
        unknown = sorted(told.keys() - set(names))
        if unknown:
            raise InputError(f"{path}: no parameter is called {unknown[0]!r}; there are {', '.join(names)}")
        return cls(**told)


_RANGES: Final = (
    ("longest_frontage_m", 1.0, 1e5),
    ("street_m", 10.0, 1e5),
    ("centre_m", 10.0, 1e5),
    ("town_m", 10.0, 1e5),
    ("homes_gather", 0.0, 5.0),
    ("jobs_gather", 0.0, 5.0),
    ("leisure_gather", 0.0, 5.0),
    ("street_m_per_order", 0.01, 1e6),
)


def land_use_of_roads(
    graph: RoadGraph, projection: LocalProjection, params: RoadDemandParams | None = None
) -> LandUse:
    """Guess where people live, work and go out from the classes and the density of roads.

    Each node has a frontage: half of the streets that end at it, weighed by class. Homes follow it, times a
    power of how dense the streets around are. Jobs and leisure follow it, times a power of how much of a
    centre the place is: the geometric mean of how many junctions and how much frontage of larger streets are
    within a walk, and how many homes the town has.

    Parameters
    ----------
    graph : RoadGraph
    projection : LocalProjection
    params : RoadDemandParams, optional

    Returns
    -------
    LandUse
        Without an airport: roads do not tell one. Nodes on motorways, and those which nothing else than
        motorways and trunk roads touches, have no weight.

    Raises
    ------
    InputError
        If the network has no other streets.

    Notes
    -----
    Complexity: ``O(arcs log arcs)``; 0.6 s for 300,000 arcs.
    """
    params = params or RoadDemandParams()
    street = _streets(graph)
    x, y = projection.to_plane(graph.node_lon, graph.node_lat)
    stops = _stopping_places(graph, street)
    homes, jobs, leisure = (
        stops * _frontage(graph, street, weights, params.longest_frontage_m)
        for weights in (params.homes_of_class, params.jobs_of_class, params.leisure_of_class)
    )
    for name, frontage in (("homes", homes), ("jobs", jobs), ("leisure", leisure)):
        if not frontage.any():
            raise InputError(
                f"graph has no street with {name}: none of its {graph.num_arcs} arcs away from motorways has "
                f"a class of positive weight in {name}_of_class; give the city a LandUse"
            )
    town = _relative_density(x, y, homes, params.town_m)
    density = np.sqrt(_relative_density(x, y, homes, params.street_m) * town)
    centre = np.cbrt(
        _relative_density(x, y, stops * _is_junction(graph, street), params.centre_m)
        * _relative_density(x, y, jobs, params.centre_m)
        * town
    )
    return LandUse(
        homes * density**params.homes_gather,
        jobs * centre**params.jobs_gather,
        leisure * centre**params.leisure_gather,
    )


def residential_m(graph: RoadGraph, params: RoadDemandParams | None = None) -> float:
    """Measure the streets that people live on, in metres, each class weighed by its homes.

    A street of two ways counts once.
    """
    params = params or RoadDemandParams()
    street = _streets(graph)
    weight = np.array(params.homes_of_class)[graph.road_class[street]]
    return float((weight * graph.length_m[street]).sum())


def _weights(name: str, given: Sequence[Any]) -> tuple[float, ...]:
    """Check a weight for each class."""
    try:
        weights = tuple(float(weight) for weight in given)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is {given!r}: it must hold a number for each class of road") from error
    if len(weights) != len(ROAD_CLASSES) or not all(0 <= w <= 1e6 for w in weights) or not any(weights):
        raise InputError(
            f"{name} is {list(given)}: it must hold {len(ROAD_CLASSES)} numbers from 0 to 1e6, one for each "
            f"of {', '.join(ROAD_CLASSES)}, not all 0"
        )
    return weights


def _streets(graph: RoadGraph) -> NDArray[np.int64]:
    """Give one arc of each street, (streets,)."""
    return np.flatnonzero((graph.twin == NO_INDEX) | (np.arange(graph.num_arcs) < graph.twin))


def _stopping_places(graph: RoadGraph, street: NDArray[np.int64]) -> Numbers:
    """Tell the nodes at which a car may wait, 1, from those on a motorway, 0."""
    stops = np.ones(graph.num_nodes)
    fastest = street[graph.road_class[street] == _FAST[0]]
    stops[graph.tail[fastest]] = stops[graph.head[fastest]] = 0.0
    return stops


def _frontage(
    graph: RoadGraph, street: NDArray[np.int64], weights: Sequence[float], longest_m: float
) -> Numbers:
    """Give each node half of its streets' metres, weighed by class."""
    half_m = np.minimum(graph.length_m[street], longest_m) * np.array(weights)[graph.road_class[street]] / 2
    return np.asarray(
        np.bincount(graph.tail[street], half_m, graph.num_nodes)
        + np.bincount(graph.head[street], half_m, graph.num_nodes),
        np.float64,
    )


def _is_junction(graph: RoadGraph, street: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell where at least three ends of streets meet, motorways and trunk roads apart."""
    slow = street[~np.isin(graph.road_class[street], _FAST)]
    ends = np.concatenate([graph.tail[slow], graph.head[slow]])
    return np.asarray(np.bincount(ends, minlength=graph.num_nodes) >= MIN_JUNCTION_STREETS)


def _relative_density(x: Numbers, y: Numbers, weights: Numbers, spread_m: float) -> Numbers:
    """Give the density of `weights` (nodes,) at each node, smoothed by a normal distribution.

    In multiples of the mean over all nodes with a weight; 1 everywhere where none has one.
    """
    if not weights.any():
        return np.ones(len(weights))
    width, height = float(np.ptp(x)), float(np.ptp(y))
    cell_m = max(spread_m / CELLS_PER_SPREAD, math.sqrt(width * height / MAX_CELLS), max(width, height) / 1e5)
    column, row = ((one - one.min()) // cell_m for one in (x, y))
    num_columns, num_rows = int(column.max()) + 1, int(row.max()) + 1
    cell = (row * num_columns + column).astype(np.int64)
    total = np.bincount(cell, weights, num_rows * num_columns).reshape(num_rows, num_columns)
    density = gaussian_filter(total, spread_m / cell_m, mode="constant").ravel()[cell]
    return np.asarray(density / density[weights > 0].mean(), np.float64)
