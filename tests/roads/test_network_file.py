import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.graph import ROAD_CLASSES
from dispatch.roads.network_file import DEFAULT_SPEED_KPH
from dispatch.roads.tables import Dropped
from roads.small_city import BOTH, LAT0, LON0, STEP, arcs, city_of, square, write


@BOTH
@pytest.mark.parametrize(
    ("node_names", "edge_names"),
    [
        (("osmid", "x", "y"), ("u", "v", "length", "maxspeed", "highway")),
        (("id", "longitude", "latitude"), ("source", "target", "length_m", "speed_kph", "class")),
        ((" Node_ID ", "Lon", "LAT"), ("FROM_NODE", "To_Node", "Length_M", "Speed_KPH", "Road_Class")),
    ],
)
def test_columns_under_other_names(tmp_path, suffix, node_names, edge_names):
    nodes, edges = square()
    city = city_of(
        tmp_path / "named",
        dict(zip(node_names, nodes.values(), strict=True)),
        dict(zip(edge_names, edges.values(), strict=True)),
        suffix,
    )
    assert city.graph.num_arcs == 8
    assert city.graph.free_flow_ms().tolist() == [10_000] * 8


@BOTH
def test_speeds_and_classes_as_openstreetmap_writes_them(tmp_path, suffix):
    nodes, edges = square()
    edges["road_class"] = [
        "motorway_link",
        "living_street",
        "['tertiary', 'service']",
        None,
        "PRIMARY",
        "unclassified",
        "x",
        "trunk",
    ]
    edges["speed_kph"] = ["50", "30 mph", None, "none", "walk", "DE:urban", "['60', '80']", "20.5"]
    city = city_of(tmp_path / "osm", nodes, edges, suffix)
    given = dict(zip(zip(edges["from_node"], edges["to_node"], strict=True), range(8), strict=True))
    ids = nodes["node_id"]
    order = [given[ids[a], ids[b]] for a, b in zip(city.graph.tail, city.graph.head, strict=True)]
    classes = ["motorway", "residential", "tertiary", "other", "primary", "other", "other", "trunk"]
    assert [ROAD_CLASSES[c] for c in city.graph.road_class] == [classes[row] for row in order]
    speeds = [50, 30 * 1.609344, 40, 120, 7, 50, 60, 20.5]
    assert city.graph.speed_kph.tolist() == [speeds[row] for row in order]


@BOTH
def test_without_length_speed_and_class(tmp_path, suffix):
    nodes, edges = square()
    city = city_of(tmp_path / "bare", nodes, {"u": edges["from_node"], "v": edges["to_node"]}, suffix)
    assert set(city.graph.road_class) == {ROAD_CLASSES.index("other")}
    assert set(city.graph.speed_kph) == {DEFAULT_SPEED_KPH[ROAD_CLASSES.index("other")]}
    north_m, east_m = (
        math.radians(STEP) * 6_371_008.8,
        math.radians(STEP) * 6_371_008.8 * math.cos(math.radians(LAT0)),
    )
    assert sorted(city.graph.length_m) == pytest.approx([east_m] * 4 + [north_m] * 4, rel=1e-4)


def test_nodes_on_one_spot_are_a_metre_apart(tmp_path):
    nodes, edges = square()
    nodes["lon"], nodes["lat"] = [LON0] * 4, [LAT0] * 4
    city = city_of(tmp_path / "spot", nodes, {"u": edges["from_node"], "v": edges["to_node"]})
    assert city.graph.length_m.tolist() == [1.0] * 8


def test_hourly_travel_times_become_a_speed(tmp_path):
    nodes, edges = square()
    seconds = [
        [20] * 24,
        [10, 30] * 12,
        [0] * 24,
        [0] * 12 + [40] * 12,
        [1] * 24,
        [20] * 24,
        [20] * 24,
        [20] * 24,
    ]
    edges = {"from_node": edges["from_node"], "to_node": edges["to_node"], "length_m": [200.0] * 8}
    edges |= {f"week_{hour:02d}_s": np.array([row[hour] for row in seconds], np.uint16) for hour in range(24)}
    city = city_of(tmp_path / "hourly", nodes, edges)
    assert sorted(city.graph.speed_kph) == pytest.approx([18.0, 36.0, 36.0, 36.0, 36.0, 36.0, 120.0, 120.0])


def test_travel_times_of_unknown_unit_stay_proportional(tmp_path):
    nodes, edges = square()
    travel_time = np.array([10, 20, 30, 40, 50, 60, 70, 80])
    edges = {"from_node": edges["from_node"], "to_node": edges["to_node"], "travel_time": travel_time}
    graph = city_of(tmp_path / "unitless", nodes, edges).graph
    hours = graph.length_m / graph.speed_kph
    assert sorted(hours / hours.min()) == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8])
    assert graph.length_m.sum() / hours.sum() == pytest.approx(40.0)


@BOTH
@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("length_m", 0.0, "edges without a positive finite length"),
        ("length_m", -3.0, "edges without a positive finite length"),
        ("length_m", math.nan, "edges without a positive finite length"),
        ("length_m", math.inf, "edges without a positive finite length"),
        ("length_m", None, "edges without a positive finite length"),
        ("speed_kph", 0.0, "edges without a positive finite speed"),
        ("speed_kph", -1.0, "edges without a positive finite speed"),
        ("speed_kph", math.nan, "edges without a positive finite speed"),
        ("speed_kph", math.inf, "edges without a positive finite speed"),
        ("from_node", 71, "edges at unknown nodes"),
        ("to_node", None, "edges at unknown nodes"),
    ],
)
def test_bad_edges_are_left_out_and_counted(tmp_path, suffix, column, value, what):
    nodes, edges = square()
    edges[column][2] = value
    city = city_of(tmp_path / "bad", nodes, edges, suffix)
    assert city.drops == (Dropped(what, 1, f"edges.{suffix}"),)
    assert city.graph.num_arcs == 7


@BOTH
@pytest.mark.parametrize(
    ("lon", "lat"), [(math.nan, LAT0), (LON0, math.inf), (LON0, 95.0), (181.0, LAT0), (None, LAT0)]
)
def test_bad_nodes_are_left_out_with_their_edges(tmp_path, suffix, lon, lat):
    nodes, edges = square()
    nodes["lon"][1], nodes["lat"][1] = lon, lat
    city = city_of(tmp_path / "bad", nodes, edges, suffix)
    assert city.drops == (
        Dropped("nodes without possible coordinates", 1, f"nodes.{suffix}"),
        Dropped("edges at nodes without possible coordinates", 4, f"edges.{suffix}"),
    )
    assert city.graph.num_nodes == 3
    assert arcs(city) == [(0, 2), (1, 2), (2, 0), (2, 1)]


@BOTH
def test_the_largest_strongly_connected_part_is_kept(tmp_path, suffix):
    nodes, edges = square()
    nodes = {
        "node_id": [1, *nodes["node_id"], 2],
        "lon": [LON0, *nodes["lon"], LON0],
        "lat": [LAT0, *nodes["lat"], LAT0],
    }
    for a, b in ((1, 70), (900, 2), (2, 2)):  # a way in, a way out, a loop at a dead end
        for column, value in zip(edges, (a, b, 10.0, 36.0, "other"), strict=True):
            edges[column].append(value)
    city = city_of(tmp_path / "parts", nodes, edges, suffix)
    assert city.drops == (
        Dropped("nodes outside of the largest of 3 strongly connected parts", 2, f"nodes.{suffix}"),
        Dropped("edges outside of the largest of 3 strongly connected parts", 3, f"edges.{suffix}"),
    )
    assert (city.graph.num_nodes, city.graph.num_arcs) == (4, 8)
    assert city.graph.node_lon.tolist() == nodes["lon"][1:5]


@BOTH
def test_one_way_streets_alone_are_no_city(tmp_path, suffix):
    nodes, _ = square()
    with pytest.raises(InputError, match=r"no two nodes reach each other over the 2 usable edges"):
        city_of(tmp_path / "tree", nodes, {"u": [70, 70], "v": [5, 12]}, suffix)


@BOTH
def test_duplicate_ids_are_refused(tmp_path, suffix):
    nodes, edges = square()
    nodes["node_id"][3] = 5
    with pytest.raises(InputError, match=r"node_id 5 stands at rows 1 and 3 .* must be unique"):
        city_of(tmp_path / "twice", nodes, edges, suffix)


@BOTH
def test_an_empty_id_is_refused(tmp_path, suffix):
    nodes, edges = square()
    nodes["node_id"][3] = None
    with pytest.raises(InputError, match=r"node_id at row 3 is empty"):
        city_of(tmp_path / "nameless", nodes, edges, suffix)


@BOTH
def test_swapped_coordinates_of_nodes_are_told(tmp_path, suffix):
    nodes, edges = square()
    nodes["lon"], nodes["lat"] = nodes["lat"], [lon - 130 for lon in nodes["lon"]]
    with pytest.raises(InputError, match=r"look swapped, .* \(4 of 4 rows\)"):
        city_of(tmp_path / "swapped", nodes, edges, suffix)


def test_plane_coordinates_are_refused(tmp_path):
    nodes, edges = square()
    nodes["lon"], nodes["lat"] = [461_000.0] * 4, [5_480_000.0] * 4
    with pytest.raises(InputError, match=r"must be WGS84 degrees"):
        city_of(tmp_path / "utm", nodes, edges)


def test_folders_that_are_no_city(tmp_path):
    with pytest.raises(InputError, match=r"no such folder"):
        City.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        InputError, match=r"nodes and edges missing; looked for nodes.parquet or nodes.csv .* found nothing"
    ):
        City.load(tmp_path / "empty")
    write(tmp_path / "half", "nodes", square()[0])
    with pytest.raises(InputError, match=r"no city, edges missing; .* found nodes.parquet"):
        City.load(tmp_path / "half")
    file = write(tmp_path, "nodes", square()[0])
    with pytest.raises(InputError, match=r"no such folder"):
        City.load(file)


@BOTH
@pytest.mark.parametrize("stem", ["nodes", "edges"])
def test_damaged_tables(tmp_path, suffix, stem):
    nodes, edges = square()
    tables = {"nodes": nodes, "edges": edges}
    folder = tmp_path / "damaged"
    city_of(folder, nodes, edges, suffix)
    whole = (folder / f"{stem}.{suffix}").read_bytes()

    first = next(iter(tables[stem]))
    write(folder, stem, {name: values for name, values in tables[stem].items() if name != first}, suffix)
    with pytest.raises(InputError, match=rf"{stem}.{suffix}: missing column '{first}' .* the file has"):
        City.load(folder)

    write(folder, stem, {**tables[stem], first: ["a"] * len(tables[stem][first])}, suffix)
    with pytest.raises(
        InputError, match=rf"{stem}.{suffix}: column '{first}' .* holds string; it must hold whole"
    ):
        City.load(folder)

    write(folder, stem, {name: pa.array([], pa.float64()) for name in tables[stem]}, suffix)
    with pytest.raises(InputError, match=rf"{stem}.{suffix}: the table has no rows"):
        City.load(folder)

    if suffix == "parquet":
        (folder / f"{stem}.parquet").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match=rf"{stem}.parquet: no readable Parquet file, perhaps truncated"):
            City.load(folder)


def blocks(lon0, lat0, size=6, turned=0.5):
    """Streets around blocks of 100 m, turned by an angle in radians; one street in eight winds."""
    random = np.random.default_rng(0)
    row, col = np.divmod(np.arange(size * size), size)
    x, y = 100.0 * col + random.uniform(-20, 20, len(row)), 100.0 * row + random.uniform(-20, 20, len(row))
    x, y = x * math.cos(turned) - y * math.sin(turned), x * math.sin(turned) + y * math.cos(turned)
    degree_m = math.radians(1) * 6_371_008.8
    tail = np.concatenate([np.flatnonzero(col + 1 < size), np.flatnonzero(row + 1 < size)])
    head = tail + np.repeat([1, size], len(tail) // 2)
    tail, head = np.concatenate([tail, head]), np.concatenate([head, tail])
    length_m = np.hypot(x[tail] - x[head], y[tail] - y[head]) * np.where(np.arange(len(tail)) % 8, 1.0, 1.4)
    lon, lat = lon0 + x / degree_m / math.cos(math.radians(lat0)), lat0 + y / degree_m
    nodes = {"node_id": np.arange(size * size), "lon": lon, "lat": lat}
    return nodes, {"u": tail, "v": head, "length_m": length_m}


def swapped(nodes):
    return {**nodes, "lon": nodes["lat"], "lat": nodes["lon"]}


PLACES = {
    "Manhattan": (-73.97, 40.77),
    "Mannheim": (8.5, 49.4),
    "Helsinki": (24.9, 60.2),
    "Nairobi": (36.8, -1.3),
    "Rio": (-43.2, -22.9),
    "London": (-0.1, 51.5),
}


@pytest.mark.parametrize("turned", [0.0, 0.5])
@pytest.mark.parametrize("place", PLACES)
def test_lengths_tell_that_coordinates_are_swapped(tmp_path, place, turned):
    nodes, edges = blocks(*PLACES[place], turned=turned)
    assert city_of(tmp_path / place, nodes, edges).drops == ()
    with pytest.raises(InputError, match=r"lon, lat of the nodes look swapped .* swap the two columns, or"):
        city_of(tmp_path / place, swapped(nodes), edges)
    without = {name: edges[name] for name in "uv"}
    assert city_of(tmp_path / place, swapped(nodes), without).graph.num_nodes == 36


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("factor", [0.001, 0.3048, 1.7, 3.28])
def test_lengths_in_other_units_accuse_nobody(tmp_path, place, factor):
    nodes, edges = blocks(*PLACES[place])
    edges["length_m"] *= factor
    for given in (nodes, swapped(nodes)):
        assert city_of(tmp_path / place, given, edges).graph.num_nodes == 36


def test_a_handful_of_edges_accuses_nobody(tmp_path):
    nodes, edges = blocks(*PLACES["Manhattan"], size=3)
    few = {name: values[[*range(9), *range(12, 21)]] for name, values in edges.items()}
    assert city_of(tmp_path / "few", swapped(nodes), few).graph.num_nodes > 2


@pytest.mark.parametrize("name", ["manhattan", "san_francisco"])
def test_real_networks_swapped(tmp_path, data, name):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "edges.parquet").symlink_to(data / name / "edges.parquet")
    nodes = pq.read_table(data / name / "nodes.parquet")
    names = {"lon": "lat", "lat": "lon"}
    pq.write_table(
        nodes.rename_columns([names.get(one, one) for one in nodes.column_names]), folder / "nodes.parquet"
    )
    with pytest.raises(InputError, match="look swapped"):
        City.load(folder)
