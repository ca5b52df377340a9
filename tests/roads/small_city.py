"""A block of four streets, written to a folder and loaded from there."""

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from dispatch.roads.city import City

BOTH = pytest.mark.parametrize("suffix", ["parquet", "csv"])
LON0, LAT0, STEP = 8.5, 49.4, 0.001  # Mannheim


def write(folder, stem, columns, suffix="parquet"):
    folder.mkdir(exist_ok=True)
    path = folder / f"{stem}.{suffix}"
    table = pa.table(columns)
    pq.write_table(table, path) if suffix == "parquet" else pa_csv.write_csv(table, path)
    return path


def square():
    """Four nodes around a block, streets of both ways: ids are neither sorted nor dense."""
    nodes = {
        "node_id": [70, 5, 900, 12],
        "lon": [LON0, LON0 + STEP, LON0 + STEP, LON0],
        "lat": [LAT0, LAT0, LAT0 + STEP, LAT0 + STEP],
    }
    around = [70, 5, 900, 12]
    ahead = [5, 900, 12, 70]
    edges = {
        "from_node": around + ahead,
        "to_node": ahead + around,
        "length_m": [100.0] * 8,
        "speed_kph": [36.0] * 8,
        "road_class": ["primary"] * 8,
    }
    return nodes, edges


def city_of(folder, nodes, edges, suffix="parquet", **options):
    write(folder, "nodes", nodes, suffix)
    write(folder, "edges", edges, suffix)
    return City.load(folder, **options)


def arcs(city):
    graph = city.graph
    return sorted(zip(graph.tail.tolist(), graph.head.tolist(), strict=True))
