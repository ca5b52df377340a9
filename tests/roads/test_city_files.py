import errno

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from cities import grid_city
from dispatch.errors import InputError
from dispatch.roads import city_files
from dispatch.roads.city import City
from roads.osm.test_restrictions import CROSS, CROSS_WAYS, PLACES, restriction, towns
from roads.osm_files import STREET, city_of

FIELDS = ("node_lon", "node_lat", "first_arc", "head", "length_m", "speed_kph", "road_class")


def assert_same(one, other):
    """Two graphs are equal, bit for bit."""
    for name in FIELDS:
        before, after = getattr(one, name), getattr(other, name)
        assert before.dtype == after.dtype, name
        assert np.array_equal(before, after), name
    for name, parts in (("shapes", ("first_point", "lon", "lat")), ("forbidden", ("first", "arc"))):
        before, after = getattr(one, name), getattr(other, name)
        assert (before is None) == (after is None), name
        if before is not None:
            assert all(np.array_equal(getattr(before, part), getattr(after, part)) for part in parts), name


def test_a_saved_city_comes_back(tmp_path):
    city = city_of(tmp_path, CROSS, CROSS_WAYS, [restriction("only_right_turn", [12], -2, [25])])
    city.save(tmp_path / "cross")
    assert sorted(path.name for path in (tmp_path / "cross").iterdir()) == [
        "edges.parquet",
        "nodes.parquet",
        "turns.parquet",
    ]
    loaded = City.load(tmp_path / "cross")
    assert (loaded.name, loaded.timezone, loaded.drops) == ("cross", "Europe/Malta", ())
    assert_same(city.graph, loaded.graph)
    assert np.array_equal(city.graph.twin, loaded.graph.twin)


@given(towns())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_town_comes_back(tmp_path, town):
    try:
        city = city_of(tmp_path, PLACES, *town)
    except InputError:
        return
    if city.graph.num_nodes < 2:
        return
    city.save(tmp_path / "town")
    assert_same(city.graph, City.load(tmp_path / "town").graph)


def test_a_city_without_shapes_and_rules_comes_back(tmp_path):
    city = grid_city()
    city.save(tmp_path / "grid")
    assert sorted(path.name for path in (tmp_path / "grid").iterdir()) == ["edges.parquet", "nodes.parquet"]
    assert_same(city.graph, City.load(tmp_path / "grid").graph)


def test_real_cities_come_back(data, tmp_path):
    for city in (City.from_osm(data / "osm" / "andorra.osm.pbf"), City.load(data / "manhattan")):
        city.save(tmp_path / city.name)
        assert_same(city.graph, City.load(tmp_path / city.name).graph)


def test_a_saved_city_may_be_replaced(tmp_path):
    folder = tmp_path / "city"
    folder.mkdir()
    city_of(tmp_path, CROSS, CROSS_WAYS, [restriction("no_left_turn", [12], -2, [24])]).save(folder)
    (folder / "hierarchy-1.npz").write_bytes(b"derived")
    city = city_of(tmp_path, CROSS, [*CROSS_WAYS, (67, [6, 7], STREET)])
    city.save(str(folder))
    assert_same(city.graph, City.load(folder).graph)
    assert sorted(path.name for path in folder.iterdir()) == ["edges.parquet", "nodes.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["city", "small.osm.pbf"]


def test_nothing_else_is_overwritten(tmp_path):
    city = grid_city()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "trips.parquet").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"mine holds trips\.parquet, which is not of a saved road network"):
        city.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "trips.parquet").read_bytes() == b"precious"
    with pytest.raises(InputError, match=r"trips\.parquet is a file: a city is saved as a folder"):
        city.save(tmp_path / "mine" / "trips.parquet")
    with pytest.raises(InputError, match=r"the folder that it should be in does not exist"):
        city.save(tmp_path / "no" / "city")


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")])
def test_an_interrupted_save_leaves_what_was_there(tmp_path, monkeypatch, there, stop):
    folder = tmp_path / "city"
    before = grid_city()
    if there:
        before.save(folder)
    written = []

    def write_one(table, path, **options):
        written.append(path)
        if len(written) == 2:
            raise stop
        path.write_bytes(b"half")

    monkeypatch.setattr(city_files.pq, "write_table", write_one)
    with pytest.raises(type(stop) if isinstance(stop, Exception) else stop):
        grid_city(3, 3).save(folder)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == (["city"] if there else [])
    if there:
        assert_same(before.graph, City.load(folder).graph)


def test_a_folder_that_cannot_take_its_name_leaves_what_was_there(tmp_path, monkeypatch):
    folder = tmp_path / "city"
    before = grid_city()
    before.save(folder)
    rename = type(folder).rename

    def fail_once(path, target):
        if path.name == "new":
            raise PermissionError(errno.EACCES, "no")
        return rename(path, target)

    monkeypatch.setattr(type(folder), "rename", fail_once)
    with pytest.raises(PermissionError):
        grid_city(3, 3).save(folder)
    monkeypatch.undo()
    assert_same(before.graph, City.load(folder).graph)
    assert [path.name for path in tmp_path.iterdir()] == ["city"]
