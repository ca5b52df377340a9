"""A road network as a folder of files, as :func:`dispatch.roads.network_file.load_network` reads it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dispatch.errors import InputError
from dispatch.roads import shape_column
from dispatch.roads.graph import ROAD_CLASSES, RoadGraph

NODES, EDGES, TURNS = "nodes.parquet", "edges.parquet", "turns.parquet"
DERIVED: Final = "hierarchy"
"""Names of files that are made of the network, and can be made again, begin so."""


def save_network(graph: RoadGraph, folder: Path) -> None:
    """Write a road network into a folder, as a whole or not at all.

    The files are written beside the folder first, which then takes the name.

    Raises
    ------
    InputError
        The folder has files that are not of a saved network, or its own folder does not exist.
    """
    check_target(folder)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / "old"
        new.mkdir()
        for name, table in _tables(graph).items():
            pq.write_table(table, new / name, compression="zstd")
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except BaseException:
            if old.exists():
                old.rename(folder)
            raise


def check_target(folder: Path) -> None:
    """Raise an error if a network cannot be saved in a folder: nothing else may be overwritten."""
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{folder}: the folder that it should be in does not exist")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is a file: a city is saved as a folder, name a new one")
    names = {path.name for path in folder.iterdir()}
    others = names - {NODES, EDGES, TURNS}
    foreign = sorted(name for name in others if not name.lstrip(".").startswith(DERIVED))
    if foreign:
        raise InputError(
            f"{folder} holds {foreign[0]}, which is not of a saved road network and would be lost: "
            "name a new folder"
        )


def _tables(graph: RoadGraph) -> dict[str, pa.Table]:
    """Give the tables of a network by the names of their files."""
    nodes = {"node_id": np.arange(graph.num_nodes), "lon": graph.node_lon, "lat": graph.node_lat}
    classes = pa.DictionaryArray.from_arrays(pa.array(graph.road_class), pa.array(list(ROAD_CLASSES)))
    edges = {
        "from_node": graph.tail,
        "to_node": graph.head,
        "length_m": graph.length_m,
        "speed_kph": graph.speed_kph,
        "road_class": classes,
    }
    if graph.shapes is not None:
        edges[shape_column.COLUMN] = pa.array(shape_column.to_wkb(graph.shapes), pa.binary())
    tables = {NODES: pa.table(nodes), EDGES: pa.table(edges)}
    if graph.forbidden is not None and graph.forbidden.num_rules:
        rule = np.repeat(np.arange(graph.forbidden.num_rules), np.diff(graph.forbidden.first))
        tables[TURNS] = pa.table({"rule": rule, "edge": graph.forbidden.arc})
    return tables
