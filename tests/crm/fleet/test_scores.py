"""Scores and incomes, against plain Python a driver at a time."""

from dataclasses import fields

import numpy as np
import pytest
import sqlalchemy as sa

from crm.conftest import actor
from crm.engaged import insert
from crm.served import NOW_MS, TODAY, add_driver_days, add_drivers
from dispatch.crm.fleet.scores import PARTS, driver_terms_in, gini, scores_in
from dispatch.crm.rules import ScoreRule
from dispatch.crm.tables.fleet import driver_block
from dispatch.crm.tables.orders import driver_day, duty
from dispatch.crm.vertical import Vertical
from dispatch.errors import AuthError
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

RULE = ScoreRule(window_days=30, half_life_days=7, min_trips=20, income_cost_s=60)
COLUMNS = [column.name for column in driver_day.columns]


def random_days(num_drivers, num_days, seed=0):
    """Random rows of drivers' days, some missing."""
    luck, rows = np.random.default_rng(seed), []
    for driver in range(1, num_drivers + 1):
        for ago in range(num_days):
            if luck.random() < 0.2:
                continue
            trips = int(luck.integers(0, 12))
            rows.append(
                {
                    "driver_id": driver,
                    "ago": ago,
                    "offered": trips + int(luck.integers(0, 5)),
                    "accepted": trips,
                    "unassigned": int(luck.integers(0, 2)),
                    "arrived": trips,
                    "late": int(luck.integers(0, trips + 1)),
                    "completed": trips,
                    "ratings": trips // 3,
                    "stars": trips // 3 * int(luck.integers(1, 6)),
                    "complaints_upheld": int(luck.random() < 0.02),
                    "income_cents": trips * 1500,
                    "online_ms": 4 * 3_600_000,
                }
            )
    return rows


def plain_score(rule, rows, driver, since=-1):
    """The rule in plain Python: None for who is not judged."""
    mine = [
        r
        for r in rows
        if r["driver_id"] == driver and r["ago"] < rule.window_days and TODAY - r["ago"] > since
    ]
    if sum(row["completed"] for row in mine) < rule.min_trips:
        return None
    total = {
        name: sum(row[name] * 0.5 ** (row["ago"] / rule.half_life_days) for row in mine)
        for name in COLUMNS[2:]
        if name in mine[0]
    }
    parts = {
        "acceptance": total["accepted"] / total["offered"],
        "reliability": max(1 - total["unassigned"] / total["completed"], 0),
        "punctuality": 1 - total["late"] / total["arrived"],
        "complaint": max(1 - 100 * total["complaints_upheld"] / total["completed"], 0),
    }
    if total["ratings"]:
        parts["rating"] = (total["stars"] / total["ratings"] - 1) / 4
    weights = {name: getattr(rule, f"{name}_weight") for name in parts}
    return sum(weights[name] * part for name, part in parts.items()) / sum(weights.values())


def test_scores_are_the_rule_s(crm, scope_id):
    rows = random_days(40, 40)
    add_driver_days(crm, rows)
    blocks = {3: 5, 4: 5, 5: 9, 6: 5}
    insert(
        crm,
        driver_block,
        [
            {
                "driver_id": driver,
                "reason": "police_report" if driver == 6 else "low_score",
                "from_ms": NOW_MS - ago * MS_PER_DAY,
                "until_ms": NOW_MS - ago * MS_PER_DAY + 5,
                "made_by": "x",
                "lifted_at_ms": NOW_MS if driver == 4 else None,
            }
            for driver, ago in blocks.items()
        ],
    )
    asked = [*range(40, 0, -1), 777]
    with crm.context.database.reading() as connection:
        found = scores_in(connection, RULE, asked, NOW_MS)
        empty = scores_in(connection, RULE, [], NOW_MS)
    assert empty.score.shape == (0,)
    judged = 0
    for row, driver in enumerate(asked):
        since = TODAY - blocks[driver] if driver in (3, 5) else -1
        expected = plain_score(RULE, rows, driver, since)
        assert found.judged[row] == (expected is not None)
        assert found.score[row] == pytest.approx(1.0 if expected is None else expected, abs=1e-12)
        judged += expected is not None
    assert judged > 30
    assert not found.judged[-1]


def test_a_score_is_explained_by_its_parts(crm, scope_id):
    add_drivers(crm, scope_id, [1, 2])
    good = {
        "offered": 40,
        "accepted": 40,
        "arrived": 40,
        "completed": 40,
        "late": 20,
        "ratings": 4,
        "stars": 12,
    }
    add_driver_days(
        crm, [{"driver_id": 1, **good}, {"driver_id": 2, "completed": 19, "arrived": 19, "late": 19}]
    )
    told = crm.acting_as(actor("driver", own=("driver", 1))).scores.explain(1, at_ms=NOW_MS)
    assert [part.name for part in told.parts] == list(PARTS)
    assert {part.name: part.value for part in told.parts} == {
        "acceptance": 1.0,
        "reliability": 1.0,
        "punctuality": 0.5,
        "rating": 0.5,
        "complaint": 1.0,
    }
    assert told.judged
    assert told.score == pytest.approx(1 - sum(part.lost for part in told.parts))
    assert told.score == pytest.approx(1 - (0.5 * 2 + 0.5 * 4) / 12)
    few = crm.scores.explain(2, at_ms=NOW_MS)
    assert (few.judged, few.score, few.trips, few.min_trips) == (False, 1.0, 19, 20)
    assert few.parts[0].value is None
    assert crm.scores.of_all(scope_id=scope_id, at_ms=NOW_MS).driver_id.tolist() == [1, 2]
    for who, call in (
        (actor("driver", own=("driver", 2)), lambda it: it.scores.explain(1, at_ms=NOW_MS)),
        (actor("dispatcher"), lambda it: it.scores.incomes(scope_id=scope_id, at_ms=NOW_MS)),
    ):
        with pytest.raises(AuthError):
            call(crm.acting_as(who))


def test_terms_for_the_engine(crm, scope_id):
    other = crm.scope("acme", "oakland")
    add_drivers(crm, scope_id, range(1, 12))
    add_drivers(crm, other, [50])
    hour = 3_600_000
    rows = [
        {"driver_id": driver, "completed": 1, "income_cents": 1000 * driver, "online_ms": 2 * hour}
        for driver in range(1, 11)
    ]
    rows.append({"driver_id": 11, "income_cents": 99_000, "online_ms": hour - 1})
    rows.append({"driver_id": 50, "income_cents": 10**7, "online_ms": hour})
    add_driver_days(crm, rows)
    bad = {
        "offered": 40,
        "completed": 40,
        "unassigned": 40,
        "arrived": 40,
        "late": 40,
        "complaints_upheld": 40,
        "ratings": 40,
        "stars": 40,
    }
    add_driver_days(crm, [{"driver_id": 1, "ago": 1, **bad}])
    vertical = Vertical(**vars_of(crm.context.vertical) | {"score": RULE})
    with crm.context.database.reading() as connection:
        quality, income, eligible, skills = driver_terms_in(
            connection, vertical, [10, 1, 5, 11, 50, 999], NOW_MS
        )
        off = driver_terms_in(connection, crm.context.vertical, [10, 1], NOW_MS)
    assert eligible.tolist() == [1, 1, 1, 1, 1, 0]
    assert quality.tolist()[:1] + quality.tolist()[2:] == [0] * 5
    assert quality[1] > 0.95 * RULE.cost_s * 1000, "nearly the worst score costs nearly all"
    assert income.tolist() == [
        60_000,
        round(60_000 * 0.05 / 0.9),
        round(60_000 * 0.45 / 0.9),
        0,
        round(60_000 * 0.5 / 0.9),
        0,
    ]
    assert skills.tolist() == [0] * 6
    assert off[1].tolist() == [0, 0], "fairness is off by default"
    incomes = crm.scores.incomes(scope_id=scope_id, at_ms=NOW_MS)
    assert incomes.driver_id.tolist() == list(range(1, 11))
    hourly = np.array([500.0 * one for one in range(1, 11)])
    hourly[0] = 500.0
    assert incomes.cents_per_hour.tolist() == hourly.tolist()
    assert incomes.gini == pytest.approx(np.abs(hourly[:, None] - hourly).sum() / (2 * 100 * hourly.mean()))


def vars_of(vertical):
    return {one.name: getattr(vertical, one.name) for one in fields(vertical)}


def test_gini_of_extremes():
    assert gini(np.array([])) == 0
    assert gini(np.zeros(3)) == 0
    assert gini(np.full(5, 7.0)) == pytest.approx(0)
    assert gini(np.array([0.0, 0.0, 0.0, 1.0])) == pytest.approx(0.75)


def test_two_thousand_drivers_of_thirty_days_at_once(crm, scope_id):
    days = {"driver_id": np.repeat(np.arange(1, 2001), 30), "day": np.tile(TODAY - np.arange(30), 2000)}
    luck = np.random.default_rng(1)
    columns = {name: luck.integers(1, 9, 60_000) for name in COLUMNS[2:]}
    with crm.context.database.writing() as connection:
        bulk.insert(connection, driver_day, {**days, **columns})
    with crm.context.database.reading() as connection:
        asked = []
        sa.event.listen(connection, "before_cursor_execute", lambda *told: asked.append(told[2]))
        one = scores_in(connection, RULE, [7], NOW_MS)
        of_one = len(asked)
        found = scores_in(connection, RULE, range(1, 2001), NOW_MS)
    assert found.judged.all()
    assert found.score[6] == one.score[0]
    assert len(asked) - of_one <= of_one + 1, "statements grow with the drivers"


def test_who_is_on_duty_now_earns_by_the_time_until_now(crm, scope_id):
    add_drivers(crm, scope_id, [1, 2, 3])
    hour = 3_600_000
    rows = [{"driver_id": 1, "income_cents": 8000, "online_ms": hour}]
    rows += [{"driver_id": 2, "income_cents": 3000, "online_ms": hour}]
    rows += [{"driver_id": 3, "income_cents": 500, "online_ms": 0}]
    add_driver_days(crm, rows)
    long_ago = NOW_MS - 400 * MS_PER_DAY
    insert(
        crm,
        duty,
        [{"driver_id": one, "online_at_ms": at} for one, at in ((1, NOW_MS - 3 * hour), (3, long_ago))],
    )
    incomes = crm.scores.incomes(scope_id=scope_id, at_ms=NOW_MS)
    assert incomes.driver_id.tolist() == [1, 2, 3]
    assert incomes.cents_per_hour.tolist()[:2] == [2000, 3000]
    window_h = crm.context.vertical.score.window_days * 24 - 24 + NOW_MS % MS_PER_DAY / hour
    assert incomes.cents_per_hour.tolist()[2] == pytest.approx(500 / window_h)
