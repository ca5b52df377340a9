"""Points by command: rules, keys, limits, clocks, and who may do what."""

import pytest

from crm.conftest import CITY, DAY_MS, MONDAY_MS, OTHER_CITY, TENANT, actor
from crm.engaged import add_customers
from dispatch.crm.crm import Crm
from dispatch.crm.loyalty.points import Balance, Entry, Gain
from dispatch.crm.tables.loyalty import points_entry
from dispatch.crm.tables.people import audit
from dispatch.errors import AuthError, InputError, StateError
from dispatch.store.chain import canonical

LIVES_MS = 365 * DAY_MS


def test_a_customer_earns_is_granted_redeems_and_sees_it(crm, scope_id):
    add_customers(crm, scope_id, [7, 8], tier=[None, "gold"])
    points = crm.points
    assert points.balance(7, at_ms=MONDAY_MS) == Balance(7, 0, 0, 0, None, 0)
    assert points.earn(7, Gain("trip", "trip:1", 12_345, order_id=1), at_ms=MONDAY_MS) == 123
    assert points.earn(8, Gain("trip", "trip:2", 12_345), at_ms=MONDAY_MS) == 246
    assert points.earn(7, Gain("activity", "survey:3", product="survey"), at_ms=MONDAY_MS + DAY_MS) == 20
    assert points.earn(7, Gain("energy", "energy:1", 5000), at_ms=MONDAY_MS + DAY_MS) == 0
    granted = points.grant(7, 57, at_ms=MONDAY_MS + 2 * DAY_MS, reason="goodwill", key="case-1")
    done = points.redeem(7, 150, at_ms=MONDAY_MS + 3 * DAY_MS, key="pay-1", order_id=9)
    assert (done.points, done.cents) == (150, 150)
    told = points.balance(7, at_ms=MONDAY_MS + 3 * DAY_MS)
    assert told == Balance(7, 50, 50, 0, MONDAY_MS + 2 * DAY_MS + LIVES_MS, 50)
    first, *others = points.entries(7, limit=2)
    assert first == Entry(1, "earn", 123, MONDAY_MS, MONDAY_MS + LIVES_MS, 1, None, "trip")
    rest = points.entries(7, after=others[-1].entry_id)
    assert [(one.kind, one.points, one.order_id, one.reason) for one in rest] == [
        ("grant", 57, None, "goodwill"),
        ("redeem", -150, 9, "cents_off"),
    ]
    assert granted == rest[0].entry_id
    reward = points.redeem(8, 200, at_ms=MONDAY_MS, key="pay-2", reward="umbrella")
    assert (reward.cents, points.entries(8)[-1].reason) == (0, "umbrella")
    told = [(one.type, one.object_id, dict(one.data)["points"]) for one in crm.outbox.messages()]
    assert told == [
        ("points.changed", who, change)
        for who, change in ((7, 123), (8, 246), (7, 20), (7, 57), (7, -150), (8, -200))
    ]


def test_the_same_key_changes_nothing_more_and_another_command_is_refused(crm, scope_id):
    add_customers(crm, scope_id, [7, 8])
    points, gain = crm.points, Gain("trip", "trip:1", 30_000)
    for _ in range(2):
        assert points.earn(7, gain, at_ms=MONDAY_MS) == 300
    granted = [points.grant(7, 9, at_ms=MONDAY_MS, reason="goodwill", key="k") for _ in range(2)]
    redeemed = [points.redeem(7, 100, at_ms=MONDAY_MS + 1, key="r") for _ in range(2)]
    assert granted[0] == granted[1]
    assert redeemed[0] == redeemed[1]
    assert points.balance(7, at_ms=MONDAY_MS + 1).points == 209
    with pytest.raises(InputError, match="another points, 9 instead of 10"):
        points.grant(7, 10, at_ms=MONDAY_MS, reason="goodwill", key="k")
    with pytest.raises(InputError, match="another customer"):
        points.grant(8, 9, at_ms=MONDAY_MS, reason="goodwill", key="k")
    with pytest.raises(InputError, match="another kind"):
        points.redeem(7, 100, at_ms=MONDAY_MS + 1, key="k")
    points.earn(7, Gain("trip", "again", 100, order_id=5), at_ms=MONDAY_MS + 1)
    with pytest.raises(StateError, match="there already"):
        points.earn(7, Gain("trip", "again under another key", 100, order_id=5), at_ms=MONDAY_MS + 1)
    assert points.balance(7, at_ms=MONDAY_MS + 1).points == 210


def test_bad_input_is_told_and_changes_nothing(crm, scope_id):
    add_customers(crm, scope_id, [7, 8], status=["active", "erased"])
    points = crm.points
    points.earn(7, Gain("trip", "trip:1", 50_000), at_ms=MONDAY_MS)
    when = {"at_ms": MONDAY_MS, "key": "k"}
    for call, error, message in (
        (lambda: points.redeem(7, -100, **when), InputError, "points is -100"),
        (lambda: points.redeem(7, 99, **when), InputError, "at least 100 are redeemed"),
        (lambda: points.redeem(7, 501, **when), StateError, "has 500 points"),
        (lambda: points.redeem(7, 100, at_ms=MONDAY_MS - 1, key="k"), InputError, "time goes backwards"),
        (lambda: points.grant(7, 5, **when, reason="he was so nice"), InputError, "reason is"),
        (lambda: points.grant(7, 0, **when, reason="goodwill"), InputError, "points is 0"),
        (lambda: points.grant(8, 5, **when, reason="goodwill"), StateError, "not active"),
        (lambda: points.grant(9, 5, **when, reason="goodwill"), InputError, "customer 9 is not known"),
        (lambda: points.redeem(7, 100, at_ms=MONDAY_MS, key=""), InputError, "key must be"),
        (lambda: points.redeem(7, 100, at_ms=MONDAY_MS, key="rollback:1"), InputError, "ledger's own"),
        (lambda: points.roll_back(7, 99, at_ms=MONDAY_MS, reason="refunded"), InputError, "no such entry"),
        (lambda: points.roll_back(8, 1, at_ms=MONDAY_MS, reason="refunded"), InputError, "no such entry"),
        (lambda: points.entries(7, limit=0), InputError, "limit is 0"),
        (lambda: Gain("trip", "k", cents=-1), InputError, "cents is -1"),
        (lambda: Gain("walk", "k"), InputError, "on is 'walk'"),
    ):
        with pytest.raises(error, match=message):
            call()
    assert [one.points for one in points.entries(7)] == [500]
    assert points.balance(7, at_ms=MONDAY_MS).points == 500


def test_points_expire_whether_or_not_anybody_swept_them(crm, scope_id):
    add_customers(crm, scope_id, [7, 8])
    points, late = crm.points, MONDAY_MS + LIVES_MS
    points.earn(7, Gain("trip", "a", 30_000), at_ms=MONDAY_MS)
    points.earn(7, Gain("trip", "b", 20_000), at_ms=MONDAY_MS + DAY_MS)
    points.earn(8, Gain("trip", "c", 10_000), at_ms=MONDAY_MS)
    spent = points.redeem(7, 250, at_ms=MONDAY_MS + DAY_MS, key="r")
    assert points.balance(7, at_ms=late).points == 200
    with pytest.raises(StateError, match="has 200 points"):
        points.redeem(7, 250, at_ms=late, key="r2")
    points.redeem(7, 100, at_ms=late, key="r3")
    assert points.expire(at_ms=late) == (1, 100)
    assert points.expire(at_ms=late) == (0, 0)
    kinds = [(one.kind, one.points) for one in points.entries(7)]
    assert kinds[3:] == [("expire", -50), ("redeem", -100)]
    # Given back late, they expire when they would have: at once.
    points.roll_back(7, spent.entry_id, at_ms=late, reason="cancelled")
    assert points.balance(7, at_ms=late).points == 100
    assert points.expire(at_ms=late) == (1, 250)
    with pytest.raises(StateError, match="of kind 'expire'"):
        points.roll_back(7, points.entries(7)[3].entry_id, at_ms=late, reason="cancelled")


def test_a_petrol_station_earns_by_product(database_url, tmp_path):
    with Crm.create(database_url, "fuel", keys=tmp_path / "crm.keys") as crm:
        add_customers(crm, crm.scope(TENANT, CITY), [7])
        told = [
            crm.points.earn(7, Gain("energy", f"energy:{product}", 4000, product), at_ms=MONDAY_MS)
            for product in ("petrol_95", "petrol_98")
        ]
        assert told == [40, 80]


def test_each_sees_and_changes_what_is_within_reach(crm, scope_id):
    add_customers(crm, scope_id, [7])
    add_customers(crm, crm.scope(TENANT, OTHER_CITY), [8])
    crm.points.earn(7, Gain("trip", "a", 30_000), at_ms=MONDAY_MS)
    agent, own = actor("agent"), actor("customer", own=("customer", 7))
    assert crm.acting_as(own).points.balance(7, at_ms=MONDAY_MS).points == 300
    assert crm.acting_as(own).points.redeem(7, 100, at_ms=MONDAY_MS, key="mine").cents == 100
    crm.acting_as(agent).points.grant(7, 5, at_ms=MONDAY_MS, reason="goodwill", key="g")
    for who, call in (
        (own, lambda points: points.balance(8, at_ms=MONDAY_MS)),
        (own, lambda points: points.grant(7, 5, at_ms=MONDAY_MS, reason="goodwill", key="h")),
        (own, lambda points: points.roll_back(7, 1, at_ms=MONDAY_MS, reason="refunded")),
        (agent, lambda points: points.entries(8)),
        (agent, lambda points: points.expire(at_ms=MONDAY_MS)),
        (actor("analyst"), lambda points: points.entries(7)),
    ):
        with pytest.raises(AuthError):
            call(crm.acting_as(who).points)
    with crm.context.database.reading() as connection:
        noted = connection.execute(audit.select().where(audit.c.action.not_like("refused:%"))).all()
        assert len(connection.execute(points_entry.select()).all()) == 3
    assert [(one.action, one.details) for one in noted] == [
        ("points.grant", canonical({"points": 5, "reason": "goodwill"}).decode())
    ]
