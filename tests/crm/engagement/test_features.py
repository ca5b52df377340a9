"""Features of customers against a plain recount, cells, hours of time zones, and consents."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, strategies as st

from crm.conftest import DAY_MS, MONDAY_MS
from crm.engaged import MONDAY, add_customers, add_days, add_orders, insert, say
from dispatch.crm.engagement.features import (
    NEVER,
    cell_place,
    cells,
    features_in,
    habits_in,
    local_hours,
    refused_in,
    rows_of,
    stars_in,
    terciles,
)
from dispatch.crm.tables.service import rating
from dispatch.units import NO_COORDINATE


def test_features_are_those_of_a_plain_recount(crm, scope_id):
    rng = np.random.default_rng(3)
    ids = list(range(10, 40))
    merged = {12: 10, 13: 10}
    add_customers(
        crm,
        scope_id,
        ids,
        status=["merged" if one in merged else "erased" if one == 20 else "active" for one in ids],
        merged_into=[merged.get(one) for one in ids],
        tier=["gold" if one == 11 else None for one in ids],
        channel=["app" if one % 2 else None for one in ids],
    )
    add_customers(crm, crm.scope("zenith", "oakland"), [99])
    days = [
        (who, int(ago), int(rng.integers(0, 3)), int(rng.integers(0, 5000)))
        for who in [*ids[:-1], 99]
        for ago in rng.choice(60, 12, replace=False)
    ]
    add_days(crm, days)
    with crm.context.database.reading() as connection:
        found = features_in(connection, crm.context.vertical, scope_id, MONDAY - 2, 20)
    active = [one for one in ids if one not in merged and one != 20]
    assert found.customer_id.tolist() == active
    assert found.tier[found.customer_id == 11] == [2]
    assert set(found.channel.tolist()) == {"", "app"}
    for row, customer_id in enumerate(active):
        own = [d for d in days if merged.get(d[0], d[0]) == customer_id and d[1] >= 2]
        window = [d for d in own if d[1] < 22]
        done = [d for d in own if d[2]]
        assert found.completed[row] == sum(d[2] for d in window)
        assert found.spend_cents[row] == sum(d[3] for d in window)
        assert found.trip_m[row] == 1000 * found.completed[row]
        assert found.second_half[row] == sum(d[2] for d in own if d[1] < 12)
        # Two days merged into one customer's count as two: both were days of an account.
        assert found.active_days[row] == sum(d[2] > 0 for d in window)
        assert found.weekend[row] == sum(d[2] for d in window if d[1] % 7 in (1, 2))
        assert found.lifetime[row] == sum(d[2] for d in own)
        assert found.lifetime_cents[row] == sum(d[3] for d in own)
        assert found.first_day[row] == (MONDAY - max(d[1] for d in done) if done else NEVER)
        assert found.last_day[row] == (MONDAY - min(d[1] for d in done) if done else NEVER)
    assert found.recency_days[-1] == np.inf, "the last one never ordered"
    assert found.chosen(np.array([1, 3])).customer_id.tolist() == [active[1], active[3]]


def test_nobody_and_who_comes_later_are_no_rows(crm, scope_id):
    with crm.context.database.reading() as connection:
        assert features_in(connection, crm.context.vertical, scope_id, MONDAY, 30).num_customers == 0
    add_customers(crm, scope_id, [1, 2], created_at_ms=[MONDAY_MS, MONDAY_MS + 5 * DAY_MS])
    add_days(crm, [(1, 0, 0, 0), (77, 0, 4, 100)])
    with crm.context.database.reading() as connection:
        found = features_in(connection, crm.context.vertical, scope_id, MONDAY, 30)
        assert found.customer_id.tolist() == [1]
        assert found.last_day.tolist() == [NEVER]
        habits = habits_in(connection, found, ZoneInfo("UTC"), scope_id)
        assert len(habits.row) == 0
        assert np.isnan(stars_in(connection, found, scope_id)).all()


def test_habits_are_local_and_stars_are_those_given(crm, scope_id):
    add_customers(
        crm, scope_id, [1, 2, 3], status=["active", "active", "merged"], merged_into=[None, None, 1]
    )
    here = {"lon_e6": -122_419_000, "lat_e6": 37_774_000, "to_lon_e6": -122_271_000, "to_lat_e6": 37_804_000}
    add_orders(
        crm,
        scope_id,
        [
            {"customer_id": 1, "at_ms": MONDAY_MS + 3_600_000, **here},
            {"customer_id": 3, "at_ms": MONDAY_MS - DAY_MS},
            {"customer_id": 2, "at_ms": MONDAY_MS, "completed": False},
            {"customer_id": 1, "at_ms": MONDAY_MS - 50 * DAY_MS},
        ],
    )
    insert(
        crm,
        rating,
        [
            {
                "order_id": order_id,
                "about": "driver",
                "customer_id": who,
                "stars": stars,
                "day": MONDAY,
                "at_ms": MONDAY_MS,
                "removed_at_ms": removed,
            }
            # 3 was merged into 1: what was rated under that name counts.
            for order_id, who, stars, removed in ((1, 1, 5, None), (2, 3, 2, None), (3, 1, 1, MONDAY_MS))
        ],
    )
    with crm.context.database.reading() as connection:
        found = features_in(connection, crm.context.vertical, scope_id, MONDAY, 30)
        habits = habits_in(connection, found, ZoneInfo("America/Los_Angeles"), scope_id)
        stars = stars_in(connection, found, scope_id)
    assert sorted(zip(habits.row.tolist(), habits.hour.tolist(), habits.weekday.tolist(), strict=True)) == [
        (0, 16, 5),
        (0, 17, 6),
    ]
    assert sorted(habits.from_cell.tolist())[0] == NEVER
    assert stars[0] == 3.5
    assert np.isnan(stars[1])


def test_the_latest_word_counts(crm):
    say(crm, [1, 2, 3], "marketing", at_ms=MONDAY_MS)
    say(crm, [2], "marketing", granted=False, at_ms=MONDAY_MS + 10)
    say(crm, [3], "profiling", granted=False, at_ms=MONDAY_MS)
    say(crm, [4], "marketing", granted=False, at_ms=MONDAY_MS)
    say(crm, [4], "marketing", granted=True, at_ms=MONDAY_MS)
    with crm.context.database.reading() as connection:
        assert refused_in(connection, "marketing", MONDAY_MS + 10).tolist() == [2]
        assert refused_in(connection, "marketing", MONDAY_MS).tolist() == []
        assert refused_in(connection, "profiling", MONDAY_MS).tolist() == [3]


@given(st.lists(st.integers(0, 50)))
def test_thirds_are_in_sequence_and_of_equal_size_without_ties(values):
    array = np.array(values, np.int64)
    counts = array % 7 != 0
    third = terciles(array, counts)
    assert set(third[~counts].tolist()) <= {0}
    assert all(
        third[a] <= third[b]
        for a in np.flatnonzero(counts)
        for b in np.flatnonzero(counts)
        if array[a] <= array[b]
    )
    spread = terciles(np.arange(len(values)), np.ones(len(values), bool))
    sizes = [int(np.sum(spread == one)) for one in (1, 2, 3)] if values else [0, 0, 0]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(-180_000_000, 180_000_000), st.integers(-90_000_000, 90_000_000))
def test_a_cell_holds_its_places_and_is_that_of_the_blurred_ones(lon_e6, lat_e6):
    (cell,) = cells([lon_e6], [lat_e6])
    lon, lat = cell_place(int(cell))
    # Those at zero are twice as wide.
    assert abs(lon - lon_e6) <= (5_000 if abs(lon_e6) >= 10_000 else 9_999)
    assert abs(lat - lat_e6) <= (5_000 if abs(lat_e6) >= 10_000 else 9_999)
    assert cells([lon], [lat]).tolist() == [cell]
    blurred = [int(one / 10_000) * 10_000 for one in (lon_e6, lat_e6)]
    assert cells(blurred[:1], blurred[1:]).tolist() == [cell]
    assert cells([lon_e6, None, NO_COORDINATE], [None, lat_e6, lat_e6]).tolist() == [NEVER] * 3


def test_hours_follow_the_clock_of_the_place():
    zone = ZoneInfo("Asia/Kathmandu")
    at_ms = np.arange(0, 3 * 10**12, 86_399_999_000, dtype=np.int64)
    hour, weekday = local_hours(at_ms, zone)
    plain = [datetime.fromtimestamp(one / 1000, UTC).astimezone(zone) for one in at_ms.tolist()]
    assert hour.tolist() == [one.hour for one in plain]
    assert weekday.tolist() == [one.weekday() for one in plain]
    assert rows_of(np.array([3, 5], np.int64), np.array([5, 4, 9], np.int64)).tolist() == [1, -1, -1]
