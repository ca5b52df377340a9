"""Road networks from a table of nodes and a table of directed edges."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from dispatch.errors import InputError
from dispatch.kernels.geo import haversine_m
from dispatch.roads.forbidden_turns import ForbiddenTurns
from dispatch.roads.graph import ROAD_CLASSES, RoadGraph
from dispatch.roads.osm.speeds import parsed_kph
from dispatch.roads.shape_column import COLUMN as GEOMETRY, read_shapes
from dispatch.roads.tables import Column, Dropped, Sieve, Table, find_table, read_table
from dispatch.roads.turns_file import read_turns
from dispatch.units import INDEX_DTYPE, NO_INDEX

DEFAULT_SPEED_KPH: Final = (100.0, 80.0, 60.0, 50.0, 40.0, 30.0, 15.0, 30.0)
"""Speed of an edge that has none, by its row in ``ROAD_CLASSES``."""

MAX_HOURLY_KPH: Final = 120.0
"""Largest speed that is taken from travel times per hour of the week."""

UNITLESS_MEAN_KPH: Final = 40.0
"""Travel times of unknown unit are scaled so that the whole network, driven once, gives this mean speed."""

MIN_DERIVED_LENGTH_M: Final = 1.0
"""Least length of an edge whose length is taken from its ends' coordinates: some nodes lie on one spot."""

_OTHER: Final = ROAD_CLASSES.index("other")
_MIN_COMPARED_EDGES: Final = 20
_MIN_COMPARED_M: Final = 20.0
_AGREES_WITHIN: Final = 0.05
_WEEK_HOURS: Final = tuple(f"week_{hour:02d}_s" for hour in range(24))

NODE_COLUMNS: Final = (
    Column("node_id", ("osmid", "osm_id", "id", "node"), "whole", required=True),
    Column("lon", ("longitude", "lng", "x"), required=True),
    Column("lat", ("latitude", "y"), required=True),
)
EDGE_COLUMNS: Final = (
    Column("from_node", ("u", "source", "from", "from_id"), "whole", required=True),
    Column("to_node", ("v", "target", "to", "to_id"), "whole", required=True),
    Column("length_m", ("length",)),
    Column("speed_kph", ("maxspeed", "maxspeed_kph", "speed_kmh", "speed"), "text"),
    Column("road_class", ("highway", "fclass", "class"), "text"),
    Column(GEOMETRY, (), "text"),
    Column("travel_time"),
    *(Column(name) for name in _WEEK_HOURS),
)


@dataclass(frozen=True)
class NamedNodes:
    """All rows of a table of nodes, by the file's own ids, also those that the network left out."""

    sorted_id: NDArray[np.int64]
    """(rows,) ascending"""
    row: NDArray[np.int64]
    """(rows,) row of the table of each entry of ``sorted_id``"""
    node: NDArray[np.int32]
    """(rows,) node of the graph by row of the table, NO_INDEX: left out"""
    lon: NDArray[np.float64]
    """(rows,) degrees, by row of the table"""
    lat: NDArray[np.float64]
    """(rows,)"""

    def find(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the row of the table of each id (n,), NO_INDEX where there is none."""
        place = np.minimum(np.searchsorted(self.sorted_id, ids), len(self.sorted_id) - 1)
        return np.where(self.sorted_id[place] == ids, self.row[place], NO_INDEX)


@dataclass(frozen=True)
class Network:
    """A road graph as loaded: strongly connected, with what was left out on the way."""

    graph: RoadGraph
    nodes: NamedNodes
    drops: tuple[Dropped, ...]


@dataclass(frozen=True)
class _Edges:
    """Edges between rows of the table of nodes."""

    row: NDArray[np.int64]
    """(edges,) of the table of edges"""
    tail: NDArray[np.int64]
    head: NDArray[np.int64]
    length_m: NDArray[np.float64]
    speed_kph: NDArray[np.float64]
    road_class: NDArray[np.int8]

    def select(self, keep: NDArray[np.bool_]) -> _Edges:
        return _Edges(*(getattr(self, column.name)[keep] for column in fields(self)))


def load_network(folder: Path) -> Network:
    """Read ``nodes``, ``edges`` and, if it is there, ``turns`` (``.parquet`` or ``.csv``) of a folder.

    Edges are directed. Without a length, it is the distance of the ends (at least 1 m). Without a speed it
    follows, in this order, from the mean of the travel times ``week_00_s … week_23_s`` (at most 120 km/h),
    from ``travel_time`` of unknown unit (times stay proportional to it, scaled to a mean of 40 km/h), or from
    the road class (:data:`DEFAULT_SPEED_KPH`); an empty cell takes the speed of its class. Without a road
    class it is ``other``. ``geometry`` (WKB, or WKT as text) tells how an edge runs; where it is empty, the
    edge is straight. ``turns`` holds rules of what may not be driven one after the other: for each edge of a
    rule, in the order of driving, ``rule`` (a number) and ``edge`` (row of the table of edges, from 0). Of
    the network the largest strongly connected part is kept, nodes in the order of the file.

    Raises
    ------
    InputError
        A file is missing or unreadable, ids are not unique, longitude and latitude look swapped, or nothing
        is left.
    """
    nodes_path, edges_path = _paths(folder)
    nodes, edges = read_table(nodes_path, NODE_COLUMNS), read_table(edges_path, EDGE_COLUMNS)
    return network_of(nodes, edges, find_table(folder, "turns"))


def network_of(nodes_table: Table, edges_table: Table, turns_path: Path | None = None) -> Network:
    """Make a network of tables as :func:`load_network` reads them.

    Raises
    ------
    InputError
        As there.
    """
    names, placed, node_drops = _read_nodes(nodes_table)
    edges, edge_drops = _read_edges(edges_table, names, placed)
    node, inside, part_drops = _largest_part(edges, placed, nodes_table.path.name, edges_table.path.name)
    edges = edges.select(inside)
    kept = node != NO_INDEX
    ends = ((names.lon[at], names.lat[at]) for at in (edges.tail, edges.head))
    shapes, shape_drops = read_shapes(edges_table, edges.row, *ends)
    forbidden: ForbiddenTurns | None = None
    turn_drops: tuple[Dropped, ...] = ()
    if turns_path is not None:
        edge_of_row = np.full(edges_table.num_rows, NO_INDEX, INDEX_DTYPE)
        edge_of_row[edges.row] = np.arange(len(edges.row))
        tail, head = (_rows(edges_table, column, names) for column in ("from_node", "to_node"))
        forbidden, turn_drops = read_turns(turns_path, tail, head, edge_of_row)
    graph = RoadGraph.from_edges(
        (names.lon[kept], names.lat[kept]),
        node[edges.tail],
        node[edges.head],
        edges.length_m,
        edges.speed_kph,
        edges.road_class,
        shapes,
        forbidden,
    )
    named = NamedNodes(names.sorted_id, names.row, node, names.lon, names.lat)
    drops = (*nodes_table.drops(), *node_drops, *edges_table.drops(), *edge_drops, *part_drops)
    return Network(graph, named, (*drops, *shape_drops, *turn_drops))


def _paths(folder: Path) -> tuple[Path, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; a city is a folder with nodes and edges")
    nodes, edges = find_table(folder, "nodes"), find_table(folder, "edges")
    if nodes is None or edges is None:
        missing = " and ".join(stem for stem, path in (("nodes", nodes), ("edges", edges)) if path is None)
        present = ", ".join(sorted(path.name for path in folder.iterdir())[:20]) or "nothing"
        raise InputError(
            f"{folder}: no city, {missing} missing; looked for nodes.parquet or nodes.csv and edges.parquet "
            f"or edges.csv, found {present}"
        )
    return nodes, edges


def _read_nodes(table: Table) -> tuple[NamedNodes, NDArray[np.bool_], list[Dropped]]:
    """Give all rows, and which of them lie on the globe."""
    ids, known = table.wholes("node_id")
    if not known.all():
        raise InputError(f"{table.path}: node_id at row {np.argmin(known)} is empty; every node needs an id")
    row = np.argsort(ids, kind="stable")
    sorted_id = ids[row]
    same = np.flatnonzero(sorted_id[1:] == sorted_id[:-1])
    if len(same):
        first, second = row[same[0]], row[same[0] + 1]
        raise InputError(
            f"{table.path}: node_id {ids[first]} stands at rows {first} and {second} ({len(same)} ids stand "
            "twice); ids must be unique"
        )
    lon, lat = table.floats("lon"), table.floats("lat")
    check_latitudes(table.path, lon, lat)
    sieve = Sieve(len(ids), table.path.name)
    sieve.drop("nodes without possible coordinates", ~on_globe(lon, lat))
    if not sieve.keep.any():
        raise InputError(
            f"{table.path}: no node has possible coordinates, the first is {lon[0]}, {lat[0]}; they must be "
            "WGS84 degrees"
        )
    node = np.full(len(ids), NO_INDEX, INDEX_DTYPE)
    return NamedNodes(sorted_id, row, node, lon, lat), sieve.keep, sieve.drops


def on_globe(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which coordinates (n,) are finite degrees within range."""
    right: NDArray[np.bool_] = (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
    return right


def check_latitudes(path: Path, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> None:
    """Raise an error if most coordinates (n,) are possible only with longitude and latitude swapped."""
    turned = (np.abs(lat) > 90) & (np.abs(lat) <= 180) & (np.abs(lon) <= 90)
    if 2 * np.count_nonzero(turned) > len(lat):
        at = int(np.argmax(turned))
        raise InputError(
            f"{path}: lon, lat at row {at} are {lon[at]}, {lat[at]}: they look swapped, no latitude "
            f"exceeds 90 degrees ({np.count_nonzero(turned)} of {len(lat)} rows); swap the two columns"
        )


def _read_edges(table: Table, names: NamedNodes, placed: NDArray[np.bool_]) -> tuple[_Edges, list[Dropped]]:
    sieve = Sieve(table.num_rows, table.path.name)
    tail, head = (_rows(table, column, names) for column in ("from_node", "to_node"))
    sieve.drop("edges at unknown nodes", (tail == NO_INDEX) | (head == NO_INDEX))
    sieve.drop("edges at nodes without possible coordinates", ~(placed[tail] & placed[head]))
    length_m = table.floats("length_m") if "length_m" in table else _crow_m(names, tail, head, sieve.keep)
    sieve.drop("edges without a positive finite length", ~(np.isfinite(length_m) & (length_m > 0)))
    if "length_m" in table:
        _check_lengths(table.path, names, tail[sieve.keep], head[sieve.keep], length_m[sieve.keep])
    road_class = _road_classes(table)
    speed_kph = _speeds(table, length_m, road_class)
    sieve.drop("edges without a positive finite speed", ~(np.isfinite(speed_kph) & (speed_kph > 0)))
    row = np.arange(table.num_rows)
    edges = _Edges(row, tail, head, length_m, speed_kph, road_class).select(sieve.keep)
    return edges, sieve.drops


def _check_lengths(
    path: Path,
    names: NamedNodes,
    tail: NDArray[np.int64],
    head: NDArray[np.int64],
    length_m: NDArray[np.float64],
) -> None:
    """Raise an error if the lengths of edges contradict the coordinates, but would not with lon, lat swapped.

    Most edges are nearly straight, so their lengths are nearly the distances of their ends: on networks of
    OpenStreetMap 92 to 100 of 100 agree within 5 %, and 2 to 24 with the two swapped. Where longitude and
    latitude are about equal, both ways fit and nothing is said.
    """
    compared = (
        (length_m >= _MIN_COMPARED_M) & (np.abs(names.lon[tail]) <= 90) & (np.abs(names.lon[head]) <= 90)
    )
    num_compared = int(np.count_nonzero(compared))
    if num_compared < max(_MIN_COMPARED_EDGES, len(length_m) // 2):
        return
    tail, head, length_m = tail[compared], head[compared], length_m[compared]
    as_given = _share_agreeing(names.lon, names.lat, tail, head, length_m)
    swapped = _share_agreeing(names.lat, names.lon, tail, head, length_m)
    if swapped > 0.5 and 3 * as_given < 2 * swapped:
        at = tail[0]
        raise InputError(
            f"{path.parent}: lon, lat of the nodes look swapped (row {at}: {names.lon[at]}, "
            f"{names.lat[at]}): {as_given:.0%} of {num_compared} edges are as long as their ends are apart, "
            f"{swapped:.0%} would be with the two swapped; swap the two columns, or, if they are right, "
            f"leave out length_m of {path.name}"
        )


def _share_agreeing(
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    tail: NDArray[np.int64],
    head: NDArray[np.int64],
    length_m: NDArray[np.float64],
) -> float:
    """Give the share of edges whose length is the distance of their ends, within 5 %."""
    crow_m = np.empty(len(tail))
    haversine_m(lon[tail], lat[tail], lon[head], lat[head], crow_m)
    return float(np.mean(np.abs(length_m - crow_m) <= _AGREES_WITHIN * length_m))


def _rows(table: Table, column: str, names: NamedNodes) -> NDArray[np.int64]:
    """Give the row in the table of nodes that each cell names, NO_INDEX where it names none."""
    ids, known = table.wholes(column)
    return np.where(known, names.find(ids), NO_INDEX)


def _crow_m(
    names: NamedNodes, tail: NDArray[np.int64], head: NDArray[np.int64], used: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Give the length of the used edges from their ends' coordinates, NaN for the others."""
    a, b = tail[used], head[used]
    crow_m = np.empty(len(a))
    haversine_m(names.lon[a], names.lat[a], names.lon[b], names.lat[b], crow_m)
    length_m = np.full(len(tail), np.nan)
    length_m[used] = np.maximum(crow_m, MIN_DERIVED_LENGTH_M)
    return length_m


def _road_classes(table: Table) -> NDArray[np.int8]:
    if "road_class" not in table:
        return np.full(table.num_rows, _OTHER, np.int8)
    codes, texts = table.texts("road_class")
    number = np.array([*(_class_of(text) for text in texts), _OTHER], np.int8)
    return number[codes]  # NO_INDEX reads the last entry


def _class_of(text: str) -> int:
    """Give the row in ROAD_CLASSES of a tag; of a list (``['primary', 'tertiary']``) the first counts."""
    word = re.search(r"[a-z_]+", text.lower())
    name = word.group().removesuffix("_link") if word else ""
    name = {"living_street": "residential"}.get(name, name)
    return ROAD_CLASSES.index(name) if name in ROAD_CLASSES else _OTHER


def _speeds(table: Table, length_m: NDArray[np.float64], road_class: NDArray[np.int8]) -> NDArray[np.float64]:
    """Give the speed of each edge; not positive or not finite where the source makes no sense."""
    default_kph: NDArray[np.float64] = np.array(DEFAULT_SPEED_KPH)[road_class]
    if "speed_kph" in table:
        speed_kph, known = _given_speeds(table)
        return np.where(known, speed_kph, default_kph)
    if all(name in table for name in _WEEK_HOURS):
        return _hourly_speeds(table, length_m)
    if "travel_time" in table:
        travel_time = table.floats("travel_time")
        used = (travel_time > 0) & np.isfinite(travel_time) & np.isfinite(length_m)
        if not used.any():
            raise InputError(f"{table.path}: travel_time is nowhere a positive number")
        scale = UNITLESS_MEAN_KPH * travel_time[used].sum() / length_m[used].sum()
        np.divide(length_m * scale, travel_time, out=default_kph, where=used)
        default_kph[~used] = np.nan
    return default_kph


def _given_speeds(table: Table) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Give the speeds of a column and which cells hold one: numbers, or texts such as ``30 mph``."""
    if not table.is_text("speed_kph"):
        return table.floats("speed_kph"), table.filled("speed_kph")
    codes, texts = table.texts("speed_kph")
    parsed = [*(_speed_of(text) for text in texts), None]
    speed_kph = np.array([0.0 if one is None else one for one in parsed])
    return speed_kph[codes], np.array([one is not None for one in parsed])[codes]


def _speed_of(text: str) -> float | None:
    """Read a number or a speed tag, None: it names no speed; of a list (``['50', '30']``) the lowest."""
    try:
        return float(text)
    except ValueError:
        return parsed_kph(re.sub(r"[\[\]'\"]", "", text))


def _hourly_speeds(table: Table, length_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the speed at the mean of the positive travel times of a weekday's hours, at most 120 km/h."""
    hours_s = np.stack([table.floats(name) for name in _WEEK_HOURS])
    used = np.isfinite(hours_s) & (hours_s > 0)
    mean_s = np.where(used, hours_s, 0.0).sum(axis=0) / np.maximum(used.sum(axis=0), 1)
    speed_kph: NDArray[np.float64] = np.full(len(length_m), MAX_HOURLY_KPH)
    np.divide(length_m * 3.6, mean_s, out=speed_kph, where=mean_s > 0)
    np.minimum(speed_kph, MAX_HOURLY_KPH, out=speed_kph)
    return speed_kph


def _largest_part(
    edges: _Edges, placed: NDArray[np.bool_], nodes_name: str, edges_name: str
) -> tuple[NDArray[np.int32], NDArray[np.bool_], tuple[Dropped, ...]]:
    """Give the node of each row of the table of nodes, and which edges join two such nodes."""
    num_rows = len(placed)
    adjacency = csr_array(
        (np.ones(len(edges.tail), np.int8), (edges.tail, edges.head)), shape=(num_rows, num_rows)
    )
    _, part = connected_components(adjacency, directed=True, connection="strong")
    size = np.bincount(part[placed], minlength=part.max() + 1)
    kept = placed & (part == np.argmax(size))
    if np.count_nonzero(kept) < 2:
        raise InputError(
            f"{edges_name}: no two nodes reach each other over the {len(edges.tail)} usable edges; edges are "
            "directed, a street of two ways needs one edge for each"
        )
    node = np.where(kept, np.cumsum(kept) - 1, NO_INDEX).astype(INDEX_DTYPE)
    inside = kept[edges.tail] & kept[edges.head]
    what = f"outside of the largest of {np.count_nonzero(size)} strongly connected parts"
    counts = (
        ("nodes", np.count_nonzero(placed & ~kept), nodes_name),
        ("edges", np.count_nonzero(~inside), edges_name),
    )
    drops = tuple(Dropped(f"{kind} {what}", int(count), where) for kind, count, where in counts if count)
    return node, inside, drops
