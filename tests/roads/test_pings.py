import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dispatch.errors import InputError
from dispatch.roads.pings import RecordedPings
from dispatch.roads.tables import Dropped

PINGS = {
    "driver_id": [2, 1, 1, 2, 1],
    "at": [100, 300, 100, 50, 200],
    "lon_e5": [-12_240_000, 850_000, 850_001, 0, 850_002],
    "lat_e5": [3_775_000, 4_940_000, 4_940_000, 0, 4_940_000],
    "occupied": [True, False, True, False, True],
}


def pings_of(tmp_path, columns, *span, **options):
    path = tmp_path / "pings.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return RecordedPings.load(path, *span)


def rows(pings):
    return list(zip(pings.driver_id.tolist(), pings.at_ms.tolist(), pings.occupied.tolist(), strict=True))


def test_columns_that_differ_in_length_are_refused():
    one, two = np.zeros(1), np.zeros(2)
    with pytest.raises(InputError, match=r"lon has the shape \(1,\) and at_ms \(2,\)"):
        RecordedPings(two.astype(np.int64), two.astype(np.int64), one, two, two.astype(np.bool_))


def test_sorted_by_driver_then_time(tmp_path):
    pings = pings_of(tmp_path, PINGS)
    assert rows(pings) == [
        (1, 100_000, True),
        (1, 200_000, True),
        (1, 300_000, False),
        (2, 50_000, False),
        (2, 100_000, True),
    ]
    assert pings.lon.tolist() == [8.50001, 8.50002, 8.5, 0.0, -122.4]
    assert pings.lat.tolist() == [49.4, 49.4, 49.4, 0.0, 37.75]
    assert pings.drops == ()
    assert len(pings) == 5
    for array in (pings.driver_id, pings.at_ms, pings.lon, pings.lat, pings.occupied):
        assert array.flags.c_contiguous
        assert array.flags.writeable


@pytest.mark.parametrize("row_group_size", [1, 2, 100])
def test_a_span_has_its_start_and_not_its_end(tmp_path, row_group_size):
    assert rows(pings_of(tmp_path, PINGS, 100_000, 300_000, row_group_size=row_group_size)) == [
        (1, 100_000, True),
        (1, 200_000, True),
        (2, 100_000, True),
    ]
    assert len(pings_of(tmp_path, PINGS, 100_001)) == 2
    assert len(pings_of(tmp_path, PINGS, None, 100_001)) == 3
    assert len(pings_of(tmp_path, PINGS, 400_000, 500_000)) == 0


def test_between_is_the_same_as_a_span(tmp_path):
    pings = pings_of(tmp_path, PINGS)
    assert rows(pings.between(100_000, 300_000)) == rows(pings_of(tmp_path, PINGS, 100_000, 300_000))


def test_equal_pings_are_one(tmp_path):
    columns = {name: values + values[:2] + values[:1] for name, values in PINGS.items()}
    columns["occupied"][-1] = False  # as the first, but for its state: not equal
    pings = pings_of(tmp_path, columns)
    assert pings.drops == (Dropped("pings equal to another", 2, "pings.parquet"),)
    assert len(pings) == 6
    assert rows(pings).count((2, 100_000, True)) == 1


def test_degrees_times_and_numbers_for_states(tmp_path):
    at = [datetime.datetime(1970, 1, 1, 0, 0, s, 500_000, tzinfo=datetime.UTC) for s in (1, 2, 3, 4)]
    columns = {
        "taxi_id": [1, 1, None, 1],
        "timestamp": pa.array(at, pa.timestamp("us", "UTC")),
        "longitude": [8.5, 8.5, 8.5, np.nan],
        "latitude": [49.4, 99.0, 49.4, 49.4],
        "occupied": [1, 0, 0, 1],
    }
    pings = pings_of(tmp_path, columns, 1_500, 9_000)
    assert rows(pings) == [(1, 1_500, True)]
    assert pings.drops == (
        Dropped("pings without driver, time or state", 1, "pings.parquet"),
        Dropped("pings without a possible position", 2, "pings.parquet"),
    )


@pytest.mark.parametrize("at_s", [-1, 7_258_118_400, 2**62, -(2**62)])
def test_pings_at_absurd_times_are_left_out_and_counted(tmp_path, at_s):
    pings = pings_of(tmp_path, {**PINGS, "at": [at_s, 300, 100, 7_258_118_399, 200]})
    assert pings.drops == (Dropped("pings at times outside of 1970…2199", 1, "pings.parquet"),)
    assert rows(pings)[-1] == (2, 7_258_118_399_000, False)
    absurd = [datetime.datetime(9999, 1, 1), datetime.datetime(1, 1, 1), *[datetime.datetime(2000, 1, 1)] * 3]
    pings = pings_of(tmp_path, {**PINGS, "at": pa.array(absurd, pa.timestamp("us", "UTC"))})
    assert pings.drops[0] == Dropped("pings at times outside of 1970…2199", 2, "pings.parquet")


def test_times_in_milliseconds_are_told(tmp_path):
    day_ms = 1_709_510_400_000
    in_ms = {**PINGS, "at": [day_ms + at for at in PINGS["at"]]}
    with pytest.raises(InputError, match=rf"'at' starts at {day_ms + 50}, .* must hold whole seconds since"):
        pings_of(tmp_path, in_ms, day_ms, day_ms + 86_400_000)
    assert len(pings_of(tmp_path, PINGS, day_ms, day_ms + 86_400_000)) == 0
    empty = {name: pa.array([], pa.int64()) for name in PINGS}
    assert len(pings_of(tmp_path, empty, day_ms, day_ms + 86_400_000)) == 0


def test_swapped_coordinates_are_told(tmp_path):
    swapped = {**PINGS, "lon_e5": [3_775_000] * 5, "lat_e5": [-12_240_000] * 5}
    with pytest.raises(InputError, match=r"lon, lat at row 0 are 37.75, -122.4: they look swapped"):
        pings_of(tmp_path, swapped)


@pytest.mark.parametrize("name", PINGS)
def test_a_missing_column_is_named(tmp_path, name):
    with pytest.raises(InputError, match=rf"pings\.parquet: missing column .*{name}.*; the file has"):
        pings_of(tmp_path, {other: values for other, values in PINGS.items() if other != name})


@pytest.mark.parametrize("at", [["a"] * 5, [1.5] * 5, pa.array([1] * 5, pa.timestamp("s"))])
def test_times_must_be_instants(tmp_path, at):
    with pytest.raises(InputError, match=r"column 'at' holds .*; it must hold seconds or times with zone"):
        pings_of(tmp_path, {**PINGS, "at": at})


def test_wrong_types_are_named(tmp_path):
    with pytest.raises(InputError, match=r"column 'lon_e5' .* holds string; it must hold numbers"):
        pings_of(tmp_path, {**PINGS, "lon_e5": ["x"] * 5})


def test_damaged_files(tmp_path):
    path = tmp_path / "pings.parquet"
    with pytest.raises(InputError, match="no such file"):
        RecordedPings.load(path)
    pings_of(tmp_path, PINGS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="perhaps truncated"):
        RecordedPings.load(path)


def test_a_day_of_san_francisco(data):
    path = data / "san_francisco" / "pings.parquet"
    start = datetime.datetime(2008, 5, 31, 7, tzinfo=datetime.UTC)
    from_at_ms = round(start.timestamp() * 1000)
    pings = RecordedPings.load(path, from_at_ms, from_at_ms + 86_400_000)
    assert len(pings) == 493_390
    assert pings.at_ms.min() >= from_at_ms
    assert pings.at_ms.max() < from_at_ms + 86_400_000
    same = pings.driver_id[1:] == pings.driver_id[:-1]
    assert (np.diff(pings.driver_id) >= 0).all()
    assert (np.diff(pings.at_ms)[same] > 0).all()
    assert 0.4 < pings.occupied.mean() < 0.6
