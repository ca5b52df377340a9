"""Road networks in GraphML, as osmnx saves them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from dispatch.errors import InputError
from dispatch.roads.network_file import EDGE_COLUMNS, NODE_COLUMNS, Network, network_of
from dispatch.roads.tables import Column, Table, match_columns

_SPACE: Final = "{http://graphml.graphdrawing.org/xmlns}"
_WGS84: Final = 4326
_ENDS: Final = ("from_node", "to_node")


@dataclass
class _Contents:
    """What a file holds: texts by attribute and row."""

    crs: str = ""
    nodes: list[dict[str, str]] = field(default_factory=list)
    row_of_node: dict[str, int] = field(default_factory=dict)
    edges: list[dict[str, str]] = field(default_factory=list)
    ends: list[tuple[str, str]] = field(default_factory=list)


def load_graphml(path: Path) -> Network:
    """Read a road network from GraphML.

    Attributes go by the names that :func:`dispatch.roads.network_file.load_network` knows, among them those
    of osmnx: ``x``, ``y``, ``length``, ``highway``, ``maxspeed`` or ``speed_kph``, ``geometry`` (WKT). Of
    lists as text, the first class and the lowest speed count. Edges are directed; a projected network is
    turned back to degrees.

    Raises
    ------
    InputError
        The file is missing, no directed GraphML, truncated, or breaks a rule of a network.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    contents = _read(path)
    if not contents.nodes or not contents.edges:
        raise InputError(
            f"{path}: {len(contents.nodes)} nodes and {len(contents.edges)} edges make no network"
        )
    project = _to_degrees(path, contents.crs)
    # Ids of nodes may be any texts, so edges name their nodes by rows.
    nodes = _table(path, contents.nodes, [one for one in NODE_COLUMNS if one.name != "node_id"])
    nodes.columns["node_id"] = pa.chunked_array([np.arange(len(contents.nodes))])
    edges = _table(path, contents.edges, [one for one in EDGE_COLUMNS if one.name not in _ENDS])
    for place, name in enumerate(_ENDS):
        rows = [contents.row_of_node.get(pair[place], -1) for pair in contents.ends]
        edges.columns[name] = pa.chunked_array([np.array(rows)])
    if project is not None:
        _project(nodes, edges, project)
    return network_of(nodes, edges)


def _read(path: Path) -> _Contents:
    """Read all nodes and edges of a file."""
    contents, names = _Contents(), dict[str, str]()
    try:
        for element in _elements(path):
            kind = element.tag.removeprefix(_SPACE)
            if kind == "key":
                names[element.get("id", "")] = element.get("attr.name", "").lower()
                continue
            values = {
                names.get(data.get("key", ""), ""): data.text or "" for data in element.iter(f"{_SPACE}data")
            }
            if kind == "node":
                contents.row_of_node[element.get("id", "")] = len(contents.nodes)
                contents.nodes.append(values)
            elif kind == "edge":
                contents.ends.append((element.get("source", ""), element.get("target", "")))
                contents.edges.append(values)
            elif element.get("edgedefault") != "directed":
                raise InputError(f"{path}: the graph is not directed; save the directed one")
            else:
                contents.crs = values.get("crs", "")
            element.clear()
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: no readable GraphML, perhaps truncated ({error})") from error
    return contents


def _elements(path: Path) -> Iterator[ElementTree.Element]:
    """Yield keys, nodes, edges, and at the end the graph with what is left of it."""
    wanted = {_SPACE + kind for kind in ("key", "node", "edge", "graph")}
    for _, element in ElementTree.iterparse(path, ("end",)):
        if element.tag in wanted:
            yield element


def _table(path: Path, rows: list[dict[str, str]], columns: Sequence[Column]) -> Table:
    """Give the columns that the rows have; an empty text is an empty cell."""
    present = list(dict.fromkeys(name for row in rows for name in row))
    found = match_columns(path, columns, present)
    kinds = {column.name: column.kind for column in columns}
    read = {}
    for name, position in found.items():
        texts = pa.array([row.get(present[position]) or None for row in rows], pa.string())
        try:
            read[name] = pa.chunked_array([texts.cast(pa.float64()) if kinds[name] == "number" else texts])
        except pa.ArrowInvalid as error:
            raise InputError(f"{path}: {present[position]} must be numbers ({error})") from error
    return Table(path, read, {name: present[at] for name, at in found.items()}, present, len(rows), 0)


def _to_degrees(path: Path, crs: str) -> Any:
    """Give what turns coordinates into degrees, None if they are degrees."""
    try:
        given = CRS.from_user_input(crs or _WGS84)
    except CRSError as error:
        raise InputError(f"{path}: crs is {crs!r}, which no one knows ({error})") from error
    return None if given.is_geographic else Transformer.from_crs(given, _WGS84, always_xy=True)


def _project(nodes: Table, edges: Table, project: Transformer) -> None:
    """Turn coordinates of nodes and lines into degrees, in place."""
    if nodes.found_as["lon"] == "x":  # osmnx keeps the degrees of a projected network beside, as lon and lat
        lonlat = project.transform(nodes.floats("lon"), nodes.floats("lat"))
        nodes.columns.update(zip(("lon", "lat"), (pa.chunked_array([axis]) for axis in lonlat), strict=True))
    if "geometry" in edges:
        lines = shapely.from_wkt(np.array(edges.columns["geometry"].to_pylist(), object), on_invalid="ignore")
        lines = shapely.transform(lines, lambda points: np.column_stack(project.transform(*points.T)))
        edges.columns["geometry"] = pa.chunked_array([pa.array(shapely.to_wkb(lines), pa.binary())])
