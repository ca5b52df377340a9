import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dispatch.engine.events import (
    EVENT_DTYPE,
    EventBuffer,
    EventKind,
    log_sha256,
    make_events,
    read_log,
    write_log,
)
from dispatch.errors import InputError
from dispatch.units import NO_COORDINATE, NO_VALUE


def all_kinds():
    log = make_events(EventKind.DRIVER_ONLINE, len(EventKind), at_ms=np.arange(len(EventKind)), order_id=7)
    log["kind"] = list(EventKind)
    return log


def test_columns_that_are_not_given_hold_their_sentinel():
    made = make_events(EventKind.PICKED_UP, 2, at_ms=[5, 6], driver_id=3)
    assert made.dtype == EVENT_DTYPE
    for name in EVENT_DTYPE.names:
        absent = NO_COORDINATE if name.endswith("_e6") else NO_VALUE
        expected = {"at_ms": [5, 6], "driver_id": [3, 3], "kind": [11, 11]}.get(name, [absent] * 2)
        assert made[name].tolist() == expected


def test_numbers_of_kinds_are_part_of_the_format():
    assert [kind.name.lower() for kind in EventKind] == [
        "driver_online",
        "driver_offline",
        "order_submitted",
        "cars_shown",
        "order_offered",
        "offer_accepted",
        "offer_declined",
        "offer_expired",
        "order_assigned",
        "order_unassigned",
        "driver_arrived",
        "picked_up",
        "dropped_off",
        "order_closed",
        "order_cancelled",
        "order_expired",
        "order_released",
        "order_reassigned",
        "reposition_advised",
        "cruising_leg",
        "repositioning_leg",
        "abandoned_leg",
        "pickup_miss_predicted",
    ]
    assert [int(kind) for kind in EventKind] == list(range(23))
    assert EVENT_DTYPE.itemsize == 67


def test_a_log_survives_its_file(tmp_path):
    log = all_kinds()
    write_log(log, tmp_path / "log.parquet")
    again = read_log(tmp_path / "log.parquet")
    assert np.array_equal(again, log)
    assert log_sha256(again) == log_sha256(log)
    kinds = pq.read_table(tmp_path / "log.parquet")["kind"].to_pylist()
    assert kinds[2:4] == ["order_submitted", "cars_shown"]


def test_an_empty_log_survives_its_file(tmp_path):
    write_log(all_kinds()[:0], tmp_path / "log.parquet")
    assert len(read_log(tmp_path / "log.parquet")) == 0


def test_the_hash_is_that_of_the_bytes_and_sees_every_field():
    log = all_kinds()
    assert log_sha256(log) == hashlib.sha256(log.tobytes()).hexdigest()
    assert log_sha256(log[::2]) == log_sha256(log[::2].copy())
    for name in EVENT_DTYPE.names:
        other = log.copy()
        other[name][3] -= 1
        assert log_sha256(other) != log_sha256(log)


def test_the_buffer_hands_out_in_order_of_time_and_forgets():
    buffer, random = EventBuffer(), np.random.default_rng(0)
    for _ in range(3):
        told = []
        for size in (0, 3, 700, 2):
            part = make_events(EventKind.PICKED_UP, size, at_ms=random.integers(0, 50, size))
            part["order_id"] = np.arange(size)
            buffer.append(part)
            told += part[["at_ms", "order_id"]].tolist()
        taken = buffer.take()
        assert taken[["at_ms", "order_id"]].tolist() == sorted(told, key=lambda event: event[0])
        assert len(buffer.take()) == 0


def test_what_was_handed_out_is_not_written_again():
    buffer = EventBuffer()
    buffer.append(make_events(EventKind.PICKED_UP, 1, at_ms=4))
    taken = buffer.take()
    buffer.append(make_events(EventKind.PICKED_UP, 1, at_ms=9))
    assert taken["at_ms"].tolist() == [4]


def test_files_that_are_no_log(tmp_path):
    path = tmp_path / "log.parquet"
    with pytest.raises(InputError, match="not a readable Parquet file"):
        read_log(path)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        read_log(path)
    write_log(all_kinds(), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="not a readable Parquet file"):
        read_log(path)


def test_tables_that_are_no_log(tmp_path):
    path = tmp_path / "log.parquet"
    write_log(all_kinds(), path)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["leg_m", "kind"]), path)
    with pytest.raises(InputError, match=r"no event log, the columns \['leg_m', 'kind'\] are missing"):
        read_log(path)
    kinds = pa.array((["order_sung", None] * len(EventKind))[: len(EventKind)])
    pq.write_table(table.set_column(table.column_names.index("kind"), "kind", kinds), path)
    with pytest.raises(InputError, match=r"unknown event kinds \[None, 'order_sung'\]"):
        read_log(path)


@pytest.mark.parametrize("column", [[one] * len(EventKind) for one in ("a", None, 0.5)])
def test_a_column_of_the_wrong_type(tmp_path, column):
    path = tmp_path / "log.parquet"
    write_log(all_kinds(), path)
    table = pq.read_table(path)
    wrong = table.set_column(table.column_names.index("leg_m"), "leg_m", pa.array(column))
    pq.write_table(wrong, path)
    with pytest.raises(InputError, match=r"column leg_m holds .*it must hold whole numbers"):
        read_log(path)
