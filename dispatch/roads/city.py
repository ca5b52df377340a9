"""A city: road network, plane, time zone, recorded trips, and what was left out while loading."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tzfpy
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.roads.city_files import save_network
from dispatch.roads.graph import RoadGraph
from dispatch.roads.network_file import load_network
from dispatch.roads.osm.reading import SUFFIXES as OSM_SUFFIXES
from dispatch.roads.places import EdgeSnapper
from dispatch.roads.road_network import RoadNetwork
from dispatch.roads.snapping import MAX_SNAP_M, Snapper
from dispatch.roads.tables import Dropped, find_table
from dispatch.roads.trips import RecordedTrips, zone_info
from dispatch.roads.trips_file import load_trips
from dispatch.spatial.projection import LocalProjection

__all__ = ["City", "Dropped"]

if TYPE_CHECKING:
    from dispatch.roads.land_use import LandUse
    from dispatch.roads.metric import Metric


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

    def __post_init__(self) -> None:
        zone_info(self.timezone)

    @cached_property
    def snapper(self) -> Snapper:
        """Finds nearest nodes."""
        return Snapper(self.graph, self.projection)

    @cached_property
    def kept(self) -> dict[Hashable, Any]:
        """What others have made of this city and want to use again, by name; gone with the city."""
        return {}

    @cached_property
    def edge_snapper(self) -> EdgeSnapper:
        """Finds nearest streets."""
        return EdgeSnapper(self.graph, self.projection)

    @cached_property
    def network(self) -> RoadNetwork:
        """Its streets, ready for any travel times; a hierarchy saved in the city's folder is used."""
        return RoadNetwork(self.graph, self.folder)

    def free_flow(self, slowdown: float = 1.0) -> Metric:
        """Give the travel times at free-flow speeds, times `slowdown`; those of 1 are made once."""
        return self._free_flow if slowdown == 1 else self._slowed(slowdown)

    @cached_property
    def _free_flow(self) -> Metric:
        # Many days of one city share them, and the table of all pairs that a simulation makes of them: it was
        # 2.5 s of the 2.6 s of a tiny day.
        return self._slowed(1.0)

    def _slowed(self, slowdown: float) -> Metric:
        return self.network.customize(self.graph.free_flow_ms(slowdown))

    def snap(
        self, lon: ArrayLike, lat: ArrayLike, max_distance_m: float = MAX_SNAP_M
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Find the nearest node of each coordinate (n,); see :meth:`Snapper.snap`."""
        return self.snapper.snap(lon, lat, max_distance_m)

    @property
    def pings_path(self) -> Path | None:
        """The file of GPS pings in the city's folder, None if there is none."""
        if self.folder is None or not (self.folder / "pings.parquet").is_file():
            return None
        return self.folder / "pings.parquet"

    @classmethod
    def from_graph(cls, name: str, graph: RoadGraph, timezone: str | None = None, **parts: Any) -> City:
        """Make a city of a road network.

        Parameters
        ----------
        name : str
        graph : RoadGraph
            With at least one node. The projection is centred on its bounds.
        timezone : str, optional
            IANA name; by default that of the centre.
        **parts
            Other fields of the city.

        Raises
        ------
        InputError
            The network is empty or near a pole, or the time zone is unknown.
        """
        if not graph.num_nodes:
            raise InputError("graph has no nodes: a city needs a road network")
        projection = LocalProjection(*_centre(graph))
        if timezone is None:
            timezone = tzfpy.get_tz(projection.lon0, projection.lat0)
        return cls(name, graph, projection, timezone, **parts)

    @classmethod
    def synthetic(cls, seed: int = 1, **options: Any) -> City:
        """Make a city that needs no data: see :func:`dispatch.roads.synthetic.synthetic_city`."""
        from dispatch.roads.synthetic import synthetic_city

        city: City = synthetic_city(seed=seed, **options)
        return city

    @classmethod
    def from_osm(
        cls,
        path: str | Path,
        *,
        bbox: Sequence[float] | None = None,
        polygon: Any = None,
        timezone: str | None = None,
        on_progress: Callable[[str, int, int], None] | None = None,
    ) -> City:
        """Import the streets that cars drive from a file of OpenStreetMap.

        Kept are streets for the public, with their shapes, their turn restrictions and their directions.
        Service roads and streets for destinations only are kept at 15 km/h at most: trips begin and end there
        but seldom lead through. Ferries, tracks, paths, driveways, parking aisles and private streets are
        left out. Speeds are ``maxspeed``, or else what is usual in the country for such a street. Of the
        network the largest strongly connected part is kept; it is found without the turn restrictions, which
        may leave a few nodes out of reach. The rules: :mod:`dispatch.roads.osm`.

        Parameters
        ----------
        path : path
            ``.osm.pbf``; ``.osm`` and its compressed forms are read too.
        bbox : (west, south, east, north), optional
            Degrees; pieces of streets that leave the box are left out.
        polygon : shapely Polygon or MultiPolygon, optional
            Degrees, instead of a box.
        timezone : str, optional
            IANA name; by default that of the network's centre.
        on_progress : callable, optional
            Called with what is being done, how much is done, and of how much (0: nobody knows).

        Returns
        -------
        City
            Named after its file. :attr:`drops` tells what was left out, and how often.

        Raises
        ------
        InputError
            The file is missing or unreadable, the area is none, no street is left, or pyosmium is not there.
        """
        from dispatch.roads.osm import import_graph
        from dispatch.roads.osm.area import area_of

        path = Path(path)
        graph, drops = import_graph(path, area_of(bbox, polygon), on_progress)
        return cls.from_graph(path.name.partition(".")[0], graph, timezone, drops=drops)

    @classmethod
    def from_graphml(cls, path: str | Path, *, timezone: str | None = None) -> City:
        """Read the road network of a GraphML file as osmnx saves it.

        See :func:`dispatch.roads.graphml.load_graphml`.

        Parameters
        ----------
        path : path
        timezone : str, optional
            IANA name; by default that of the network's centre.

        Returns
        -------
        City
            Named after its file. :attr:`drops` tells what was left out.

        Raises
        ------
        InputError
            The file is missing, no directed GraphML, truncated, or breaks a rule of a network.
        """
        from dispatch.roads.graphml import load_graphml

        path = Path(path)
        network = load_graphml(path)
        return cls.from_graph(path.stem, network.graph, timezone, drops=network.drops)

    def save(self, folder: str | Path) -> None:
        """Write the road network into a folder that :meth:`load` reads, as a whole or not at all.

        These are ``nodes.parquet``, ``edges.parquet`` (with the column ``geometry`` where arcs have shapes)
        and, where turns are forbidden, ``turns.parquet``. Trips, land use and water are not written.

        Parameters
        ----------
        folder : path
            A new one, or one that holds a saved road network and nothing else, which is replaced.

        Raises
        ------
        InputError
            The folder holds anything else, or the one that it should be in does not exist.
        """
        save_network(self.graph, Path(folder))

    @classmethod
    def load(
        cls, folder: str | Path, *, trips: str | Path | None = None, timezone: str | None = None
    ) -> City:
        """Read a city from a folder, or from a file of OpenStreetMap or GraphML.

        The folder holds ``nodes`` and ``edges``, perhaps ``turns`` and ``trips``, ``.parquet`` or ``.csv``.
        Columns go by their usual names: see :func:`dispatch.roads.network_file.load_network` and
        :func:`dispatch.roads.trips_file.load_trips`. Files are read by :meth:`from_osm` (``.osm.pbf``) and
        :meth:`from_graphml` (``.graphml``); they have no trips.

        Parameters
        ----------
        folder : path
            A folder, or a file by its suffix.
        trips : path, optional
            File of recorded trips; by default ``trips`` in the folder, if it is there.
        timezone : str, optional
            IANA name; by default that of the network's centre.

        Returns
        -------
        City
            Named after its folder. :attr:`drops` names and counts every row that was left out.

        Raises
        ------
        InputError
            A file is missing or breaks a rule.
        """
        folder = Path(folder)
        if folder.name.endswith((".graphml", *OSM_SUFFIXES)) and not folder.is_dir():
            if trips is not None:
                raise InputError(
                    f"trips is {trips}: {folder.name} has no nodes that trips could name; import it"
                )
            read = cls.from_graphml if folder.suffix == ".graphml" else cls.from_osm
            return read(folder, timezone=timezone)
        network = load_network(folder)
        city = cls.from_graph(
            folder.resolve().name, network.graph, timezone, drops=network.drops, folder=folder
        )
        trips_path = Path(trips) if trips is not None else find_table(folder, "trips")
        if trips_path is None:
            return city
        recorded, trip_drops = load_trips(trips_path, city.snapper, city.timezone, network.nodes)
        return replace(city, trips=recorded, drops=(*network.drops, *trip_drops))


def _centre(graph: RoadGraph) -> tuple[float, float]:
    """Give longitude and latitude of the centre of the network's bounds, also across the antimeridian."""
    lon = graph.node_lon
    if np.ptp(lon) > 180:
        lon = lon % 360
    lon0 = float(lon.min() + lon.max()) / 2
    return (lon0 + 180) % 360 - 180, float(graph.node_lat.min() + graph.node_lat.max()) / 2
