"""Positions of many drivers at one go: the same as one after another, or nothing at all."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0, dispatcher_on, grid_city, places
from dispatch.engine.tell import tables_of
from dispatch.kernels.positions import NOT_IN_ORDER, move_all
from dispatch.units import LATEST_MS

CITY = grid_city(3, 3)
COLUMNS = ("lon", "lat", "x", "y", "node", "position_at_ms")


def kernel_tables(num_drivers=5):
    """Known and changing tables of a dispatcher who knows drivers 10, 20, …, last seen at T0."""
    dispatcher = dispatcher_on(CITY)
    state = dispatcher._state
    state.fleet.position_at_ms[state.fleet.register(10 * np.arange(1, num_drivers + 1))] = T0
    known, _, tables, _ = tables_of(state, dispatcher._world, dispatcher.fare)
    return known, tables


def some_fixes(random, num, one_instant):
    rows = random.permutation(5)[:num]
    node = random.integers(0, 9, num).astype(np.int32)
    at_ms = T0 + random.integers(-5, 30, 1 if one_instant else num)
    return 10 * (rows + 1), *places(CITY, node), at_ms, node


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.booleans())
def test_later_positions_are_written_and_others_are_counted(seed, num, one_instant):
    known, tables = kernel_tables()
    told = some_fixes(np.random.default_rng(seed), num, one_instant)
    before = {name: getattr(tables, name).copy() for name in COLUMNS}
    num_ignored = move_all(*told, T0 + 20, known, tables)
    ids, lon, lat, at_ms, node = told
    for i, row in enumerate(ids // 10 - 1):
        fix_ms = at_ms[0 if one_instant else i]
        wanted = lon[i], lat[i], known.node_x[node[i]], known.node_y[node[i]], node[i], fix_ms
        if T0 <= fix_ms <= T0 + 20:
            before |= {
                name: np.where(np.arange(len(old)) == row, new, old)
                for (name, old), new in zip(before.items(), wanted, strict=True)
            }
            num_ignored += 1
    assert num_ignored == num
    for name, expected in before.items():
        assert np.array_equal(getattr(tables, name), expected), name


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (0, 11),
        (0, -1),
        (0, 20),
        (1, np.nan),
        (1, 181.0),
        (2, -91.0),
        (3, LATEST_MS + 1),
        (3, -LATEST_MS - 1),
        (4, -1),
        (4, 9),
    ],
)
def test_one_wrong_row_and_nothing_is_written(column, value):
    known, tables = kernel_tables()
    node = np.arange(3, dtype=np.int32)
    told = [np.array([10, 20, 30]), *places(CITY, node), np.full(3, T0 + 1), node]
    told[column] = told[column].copy()
    told[column][2] = value
    before = {name: getattr(tables, name).copy() for name in COLUMNS}
    assert move_all(*told, LATEST_MS, known, tables) == NOT_IN_ORDER
    for name, expected in before.items():
        assert np.array_equal(getattr(tables, name), expected), name
