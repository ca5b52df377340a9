import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely

from cities import PLANE, city_of, grid_city
from dispatch.analysis import city_map
from dispatch.analysis.city_map import Frame, frame_of, map_svg, street_paths, water_path

SVG = "{http://www.w3.org/2000/svg}"
WHOLE = Frame(-5000.0, -5000.0, 5000.0, 5000.0)
"""The plane's origin is the middle of the city."""


def streets(city, frame=WHOLE):
    """Lines of each tier, the least streets first, as lists of (x, y)."""
    root = ElementTree.fromstring(map_svg(city, frame))
    tiers = root.findall(f"{SVG}g/{SVG}g/{SVG}path")
    return [
        [[tuple(map(int, pair.split())) for pair in line.split("L")] for line in tier.get("d").split("M")[1:]]
        for tier in tiers
    ]


def test_a_chain_in_both_directions_is_one_line():
    arcs = [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3)]
    city = city_of([0, 100, 200, 200], [0, 0, 0, 100], arcs)
    lines = [line for tier in streets(city) for line in tier]
    assert len(lines) == 1
    # Simplified: the node in the middle of the straight part is gone. Downwards from the frame's upper left.
    assert sorted([lines[0][0], lines[0][-1]]) == [(4900, 5050), (5100, 4950)]
    assert len(lines[0]) == 3


def test_lines_are_as_exact_as_asked_for():
    city = city_of([0, 100, 200], [0, 9, 0], [(0, 1), (1, 2)])
    coarse, fine = (street_paths(city, WHOLE, tolerance_m)[2] for tolerance_m in (10.0, 5.0))
    assert (coarse.count("L"), fine.count("L")) == (1, 2)


def test_the_sea_goes_on_where_the_data_end():
    city = grid_city()
    lon, lat = city.projection.to_degrees([-4000.0, 0.0, 0.0, -4000.0], [-4000.0, -4000.0, 4000.0, 4000.0])
    lake_lon, lake_lat = city.projection.to_degrees(
        [1000.0, 2000.0, 2000.0, 4000.0], [-500.0, -500.0, 500.0, 0.0]
    )
    water = shapely.MultiPolygon(
        [shapely.Polygon(np.column_stack(one)) for one in ((lon, lat), (lake_lon, lake_lat))]
    )
    path = water_path(replace(city, water=water), WHOLE)
    corners = {tuple(map(int, pair.split())) for pair in re.findall(r"[ML](\d+ \d+)", path)}
    # Downwards from the frame's upper left: the western half is water from edge to edge.
    assert {(0, 0), (0, 10_000), (5000, 0), (5000, 10_000)} <= corners
    assert {(6000, 5500), (7000, 5500), (7000, 4500)} <= corners


def test_every_street_is_drawn_once():
    city = grid_city()
    drawn = shapely.union_all([shapely.LineString(line) for tier in streets(city) for line in tier])
    x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
    one_way = city.graph.tail < city.graph.head
    expected = np.hypot(*(axis[city.graph.tail] - axis[city.graph.head] for axis in (x, y)))[one_way].sum()
    assert drawn.length == pytest.approx(expected, rel=0.02)


def test_streets_out_of_the_frame_are_left_out():
    city = city_of([0, 100, 90_000, 90_100], [0, 0, 0, 0], [(0, 1), (2, 3)])
    west = Frame(-46_000.0, -1000.0, -40_000.0, 1000.0)
    assert sum(len(tier) for tier in streets(city, west)) == 1


def test_the_least_streets_go_first_where_there_are_too_many(monkeypatch):
    city = grid_city()
    classes = np.where(np.arange(city.graph.num_arcs) < 20, 0, 5).astype(np.int8)
    city = replace(city, graph=replace(city.graph, road_class=classes))
    assert all(streets(city)[tier] for tier in (0, 2))
    monkeypatch.setattr(city_map, "MAX_COORDINATES", 60)
    residential, _, motorways = streets(city)
    assert motorways
    assert not residential


def test_water_keeps_its_islands():
    lake = shapely.box(0, 0, 1000, 1000).difference(shapely.box(400, 400, 600, 600))
    water = shapely.transform(lake, lambda xy: np.column_stack(PLANE.to_degrees(xy[:, 0], xy[:, 1])))
    city = replace(grid_city(), water=water)
    assert np.abs(city.projection.to_plane(*PLANE.to_degrees(500, 500))).max() < 3000, (
        "the lake is in the frame"
    )
    path = ElementTree.fromstring(map_svg(city, WHOLE)).find(f"{SVG}path")
    assert path.get("fill-rule") == "evenodd"
    assert len(re.findall("M", path.get("d"))) == 2


def test_a_frame_ignores_a_few_far_points():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 10_000, (2, 5000))
    x[0], y[0] = 9e5, -9e5
    frame = frame_of(x, y, grid_city())
    assert 9_000 < frame.width_m < 13_000
    assert 9_000 < frame.height_m < 13_000


def test_a_frame_of_no_points_is_the_citys():
    frame = frame_of(np.empty(0), np.empty(0), grid_city(9, 9, block_m=300.0))
    assert 2_400 < frame.width_m < 3_600


def test_a_wide_screen_shows_more_of_the_city_and_nothing_beyond():
    long_city = city_of(np.arange(100) * 100.0, np.zeros(100), [(n, n + 1) for n in range(99)])
    tall = Frame(-1000.0, -3000.0, 1000.0, 3000.0)
    wide = tall.widened(long_city)
    assert wide.width_m == pytest.approx(city_map.WIDE * 6000)
    assert (wide.min_y, wide.max_y) == (tall.min_y, tall.max_y)
    small_city = city_of([0, 2200], [0, 0], [(0, 1)])
    assert tall.widened(small_city).width_m == pytest.approx(2200, abs=2)
    assert tall.widened(city_of([0, 100], [0, 0], [(0, 1)])) == tall
