import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.shape_column import to_wkb
from roads.small_city import BOTH, LAT0, LON0, STEP, square, write
from roads.test_edge_shapes import lines_of, shapes_of

CORNERS = [(LON0, LAT0), (LON0 + STEP, LAT0), (LON0 + STEP, LAT0 + STEP), (LON0, LAT0 + STEP)]


def bent(a, b, out=0.3):
    """A line between two corners with a bend."""
    (x0, y0), (x1, y1) = CORNERS[a], CORNERS[b]
    return [(x0, y0), ((x0 + x1) / 2 + out * STEP, (y0 + y1) / 2 - out * STEP), (x1, y1)]


def load(folder, geometry, suffix="parquet"):
    """The square of two-way streets, with a column of geometries in the order of its edges."""
    nodes, edges = square()
    write(folder, "nodes", nodes, suffix)
    if suffix == "csv":
        write(folder, "edges", {**edges, "geometry": geometry}, suffix)
    else:
        folder.mkdir(exist_ok=True)
        pq.write_table(pa.table({**edges, "geometry": geometry}), folder / "edges.parquet")
    return City.load(folder)


def pairs():
    """The ends of the edges of the square, as corners, in the order of the file."""
    nodes, edges = square()
    corner = {node_id: number for number, node_id in enumerate(nodes["node_id"])}
    ends = zip(edges["from_node"], edges["to_node"], strict=True)
    return [(corner[a], corner[b]) for a, b in ends]


def drawn(city):
    """Lines by the corners that they join."""
    graph = city.graph
    ends = zip(graph.tail.tolist(), graph.head.tolist(), strict=True)
    return dict(zip(ends, lines_of(graph.shapes), strict=True))


@BOTH
def test_lines_as_text(tmp_path, suffix):
    lines = {(a, b): bent(a, b) for a, b in pairs()}
    city = load(tmp_path / "c", [shapely.LineString(lines[pair]).wkt for pair in pairs()], suffix)
    found = drawn(city)
    assert found.keys() == lines.keys()
    for pair, line in lines.items():
        assert np.array(found[pair]) == pytest.approx(np.array(line), abs=1e-12)
    assert city.drops == ()


def test_lines_as_wkb_come_back_as_they_are(tmp_path):
    lines = {pair: bent(*pair) for pair in pairs()}
    wkb = to_wkb(shapes_of([lines[pair] for pair in pairs()]))
    assert drawn(load(tmp_path / "c", pa.array(wkb))) == lines


def test_lines_drawn_backwards_are_turned_round(tmp_path):
    wkb = [shapely.LineString(bent(*pair)[::-1]).wkb for pair in pairs()]
    assert drawn(load(tmp_path / "c", wkb)) == {pair: bent(*pair) for pair in pairs()}


def test_lines_that_end_beside_their_nodes_are_led_to_them(tmp_path):
    wkb = [shapely.LineString([(x + 1e-5, y) for x, y in bent(*pair)]).wkb for pair in pairs()]
    for (a, b), line in drawn(load(tmp_path / "c", wkb)).items():
        assert (line[0], line[-1]) == (CORNERS[a], CORNERS[b])
        assert line[1] != bent(a, b)[1]


def test_edges_without_a_line_are_straight_and_wrong_lines_are_counted(tmp_path):
    wkb = [shapely.LineString(bent(*pair)).wkb for pair in pairs()]
    wkb[1] = None
    wkb[3] = shapely.LineString(bent(*pairs()[4])).wkb
    wkb[5] = shapely.Point(CORNERS[0]).wkb
    wkb[6] = b"no geometry"
    city = load(tmp_path / "c", pa.array(wkb, pa.binary()))
    lines = drawn(city)
    for row, (a, b) in enumerate(pairs()):
        expected = [CORNERS[a], CORNERS[b]] if row in (1, 3, 5, 6) else bent(a, b)
        assert lines[a, b] == expected, row
    assert [(drop.what, drop.count, drop.where) for drop in city.drops] == [
        ("lines that do not join the nodes of their edges (drawn straight)", 3, "edges.parquet")
    ]


def test_without_any_line_there_are_no_shapes(tmp_path):
    assert load(tmp_path / "c", pa.array([None] * 8, pa.binary())).graph.shapes is None
    assert load(tmp_path / "d", pa.array([None] * 8)).graph.shapes is None


def test_a_column_of_something_else(tmp_path):
    with pytest.raises(
        InputError, match=r"column 'geometry' \(geometry\) holds int64; it must hold lines as WKB"
    ):
        load(tmp_path / "c", np.arange(8))
