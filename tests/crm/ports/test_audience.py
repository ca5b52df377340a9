"""Audiences: hashes of those who agreed, different for each receiver, and never a handful."""

import pytest

from crm.conftest import DAY_MS, MONDAY_MS, actor
from crm.engaged import MONDAY, add_customers, add_orders, say
from dispatch.crm.engagement.segment_rules import SegmentRule
from dispatch.crm.ports.audience import LEAST_MEMBERS, AudienceFolder, Audiences, Slot
from dispatch.errors import AuthError, InputError, StateError

NUM = LEAST_MEMBERS + 10


@pytest.fixture
def segment_id(crm, scope_id) -> int:
    add_customers(crm, scope_id, range(1, NUM + 1))
    made = crm.segments.define(scope_id, "everybody", SegmentRule(), MONDAY_MS)
    crm.segments.snapshot(made, MONDAY_MS)
    say(crm, range(1, NUM - 4), "advertising")
    say(crm, range(1, NUM + 1), "marketing")
    return made


def test_only_those_who_agree_now_are_handed_on(crm, segment_id, tmp_path):
    port = Audiences(crm.context, AudienceFolder(tmp_path))
    found = port.export(segment_id, MONDAY, "adnet", MONDAY_MS, [Slot(7, 9), Slot(17, 19)])
    assert (len(found.members), found.left_out) == (NUM - 5, 5)
    path = tmp_path / "adnet-everybody.txt"
    lines = path.read_text().splitlines()
    assert lines[0] == f"# day {MONDAY}, hours 07-09 17-19"
    assert lines[1:] == list(found.members)
    assert all(len(line) == 64 and int(line, 16) for line in lines[1:])
    other = port.export(segment_id, MONDAY, "other", MONDAY_MS)
    assert not set(other.members) & set(found.members), "lists of two receivers cannot be compared"
    assert port.export(segment_id, MONDAY, "adnet", MONDAY_MS).members == found.members
    say(crm, [1], "advertising", granted=False, at_ms=MONDAY_MS + 1)
    left = port.export(segment_id, MONDAY, "adnet", MONDAY_MS + 2)
    assert len(set(found.members) - set(left.members)) == 1
    assert path.read_text().splitlines()[1:] == list(left.members), "who left is gone from the file"
    say(crm, range(2, 8), "advertising", granted=False, at_ms=MONDAY_MS + 3)
    with pytest.raises(StateError, match="at least 50"):
        port.export(segment_id, MONDAY, "adnet", MONDAY_MS + 4)


def test_the_busiest_hours_are_those_of_the_members(crm, scope_id, segment_id, tmp_path):
    add_customers(crm, scope_id, [999], created_at_ms=MONDAY_MS + DAY_MS)
    rides = [(1, 8)] * 5 + [(2, 9)] * 2 + [(3, 18)] * 4 + [(4, 3)] + [(999, 12)] * 50
    rows = [{"customer_id": who, "at_ms": MONDAY_MS - DAY_MS + hour * 3_600_000} for who, hour in rides]
    add_orders(crm, scope_id, rows)
    port = Audiences(crm.context, AudienceFolder(tmp_path))
    assert port.busiest(segment_id, MONDAY) == [Slot(8, 9), Slot(18, 19)]
    assert port.busiest(segment_id, MONDAY, 12) == [Slot(2, 3), Slot(8, 9), Slot(18, 19)]
    assert port.busiest(segment_id, MONDAY, 1, "Asia/Tokyo") == [Slot(16, 17)]


def test_who_may_and_what_is_no_slot(crm, segment_id, tmp_path):
    analyst = Audiences(crm.acting_as(actor("analyst")).context, AudienceFolder(tmp_path))
    with pytest.raises(AuthError):
        analyst.export(segment_id, MONDAY, "adnet", MONDAY_MS)
    port = Audiences(crm.context, AudienceFolder(tmp_path))
    with pytest.raises(StateError, match="no snapshot"):
        port.export(segment_id, MONDAY + 1, "adnet", MONDAY_MS)
    for broken in (
        lambda: port.export(segment_id, MONDAY, "../adnet", MONDAY_MS),
        lambda: Slot(9, 8),
        lambda: Slot(-1, 8),
        lambda: Slot(1, 24),
        lambda: port.busiest(segment_id, MONDAY, 0),
    ):
        with pytest.raises(InputError):
            broken()
