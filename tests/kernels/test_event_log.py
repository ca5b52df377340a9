import numpy as np
from hypothesis import given, strategies as st

from dispatch.kernels.event_log import EVENT_DTYPE, LOG, copy_events, sort_by_time, write_event
from dispatch.units import NO_COORDINATE, NO_VALUE


def scribbled(num_rows):
    """A log full of what a buffer holds before anything is written."""
    return np.frombuffer(
        bytearray(range(64)) * (num_rows * EVENT_DTYPE.itemsize), EVENT_DTYPE, num_rows
    ).copy()


def test_a_row_knows_its_kind_and_instant_and_nothing_else():
    log = scribbled(3)
    before = log.copy()
    write_event(log, 1, 7, 1_212_220_800_000)
    told = dict(zip(EVENT_DTYPE.names, log[1].item(), strict=True))
    assert (told.pop("kind"), told.pop("at_ms")) == (7, 1_212_220_800_000)
    assert (told.pop("lon_e6"), told.pop("lat_e6")) == (NO_COORDINATE, NO_COORDINATE)
    assert set(told.values()) == {NO_VALUE}
    assert log[[0, 2]].tobytes() == before[[0, 2]].tobytes()


def test_rows_are_packed_and_every_field_holds_its_sentinel():
    assert EVENT_DTYPE.itemsize == sum(EVENT_DTYPE[name].itemsize for name in EVENT_DTYPE.names)
    assert LOG.layout == "C"
    for name in EVENT_DTYPE.names:
        sentinel = NO_COORDINATE if name.endswith("_e6") else NO_VALUE
        assert np.iinfo(EVENT_DTYPE[name]).min <= sentinel <= np.iinfo(EVENT_DTYPE[name]).max


def test_events_are_copied_and_no_others_are_written():
    events, log = scribbled(5), np.zeros(7, EVENT_DTYPE)
    copy_events(events, log)
    assert log[:5].tobytes() == events.tobytes()
    assert not log[5:].view(np.uint8).any()


@given(st.lists(st.integers(0, 6), max_size=40))
def test_events_are_sorted_by_time_and_stay_in_their_sequence_within_an_instant(at_ms):
    log = np.zeros(len(at_ms), EVENT_DTYPE)
    log["at_ms"], log["order_id"] = at_ms, np.arange(len(at_ms))
    found, before = scribbled(len(at_ms)), log.copy()
    sort_by_time(log, found)
    assert found["order_id"].tolist() == sorted(range(len(at_ms)), key=lambda i: at_ms[i])
    assert found["at_ms"].tolist() == sorted(at_ms)
    assert np.array_equal(log, before)
