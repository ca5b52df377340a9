"""New orders, judged and written, against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.all_pairs import AllPairs
from dispatch.kernels.candidates import Timetable
from dispatch.kernels.event_log import EVENT_DTYPE
from dispatch.kernels.id_map import find_one, put_rows
from dispatch.kernels.submission import Entry, NewRows, Register, Told, is_in_order, take_in, take_in_timed
from dispatch.units import NO_COORDINATE, NO_INDEX, UNREACHABLE_MS

NUM_NODES, CLOCK_MS = 6, 50
LIMITS = {"customer_id": (-1, 40), "wanted_after_ms": (0, 30), "tier": (0, 3), "is_first": (0, 1)}
LIMITS |= {"passengers": (1, 9), "vehicle_class": (0, 7)}
LIMITS |= {"priority": (1, 50), "patience_ms": (0, 60), "skills": (0, 15), "may_upgrade": (0, 1)}
LOGGED = list(LIMITS)[:6]
NUMBERS = np.array([99, *(one for pair in LIMITS.values() for one in pair)])
RANGES = {
    "pickup_lon": (-180, 180),
    "pickup_lat": (-90, 90),
    "dropoff_lon": (-180, 180),
    "dropoff_lat": (-90, 90),
    "submitted_at_ms": (CLOCK_MS, 99),
    "pickup_node": (0, NUM_NODES - 1),
    "dropoff_node": (0, NUM_NODES - 1),
} | LIMITS
KNOWN_IDS = np.array([3, 4])


def some_orders(random, num):
    """All within their ranges; some columns not told."""
    columns = {"order_id": np.sort(random.permutation(np.arange(5, 40))[:num])}
    for name, (low, high) in RANGES.items():
        if name.endswith(("lon", "lat")):
            columns[name] = random.choice([low, high, 0.5], num).astype(float)
        else:
            columns[name] = random.integers(low, high + 1, num)
        if name.endswith("node"):
            columns[name] = columns[name].astype(np.int32)
        if name in LIMITS and random.random() < 0.4:
            columns[name] = np.empty(0, np.int64)
    return Told(**columns)


def judge(told):
    slot_id, slot_row = np.zeros(16, np.int64), np.full(16, NO_INDEX, np.int32)
    put_rows(slot_id, slot_row, KNOWN_IDS, 0)
    return bool(is_in_order(told, NUMBERS, NUM_NODES, CLOCK_MS, slot_id, slot_row))


@given(st.integers(0, 2**32 - 1), st.integers(0, 6))
def test_what_is_within_all_ranges_is_in_order(seed, num):
    assert judge(some_orders(np.random.default_rng(seed), num))


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from(sorted(RANGES)), st.booleans())
def test_one_value_beyond_is_not(seed, num, name, above):
    random = np.random.default_rng(seed)
    told = some_orders(random, num)
    column, (low, high) = getattr(told, name), RANGES[name]
    if len(column):
        column[random.integers(num)] = high + 1 if above else low - 1
        assert not judge(told)


@pytest.mark.parametrize("ids", [[7, 7], [7, 9, 8, 7], [3], [-1], [4, 9]])
def test_ids_that_stand_twice_are_known_or_negative_are_not(ids):
    told = some_orders(np.random.default_rng(0), len(ids))
    assert judge(told)
    assert not judge(told._replace(order_id=np.array(ids)))


TABLE_MS = np.full((6, 6), 9, np.int32)
TABLE_MS[5] = UNREACHABLE_MS
np.fill_diagonal(TABLE_MS, 0)
"""Nobody gets to node 5 but from there; a row a destination."""
NOTHING = np.empty(0, np.int32)
TABLE = AllPairs(
    TABLE_MS, np.zeros((6, 6), np.uint8), np.arange(6, dtype=np.int32), NOTHING, NOTHING, NOTHING, np.empty(0)
)


def empty_rows(num):
    """A table of so many rows, scribbled on."""
    dtypes = dict.fromkeys(("pickup_node", "dropoff_node", "trip_ms"), np.int32) | {"tier": np.int8}
    dtypes |= dict.fromkeys(("pickup_lon", "pickup_lat", "dropoff_lon", "dropoff_lat"), np.float64)
    return NewRows(*(np.full(num, 77, dtypes.get(name, np.int64)) for name in NewRows._fields))


def empty_register(num):
    return Register(np.zeros(64, np.int64), np.full(64, NO_INDEX, np.int32), np.full(num, -7, np.int32))


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from(["fine", "known", "far"]))
def test_with_a_table_a_part_is_looked_up_and_taken_in_or_nothing_is(seed, num, how):
    random = np.random.default_rng(seed)
    told = some_orders(random, num)
    begin, end = sorted(random.choice(num + 1, 2, replace=False).tolist())
    told.pickup_node[:], told.dropoff_node[:] = 0, random.integers(0, 5, num)
    num_new = end - begin
    rows, register, log = empty_rows(num_new), empty_register(num_new), np.zeros(num_new, EVENT_DTYPE)
    if how == "known":
        put_rows(register.slot_id, register.slot_row, told.order_id[end - 1 : end].copy(), 50)
    elif how == "far":
        told.dropoff_node[end - 1] = 5
    before = [column.copy() for column in (*rows, *register, log)]
    entry = Entry(begin, end, 0, 0, 1000)
    is_done = take_in_timed(told, NUMBERS, CLOCK_MS, entry, Timetable(TABLE, 2000), register, rows, log)
    assert is_done == (how == "fine")
    if is_done:
        assert rows.order_id.tolist() == told.order_id[begin:end].tolist() == log["order_id"].tolist()
        assert rows.trip_ms.tolist() == [0 if to == 0 else 18 for to in told.dropoff_node[begin:end]]
        assert register.live.tolist() == list(range(num_new))
    else:
        for column, expected in zip((*rows, *register, log), before, strict=True):
            assert column.tobytes() == expected.tobytes()


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(0, 3))
def test_orders_are_written_as_they_were_told(seed, num, first_row):
    random = np.random.default_rng(seed)
    told, rows = some_orders(random, num), first_row + num
    trip_ms = random.integers(0, 900, num).astype(np.int32)
    table = empty_rows(rows)
    log = np.zeros(num, EVENT_DTYPE)
    register = empty_register(rows)
    take_in(told, trip_ms, Entry(0, num, first_row, 0, 1000), register, table, log)
    assert register.live[:num].tolist() == list(range(first_row, rows))
    found = [find_one(register.slot_id, register.slot_row, one) for one in told.order_id]
    assert found == list(range(first_row, rows))
    for column in table:
        assert set(column[:first_row].tolist()) <= {77}

    def of(name, i, otherwise=-1):
        return getattr(told, name)[i] if len(getattr(told, name)) else otherwise

    for i, row in enumerate(range(first_row, rows)):
        at_ms = told.submitted_at_ms[i]
        for name in ("order_id", "pickup_lon", "pickup_lat", "dropoff_lon", "dropoff_lat", "submitted_at_ms"):
            assert getattr(table, name)[row] == getattr(told, name)[i]
        assert (table.pickup_node[row], table.dropoff_node[row]) == (
            told.pickup_node[i],
            told.dropoff_node[i],
        )
        assert (table.trip_ms[row], table.changed_at_ms[row]) == (trip_ms[i], at_ms)
        wanted_ms = at_ms + of("wanted_after_ms", i, 0)
        assert (table.wanted_at_ms[row], table.expires_at_ms[row]) == (wanted_ms, wanted_ms + 1000)
        seat = min(max(of("passengers", i), 1), 7)
        asked = of("vehicle_class", i, 0)
        classes = range(asked, 8 if of("may_upgrade", i, 0) else asked + 1)
        class_bits = sum(1 << 7 * one + int(seat) - 1 for one in classes)
        assert (table.tier[row], table.class_bits[row]) == (of("tier", i, 0), class_bits)
        expected = {name: NO_COORDINATE if name.endswith("_e6") else -1 for name in EVENT_DTYPE.names}
        assert (table.priority[row], table.patience_ms[row]) == (of("priority", i), of("patience_ms", i, 0))
        assert table.skills[row] == of("skills", i, 0)
        expected |= {name: of(name, i) for name in LOGGED}
        expected |= {"kind": 2, "at_ms": at_ms, "order_id": told.order_id[i]}
        expected |= {"lon_e6": round(told.pickup_lon[i] * 1e6), "lat_e6": round(told.pickup_lat[i] * 1e6)}
        assert {name: log[i][name] for name in EVENT_DTYPE.names} == expected
