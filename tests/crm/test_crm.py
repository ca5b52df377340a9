"""The face: made, opened, acted as somebody; keys beside the file."""

from functools import cached_property

import numpy as np
import pytest
import sqlalchemy as sa

from crm.conftest import CITY, DAY_MS, MONDAY_MS, OTHER_CITY, TENANT, actor
from crm.made_people import dump
from dispatch.crm import crm as crm_module
from dispatch.crm.context import check_id, check_instant
from dispatch.crm.crm import MERGE_HOOKS, Crm
from dispatch.crm.loyalty.coupons import CouponTerms
from dispatch.crm.loyalty.points import Gain
from dispatch.crm.loyalty.redemptions import Booking
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.service.complaints import Compensation, NewComplaint
from dispatch.crm.tables.everything import metadata
from dispatch.crm.vertical import Vertical
from dispatch.errors import AuthError, InputError, StoreError
from dispatch.store.sealing import Keyring


def test_made_and_opened_again(database_url, tmp_path):
    keys = tmp_path / "crm.keys"
    with Crm.create(database_url, "ride", keys=keys) as crm:
        scope_id = crm.scope(TENANT, CITY)
        made = crm.customers.register(CustomerDetails(name="N"), scope_id=scope_id, at_ms=MONDAY_MS)
        before = dump(crm)
    with pytest.raises(StoreError, match="there are tables already"):
        Crm.create(database_url, "ride", keys=keys)
    with Crm.open(database_url, Vertical.load("ride"), keys=keys) as crm:
        assert dump(crm) == before
        assert crm.scope(TENANT, CITY) == scope_id
        assert crm.customers.get(made, at_ms=MONDAY_MS).name == "N"
        assert crm.audit_log.verify() == 2
    Keyring.new().save(keys)
    with pytest.raises(StoreError, match="this keyring is not the one"):
        Crm.open(database_url, "ride", keys=keys)
    # Other versions of master keys are another keyring as well.
    Keyring.new().rotated().only_latest().save(keys)
    with pytest.raises(StoreError, match="this keyring is not the one"):
        Crm.open(database_url, "ride", keys=keys)


def test_where(tmp_path):
    with Crm.create(tmp_path / "a.db") as crm:
        assert Keyring.load(tmp_path / "a.db.keys") == crm.context.vault.keyring
    for where, error, rule in (
        (tmp_path / "none" / "a.db", InputError, "its folder is not there"),
        ("postgresql://127.0.0.1/none", InputError, "keys is missing"),
        ("mysql://127.0.0.1/none", InputError, "database is"),
    ):
        with pytest.raises(error, match=rule):
            Crm.create(where)
    with pytest.raises(InputError, match="vertical is 'bakery'"):
        Crm.create(tmp_path / "b.db", "bakery")
    with pytest.raises(StoreError, match="no such file"):
        Crm.open(tmp_path / "b.db")
    assert (tmp_path / "a.db").stat().st_mode & 0o77 == 0
    (tmp_path / "a.db.keys").unlink()
    with pytest.raises(StoreError, match="there are tables already"):
        Crm.create(tmp_path / "a.db")
    assert not (tmp_path / "a.db.keys").exists()  # which would be taken for the right one
    with pytest.raises(StoreError, match="no keys"):
        Crm.open(tmp_path / "a.db")
    assert not (tmp_path / "b.db").exists()


def test_of_two_who_make_it_at_once_the_second_leaves_the_first_one_s(tmp_path, monkeypatch):
    where, begin = tmp_path / "a.db", crm_module.begin

    def after_another(*told):
        monkeypatch.undo()
        with Crm.create(where) as first:
            first.scope(TENANT, CITY)
        begin(*told)

    monkeypatch.setattr(crm_module, "begin", after_another)
    with pytest.raises(StoreError, match=r"a\.db: another one made it meanwhile; open it instead"):
        Crm.create(where)
    with Crm.open(where) as crm:
        assert [place[1:] for place in crm.places()] == [(TENANT, CITY)]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.db", "a.db.keys", "a.db.keys.erased"]


def test_a_keyring_that_is_there_is_kept(tmp_path, monkeypatch):
    keys = tmp_path / "crm.keys"
    first = Crm.create(tmp_path / "a.db", keys=keys)
    monkeypatch.setattr(type(keys), "exists", lambda path: path != keys and path.is_file())  # a race
    with Crm.create(tmp_path / "b.db", keys=keys) as second:
        assert second.context.vault.keyring == first.context.vault.keyring == Keyring.load(keys)
    keys.chmod(0o640)
    monkeypatch.undo()
    with pytest.raises(InputError, match="others may read"):
        Crm.create(tmp_path / "c.db", keys=keys)
    with pytest.raises(InputError, match=r"keys is .* its folder is not there"):
        Crm.create(tmp_path / "c.db", keys=tmp_path / "none" / "crm.keys")
    assert not list(tmp_path.glob("c.db*"))
    first.close()


def test_a_place_that_is_known_waits_for_no_writer(crm, scope_id):
    with crm.context.database.writing():
        assert crm.scope(TENANT, CITY) == scope_id
    for tenant in ("a\0b", "a\udcff", "", 7, "x" * 65):
        with pytest.raises(InputError, match="tenant is"):
            crm.scope(tenant, CITY)


def test_acting_as_somebody(crm, scope_id):
    agent = crm.acting_as(actor("agent"))
    assert agent.context.actor.role == "agent"
    assert agent.context.database is crm.context.database
    assert agent.context.vault is crm.context.vault
    assert agent.scope(TENANT, CITY) == scope_id
    crm.scope(TENANT, OTHER_CITY)
    with pytest.raises(AuthError):
        agent.scope(TENANT, OTHER_CITY)
    assert crm.acting_as(actor("manager")).scope(TENANT, OTHER_CITY)


def test_parts_are_made_once(crm):
    names = [name for name, value in vars(Crm).items() if isinstance(value, cached_property)]
    for name in names:
        part = getattr(crm, name)
        assert part is getattr(crm, name)
        assert type(part).__doc__, name
        assert part is not getattr(crm.acting_as(actor("agent")), name)
    assert {"customers", "contacts", "consents", "privacy", "audit_log", "customer_views"} <= set(names)
    assert all(callable(hook) for hook in MERGE_HOOKS)


def everyday(crm, whole):
    """A bit of everything, its numbers of one kind."""
    at, scope_id = whole(MONDAY_MS), whole(crm.scope(TENANT, CITY))
    first = whole(crm.customers.register(CustomerDetails("N", "+14155550100"), scope_id=scope_id, at_ms=at))
    other = crm.customers.register(CustomerDetails("M"), scope_id=scope_id, at_ms=at, customer_id=whole(7))
    crm.customers.register_many({"customer_id": [whole(8)]}, scope_id=scope_id, at_ms=at)
    crm.customers.update(first, CustomerDetails(email="n@mail.example"), at_ms=at, version=whole(1))
    crm.consents.record(first, "marketing", True, at_ms=at, source="app")
    crm.points.earn(first, Gain("trip", "trip:1", whole(5_000), order_id=whole(1)), at_ms=at)
    crm.points.grant(first, whole(500), at_ms=at, reason="gift", key="gift:1")
    crm.points.redeem(first, whole(100), at_ms=at, key="redeem:1", order_id=whole(2))
    terms = CouponTerms("autumn", at, at + whole(DAY_MS), cents=whole(300), code="AUTUMN")
    coupon_id = whole(crm.coupons.define(scope_id, terms, at_ms=at))
    crm.coupons.reserve(first, "AUTUMN", Booking(whole(2), whole(2_000)), at_ms=at)
    crm.coupons.roll_back(first, whole(2), at_ms=at)
    crm.coupons.withdraw(coupon_id, at_ms=at, reason="over")
    crm.memberships.set_tier(first, "gold", reason="gift", at_ms=at)
    crm.drivers.register_many([whole(1), whole(2)], scope_id=scope_id, at_ms=at)
    crm.qualifications.qualify_many(
        [whole(1)], scope_id=scope_id, at_ms=at, valid_until_ms=at + whole(DAY_MS)
    )
    crm.blocks.block(whole(1), "rest", at_ms=at, until_ms=at + whole(DAY_MS))
    complaint_id = whole(crm.service_desk.file(NewComplaint(first, "wrong_fare"), at_ms=at))
    crm.service_desk.resolve(
        complaint_id, "upheld", reason="right", at_ms=at, compensation=Compensation(whole(50))
    )
    crm.dispatch_inputs.of_orders([first], order_id=[whole(3)], at_ms=at)
    crm.dispatch_inputs.of_drivers([whole(1)], at_ms=at)
    crm.contacts.merge(whole(other), first, at_ms=at + whole(1))
    crm.privacy.hold("customer", first, "court", at_ms=at + whole(2))
    view = crm.customer_views.view(first, at_ms=at + whole(3), limit=whole(50))
    crm.privacy.erase("customer", whole(8), at_ms=at + whole(4))
    return [(entry.at_ms, entry.what) for entry in view.timeline]


def test_numpys_whole_numbers_are_numbers(database_url, tmp_path):
    """As ids, instants and amounts: the same rows come of them, and the same audit."""
    with Crm.create(tmp_path / "plain.db") as plain, Crm.create(database_url, keys=tmp_path / "keys") as crm:
        assert everyday(crm, np.int64) == everyday(plain, int)
        assert crm.audit_log.verify() == plain.audit_log.verify()
        for table in metadata.sorted_tables:
            own = [column for column in table.c if not isinstance(column.type, sa.LargeBinary)]
            if table.name in ("installation", "rulebook", "idempotency"):
                continue
            rows = []
            for one in (crm, plain):
                with one.context.database.reading() as connection:
                    rows.append(
                        connection.execute(sa.select(*own).order_by(*table.primary_key.columns)).all()
                    )
            assert rows[0] == rows[1], table.name
    for value in (np.float64(1), np.bool_(True), np.int64(-1), "1"):
        with pytest.raises(InputError):
            check_id("order_id", value)
        with pytest.raises(InputError):
            check_instant("at_ms", value)


def test_seconds_are_no_milliseconds(crm, scope_id):
    for value in (978_307_200, MONDAY_MS // 1000, np.int64(7_258_118_399)):
        with pytest.raises(
            InputError, match=rf"at_ms is {value}: these look like seconds; tell .* {value}000"
        ):
            crm.customers.register(CustomerDetails("N"), scope_id=scope_id, at_ms=value)
    for value in (0, 978_307_199, 978_307_200_000):
        check_instant("at_ms", value)


def test_a_place_that_must_be_known_is_not_made(crm, scope_id):
    assert crm.scope(TENANT, CITY, is_known=True) == scope_id
    for city in ("a", "b", "c", "d", "e"):
        crm.scope("zenith", city)
    message = r"place is 'acme/pariss': .* known are acme/san_francisco, zenith/a, .* and 1 others"
    with pytest.raises(InputError, match=message):
        crm.scope(TENANT, "pariss", is_known=True)
    assert [place[1:] for place in crm.places()][:2] == [(TENANT, CITY), ("zenith", "a")]
    assert crm.acting_as(actor("agent")).places() == [(scope_id, TENANT, CITY)]
