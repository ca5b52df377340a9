"""``dispatch city`` as a user types it."""

import json
import signal

import numpy as np
import pytest
from rich.console import Console

from cities import grid_city, write_city
from cli.said import assert_one_line
from dispatch.cli.city import read_polygon
from dispatch.roads import city_files, hierarchy
from dispatch.roads.city import City
from roads.osm.test_restrictions import CROSS, CROSS_WAYS, restriction
from roads.osm_files import place, write_osm
from roads.test_graphml import write_graphml

WAYS = [*CROSS_WAYS, (99, [1, 4], {"highway": "footway"})]


@pytest.fixture
def extract(tmp_path):
    """A file of OpenStreetMap."""
    rule = restriction("no_left_turn", [12], -2, [24])
    return write_osm(tmp_path / "cross.osm.pbf", CROSS, WAYS, [rule])


def test_import_prints_what_was_kept_and_left_out(dispatch, extract, tmp_path):
    status, out, err = dispatch("city", "import", extract, tmp_path / "cross")
    assert (status, err) == (0, "")
    city = City.load(tmp_path / "cross")
    assert (city.graph.num_nodes, city.graph.num_arcs, city.graph.forbidden.num_rules) == (7, 12, 1)
    told = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if "│" in line]
    assert ["nodes", "7"] in told
    assert ["directed edges", "12"] in told
    assert ["forbidden turns", "1"] in told
    assert ["residential, km", "1"] in told
    assert ["of these one-way, km", "0"] in told
    assert "ways that are not for cars" in out
    assert "Europe/Malta" in out


def test_info_tells_of_folders_and_files(dispatch, extract, tmp_path):
    assert dispatch("city", "import", extract, tmp_path / "cross")[0] == 0
    for city in (extract, tmp_path / "cross", write_city(tmp_path / "grid", grid_city())):
        status, out, err = dispatch("city", "info", city)
        assert (status, err) == (0, "")
        assert str(city) in out
        assert "recorded trips" in out
    assert "straight" in out


def test_import_of_graphml(dispatch, tmp_path):
    file = write_graphml(tmp_path / "town.graphml")
    assert dispatch("city", "import", file, tmp_path / "town")[0] == 0
    assert City.load(tmp_path / "town").graph.num_arcs == 6
    said = dispatch("city", "import", file, tmp_path / "town", "--bbox", "1,2,3,4")
    assert_one_line(said, "--bbox and --polygon go with .osm.pbf files")


def test_a_box_and_a_polygon(dispatch, extract, tmp_path):
    (west, south), (east, north) = place(0.5, -2), place(3.5, 2)
    box = f"{west},{south},{east},{north}"
    assert dispatch("city", "import", extract, tmp_path / "box", "--bbox", box)[0] == 0
    assert City.load(tmp_path / "box").graph.num_arcs == 10
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    polygon = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "properties": {}, "geometry": polygon}
    for row, shape in enumerate((polygon, feature, {"type": "FeatureCollection", "features": [feature]})):
        (tmp_path / "area.geojson").write_text(json.dumps(shape))
        options = ["--polygon", tmp_path / "area.geojson"]
        assert dispatch("city", "import", extract, tmp_path / f"area{row}", *options)[0] == 0
        assert City.load(tmp_path / f"area{row}").graph.num_arcs == 10


def test_several_polygons_are_one_area(tmp_path):
    squares = [[[[x, 0], [x + 1, 0], [x + 1, 1], [x, 1], [x, 0]]] for x in (0, 1, 5)]
    features = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": rings}}
        for rings in squares
    ]
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert read_polygon(path).area == pytest.approx(3)


WRONG = [
    (["--bbox", "1,2,x,4"], "--bbox is '1,2,x,4': it must be four numbers W,S,E,N in degrees"),
    (["--bbox", "1,2,3"], "--bbox is 1.0, 2.0, 3.0: it must be west, south, east, north"),
    (["--bbox", "3,2,1,4"], "--bbox is 3.0, 2.0, 1.0, 4.0: west must be less than east"),
    (["--polygon", "nowhere.geojson"], "nowhere.geojson: no such file"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_are_told_in_one_line(dispatch, extract, tmp_path, options, message):
    assert_one_line(dispatch("city", "import", extract, tmp_path / "out", *options), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no readable GeoJSON"),
        ('{"type": "Point", "coordinates": [1, 2]}', "no polygon in it"),
    ],
)
def test_files_without_a_polygon(dispatch, extract, tmp_path, text, message):
    path = tmp_path / "area.geojson"
    path.write_text(text)
    said = dispatch("city", "import", extract, tmp_path / "out", "--polygon", path)
    assert_one_line(said, f"{path}: {message}")


def test_wrong_files_and_folders(dispatch, extract, tmp_path):
    missing = tmp_path / "no.osm.pbf"
    assert_one_line(dispatch("city", "import", missing, tmp_path / "out"), f"{missing}: no such file")
    assert_one_line(
        dispatch("city", "import", extract, tmp_path), f"{tmp_path} holds cross.osm.pbf, which is"
    )
    assert_one_line(dispatch("city", "info", tmp_path / "out"), f"{tmp_path / 'out'}: no such folder")


def test_ctrl_c_leaves_nothing_half_written(dispatch, extract, tmp_path, monkeypatch):
    write = city_files.pq.write_table

    def press(table, path, **options):
        write(table, path, **options)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(city_files.pq, "write_table", press)
    status, out, err = dispatch("city", "import", extract, tmp_path / "out")
    assert (status, out) == (130, "")
    # Where the line is broken hangs on the length of the path.
    told = f"interrupted: {tmp_path / 'out'} is as it was before, or whole"
    assert "".join(err.split()) == "".join(told.split())
    assert [path.name for path in tmp_path.iterdir()] == ["cross.osm.pbf"]


def test_ctrl_c_while_the_hierarchy_is_saved_leaves_a_whole_city(dispatch, extract, tmp_path, monkeypatch):
    save, pressed = np.save, []

    def press(path, array, **options):
        save(path, array, **options)
        if not pressed:
            pressed.append(path)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(hierarchy.np, "save", press)
    assert dispatch("city", "import", extract, tmp_path / "out")[:2] == (130, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "edges.parquet",
        "nodes.parquet",
        "turns.parquet",
    ]
    assert City.load(tmp_path / "out").graph.num_arcs == 12
    assert dispatch("city", "import", extract, tmp_path / "out")[0] == 0


def test_the_hierarchy_is_made_by_import_and_used_afterwards(dispatch, extract, tmp_path, monkeypatch):
    status, out, _ = dispatch("city", "import", extract, tmp_path / "cross")
    assert status == 0
    num_arcs = City.load(tmp_path / "cross").network.hierarchy.num_arcs
    assert ["hierarchy, arcs", str(num_arcs)] in [
        [cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if "│" in line
    ]
    monkeypatch.setattr(hierarchy.Hierarchy, "build", lambda *_: pytest.fail("made anew"))
    assert dispatch("city", "info", tmp_path / "cross")[0] == 0


@pytest.mark.parametrize("command", ["import", "info"])
def test_help_has_an_example(dispatch, command):
    status, out, _ = dispatch("city", command, "--help")
    assert status == 0
    assert f"Example:  dispatch city {command}" in " ".join(out.split()).replace("Example: ", "Example:  ")


def test_progress_is_shown_on_a_terminal(dispatch, extract, tmp_path, monkeypatch):
    screen = (tmp_path / "screen").open("w+", encoding="utf-8")
    monkeypatch.setattr("dispatch.cli.console.err", Console(file=screen, force_terminal=True, width=120))
    assert dispatch("city", "import", extract, tmp_path / "out")[0] == 0
    screen.seek(0)
    shown = screen.read()
    screen.close()
    assert "making the hierarchy" in shown
