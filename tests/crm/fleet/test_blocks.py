"""Cool-downs: whom a review blocks, and how they are judged afterwards."""

import pytest

from crm.conftest import DAY_MS, HOUR_MS, actor
from crm.served import NOW_MS, add_driver_days, add_drivers
from dispatch.errors import AuthError, InputError, StateError

BAD = {
    "offered": 100,
    "accepted": 50,
    "completed": 40,
    "unassigned": 30,
    "arrived": 40,
    "late": 40,
    "ratings": 10,
    "stars": 12,
    "complaints_upheld": 1,
}
FINE = {"offered": 40, "accepted": 40, "completed": 40, "arrived": 40, "ratings": 10, "stars": 50}


def test_a_review_blocks_who_is_judged_and_low_once(crm, scope_id):
    add_drivers(crm, scope_id, range(1, 6))
    few = BAD | {"completed": 19, "arrived": 19, "late": 19}
    add_driver_days(
        crm,
        [
            {"driver_id": 1, "ago": 1, **BAD},
            {"driver_id": 2, "ago": 1, **FINE},
            {"driver_id": 3, "ago": 1, **few},
            {"driver_id": 4, "ago": 1, **BAD},
            {"driver_id": 5, "ago": 40, **BAD},
        ],
    )
    crm.drivers.leave(4, at_ms=NOW_MS)
    assert crm.blocks.review(scope_id=scope_id, at_ms=NOW_MS) == [1]
    assert crm.blocks.review(scope_id=scope_id, at_ms=NOW_MS + 1) == [], "blocked already"
    (block,) = crm.blocks.of(1)
    assert (block.reason, block.from_ms, block.until_ms) == ("low_score", NOW_MS, NOW_MS + 24 * HOUR_MS)
    assert block.basis["trips"] == 40
    assert block.basis["punctuality"] == 0
    assert block.basis["score"] < 300
    assert crm.eligibility.of(1, at_ms=NOW_MS).why(0) == ("blocked",)
    (message,) = [one for one in crm.outbox.messages() if one.type == "driver.blocked"]
    assert (message.subject, message.data["until_ms"]) == ("driver/1", block.until_ms)
    # Afterwards: what led to the block counts no more, and nobody is judged by a few trips.
    after_ms = NOW_MS + DAY_MS
    assert crm.eligibility.of(1, at_ms=after_ms).eligible[0] == 1
    assert crm.blocks.review(scope_id=scope_id, at_ms=after_ms) == []
    assert crm.scores.explain(1, at_ms=after_ms).trips == 0
    add_driver_days(crm, [{"driver_id": 1, "ago": -2, **BAD}])
    assert crm.blocks.review(scope_id=scope_id, at_ms=after_ms + DAY_MS) == [1], "as bad as before"


def test_blocks_by_hand(crm, scope_id):
    add_drivers(crm, scope_id, [1, 2])
    boss = crm.acting_as(actor("manager"))
    block = boss.blocks.block(1, "police_report", at_ms=NOW_MS, until_ms=NOW_MS + DAY_MS)
    with pytest.raises(StateError, match="blocked already"):
        boss.blocks.block(1, "again", at_ms=NOW_MS, until_ms=NOW_MS + DAY_MS)
    boss.blocks.lift(block, at_ms=NOW_MS + 5)
    assert crm.eligibility.of(1, at_ms=NOW_MS + 5).eligible[0] == 1
    with pytest.raises(StateError, match="lifted already"):
        boss.blocks.lift(block, at_ms=NOW_MS + 6)
    for until_ms in (NOW_MS, NOW_MS - 1, NOW_MS + 10_000 * DAY_MS):
        with pytest.raises(InputError, match="until_ms"):
            boss.blocks.block(2, "x", at_ms=NOW_MS, until_ms=until_ms)
    herself = crm.acting_as(actor("driver", own=("driver", 1)))
    assert [one.made_by for one in herself.blocks.of(1)] == ["staff-1"]
    for call in (
        lambda: herself.blocks.lift(block, at_ms=NOW_MS),
        lambda: herself.blocks.of(2),
        lambda: crm.acting_as(actor("agent")).blocks.review(scope_id=scope_id, at_ms=NOW_MS),
    ):
        with pytest.raises(AuthError):
            call()
    crm.drivers.leave(2, at_ms=NOW_MS)
    with pytest.raises(StateError, match="is left"):
        boss.blocks.block(2, "x", at_ms=NOW_MS, until_ms=NOW_MS + 1)
