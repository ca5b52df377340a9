import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from dispatch.errors import InputError
from dispatch.roads.week_slots import days_of, slots_of

HOUR_MS = 3_600_000
MONDAY_MS = 1_709_510_400_000
"""2024-03-04T00:00Z"""


def naive_slot(at_ms, timezone, slot_min):
    local = datetime.datetime.fromtimestamp(at_ms // 1000, ZoneInfo(timezone))
    return ((local.weekday() * 24 + local.hour) * 60 + local.minute) // slot_min


@given(
    st.lists(st.integers(0, 2_000_000_000_000), min_size=1, max_size=20),
    st.sampled_from(["UTC", "America/Los_Angeles", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Berlin"]),
    st.sampled_from([5, 15, 60, 180, 1440]),
)
def test_slots_are_those_of_a_calendar(at_ms, timezone, slot_min):
    expected = [naive_slot(one, timezone, slot_min) for one in at_ms]
    assert slots_of(at_ms, timezone, slot_min).tolist() == expected


@given(
    st.lists(st.integers(0, 2_000_000_000_000), min_size=1, max_size=20),
    st.sampled_from(["UTC", "America/Los_Angeles", "Pacific/Auckland", "Pacific/Kiritimati", "Etc/GMT+12"]),
)
def test_days_are_those_of_a_calendar(at_ms, timezone):
    first, zone = datetime.date(1970, 1, 1), ZoneInfo(timezone)
    dates = [datetime.datetime.fromtimestamp(one // 1000, zone).date() for one in at_ms]
    assert days_of(at_ms, timezone).tolist() == [(date - first).days for date in dates]


def test_instants_in_another_unit_are_refused():
    with pytest.raises(InputError, match=r"at_ms holds .*: it must be milliseconds since the epoch"):
        slots_of([MONDAY_MS * 1000], "UTC")


def test_slots_begin_on_monday_and_follow_the_clocks():
    assert slots_of([MONDAY_MS - 1, MONDAY_MS, MONDAY_MS + HOUR_MS], "UTC").tolist() == [167, 0, 1]
    forward_ms = 1_710_064_800_000  # Sunday 2024-03-10, 2:00 becomes 3:00 in Los Angeles
    assert slots_of([forward_ms - 1, forward_ms], "America/Los_Angeles").tolist() == [145, 147]
    assert slots_of([], "UTC").tolist() == []
    with pytest.raises(InputError, match="timezone is 'Mars'"):
        slots_of([0], "Mars")
