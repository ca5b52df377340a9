"""Enquiries by member number: points and prices, and nothing that names anybody."""

import pytest

from crm.conftest import DAY_MS, MONDAY_MS, OTHER_CITY, actor
from crm.engaged import add_customers, insert
from dispatch.crm.crm import Crm
from dispatch.crm.ports.balance import BalanceEnquiry, CommandDesk, FuelPrice, MemberBalance
from dispatch.crm.tables.fleet import item, merchant, price
from dispatch.errors import AuthError, InputError


@pytest.fixture
def fuel(database_url, tmp_path):
    with Crm.create(database_url, "fuel", keys=tmp_path / "crm.keys") as made:
        yield made


@pytest.fixture
def place(fuel) -> int:
    scope_id = fuel.scope("acme", "san_francisco")
    add_customers(
        fuel,
        scope_id,
        [1, 2, 3],
        member_no=["1001", "1002", "1003"],
        tier=["gold", None, None],
        status=["active", "active", "erased"],
    )
    fuel.points.grant(1, 250, at_ms=MONDAY_MS, reason="activity", key="a")
    same = {"scope_id": scope_id, "kind": "station", "lon_e6": 0, "lat_e6": 0, "created_at_ms": 0}
    names = (("north", "open"), ("south", "open"), ("west", "closed"))
    insert(
        fuel,
        merchant,
        [
            {"merchant_id": n, "name": name, "status": status, **same}
            for n, (name, status) in enumerate(names)
        ],
    )
    rows = [(0, 0, 150), (0, MONDAY_MS, 180), (0, MONDAY_MS + DAY_MS, 10), (1, 0, 170), (2, 0, 1)]
    insert(
        fuel,
        item,
        [{"merchant_id": n, "product": "petrol_95", "available": 1, "changed_at_ms": 0} for n in range(3)],
    )
    insert(
        fuel,
        price,
        [
            {"merchant_id": n, "product": "petrol_95", "from_ms": from_ms, "cents": cents, "per": "litre"}
            for n, from_ms, cents in rows
        ],
    )
    return scope_id


def test_members_are_told_their_points_and_prices(fuel, place):
    enquiry = BalanceEnquiry(fuel.context)
    assert enquiry.balance(place, "1001", MONDAY_MS) == MemberBalance(250, 250, "gold")
    assert enquiry.balance(place, "1002", MONDAY_MS) == MemberBalance(0, 0, "member")
    assert enquiry.prices(place, "petrol_95", MONDAY_MS) == [
        FuelPrice("south", "petrol_95", 170, "litre"),
        FuelPrice("north", "petrol_95", 180, "litre"),
    ]
    assert enquiry.prices(place, "diesel", MONDAY_MS) == []
    for scope_id, number in ((place, "1003"), (place, "9"), (fuel.scope("acme", OTHER_CITY), "1001")):
        with pytest.raises(InputError, match="member_no is not known"):
            enquiry.balance(scope_id, number, MONDAY_MS)


def test_the_desk_answers_commands(fuel, place):
    desk = CommandDesk(BalanceEnquiry(fuel.context), place)
    assert desk.answer(" points 1001 ", MONDAY_MS) == "250 points, worth 2.50; tier gold"
    assert desk.answer("price petrol_95", MONDAY_MS) == "south: 1.70 per litre\nnorth: 1.80 per litre"
    assert desk.answer("price diesel", MONDAY_MS) == "no station sells that now"
    assert desk.answer("points 4", MONDAY_MS) == "not known"
    assert desk.answer("price two words", MONDAY_MS) == "not known"
    assert desk.answer("hello", MONDAY_MS).startswith("points NUMBER")


def test_who_may_ask(fuel, place):
    agent = BalanceEnquiry(fuel.acting_as(actor("agent")).context)
    assert agent.balance(place, "1001", MONDAY_MS).points == 250
    for role in ("analyst", "driver"):
        asking = BalanceEnquiry(fuel.acting_as(actor(role)).context)
        with pytest.raises(AuthError):
            asking.balance(place, "1001", MONDAY_MS)
