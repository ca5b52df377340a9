"""Positions as plain arrays take the short way, others a longer one: to the same tables, the same errors."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0, assert_same_tables, dispatcher_on, grid_city, places, tables_of
from dispatch.engine.inputs import NewDrivers, Positions
from dispatch.engine.positions import move_plainly
from dispatch.errors import InputError
from dispatch.units import LATEST_MS

CITY = grid_city(5, 5, seed=2)


def dispatcher_with_drivers():
    dispatcher = dispatcher_on(CITY)
    dispatcher.register_drivers(NewDrivers(np.arange(8)))
    dispatcher.step(T0)
    return dispatcher


def as_lists(told):
    at_ms = told.at_ms if isinstance(told.at_ms, int) else told.at_ms.tolist()
    return Positions(told.driver_id.tolist(), told.lon.tolist(), told.lat.tolist(), at_ms, told.node.tolist())


def some_positions(random, first_ms):
    """Plain arrays; some of an hour ahead, which is too late."""
    num = int(random.integers(0, 9))
    node = random.integers(0, CITY.graph.num_nodes, num).astype(np.int32)
    late = random.choice([0, 4_000_000], num, p=[0.8, 0.2])
    at_ms = first_ms + random.integers(0, 9) if random.random() < 0.3 else first_ms + late
    at_ms = int(at_ms) if np.ndim(at_ms) == 0 else at_ms
    return Positions(random.permutation(8)[:num], *places(CITY, node), at_ms, node)


def takes_the_short_way(dispatcher, told):
    return move_plainly(dispatcher._state, dispatcher._world, dispatcher.fare, told, LATEST_MS) is not None


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_both_ways_lead_to_the_same_tables(seed):
    random = np.random.default_rng(seed)
    short, long = dispatcher_with_drivers(), dispatcher_with_drivers()
    for batch in range(3):
        told = some_positions(random, T0 + 5 * batch)
        assert short.update_positions(told) == long.update_positions(as_lists(told))
        assert_same_tables(tables_of(short), tables_of(long))
    assert takes_the_short_way(short, told)
    assert not takes_the_short_way(short, as_lists(told))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("driver_id", 8, "no such driver is known"),
        ("driver_id", -1, "ids must not be negative"),
        ("driver_id", 1, "more than once"),
        ("lon", np.nan, "it must be a number"),
        ("lat", 91.0, "it must be a number from -90 to 90"),
        ("at_ms", 2**60, "it must be milliseconds since 1970"),
        ("node", 25, "the network's nodes are 0 … 24"),
    ],
)
def test_both_ways_find_the_same_fault_and_move_nobody(name, value, message):
    dispatcher = dispatcher_with_drivers()
    node = np.arange(3, dtype=np.int32)
    lon, lat = places(CITY, node)
    columns = {"driver_id": np.arange(3), "lon": lon, "lat": lat, "at_ms": np.full(3, T0 + 1), "node": node}
    columns[name] = columns[name].copy()
    columns[name][2] = value
    before, errors = tables_of(dispatcher), []
    for told in (Positions(**columns), as_lists(Positions(**columns))):
        with pytest.raises(InputError) as raised:
            dispatcher.update_positions(told)
        errors.append(str(raised.value))
        assert_same_tables(before, tables_of(dispatcher))
    assert errors[0] == errors[1]
    assert message in errors[0]


@pytest.mark.parametrize("name", ["lon", "lat", "at_ms", "node"])
def test_columns_of_another_length_are_refused(name):
    node = np.arange(3, dtype=np.int32)
    lon, lat = places(CITY, node)
    columns = {"driver_id": np.arange(3), "lon": lon, "lat": lat, "at_ms": np.full(3, T0 + 1), "node": node}
    columns[name] = columns[name][:2].copy()
    with pytest.raises(InputError, match="rows"):
        dispatcher_with_drivers().update_positions(Positions(**columns))
