"""Customers: registered once, changed in turn, found and listed within reach; sealed throughout."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from crm.conftest import CITY, DAY_MS, MONDAY_MS, OTHER_CITY, OTHER_TENANT, TENANT, actor
from crm.made_people import EMAIL, NAME, PHONE, VERTICAL, WISH, details, dump, insert, last_audit
from dispatch.crm.crm import Crm
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import customer, person_key
from dispatch.errors import AuthError, InputError, StateError


@pytest.fixture
def shop(database_url, tmp_path):
    """A CRM whose vertical has custom fields, with two cities of the company and one of another."""
    with Crm.create(database_url, VERTICAL, keys=tmp_path / "crm.keys") as made:
        made.scope(TENANT, CITY)
        made.scope(TENANT, OTHER_CITY)
        made.scope(OTHER_TENANT, CITY)
        yield made


HOME, AWAY, FOREIGN = 1, 2, 3


def test_register_get_update(shop):
    customers = shop.customers
    made = customers.register(details(phone="(415) 555-2671"), scope_id=HOME, at_ms=MONDAY_MS, region="US")
    found = customers.get(made, at_ms=MONDAY_MS)
    assert (found.name, found.phone, found.email, found.birthday_mmdd) == (NAME, PHONE, EMAIL, 229)
    assert found.custom == {"wish": WISH, "seats": 2, "vip": True}
    assert (found.status, found.version, found.member_no, found.hidden) == ("active", 1, "M-17", ())

    change = CustomerDetails(name="  Zoe Q  ", custom={"seats": 3})
    assert customers.update(made, change, at_ms=MONDAY_MS + 5, version=1, forget=("phone",)) == 2
    after = customers.get(made, at_ms=MONDAY_MS + 5)
    assert (after.name, after.phone, after.custom, after.email) == ("Zoe Q", None, {"seats": 3}, EMAIL)
    assert customers.find("phone", PHONE, scope_id=HOME, at_ms=MONDAY_MS) is None
    with pytest.raises(StateError, match="has version 2, the change is to 1"):
        customers.update(made, change, at_ms=MONDAY_MS + 6, version=1)
    with pytest.raises(InputError, match="time goes backwards"):
        customers.update(made, change, at_ms=MONDAY_MS)
    with pytest.raises(InputError, match="forget has 'name'"):
        customers.update(made, change, at_ms=MONDAY_MS + 6, forget=("name",))
    assert json.loads(last_audit(shop).details)["by"] == "phone"

    told = customers.register(CustomerDetails(), scope_id=HOME, at_ms=MONDAY_MS, customer_id=500)
    assert told == 500
    assert customers.register(CustomerDetails(), scope_id=HOME, at_ms=MONDAY_MS) == 501
    with pytest.raises(StateError, match="a person with the same id is there already"):
        customers.register(CustomerDetails(), scope_id=HOME, at_ms=MONDAY_MS, customer_id=500)


def test_nothing_personal_is_readable_in_any_table(shop):
    made = shop.customers.register(details(), scope_id=HOME, at_ms=MONDAY_MS)
    shop.customers.get(made, at_ms=MONDAY_MS)
    shop.customers.find("email", EMAIL, scope_id=HOME, at_ms=MONDAY_MS)
    text = repr(dump(shop))
    for value in (NAME, "Quarrington", PHONE, PHONE[1:], EMAIL, WISH):
        assert value not in text
    assert "M-17" in text  # what is not personal is


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"name": ""}, "name has 0 letters"),
        ({"name": "x" * 201}, "name has 201 letters"),
        ({"name": "a\0b"}, "name holds a control character"),
        ({"name": "a\x1b[31m"}, "name holds a control character"),
        ({"name": "a\nb"}, "name holds a control character"),
        ({"name": "a\udcff"}, "name holds a control character"),
        ({"email": "a\udcff@mail.example"}, "email holds a control character"),
        ({"custom": {"wish": "a\udcff"}}, "custom.wish holds a control character"),
        ({"phone": "+1 555 000 9999"}, "phone is"),
        ({"phone": 7}, "phone is a int"),
        ({"email": "no-at.example"}, "email is no address"),
        ({"birthday_mmdd": 230}, "birthday_mmdd is no day"),
        ({"birthday_mmdd": 1332}, "birthday_mmdd is no day"),
        ({"language": "e n"}, "language is no name"),
        ({"member_no": "M 17"}, "member_no is no member number"),
        ({"custom": {"hat": 1}}, "custom has the field 'hat'"),
        ({"custom": {"seats": "two"}}, "custom.seats is a str: it must be a whole"),
        ({"custom": {"seats": True}}, "custom.seats is a bool"),
        ({"custom": {"wish": "x" * 201}}, "custom.wish has 201 letters"),
        ({"custom": {"seats": 2**63}}, "64 bits"),
        ({"custom": 7}, "custom is a int"),
    ],
)
def test_bad_values_are_named_and_nothing_is_entered(tmp_path, changes, rule):
    with Crm.create(tmp_path / "crm.db", VERTICAL) as crm:
        scope_id = crm.scope(TENANT, CITY)
        before = dump(crm)
        with pytest.raises(InputError, match=rule) as caught:
            crm.customers.register(details(**changes), scope_id=scope_id, at_ms=MONDAY_MS)
        assert "9999" not in str(caught.value)
        with pytest.raises(InputError, match=rule.replace("phone is", r"phone\[1\] is")):
            crm.customers.register_many(
                {"name": ["A", "B"], **{name: [None, value] for name, value in changes.items()}},
                scope_id=scope_id,
                at_ms=MONDAY_MS,
            )
        assert dump(crm) == before


def test_bad_calls_are_named(shop):
    customers = shop.customers
    made = customers.register(details(), scope_id=HOME, at_ms=MONDAY_MS)
    before = dump(shop)
    for call, rule in (
        (lambda: customers.register(details(), scope_id=HOME, at_ms=-1), "at_ms is -1"),
        (lambda: customers.register(details(), scope_id=99, at_ms=MONDAY_MS), "scope_id is 99"),
        (
            lambda: customers.register(details(), scope_id=HOME, at_ms=MONDAY_MS, customer_id=-1),
            "customer_id",
        ),
        (
            lambda: customers.register(details(), scope_id=HOME, at_ms=MONDAY_MS, region="ZZ"),
            "region is 'ZZ'",
        ),
        (lambda: customers.register(details(), scope_id=HOME, at_ms=MONDAY_MS, key="k" * 256), "1 to 255"),
        (lambda: customers.update(made, details(), at_ms=MONDAY_MS, version=0), "version is 0"),
        (
            lambda: customers.update(made, CustomerDetails(), at_ms=MONDAY_MS, forget=("id",)),
            "forget is 'id'",
        ),
        (lambda: customers.get(999, at_ms=MONDAY_MS), "customer 999 is not known"),
        (lambda: customers.get(2**63, at_ms=MONDAY_MS), "an id is a whole number"),
        (lambda: customers.find("shoe", "44", scope_id=HOME, at_ms=MONDAY_MS), "by is 'shoe'"),
        (lambda: customers.find("phone", "12", scope_id=HOME, at_ms=MONDAY_MS), "phone is"),
        (lambda: customers.list(limit=0), "limit is 0"),
        (lambda: customers.list(status="asleep"), "status is 'asleep'"),
        (lambda: customers.list(tier="tin"), "tier is 'tin'"),
        (lambda: customers.list(token="x"), "token is not one"),
        (lambda: customers.register_many({"hat": [1]}, scope_id=HOME, at_ms=MONDAY_MS), "columns has 'hat'"),
        (
            lambda: customers.register_many({"name": [], "email": ["a"]}, scope_id=HOME, at_ms=MONDAY_MS),
            "rows",
        ),
        (
            lambda: customers.register_many(
                {"customer_id": [8, 8], "name": ["A", "B"]}, scope_id=HOME, at_ms=MONDAY_MS
            ),
            r"customer_id\[1\] is 8: it is that of row 0 as well",
        ),
    ):
        with pytest.raises(InputError, match=rule):
            call()
    assert dump(shop) == before


def test_two_customers_of_a_place_never_share_a_number_or_a_card(shop):
    customers = shop.customers
    made = customers.register(details(), scope_id=HOME, at_ms=MONDAY_MS)
    other = customers.register(details(member_no="M-18", phone=None), scope_id=HOME, at_ms=MONDAY_MS)
    before = dump(shop)
    with pytest.raises(StateError, match="another customer of the place with the same phone is") as caught:
        customers.register(details(member_no="M-19"), scope_id=HOME, at_ms=MONDAY_MS)
    assert PHONE not in str(caught.value)
    with pytest.raises(StateError, match="another customer of the place with the same member_no is"):
        customers.register(details(phone="+14155550123"), scope_id=HOME, at_ms=MONDAY_MS)
    with pytest.raises(StateError, match="there already"):
        customers.update(other, CustomerDetails(phone=PHONE), at_ms=MONDAY_MS)
    assert dump(shop) == before
    assert customers.register(details(), scope_id=AWAY, at_ms=MONDAY_MS) not in (made, other)


def test_find(shop):
    customers = shop.customers
    made = customers.register(details(), scope_id=HOME, at_ms=MONDAY_MS)
    shop.contacts.add_alias(made, "phone", "+14155550199", at_ms=MONDAY_MS)
    shop.contacts.add_alias(made, "card", "55-90", at_ms=MONDAY_MS)
    for by, value, found in (
        ("phone", "1 (415) 555-2671", made),
        ("phone", "4155550199", made),
        ("email", EMAIL.upper(), made),
        ("member_no", "M-17", made),
        ("alias.card", "55-90", made),
        ("alias.card", "55-91", None),
        ("phone", "4155550100", None),
    ):
        assert customers.find(by, value, scope_id=HOME, at_ms=MONDAY_MS, region="US") == found
        assert customers.find(by, value, scope_id=FOREIGN, at_ms=MONDAY_MS, region="US") is None


def test_the_same_key_enters_once(shop):
    def register(key, told=None, as_=None, at_ms=MONDAY_MS):
        customers = shop.customers if as_ is None else shop.acting_as(as_).customers
        return customers.register(told or details(), scope_id=HOME, at_ms=at_ms, key=key)

    made = register("k1")
    assert register("k1", at_ms=MONDAY_MS + 1) == made
    assert json.loads(last_audit(shop).details)["repeated"]
    with pytest.raises(InputError, match="key was used before"):
        register("k1", details(name="Else"))
    with pytest.raises(StateError):  # another key is another request
        register("k2")
    # A key of another company is another key: nothing is told of ours.
    with pytest.raises(StateError):
        register("k1", as_=actor("admin"))
    assert register("k1", CustomerDetails(), as_=actor("admin")) != made
    # It is kept for two days.
    with pytest.raises(StateError):
        register("k1", at_ms=MONDAY_MS + 2 * DAY_MS)


def test_the_same_key_at_the_same_time_enters_once(shop):
    def register(_):
        try:
            return shop.customers.register(CustomerDetails(), scope_id=HOME, at_ms=MONDAY_MS, key="same")
        except StateError:
            return None

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(register, range(16)))
    assert len(answers - {None}) == 1
    with shop.context.database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(customer)) == 1


def test_registrations_at_the_same_time_get_ids_of_their_own(shop):
    def register(row):
        return shop.customers.register(CustomerDetails(name=f"N{row}"), scope_id=HOME, at_ms=MONDAY_MS)

    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(register, range(24)))
    assert sorted(ids) == list(range(1, 25))


def test_register_many(shop):
    customers = shop.customers
    num = 500
    columns = {
        "name": [f"Name {row}" for row in range(num)],
        "phone": [f"+1415555{row:04d}" if row % 5 else None for row in range(num)],
        "language": ["en", "zh-CN"] * (num // 2),
        "custom": [{"seats": row} if row % 2 else None for row in range(num)],
    }
    ids = customers.register_many(columns, scope_id=HOME, at_ms=MONDAY_MS)
    assert ids == list(range(1, num + 1))
    assert customers.find("phone", "+14155550123", scope_id=HOME, at_ms=MONDAY_MS) == 124
    found = customers.get(124, at_ms=MONDAY_MS)
    assert (found.name, found.phone, found.custom) == ("Name 123", "+14155550123", {"seats": 123})
    assert json.loads(last_audit(shop).details)["shown"]
    with shop.context.database.reading() as connection:
        keys = connection.scalars(sa.select(person_key.c.wrapped)).all()
    assert len(set(keys)) == num
    before = dump(shop)
    others = "+14155557000", "+14155550123"
    for told, rule in (
        ({"phone": others}, r"phone\[1\] is that of a customer who is there already"),
        ({"phone": (*others[:1], None, *others[:1])}, r"phone\[2\] is that of row 0 as well"),
        ({"member_no": ("M-1", "M-2", "M-1")}, r"member_no\[2\] is that of row 0 as well"),
        ({"customer_id": (800, 124)}, r"customer_id\[1\] is that of a customer who is there already"),
    ):
        with pytest.raises(StateError, match=rule) as caught:
            customers.register_many(told, scope_id=HOME, at_ms=MONDAY_MS)
        assert "555" not in str(caught.value)
    with pytest.raises(InputError, match=r"phone\[1\]"):
        customers.register_many({"phone": ["+14155557000", "12"]}, scope_id=HOME, at_ms=MONDAY_MS)
    assert dump(shop) == before
    assert customers.register_many({"name": []}, scope_id=HOME, at_ms=MONDAY_MS) == []
    assert customers.register_many({"customer_id": [900]}, scope_id=HOME, at_ms=MONDAY_MS) == [900]


def test_roles_see_as_much_as_they_may(shop):
    made = shop.customers.register(details(), scope_id=HOME, at_ms=MONDAY_MS)

    def seen(role, **changes):
        return shop.acting_as(actor(role, **changes)).customers.get(made, at_ms=MONDAY_MS)

    assert seen("manager").hidden == ()
    agent = seen("agent")
    assert (agent.name, agent.phone, agent.birthday_mmdd) == (NAME, PHONE, None)
    assert agent.custom == {"seats": 2, "vip": True}
    assert agent.hidden == ("custom", "birthday_mmdd")
    dispatcher = seen("dispatcher")
    assert (dispatcher.name, dispatcher.phone, dispatcher.email) == (NAME, "…671", None)
    assert json.loads(last_audit(shop).details)["shown"] == ["name", "member_no"]
    assert seen("customer", own=("customer", made)).hidden == ()
    for role in ("marketing", "analyst", "auditor", "driver", "customer"):
        with pytest.raises(AuthError):
            seen(role)
    with pytest.raises(AuthError):
        seen("agent", cities=frozenset({OTHER_CITY}))


def test_lists_hold_what_is_within_reach_page_by_page(shop):
    for scope_id, first in ((HOME, 1), (AWAY, 101), (FOREIGN, 201)):
        shop.customers.register_many(
            {"customer_id": list(range(first, first + 25))}, scope_id=scope_id, at_ms=MONDAY_MS
        )

    def listed(as_=None, **filters):
        customers = shop.customers if as_ is None else shop.acting_as(as_).customers
        ids, token = [], None
        while True:
            page = customers.list(limit=10, token=token, **filters)
            ids += [row.customer_id for row in page.rows]
            token = page.next_token
            if token is None:
                return ids

    home, away, foreign = (list(range(first, first + 25)) for first in (1, 101, 201))
    assert listed() == home + away + foreign
    assert listed(actor("manager")) == home + away
    assert listed(actor("agent")) == home
    assert listed(actor("manager", tenant=OTHER_TENANT)) == foreign
    assert listed(actor("agent", cities=frozenset({OTHER_CITY}))) == away
    assert listed(actor("agent", cities=frozenset())) == []
    assert listed(actor("agent"), scope_id=FOREIGN) == []
    assert listed(scope_id=AWAY, status="active") == away
    for nobody in (actor("customer", own=("customer", 1)), actor("driver"), actor("agent", tenant="")):
        with pytest.raises(AuthError):
            listed(nobody)
    token = shop.customers.list(limit=10).next_token
    with pytest.raises(InputError, match="token"):
        shop.customers.list(limit=10, token=token, status="active")
    with pytest.raises(InputError, match="token"):
        shop.customers.list(limit=10, token=("A" if token[0] != "A" else "B") + token[1:])


def test_order_history(shop):
    made = shop.customers.register(details(), scope_id=HOME, at_ms=MONDAY_MS)
    other = shop.customers.register(CustomerDetails(), scope_id=HOME, at_ms=MONDAY_MS)
    rows = [
        {
            "order_id": order_id,
            "customer_id": made if order_id % 4 else other,
            "submitted_at_ms": None if order_id == 7 else MONDAY_MS + order_id // 3,
            "fare_cents": 100 * order_id,
        }
        for order_id in range(1, 60)
    ]
    insert(shop, orders, *rows)

    def history(customer_id):
        ids, token = [], None
        while True:
            page = shop.customers.orders_of(customer_id, limit=7, token=token)
            ids += [row.order_id for row in page.rows]
            token = page.next_token
            if token is None:
                return ids

    own = [row["order_id"] for row in rows if row["customer_id"] == made]
    assert history(made) == [7, *sorted(set(own) - {7}, reverse=True)]
    shop.contacts.merge(other, made, at_ms=MONDAY_MS)
    assert history(made) == [7, *sorted({row["order_id"] for row in rows} - {7}, reverse=True)]
    with pytest.raises(AuthError):
        shop.acting_as(actor("customer", own=("customer", other))).customers.orders_of(made)


def test_a_key_of_another_person_opens_nothing(shop):
    """A sealed value that is moved to another row, field or person does not open."""
    from dispatch.errors import StoreError

    one = shop.customers.register(details(), scope_id=HOME, at_ms=MONDAY_MS)
    two = shop.customers.register(CustomerDetails(name="Other"), scope_id=HOME, at_ms=MONDAY_MS)
    with shop.context.database.writing() as connection:
        name = connection.scalar(sa.select(customer.c.name).where(customer.c.customer_id == one))
        connection.execute(sa.update(customer).where(customer.c.customer_id == two).values(name=name))
    with pytest.raises(StoreError, match="cannot be opened"):
        shop.customers.get(two, at_ms=MONDAY_MS)
    assert replace(shop.customers.get(one, at_ms=MONDAY_MS)).name == NAME


def test_ids_can_be_counted_on_from_whatever_was_told(shop):
    """Who enters somebody of the greatest id there is must not keep all others from being entered."""
    for call in (
        lambda: shop.customers.register(CustomerDetails(), scope_id=HOME, at_ms=1, customer_id=2**62 + 1),
        lambda: shop.customers.register_many({"customer_id": [2**63 - 1]}, scope_id=HOME, at_ms=1),
        lambda: shop.drivers.register_many([2**63 - 1], scope_id=HOME, at_ms=1),
    ):
        with pytest.raises(InputError, match=r"at most 2\^62"):
            call()
    shop.customers.register(CustomerDetails(), scope_id=HOME, at_ms=1, customer_id=2**62)
    assert shop.customers.register(CustomerDetails(), scope_id=HOME, at_ms=1) == 2**62 + 1


def test_nobody_takes_over_the_orders_of_another_company(shop):
    """Orders are kept under the engine's ids, also of customers whom nobody entered."""
    rows = [(1, 77, FOREIGN), (2, 78, AWAY), (3, 79, None)]
    insert(shop, orders, *({"order_id": o, "customer_id": c, "scope_id": s} for o, c, s in rows))
    agent = shop.acting_as(actor("agent"))
    with pytest.raises(StateError, match="customer_id 77 is taken"):
        agent.customers.register(CustomerDetails(name="N"), scope_id=HOME, at_ms=MONDAY_MS, customer_id=77)
    with pytest.raises(StateError, match="customer_id 77 is taken"):
        shop.customers.register_many({"customer_id": [5, 77]}, scope_id=HOME, at_ms=MONDAY_MS)
    for one in (78, 79):
        agent.customers.register(CustomerDetails(), scope_id=HOME, at_ms=MONDAY_MS, customer_id=one)
        assert len(agent.customers.orders_of(one).rows) == 1
    shop.customers.register(CustomerDetails(), scope_id=FOREIGN, at_ms=MONDAY_MS, customer_id=77)


def test_a_number_that_finds_one_as_an_alias_is_not_another_one_s(shop):
    one = shop.customers.register(details(), scope_id=HOME, at_ms=MONDAY_MS)
    other = shop.customers.register(CustomerDetails(name="O"), scope_id=HOME, at_ms=MONDAY_MS)
    shop.contacts.add_alias(one, "phone", "+14155550123", at_ms=MONDAY_MS)
    same = CustomerDetails(phone="+14155550123")
    before = dump(shop)
    for call in (
        lambda: shop.customers.register(same, scope_id=HOME, at_ms=MONDAY_MS),
        lambda: shop.customers.register_many(
            {"phone": [None, "+14155550199", same.phone]}, scope_id=HOME, at_ms=MONDAY_MS
        ),
        lambda: shop.customers.update(other, same, at_ms=MONDAY_MS),
    ):
        with pytest.raises(StateError, match="alias of another customer"):
            call()
    assert dump(shop) == before
    shop.customers.register(same, scope_id=AWAY, at_ms=MONDAY_MS)  # another city's customers are apart
    shop.customers.update(one, same, at_ms=MONDAY_MS)
    assert shop.customers.find("phone", same.phone, scope_id=HOME, at_ms=MONDAY_MS) == one


def test_customers_do_not_say_themselves_who_they_are_to_the_business(shop):
    made = shop.customers.register(details(), scope_id=HOME, at_ms=MONDAY_MS)
    own = shop.acting_as(actor("customer", own=("customer", made))).customers
    own.update(made, CustomerDetails(name="Z", phone="+14155550123"), at_ms=MONDAY_MS)
    for changes in ({"member_no": "GOLD-1"}, {"channel": "vip"}, {"custom": {"vip": True}}):
        with pytest.raises(AuthError, match=r"customer\.classify"):
            own.update(made, CustomerDetails(**changes), at_ms=MONDAY_MS)
    with pytest.raises(AuthError, match=r"customer\.classify"):
        own.update(made, CustomerDetails(), forget=["member_no"], at_ms=MONDAY_MS)
    agent = shop.acting_as(actor("agent")).customers
    agent.update(made, CustomerDetails(member_no="GOLD-1"), at_ms=MONDAY_MS)


@pytest.mark.parametrize(
    ("by", "value"),
    [("member_no", None), ("member_no", 5), ("member_no", "a b"), ("member_no", "a\0"), (5, "x"), (None, "x"),
     ("alias.app", "a\udcff"), ("alias.app", None), ("alias.", "x"), ("email", None), ("phone", 7)],
)  # fmt: skip
def test_what_nobody_can_be_found_by(shop, by, value):
    with pytest.raises(InputError):
        shop.customers.find(by, value, scope_id=HOME, at_ms=MONDAY_MS)


@pytest.mark.parametrize("scope_id", ["x", 10**30, True, -1])
def test_lists_of_what_is_no_place(shop, scope_id):
    with pytest.raises(InputError, match="scope_id is"):
        shop.customers.list(scope_id=scope_id)
