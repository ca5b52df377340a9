"""Orders of platforms: signed, each once, nothing personal in them; what becomes of them is told back."""

import json

import pytest
import sqlalchemy as sa

from crm.conftest import MONDAY_MS, OTHER_CITY
from crm.engaged import insert
from dispatch.crm.outbox import Delivered, announce_in
from dispatch.crm.ports.base import is_signed, sign
from dispatch.crm.ports.platforms import FIRST_ID, Inbound, Platforms, StatusFile, StatusTeller
from dispatch.crm.tables.fleet import merchant
from dispatch.crm.tables.orders import orders
from dispatch.errors import AuthError, InputError

SECRET = b"a secret of sixteen bytes at least"
BODY = {"merchant_id": 5, "lon": -122.4, "lat": 37.7, "wanted_at_ms": MONDAY_MS + 5, "fare_cents": 499}


def request(key: str = "A-1", at_ms: int = MONDAY_MS, secret: bytes = SECRET, **changes: object) -> Inbound:
    body = json.dumps({**BODY, **changes}).encode()
    return Inbound("eats", key, at_ms // 1000, body, sign(secret, key, at_ms // 1000, body))


@pytest.fixture
def platforms(crm, scope_id) -> Platforms:
    same = {"kind": "restaurant", "created_at_ms": 0, "lon_e6": -122_410_000, "lat_e6": 37_750_000}
    elsewhere = crm.scope("acme", OTHER_CITY)
    rows = [
        {"merchant_id": 5, "name": "a", "scope_id": scope_id},
        {"merchant_id": 6, "name": "b", "scope_id": elsewhere},
    ]
    insert(crm, merchant, [{**row, **same} for row in rows])
    return Platforms(crm.context, {"eats": SECRET})


def test_an_order_comes_in_once(crm, scope_id, platforms):
    found = platforms.take(scope_id, request(), MONDAY_MS)
    assert (found.order_id, found.merchant_id, found.fare_cents, found.is_new) == (FIRST_ID, 5, 499, True)
    assert (found.pickup_lon, found.pickup_lat) == (-122.41, 37.75)
    assert (found.dropoff_lon, found.dropoff_lat) == (-122.4, 37.7)
    again = platforms.take(scope_id, request(at_ms=MONDAY_MS + 60_000), MONDAY_MS + 60_000)
    assert (again.order_id, again.is_new) == (FIRST_ID, False)
    with pytest.raises(InputError, match="another order"):
        platforms.take(scope_id, request(fare_cents=1), MONDAY_MS)
    assert platforms.take(scope_id, request("A-2"), MONDAY_MS).order_id == FIRST_ID + 1


def test_what_is_not_signed_or_no_order_is_refused(scope_id, platforms):
    right = request()
    for inbound in (
        request(secret=b"another secret of sixteen bytes"),
        Inbound("eats", "A-2", right.timestamp_s, right.body, right.signature),
        Inbound("eats", "A-1", right.timestamp_s + 1, right.body, right.signature),
        Inbound("eats", "A-1", right.timestamp_s, right.body + b" ", right.signature),
        Inbound("other", "A-1", right.timestamp_s, right.body, right.signature),
        request(at_ms=MONDAY_MS - 301_000),
        request(at_ms=MONDAY_MS + 301_000),
    ):
        with pytest.raises(AuthError):
            platforms.take(scope_id, inbound, MONDAY_MS)
    for changes in (
        {"name": "Anna Muster"},
        {"lat": 91},
        {"lon": None},
        {"fare_cents": -1},
        {"wanted_at_ms": "soon"},
        {"merchant_id": 6},
        {"merchant_id": 77},
    ):
        with pytest.raises(InputError) as caught:
            platforms.take(scope_id, request(**changes), MONDAY_MS)
        assert "Muster" not in str(caught.value)
    body = b"{"
    broken = Inbound("eats", "A-1", MONDAY_MS // 1000, body, sign(SECRET, "A-1", MONDAY_MS // 1000, body))
    with pytest.raises(InputError, match="no JSON"):
        platforms.take(scope_id, broken, MONDAY_MS)
    with pytest.raises(InputError, match="key"):
        platforms.take(scope_id, Inbound("eats", "A.1", 1, b"", ""), MONDAY_MS)
    assert platforms.take(scope_id, request(), MONDAY_MS).order_id == FIRST_ID, "nothing was kept of all that"


def test_platforms_are_told_what_became_of_it(crm, scope_id, platforms, tmp_path):
    first, second = (platforms.take(scope_id, request(key), MONDAY_MS).order_id for key in ("A-1", "A-2"))
    assert platforms.announce(MONDAY_MS) == 0, "the dispatcher does not know them yet"
    insert(crm, orders, [{"order_id": one, "scope_id": scope_id, "stage": 0} for one in (first, second)])
    assert platforms.announce(MONDAY_MS) == 2
    assert platforms.announce(MONDAY_MS) == 0
    with crm.context.database.writing() as connection:
        connection.execute(sa.update(orders).where(orders.c.order_id == first).values(stage=6))
        announce_in(connection, "platform.status", "order", 3, MONDAY_MS, {"status": "open"})
    assert platforms.announce(MONDAY_MS + 1000) == 1
    path = tmp_path / "told.jsonl"
    teller = StatusTeller(crm.context, StatusFile(path, {"eats": SECRET}))
    assert crm.outbox.deliver(teller, MONDAY_MS + 9000) == Delivered(delivered=3, given_up=1)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    told = [(json.loads(line["body"])["order"], json.loads(line["body"])["status"]) for line in lines]
    assert told == [("A-1", "open"), ("A-2", "open"), ("A-1", "closed")]
    for line in lines:
        id_, timestamp_s = line["webhook-id"], line["webhook-timestamp"]
        assert timestamp_s == MONDAY_MS // 1000 + 9
        assert is_signed(SECRET, id_, timestamp_s, line["body"].encode(), line["webhook-signature"])
    assert len({line["webhook-id"] for line in lines}) == 3
    assert platforms.announce(MONDAY_MS + 2000) == 0
    with crm.context.database.writing() as connection:
        connection.execute(sa.update(orders).where(orders.c.order_id == second).values(stage=7))
    platforms.announce(MONDAY_MS + 3000)
    unsigned = StatusTeller(crm.context, StatusFile(path, {}))
    assert crm.outbox.deliver(unsigned, MONDAY_MS + 9000) == Delivered(given_up=1)
