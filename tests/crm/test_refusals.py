"""Refused attempts: each leaves an entry, none can fill the database, all are raised as before."""

import json
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from crm.conftest import CITY, HOUR_MS, MONDAY_MS, OTHER_CITY, OTHER_TENANT, TENANT, actor
from crm.made_people import NAME, PHONE, enter
from dispatch.crm import audit, refusals
from dispatch.crm.audit_log import AuditFilter
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.permissions import Actor
from dispatch.crm.refusals import LOOKED_AT, MOST, WINDOW_MS, home_of
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import audit as table
from dispatch.errors import AuthError, StoreError
from dispatch.store.database import Database

AT = MONDAY_MS


def entries(crm):
    """Rows of refusals, the earliest first."""
    wanted = sa.select(table).where(table.c.action.startswith("refused:")).order_by(table.c.seq)
    with crm.context.database.reading() as connection:
        return connection.execute(wanted).all()


def told(row):
    """What an entry tells besides when it was noted."""
    details = json.loads(row.details)
    assert details.pop("noted_at_ms") > AT + HOUR_MS
    return details


@pytest.fixture
def clock(monkeypatch):
    """The system's clock, to be set; it stands still."""
    now = {"ms": 2 * AT}
    monkeypatch.setattr(refusals, "clock_ms", lambda: now["ms"])
    return now


def refused(context, action, *targets, at_ms=AT, **more):
    """Do an audited action that is refused; gives the error."""
    with pytest.raises(AuthError) as caught, context.acting(action, *targets, at_ms=at_ms, **more):
        pass
    return caught.value


def test_whoever_is_refused_leaves_an_entry_and_nothing_else(crm, scope_id):
    foreign = enter(crm, crm.scope(OTHER_TENANT, CITY), custom=None)
    agent = crm.acting_as(actor("agent", "staff-9"))
    calls = [
        (lambda: agent.customers.get(foreign, at_ms=AT), ("customer.get", "customer", foreign), {}),
        (lambda: agent.customers.get(4711, at_ms=AT + 1), ("customer.get", "customer", 4711), {}),
        (lambda: agent.customers.orders_of(foreign), ("customer.orders", "customer", foreign), {}),
        (lambda: agent.audit_log.verify(), ("audit.verify", None, None), {}),
        (lambda: agent.audit_log.entries(at_ms=AT), ("audit.read", None, None), {}),
        (
            lambda: agent.customers.register(CustomerDetails(NAME, PHONE), scope_id=2, at_ms=AT),
            ("customer.register", None, None),
            {"scope_id": 2},
        ),
        (lambda: agent.scope(OTHER_TENANT, CITY), ("scope.find", None, None), {}),
    ]
    for count, (call, (action, kind, object_id), details) in enumerate(calls, 1):
        with pytest.raises(AuthError, match=f"agent 'staff-9' may not {action} here"):
            call()
        row = entries(crm)[-1]
        assert len(entries(crm)) == count
        assert (row.actor, row.role, row.action) == ("staff-9", "agent", f"refused:{action}")
        assert (row.kind, row.object_id, row.scope_id) == (kind, object_id, scope_id)
        assert told(row) == details
    assert [row.at_ms for row in entries(crm)[:2]] == [AT, AT + 1]
    assert entries(crm)[2].at_ms > AT + HOUR_MS  # who only looks tells no instant: the clock does
    assert NAME not in repr(entries(crm))
    assert crm.audit_log.num_refused() == len(calls)
    assert crm.audit_log.verify() == 3 + len(calls)  # what enter() did is there as well


def test_what_is_refused_half_way_is_undone_and_noted(crm, scope_id):
    """Customers change their own name, not their card: that is found out within the transaction."""
    mine = crm.customers.register(CustomerDetails("Ada"), scope_id=scope_id, at_ms=AT)
    own = crm.acting_as(actor("customer", "c-1", own=("customer", mine)))
    with pytest.raises(AuthError, match=r"customer\.classify"):
        own.customers.update(mine, CustomerDetails("Bea", member_no="M-1"), at_ms=AT)
    (row,) = entries(crm)
    assert (row.action, row.kind, row.object_id) == ("refused:customer.update", "customer", mine)
    assert crm.customers.get(mine, at_ms=AT).name == "Ada"


def test_of_several_objects_the_one_out_of_reach_is_named(crm, scope_id):
    mine = crm.customers.register(CustomerDetails(), scope_id=scope_id, at_ms=AT)
    foreign = crm.customers.register(CustomerDetails(), scope_id=crm.scope(OTHER_TENANT, CITY), at_ms=AT)
    manager = crm.context.of(actor("manager"))
    for count, pair in enumerate(((mine, foreign), (foreign, mine)), 1):
        targets = [("customer", one) for one in pair]
        refused(manager, "customer.merge", *targets, at_ms=AT + WINDOW_MS * count)
        assert [row.object_id for row in entries(crm)] == [foreign] * count
    refused(manager, "customer.update", ("customer", mine), scope_id=2)
    assert (entries(crm)[-1].kind, told(entries(crm)[-1])) == (None, {"scope_id": 2})


def test_the_same_refusal_is_written_once_a_minute(crm, scope_id):
    agent, other = crm.context.of(actor("agent")), crm.context.of(actor("agent", "staff-2"))
    for at_ms in (AT, AT, AT + WINDOW_MS - 1):
        refused(agent, "customer.get", ("customer", 7), at_ms=at_ms)
    assert len(entries(crm)) == 1
    refused(agent, "customer.get", ("customer", 7), at_ms=AT + WINDOW_MS)
    assert len(entries(crm)) == 2
    # Another action, object or person is another refusal, and so is a place instead of an object.
    refused(agent, "customer.view", ("customer", 7), at_ms=AT + WINDOW_MS)
    refused(agent, "customer.get", ("customer", 8), at_ms=AT + WINDOW_MS)
    refused(other, "customer.get", ("customer", 7), at_ms=AT + WINDOW_MS)
    refused(agent, "customer.register", scope_id=8, at_ms=AT + WINDOW_MS)
    refused(agent, "customer.register", scope_id=9, at_ms=AT + WINDOW_MS)
    refused(agent, "customer.register", scope_id=9, at_ms=AT + WINDOW_MS)
    assert len(entries(crm)) == 7


def test_a_flood_of_refusals_fills_nothing(crm, scope_id, clock):
    crm.scope(OTHER_TENANT, CITY)
    agent = crm.context.of(actor("agent"))
    for object_id in range(MOST + 60):
        refused(agent, "customer.get", ("customer", object_id), at_ms=AT + object_id)
    found = entries(crm)
    assert [row.object_id for row in found] == list(range(MOST))
    assert [told(row) for row in found] == [{}] * (MOST - 1) + [{"more_unwritten": True}]
    # Nobody else is silenced by it: not another of the company, nor one of the same name elsewhere.
    for who in (actor("agent", "staff-2"), actor("manager"), actor("agent", tenant=OTHER_TENANT)):
        refused(crm.context.of(who), "person.erase", ("customer", 1))
    assert len(entries(crm)) == MOST + 3
    # The first of them is a minute old: there is room for one again.
    clock["ms"] += WINDOW_MS
    refused(agent, "customer.get", ("customer", 77), at_ms=AT + WINDOW_MS)
    refused(agent, "customer.get", ("customer", 78), at_ms=AT + WINDOW_MS)
    assert [row.object_id for row in entries(crm)][-1] == 77
    # How long the audit is does not matter: a thousand entries are looked at, and no more.
    with crm.context.database.writing() as connection:
        audit.append(connection, agent.actor, "customer.get", AT, [("customer", 1, 1)] * LOOKED_AT, {})
    refused(agent, "customer.get", ("customer", 77), at_ms=AT + WINDOW_MS)
    assert len(entries(crm)) == MOST + 5
    crm.audit_log.verify()


def test_who_tells_the_time_cannot_fill_the_audit_by_it(crm, scope_id, clock):
    agent = crm.context.of(actor("agent"))
    for minute in range(3 * MOST):
        refused(agent, "customer.get", ("customer", 7), at_ms=AT + minute * WINDOW_MS)
    found = entries(crm)
    assert [row.at_ms for row in found] == [AT + minute * WINDOW_MS for minute in range(MOST)]
    assert [told(row) for row in found] == [{}] * (MOST - 1) + [{"more_unwritten": True}]
    clock["ms"] += WINDOW_MS - 1
    refused(agent, "customer.get", ("customer", 7), at_ms=AT + 100 * WINDOW_MS)
    assert len(entries(crm)) == MOST
    clock["ms"] += 1
    refused(agent, "customer.get", ("customer", 7), at_ms=AT + 100 * WINDOW_MS)
    assert len(entries(crm)) == MOST + 1
    # However long the clock goes on, of a minute that is told it is as many.
    for object_id in range(2 * MOST):
        clock["ms"] += WINDOW_MS
        refused(agent, "customer.get", ("customer", object_id), at_ms=AT + 200 * WINDOW_MS)
    assert len(entries(crm)) == 2 * MOST + 1


@pytest.mark.parametrize("text", ["{", "[]", '{"noted_at_ms":"x"}'])
def test_an_entry_that_was_tampered_with_hides_no_refusal(crm, scope_id, text):
    agent = crm.context.of(actor("agent"))
    refused(agent, "customer.get", ("customer", 7))
    with crm.context.database.writing() as connection:
        connection.execute(table.update().where(table.c.actor == "staff-1").values(details=text))
    error = refused(agent, "customer.get", ("customer", 8))
    assert isinstance(error.__cause__, StoreError)
    assert "the audit is damaged" in str(error.__cause__)


def test_refused_at_the_same_time_is_refused_once(crm, scope_id):
    """None of eight sees the entry of another before it waits for it; then all but one do."""
    agent = crm.context.of(actor("agent"))
    ready = threading.Barrier(9, timeout=30)

    def attempt():
        ready.wait()
        refused(agent, "customer.get", ("customer", 7))

    with crm.context.database.writing() as connection:
        audit.lock(connection)
        threads = [threading.Thread(target=attempt) for _ in range(8)]
        for thread in threads:
            thread.start()
        ready.wait()
    for thread in threads:
        thread.join(30)
    assert [row.object_id for row in entries(crm)] == [7]
    crm.audit_log.verify()


def test_within_a_transaction_that_reads_it_can_be_written(crm, scope_id):
    agent = crm.context.of(actor("agent"))
    with agent.listing("order.read", orders.c.scope_id), pytest.raises(AuthError):
        agent.of(agent.actor).looking("order.read", ("order", 5)).__enter__()
    assert len(entries(crm)) == 1


def read_only(crm):
    """Open the same database as somebody who can only read it."""
    path = crm.context.database.path
    if path is not None:
        return Database(f"sqlite:///file:{path}?mode=ro&uri=true")
    url = crm.context.database.url.update_query_dict({"options": "-c role=pg_read_all_data"})
    return Database(url.render_as_string(hide_password=False))


def test_in_a_database_that_can_only_be_read_it_is_raised_with_the_reason(crm, scope_id):
    with read_only(crm) as database:
        agent = replace(crm.context, database=database, actor=actor("agent"))
        with agent.listing("order.read", orders.c.scope_id) as (connection, within):
            assert connection.scalar(sa.select(sa.func.count()).select_from(orders).where(within)) == 0
        with pytest.raises(AuthError, match=r"agent 'staff-1' may not order\.read here") as caught:
            agent.looking("order.read", ("order", 5)).__enter__()
    assert isinstance(caught.value.__cause__, StoreError)
    assert caught.value.__notes__ == ["this refusal could not be written to the audit"]
    assert entries(crm) == []


@pytest.mark.parametrize("damage", ["DELETE FROM audit_head", "UPDATE audit_head SET seq = 0"])
def test_where_the_audit_is_damaged_it_is_raised_with_the_reason(crm, scope_id, damage):
    crm.customers.register(CustomerDetails(), scope_id=scope_id, at_ms=AT)
    with crm.context.database.writing() as connection:
        connection.exec_driver_sql(damage)
    error = refused(crm.context.of(actor("agent")), "customer.get", ("customer", 7))
    assert isinstance(error.__cause__, sa.exc.SQLAlchemyError)
    assert "could not be written" in error.__notes__[0]


def test_auditors_meet_the_refusals_of_their_own_company(crm, scope_id):
    foreign = enter(crm, crm.scope(OTHER_TENANT, CITY), custom=None)
    crm.scope(TENANT, OTHER_CITY)
    refused(crm.context.of(actor("agent", "spy")), "customer.get", ("customer", foreign))
    refused(crm.context.of(Actor("driver", "nobody")), "customer.get", ("customer", foreign))

    def found(crm, **wanted):
        page = crm.audit_log.entries(AuditFilter(**wanted), at_ms=AT)
        return [(row.actor, row.action, row.refused) for row in page.rows]

    auditor = crm.acting_as(actor("auditor"))
    assert found(auditor, refused=True) == [("spy", "customer.get", True)]
    assert found(auditor, action="customer.get", refused=False) == []
    of_them = found(auditor, action="customer.get", target=("customer", foreign))
    assert of_them == [("spy", "customer.get", True)]
    others = crm.acting_as(actor("auditor", tenant=OTHER_TENANT))
    assert found(others, refused=True) == []
    assert found(crm, refused=True) == [("nobody", "customer.get", True), ("spy", "customer.get", True)]
    assert all(not one for _, _, one in found(crm, refused=False))
    assert len(found(crm, refused=False)) > 5


def test_the_place_of_a_refusal_is_the_actor_s_own(crm, scope_id):
    oakland, paris = crm.scope(TENANT, OTHER_CITY), crm.scope(OTHER_TENANT, "paris")
    with crm.context.database.reading() as connection:
        for who, home in (
            (actor("agent"), scope_id),
            (actor("agent", cities=frozenset({OTHER_CITY})), oakland),
            (actor("manager", cities=frozenset()), scope_id),
            (actor("agent", tenant=OTHER_TENANT), paris),
            (actor("agent", tenant="nobody"), None),
            (Actor("system", "system"), None),
        ):
            assert home_of(connection, who) == home
