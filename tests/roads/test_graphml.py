"""GraphML as osmnx 2 writes it: all values are texts, lists are texts of lists, empty values are left out."""

from xml.sax.saxutils import escape

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.graph import ROAD_CLASSES
from roads.small_city import LAT0, LON0, STEP
from roads.test_edge_shapes import lines_of

KEYS = {
    "graph": ("created_date", "created_with", "crs", "simplified"),
    "node": ("y", "x", "street_count", "highway", "lon", "lat"),
    "edge": ("osmid", "highway", "maxspeed", "oneway", "reversed", "length", "geometry", "speed_kph"),
}
NODES = {"61340495": (0, 0), "61340500": (1, 0), "61340501": (1, 1)}
A, B, C = NODES


def at(node):
    x, y = NODES[node]
    return LON0 + x * STEP, LAT0 + y * STEP


def street(a, b, **more):
    return a, b, {"highway": "residential", "oneway": "False", "length": "100.5", **more}


TRIANGLE = [street(a, b) for a, b in ((A, B), (B, A), (B, C), (C, B), (C, A), (A, C))]


def write_graphml(path, edges=TRIANGLE, nodes=None, directed="directed", crs="epsg:4326"):
    """Write a file as networkx does."""
    nodes = nodes or {node: dict(zip("xy", map(str, at(node)), strict=True)) for node in NODES}
    number = {(kind, name): f"d{i}" for i, (kind, name) in enumerate((k, n) for k in KEYS for n in KEYS[k])}

    def data(kind, values):
        lines = (f'<data key="{number[kind, name]}">{escape(value)}</data>' for name, value in values.items())
        return "\n".join(lines)

    text = [
        "<?xml version='1.0' encoding='utf-8'?>",
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">',
    ]
    for (kind, name), key in number.items():
        text.append(f'<key id="{key}" for="{kind}" attr.name="{name}" attr.type="string" />')
    text.append(f'<graph edgedefault="{directed}">')
    text.append(data("graph", {"created_with": "OSMnx 2.0.0", "crs": crs, "simplified": "True"}))
    text += [f'<node id="{node}">{data("node", values)}</node>' for node, values in nodes.items()]
    text += [
        f'<edge source="{a}" target="{b}" id="0">{data("edge", values)}</edge>' for a, b, values in edges
    ]
    path.write_text("\n".join([*text, "</graph>", "</graphml>"]), encoding="utf-8")
    return path


def load(folder, *arguments, **options):
    return City.from_graphml(write_graphml(folder / "town.graphml", *arguments, **options))


def arcs(city):
    """Arcs by the names of their ends."""
    graph = city.graph
    name = {tuple(np.round(at(node), 9)): node for node in NODES}
    ids = [name[tuple(np.round(pair, 9))] for pair in zip(graph.node_lon, graph.node_lat, strict=True)]
    return [(ids[a], ids[b]) for a, b in zip(graph.tail, graph.head, strict=True)]


def test_a_small_town(tmp_path):
    city = load(tmp_path)
    assert (city.name, city.timezone, city.drops) == ("town", "Europe/Berlin", ())
    assert sorted(arcs(city)) == sorted((a, b) for a, b, _ in TRIANGLE)
    assert set(city.graph.length_m) == {100.5}
    assert set(city.graph.speed_kph) == {30.0}
    assert set(city.graph.road_class) == {ROAD_CLASSES.index("residential")}
    assert city.graph.shapes is None
    assert city.graph.node_lon.tolist() == [at(node)[0] for node in NODES]
    same = City.load(tmp_path / "town.graphml", timezone="UTC")
    assert (same.timezone, same.graph.num_arcs) == ("UTC", 6)


def test_speeds_and_classes_also_as_lists(tmp_path):
    edges = [
        street(A, B, highway="['primary', 'secondary']", maxspeed="['70', '50']"),
        street(B, A, highway="motorway_link", maxspeed="30 mph"),
        street(B, C, highway="unclassified", maxspeed="DE:urban"),
        street(C, A, maxspeed="none"),
        street(A, C),
    ]
    city = load(tmp_path, edges)
    found = dict(zip(arcs(city), zip(city.graph.road_class, city.graph.speed_kph, strict=True), strict=True))
    told = {pair: (ROAD_CLASSES[row], kph) for pair, (row, kph) in found.items()}
    assert told == {
        (A, B): ("primary", 50),
        (B, A): ("motorway", pytest.approx(48.28032)),
        (B, C): ("other", 50),
        (C, A): ("residential", 120),
        (A, C): ("residential", 30),
    }


def test_speeds_that_osmnx_added_win(tmp_path):
    edges = [(a, b, {**values, "maxspeed": "50", "speed_kph": "41.7"}) for a, b, values in TRIANGLE]
    assert set(load(tmp_path, edges).graph.speed_kph) == {41.7}


def test_multi_edges_and_loops_stay(tmp_path):
    edges = [*TRIANGLE, street(A, B, length="170"), street(C, C, length="40")]
    city = load(tmp_path, edges)
    assert sorted(city.graph.length_m) == [40] + [100.5] * 6 + [170]
    assert (C, C) in arcs(city)


def test_lines(tmp_path):
    (x0, y0), (x1, _) = at(A), at(B)
    bend = (x0 + x1) / 2, y0 + STEP / 3
    edges = [*TRIANGLE[2:], street(A, B, geometry=shapely.LineString([at(A), bend, at(B)]).wkt)]
    edges.append(street(B, A, geometry=shapely.LineString([at(B), bend, at(A)]).wkt))
    city = load(tmp_path, edges)
    drawn = dict(zip(arcs(city), lines_of(city.graph.shapes), strict=True))
    assert drawn[A, B] == drawn[B, A][::-1]
    assert drawn[A, B][1] == pytest.approx(bend)
    assert [len(drawn[pair]) for pair in ((A, B), (B, A), (B, C), (A, C))] == [3, 3, 2, 2]
    assert city.graph.twin.min() >= 0


@pytest.mark.parametrize("with_degrees", [False, True])
def test_a_projected_network(tmp_path, with_degrees):
    plane = Transformer.from_crs(4326, 32632, always_xy=True)
    degrees = [at(node) for node in NODES]
    nodes = {}
    for node, (lon, lat) in zip(NODES, degrees, strict=True):
        nodes[node] = dict(zip("xy", map(str, plane.transform(lon, lat)), strict=True))
        nodes[node] |= {"lon": str(lon), "lat": str(lat)} if with_degrees else {}
    line = shapely.LineString(
        [plane.transform(*at(A)), plane.transform(LON0, LAT0 + STEP), plane.transform(*at(B))]
    )
    edges = [*TRIANGLE[1:], street(A, B, geometry=line.wkt)]
    city = load(tmp_path, edges, nodes, crs="epsg:32632")
    assert city.graph.node_lon == pytest.approx([lon for lon, _ in degrees], abs=1e-9)
    assert city.graph.node_lat == pytest.approx([lat for _, lat in degrees], abs=1e-9)
    (bend,) = [points[1] for points in lines_of(city.graph.shapes) if len(points) == 3]
    assert bend == pytest.approx((LON0, LAT0 + STEP), abs=1e-9)
    assert city.drops == ()


def test_what_is_left_out_is_counted(tmp_path):
    edges = [*TRIANGLE, street(A, "nowhere"), street(A, B, length="0")]
    city = load(tmp_path, edges)
    assert [(drop.what, drop.count, drop.where) for drop in city.drops] == [
        ("edges at unknown nodes", 1, "town.graphml"),
        ("edges without a positive finite length", 1, "town.graphml"),
    ]


def test_files_that_are_no_network(tmp_path):
    with pytest.raises(InputError, match=r"no\.graphml: no such file"):
        City.from_graphml(tmp_path / "no.graphml")
    with pytest.raises(InputError, match=r"the graph is not directed; save the directed one"):
        load(tmp_path, directed="undirected")
    with pytest.raises(InputError, match=r"3 nodes and 0 edges make no network"):
        load(tmp_path, [])
    with pytest.raises(InputError, match=r"town\.graphml: length must be numbers"):
        load(tmp_path, [street(A, B, length="far"), street(B, A)])
    with pytest.raises(InputError, match=r"town\.graphml: missing column 'lon'"):
        load(tmp_path, nodes={node: {"street_count": "3"} for node in NODES})
    with pytest.raises(InputError, match=r"crs is 'epsg:nonsense'"):
        load(tmp_path, crs="epsg:nonsense")
    path = write_graphml(tmp_path / "cut.graphml")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"cut\.graphml: no readable GraphML, perhaps truncated"):
        City.from_graphml(path)
    path.write_text("<html></html>")
    with pytest.raises(InputError, match=r"0 nodes and 0 edges make no network"):
        City.from_graphml(path)
