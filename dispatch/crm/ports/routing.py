"""Ways between places, for navigation and maps: by the city's own streets, or by another service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.limits import check_range
from dispatch.roads.city import City
from dispatch.roads.travel_times import PathFinder
from dispatch.units import NO_INDEX


@dataclass(frozen=True)
class Way:
    """A way to drive."""

    duration_ms: int
    length_m: float
    lon: NDArray[np.float64]
    """(points,) degrees, along the way"""
    lat: NDArray[np.float64]
    """(points,)"""


class RoutingPort(Protocol):
    """Whatever finds ways: the city's own streets here, OSRM or a map service elsewhere."""

    def way(self, from_lon: float, from_lat: float, to_lon: float, to_lat: float) -> Way | None:
        """Give the quickest way between two places; None where none joins them."""


class OwnRoads:
    """Finds ways on the graph of a city, by travel times that the dispatcher uses as well.

    Parameters
    ----------
    city : City
    times : PathFinder, optional
        By default those at free flow.
    """

    def __init__(self, city: City, times: PathFinder | None = None) -> None:
        self._city, self._times = city, city.free_flow() if times is None else times

    def way(self, from_lon: float, from_lat: float, to_lon: float, to_lat: float) -> Way | None:
        """Give the quickest way between the crossings nearest to two places.

        Raises
        ------
        InputError
            A place is none, or far from every street.
        """
        told = (("from_lon", from_lon, 180), ("from_lat", from_lat, 90), ("to_lon", to_lon, 180))
        for name, value, limit in (*told, ("to_lat", to_lat, 90)):
            check_range(name, value, -limit, limit, "degrees")
        node, _ = self._city.snap(np.array([from_lon, to_lon]), np.array([from_lat, to_lat]))
        if NO_INDEX in node:
            which = "from" if node[0] == NO_INDEX else "to"
            raise InputError(f"{which}_lon, {which}_lat is far from every street of {self._city.name}")
        path = self._times.paths(node[:1], node[1:])
        if not len(path.node):
            return None
        graph = self._city.graph
        return Way(
            int(path.at_ms[-1]), float(path.at_m[-1]), graph.node_lon[path.node], graph.node_lat[path.node]
        )
