"""Ways on the city's own streets, against plain travel times."""

import numpy as np
import pytest

from cities import grid_city, line_city, places
from dispatch.crm.ports.routing import OwnRoads
from dispatch.errors import InputError


def test_ways_are_the_quickest_and_can_be_drawn():
    city = grid_city()
    port, times = OwnRoads(city), city.free_flow()
    rng = np.random.default_rng(1)
    for from_node, to_node in rng.integers(0, city.graph.num_nodes, (20, 2)).tolist():
        lon, lat = places(city, [from_node, to_node])
        way = port.way(lon[0], lat[0], lon[1], lat[1])
        assert way is not None
        assert way.duration_ms == times.time_ms(from_node, to_node)
        assert (way.lon[0], way.lat[0], way.lon[-1], way.lat[-1]) == (lon[0], lat[0], lon[1], lat[1])
        assert len(way.lon) == len(way.lat)
        assert (way.length_m > 0) == (from_node != to_node)


def test_no_way_no_street_and_no_place():
    city = line_city(5, sink=True)
    port = OwnRoads(city, city.free_flow(2.0))
    lon, lat = places(city, [0, 4])
    there = port.way(lon[0], lat[0], lon[1], lat[1])
    assert there is not None
    assert (there.duration_ms, round(there.length_m)) == (80_000, 400)
    assert port.way(lon[1], lat[1], lon[0], lat[0]) is None
    with pytest.raises(InputError, match="to_lon, to_lat is far"):
        port.way(lon[0], lat[0], 11.0, 50.0)
    with pytest.raises(InputError, match="from_lat"):
        port.way(0.0, 95.0, 0.0, 0.0)
