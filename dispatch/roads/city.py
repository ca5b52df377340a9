"""A city: road network, plane, time zone, recorded trips, and what was left out while loading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import tzfpy
from numpy.typing import ArrayLike, NDArray

from dispatch.roads.graph import ROAD_CLASSES, RoadGraph
from dispatch.roads.snapping import MAX_SNAP_M, Snapper
from dispatch.roads.trips import RecordedTrips
from dispatch.spatial.projection import LocalProjection
from dispatch.units import NO_INDEX, NO_VALUE

if TYPE_CHECKING:
    from dispatch.roads.land_use import LandUse


@dataclass(frozen=True)
class Dropped:
    """Rows of a source that were left out, and why."""

    what: str
    """Reason, in words"""
    count: int
    """Number of rows"""
    where: str
    """File or part of the city that they were left out of"""


@dataclass(frozen=True)
class City:
    """Everything that a place gives to dispatching."""

    name: str
    graph: RoadGraph
    projection: LocalProjection
    timezone: str
    """IANA name"""
    trips: RecordedTrips | None = None
    drops: tuple[Dropped, ...] = ()
    """What was left out, in loading order"""
    land_use: LandUse | None = None
    """Where people live, work, spend time and fly"""
    water: Any = None
    """shapely geometry in degrees, for drawing, or None"""
    folder: Path | None = None
    """Where it was loaded from"""

    @cached_property
    def snapper(self) -> Snapper:
        """Finds nearest nodes."""
        return Snapper(self.graph, self.projection)

    def snap(
        self, lon: ArrayLike, lat: ArrayLike, max_distance_m: float = MAX_SNAP_M
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Find the nearest node of each coordinate; see :meth:`Snapper.snap`."""
        return self.snapper.snap(lon, lat, max_distance_m)

    @property
    def pings_path(self) -> Path | None:
        """The file of GPS pings in the city's folder, None if there is none."""
        if self.folder is None or not (self.folder / "pings.parquet").is_file():
            return None
        return self.folder / "pings.parquet"

    @classmethod
    def from_graph(cls, name: str, graph: RoadGraph, timezone: str | None = None, **parts: Any) -> City:
        """Make a city of a road network; projection and time zone follow from the coordinates."""
        lon0 = (graph.node_lon.min() + graph.node_lon.max()) / 2
        lat0 = (graph.node_lat.min() + graph.node_lat.max()) / 2
        projection = LocalProjection(float(lon0), float(lat0))
        return cls(name, graph, projection, timezone or tzfpy.get_tz(lon0, lat0), **parts)

    @classmethod
    def synthetic(cls, seed: int = 1, **options: Any) -> City:
        """Make a city that needs no data: see :func:`dispatch.roads.synthetic.synthetic_city`."""
        from dispatch.roads.synthetic import synthetic_city

        city: City = synthetic_city(seed=seed, **options)
        return city

    @classmethod
    def load(cls, folder: str | Path, *, trips: str | Path | None = None, timezone: str | None = None) -> City:
        """Read a city from a folder with ``nodes``, ``edges`` and perhaps ``trips``."""
        folder = Path(folder)
        nodes, edges = pq.read_table(folder / "nodes.parquet"), pq.read_table(folder / "edges.parquet")
        classes = edges["road_class"].to_pylist() if "road_class" in edges.column_names else ["other"] * len(edges)
        number = {name: i for i, name in enumerate(ROAD_CLASSES)}
        graph = RoadGraph.from_edges(
            (nodes["lon"].to_numpy(), nodes["lat"].to_numpy()),
            edges["from_node"].to_numpy(),
            edges["to_node"].to_numpy(),
            edges["length_m"].to_numpy().astype(float),
            edges["speed_kph"].to_numpy().astype(float),
            np.array([number.get(c.removesuffix("_link"), len(ROAD_CLASSES) - 1) for c in classes], np.int8),
        )
        city = cls.from_graph(folder.name, graph, timezone, folder=folder)
        path = Path(trips) if trips else folder / "trips.parquet"
        if not path.is_file():
            return city
        table = pq.read_table(path)
        n = table.num_rows
        col = {c: table[c].to_numpy() for c in table.column_names}
        if "pickup_node" in col:
            pickup, dropoff = col["pickup_node"].astype(np.int32), col["dropoff_node"].astype(np.int32)
            ends = [graph.node_lon[pickup], graph.node_lat[pickup], graph.node_lon[dropoff], graph.node_lat[dropoff]]
            at_ms, dated, step = col["minute_of_day"].astype(np.int64) * 60_000, False, 60_000
        else:
            from scipy.spatial import cKDTree

            tree = cKDTree(np.column_stack(city.projection.to_plane(graph.node_lon, graph.node_lat)))
            ends = [np.array(col[c]) for c in ("pickup_lon", "pickup_lat", "dropoff_lon", "dropoff_lat")]
            both = []
            for lon, lat in ((ends[0], ends[1]), (ends[2], ends[3])):
                d, node = tree.query(np.column_stack(city.projection.to_plane(lon, lat)))
                both.append(np.where(d <= MAX_SNAP_M, node, NO_INDEX).astype(np.int32))
            pickup, dropoff = both
            at_ms, dated, step = col["requested_at"].astype("datetime64[ms]").astype(np.int64), True, 1000
        none = np.full(n, NO_VALUE)
        recorded = RecordedTrips(
            at_ms,
            pickup,
            dropoff,
            *ends,
            col.get("duration_s", none).astype(np.int32),
            col.get("driver_id", none).astype(np.int64),
            col.get("passengers", np.ones(n)).astype(np.int32),
            dated,
            step,
        )
        return cls.from_graph(folder.name, graph, timezone, folder=folder, trips=recorded)
