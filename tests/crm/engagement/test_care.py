"""Care: each wish once per occasion, not too late, and to nobody who did not consent or is in trouble."""

from datetime import date

import pytest

from crm.conftest import DAY_MS, MONDAY_MS, actor
from crm.engaged import MONDAY, add_customers, add_days, insert, say
from crm.engagement.test_campaigns import complain
from dispatch.crm.crm import Crm
from dispatch.crm.engagement.care import Festival
from dispatch.crm.tables.orders import driver_day
from dispatch.crm.tables.people import driver
from dispatch.errors import AuthError, InputError

ALWAYS_MS = 0


def at(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - date(1970, 1, 1)).days * DAY_MS


def wishes(crm: Crm) -> list[tuple[str, int]]:
    """All that is in the outbox since the last look, as (type, whom)."""
    told = []

    class Taker:
        types = ("care.",)

        def deliver(self, message, at_ms):
            told.append((message.type.removeprefix("care."), message.object_id))

    crm.outbox.deliver(Taker(), at_ms=MONDAY_MS * 2)
    return sorted(told)


def test_what_happened_triggers_each_wish_once(crm, scope_id):
    add_customers(
        crm,
        scope_id,
        range(1, 10),
        birthday_mmdd=[1120, 1118, 1116, 1121, 1120, 1120, None, None, None],
        created_at_ms=[MONDAY_MS - 100 * DAY_MS] * 8 + [at(2020, 11, 19)],
        status=["active"] * 5 + ["erased"] + ["active"] * 3,
    )
    say(crm, [1, 2, 3, 4, 6, 7, 8, 9], "marketing", at_ms=ALWAYS_MS)
    add_days(crm, [(7, 45, 1, 1), (7, 90, 2, 1), (8, 0, 1, 1), (9, 300, 1, 1)])
    sent = crm.care.run(MONDAY_MS)
    assert sent == {
        "birthday": 2,
        "long_unused": 1,
        "first_order": 1,
        "driver_birthday": 0,
        "driver_absent": 0,
    }
    assert wishes(crm) == [("birthday", 1), ("birthday", 2), ("first_order", 8), ("long_unused", 7)]
    assert len(crm.coupons.of_customer(1, at_ms=MONDAY_MS)) == 1
    assert len(crm.coupons.of_customer(8, at_ms=MONDAY_MS)) == 0
    assert set(crm.care.run(MONDAY_MS).values()) == {0}, "twice is once"
    assert crm.care.run(MONDAY_MS + DAY_MS)["birthday"] == 1, "and the next day the next one"
    assert wishes(crm) == [("birthday", 4)]
    assert crm.care.run(at(2024, 11, 21))["birthday"] == 3, "a year later all again"
    add_days(crm, [(7, -10, 1, 1)])
    assert crm.care.run(MONDAY_MS + (10 + 45) * DAY_MS)["long_unused"] == 1, "each absence once"


def test_a_birthday_of_29_february_is_kept_every_year(crm, scope_id):
    add_customers(crm, scope_id, [1], birthday_mmdd=229)
    say(crm, [1], "marketing", at_ms=ALWAYS_MS)
    told = {
        day: crm.care.run(at(*day), catch_up_days=0)["birthday"]
        for day in ((2023, 2, 27), (2023, 2, 28), (2023, 3, 1), (2024, 2, 28), (2024, 2, 29), (2024, 3, 1))
    }
    assert [day for day, num in told.items() if num] == [(2023, 2, 28), (2024, 2, 29)]
    assert crm.care.run(at(2025, 3, 3), catch_up_days=3)["birthday"] == 1, "late, but not too late"
    assert crm.care.run(at(2026, 3, 4), catch_up_days=3)["birthday"] == 0


def test_nobody_is_wished_well_over_a_complaint(crm, scope_id):
    add_customers(
        crm,
        scope_id,
        [1, 2, 3],
        birthday_mmdd=1120,
        status=["active", "active", "merged"],
        merged_into=[None, None, 2],
    )
    say(crm, [1, 2], "marketing", at_ms=ALWAYS_MS)
    complain(crm, scope_id, 1)
    crm.care.run(MONDAY_MS)
    assert wishes(crm) == [("birthday", 2)], "and who has two accounts is wished once"
    say(crm, [2], "marketing", granted=False, at_ms=MONDAY_MS)
    assert crm.care.run(at(2024, 11, 20))["birthday"] == 0


def test_drivers_are_cared_for_without_asking(crm, scope_id):
    same = {"scope_id": scope_id, "created_at_ms": 0, "changed_at_ms": 0}
    insert(
        crm,
        driver,
        [
            {"driver_id": 1, "birthday_mmdd": 1120, "status": "active", **same},
            {"driver_id": 2, "birthday_mmdd": 1120, "status": "left", **same},
            {"driver_id": 3, "birthday_mmdd": None, "status": "active", **same},
        ],
    )
    rows = [(1, 1, 0), (3, 14, 0), (3, 20, 5), (2, 14, 5)]
    insert(
        crm,
        driver_day,
        [
            {"driver_id": who, "day": MONDAY - ago, "online_ms": online, "completed": 1}
            for who, ago, online in rows
        ],
    )
    crm.care.run(MONDAY_MS)
    assert wishes(crm) == [("driver_absent", 3), ("driver_birthday", 1)]


def test_anniversaries_and_festivals(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(
        'name = "own"\nstages = ["a"]\ncare = [{ trigger = "anniversary", template = "thanks" }]\n'
    )
    with Crm.create(tmp_path / "crm.db", file) as crm:
        scope_id = crm.scope("acme", "here")
        add_customers(
            crm,
            scope_id,
            [1, 2, 3, 4],
            created_at_ms=[at(2020, 11, 20), at(2020, 2, 29) + 7, MONDAY_MS, at(1998, 11, 18) + 99],
        )
        say(crm, [1, 2, 3, 4], "marketing", at_ms=ALWAYS_MS)
        assert crm.care.run(MONDAY_MS) == {"anniversary": 2}
        assert wishes(crm) == [("anniversary", 1), ("anniversary", 4)]
        assert crm.care.run(at(2025, 2, 28), catch_up_days=0) == {"anniversary": 1}
        assert crm.care.run(at(2025, 3, 1)) == {"anniversary": 0}
        festivals = [
            Festival("new_year", MONDAY, "happy_new_year"),
            Festival("lanterns", MONDAY + 14, "lanterns"),
        ]
        wishes(crm)
        assert crm.care.greet(scope_id, festivals, MONDAY_MS) == {"new_year": 4}
        assert crm.care.greet(scope_id, festivals, MONDAY_MS + DAY_MS) == {"new_year": 0}
        assert crm.care.greet(scope_id, festivals, MONDAY_MS + 2 * DAY_MS) == {}
        assert len(wishes(crm)) == 4
        for refused in (
            lambda: Festival("new year", MONDAY, "x"),
            lambda: Festival("new_year", -1, "x"),
            lambda: crm.care.greet(scope_id, festivals * 2, MONDAY_MS),
            lambda: crm.care.run(MONDAY_MS, catch_up_days=31),
        ):
            with pytest.raises(InputError):
                refused()
        with pytest.raises(AuthError):
            crm.acting_as(actor("marketing")).care.run(MONDAY_MS)
