"""The audit as those who look after it meet it."""

import pytest
import sqlalchemy as sa

from crm.conftest import CITY, MONDAY_MS, OTHER_TENANT, TENANT, actor
from crm.made_people import NAME, PHONE, enter
from dispatch.crm.audit_log import AuditFilter
from dispatch.crm.exchange.exporting import export_list
from dispatch.crm.tables.people import audit
from dispatch.errors import InputError, StoreError
from dispatch.store.chain import Head
from dispatch.store.sealing import Keyring


def test_checked_against_a_head_kept_elsewhere(crm, scope_id, tmp_path):
    enter(crm, scope_id, custom=None)
    auditor = crm.acting_as(actor("auditor")).audit_log
    path = tmp_path / "head.json"
    head = auditor.head(at_ms=MONDAY_MS, path=path)
    num = auditor.verify()
    assert num == head.seq == 3
    crm.customers.get(1, at_ms=MONDAY_MS)
    assert auditor.verify(Head.load(path)) == num + 1
    assert auditor.verify(Head.load(path), crm.context.vault.keyring.public_key()) == num + 1
    with pytest.raises(StoreError, match="another key"):
        auditor.verify(Head.signed(Keyring.new(), head.seq, head.hash, 1))
    with crm.context.database.writing() as connection:
        connection.execute(sa.update(audit).where(audit.c.seq == 2).values(actor="nobody"))
    with pytest.raises(StoreError, match="entry 2 was changed"):
        auditor.verify()


def test_entries_are_read_within_reach_and_that_is_noted(crm, scope_id):
    mine = enter(crm, scope_id, custom=None)
    foreign = enter(crm, crm.scope(OTHER_TENANT, CITY), custom=None)
    for _ in range(3):
        crm.acting_as(actor("agent")).customers.get(mine, at_ms=MONDAY_MS)
        crm.customers.get(foreign, at_ms=MONDAY_MS + 5)

    def read(as_, **told):
        rows, token = [], None
        wanted = AuditFilter(**told)
        while True:
            page = as_.audit_log.entries(wanted, at_ms=MONDAY_MS + 9, limit=2, token=token)
            rows += page.rows
            token = page.next_token
            if token is None:
                return rows

    auditor = crm.acting_as(actor("auditor"))
    seen = read(auditor)
    assert {row.scope_id for row in seen} == {scope_id}
    assert [row.seq for row in seen] == sorted((row.seq for row in seen), reverse=True)
    assert len([row for row in seen if row.action == "customer.get"]) == 3
    assert seen[0].details == {"shown": ["name", "phone", "email", "custom", "member_no"]}
    assert read(auditor, target=("customer", foreign)) == []
    assert len(read(crm, target=("customer", foreign), action="customer.get")) == 3
    assert len(read(crm, actor="staff-1", action="customer.get")) == 3
    assert {row.at_ms for row in read(crm, from_ms=MONDAY_MS + 5, until_ms=MONDAY_MS + 6)} == {MONDAY_MS + 5}
    noted = read(crm, action="audit.read")
    assert len(noted) > 3
    assert noted[-1].actor == "staff-1"
    text = repr(read(crm))
    assert NAME not in text
    assert PHONE not in text


@pytest.mark.parametrize(
    "told",
    [
        {"action": "customer.sell"},
        {"target": "x"},
        {"target": ("customer", -1)},
        {"target": ("dog", 1)},
        {"actor": 5},
        {"from_ms": -1},
        {"until_ms": "x"},
        {"refused": 1},
    ],
)
def test_bad_filters(told):
    with pytest.raises(InputError):
        AuditFilter(**told)


def test_auditors_see_who_took_out_the_lists_of_their_company(crm, scope_id, tmp_path):
    crm.scope(OTHER_TENANT, CITY)
    export_list(crm.acting_as(actor("analyst", "spy")).context, "orders", tmp_path / "o.csv", at_ms=MONDAY_MS)
    for tenant, found in ((TENANT, ["spy"]), (OTHER_TENANT, [])):
        told = crm.acting_as(actor("auditor", tenant=tenant)).audit_log
        page = told.entries(AuditFilter(action="order.list_out"), at_ms=MONDAY_MS)
        assert [row.actor for row in page.rows] == found


def test_a_head_takes_the_place_of_no_other_file(crm, scope_id, tmp_path):
    auditor = crm.acting_as(actor("auditor")).audit_log
    keys = crm.context.vault.path
    before = keys.read_bytes()
    with pytest.raises(InputError, match="which is no head; it is not replaced"):
        auditor.head(at_ms=MONDAY_MS, path=keys)
    assert keys.read_bytes() == before
    for at_ms in (MONDAY_MS, MONDAY_MS + 1):
        auditor.head(at_ms=at_ms, path=tmp_path / "head.json")
    assert Head.load(tmp_path / "head.json").at_ms == MONDAY_MS + 1


@pytest.mark.parametrize("name", ["\ud800", "a\x1b[2J", "a" * 201])
def test_what_is_asked_for_is_noted_in_the_audit_so_it_must_be_a_name(name):
    with pytest.raises(InputError, match="of an actor it must be a text of at most 200 printable"):
        AuditFilter(actor=name)
