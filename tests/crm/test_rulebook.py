"""The rules that a database keeps: taken where none are told, changed on purpose alone, of one business."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from functools import partial
from importlib import resources

import pytest
import sqlalchemy as sa

from crm.conftest import CITY, MONDAY_MS, TENANT, actor
from crm.engaged import add_customers, add_orders
from crm.made_people import dump, last_audit
from crm.waiting import wait_until_blocked
from dispatch.crm import rulebook as module
from dispatch.crm.crm import Crm
from dispatch.crm.exchange.backup import backup, restore
from dispatch.crm.tables import engagement, fleet, loyalty, orders, people, service
from dispatch.crm.tables.people import rulebook
from dispatch.crm.vertical import Vertical, packaged_verticals
from dispatch.errors import AuthError, InputError, StateError
from dispatch.units import LATEST_MS

RIDE = Vertical.load("ride")
HARDER = replace(RIDE, tiers=(*RIDE.tiers[:-1], replace(RIDE.tiers[-1], at_least=10**9)))
FUEL = Vertical.load("fuel")
LOW = {"tiers": RIDE.tiers[:1], "earn": (), "sla": RIDE.sla[:1]}
NO_GOLD = replace(RIDE, **LOW)
TURNED = replace(RIDE, tiers=(RIDE.tiers[0], replace(RIDE.tiers[1], name="bronze"), *RIDE.tiers[2:]))
ONE_CLASS = replace(RIDE, classes=("ordinary",))
MEMBERSHIP = {
    "customer_id": 1, "tier": "gold", "from_ms": MONDAY_MS, "until_ms": MONDAY_MS + 1,
    "keep_until_ms": MONDAY_MS, "reason": "gift", "entered_at_ms": MONDAY_MS,
}  # fmt: skip
SEGMENT = {
    "name": "best", "rule": {"all": [{"measure": "tier", "one_of": ["gold"]}]},
    "created_at_ms": MONDAY_MS, "changed_at_ms": MONDAY_MS,
}  # fmt: skip
INCIDENT = {"code": "detour", "stage": "riding", "severity": 3, "source": "staff", "at_ms": MONDAY_MS}
TRAINING = {
    "driver_id": 1, "course": "safety", "passed": 1, "at_ms": MONDAY_MS, "valid_until_ms": LATEST_MS,
}  # fmt: skip
PASS = {
    "customer_id": 1, "product": "ten_rides", "price_cents": 9000, "from_ms": MONDAY_MS,
    "until_ms": LATEST_MS, "bought_at_ms": MONDAY_MS,
}  # fmt: skip
ENERGY = {
    "station_id": 1, "product": "diesel", "millilitres": 1, "cents": 1, "at_ms": MONDAY_MS, "key": "a",
}  # fmt: skip


def kept(crm):
    with crm.context.database.reading() as connection:
        return connection.execute(sa.select(rulebook)).one()


@pytest.mark.parametrize("name", packaged_verticals())
def test_who_opens_it_need_not_tell(tmp_path, name):
    with Crm.create(tmp_path / "crm.db", name) as crm:
        assert crm.context.vertical == Vertical.load(name)
    with Crm.open(tmp_path / "crm.db") as crm:
        assert crm.context.vertical == Vertical.load(name)
        entries = crm.audit_log.verify()
    with Crm.open(tmp_path / "crm.db", name) as crm:
        assert crm.audit_log.verify() == entries, "the same rules are no change"


def test_another_business_is_refused(crm, database_url, tmp_path):
    for told in ("fuel", Vertical.load("delivery")):
        with pytest.raises(InputError, match=r"vertical is '(fuel|delivery)': this database is of 'ride'"):
            Crm.open(database_url, told, keys=tmp_path / "crm.keys")
    assert kept(crm).vertical == "ride"


def test_who_opens_it_changes_no_rules(crm, database_url, tmp_path):
    """Such as a command that only reads, where a vertical is told by the environment."""
    keys, file = tmp_path / "crm.keys", tmp_path / "ride.toml"
    file.write_bytes((resources.files("dispatch.crm") / "verticals" / "ride.toml").read_bytes())
    Crm.open(database_url, file, keys=keys).close()
    Crm.open(database_url, HARDER, keys=keys, changes_rules=True).close()
    before, entries = kept(crm), crm.audit_log.verify()
    for told in (RIDE, file):
        with pytest.raises(
            StateError,
            match=r"vertical is 'ride', with other rules .*\(tiers\): leave it out .* dispatch crm rules",
        ):
            Crm.open(database_url, told, keys=keys)
    for told in ("ride", HARDER, None):
        with Crm.open(database_url, told, keys=keys) as opened:
            assert opened.context.vertical == HARDER
            assert opened.changed_rules == ()
    assert (kept(crm), crm.audit_log.verify()) == (before, entries)
    with pytest.raises(InputError, match="vertical is missing: changes_rules is set"):
        Crm.open(database_url, keys=keys, changes_rules=True)


def test_rules_are_changed_by_who_may_do_all(crm, scope_id, database_url, tmp_path):
    keys = tmp_path / "crm.keys"
    before = kept(crm)
    with pytest.raises(AuthError, match=r"may not rules.change here: the rules that were told are not those"):
        Crm.open(database_url, HARDER, keys=keys, actor=actor("admin"), changes_rules=True)
    assert kept(crm) == before
    with Crm.open(database_url, HARDER, keys=keys, changes_rules=True) as changed:
        assert changed.changed_rules == ("tiers",)
        entry = last_audit(changed)
        assert entry.action == "rules.change"
        noted = json.loads(entry.details)
        assert (noted["vertical"], noted["changed"], len(noted["sha256"])) == ("ride", ["tiers"], 64)
    with Crm.open(database_url, keys=keys, actor=actor("agent")) as later:
        assert later.context.vertical == HARDER
        assert later.scope(TENANT, CITY) == scope_id
    assert crm.context.vertical == RIDE, "who has it open goes on as before"
    entries = crm.audit_log.verify()
    with Crm.open(database_url, HARDER, keys=keys, changes_rules=True) as same:
        assert same.changed_rules == ()
        assert same.audit_log.verify() == entries, "the same rules are no change"


def lacking(part, name, of=RIDE):
    """Rules that lack one thing which those of a business have."""
    left = tuple(
        one for one in getattr(of, part) if name not in (one, *getattr(one, "__dict__", {}).values())
    )
    assert len(left) == len(getattr(of, part)) - 1
    return replace(of, **{part: left})


SPOKEN_OF = (
    ((people.customer, {"tier": "gold"}), NO_GOLD, r"lack tier 'gold' \(used in customer\)"),
    ((loyalty.membership, MEMBERSHIP), NO_GOLD, r"tier 'gold' \(used in membership\)"),
    ((engagement.segment, SEGMENT), NO_GOLD, r"tier 'gold' \(used in segment\)"),
    ((service.incident, INCIDENT), lacking("problems", "detour"), r"problem 'detour' \(used in incident"),
    ((fleet.training, TRAINING), lacking("courses", "safety"), r"course 'safety' \(used in training"),
    ((loyalty.customer_pass, PASS), lacking("passes", "ten_rides"), r"pass 'ten_rides' \("),
    ((fleet.energy_purchase, ENERGY), lacking("products", "diesel", FUEL), r"product 'diesel' \("),
    ((fleet.energy_purchase, ENERGY), replace(FUEL, products=()), r"product 'diesel' \("),
    ((orders.orders, {"order_id": 1, "tier": 1}), TURNED, "orders tell tiers by .*basic, bronze"),
    ((orders.orders, {"order_id": 1, "tier": 2}), NO_GOLD, "orders tell tiers by their places, 0 to 2"),
    ((orders.orders, {"order_id": 1, "vehicle_class": 1}), ONE_CLASS, "classes by .* ordinary, comfort"),
)
"""A row, rules that lack what it speaks of, and how they are refused."""


def test_what_rows_speak_of_stays(crm, scope_id, database_url, tmp_path):
    add_customers(crm, scope_id, [1])
    open_with = partial(Crm.open, database_url, keys=tmp_path / "crm.keys", changes_rules=True)
    for (table, row), without, message in SPOKEN_OF:
        open_with(without).close()
        open_with(without.name).close()
        is_new, before = table is not people.customer, dump(crm)
        told = row | ({"scope_id": scope_id} if "scope_id" in table.c else {})
        with crm.context.database.writing() as connection:
            connection.execute((sa.insert(table) if is_new else sa.update(table)).values(told))
        with pytest.raises(
            StateError, match=rf"vertical is '{without.name}': .*{message}.*nothing was changed"
        ):
            open_with(without)
        with crm.context.database.writing() as connection:
            connection.execute(sa.delete(table) if is_new else sa.update(table).values(tier=None))
        assert dump(crm) == before


def test_what_is_over_binds_no_rules(crm, database_url, tmp_path):
    for table, row in ((fleet.training, TRAINING), (loyalty.customer_pass, PASS)):
        name = "valid_until_ms" if table is fleet.training else "until_ms"
        with crm.context.database.writing() as connection:
            connection.execute(sa.insert(table).values(row | {name: MONDAY_MS + 1}))
    fewer = replace(RIDE, passes=(), courses=())
    with Crm.open(database_url, fewer, keys=tmp_path / "crm.keys", changes_rules=True) as changed:
        assert changed.changed_rules == ("courses", "passes")


def test_rules_that_this_version_cannot_read_are_told_anew(crm, database_url, tmp_path):
    keys = tmp_path / "crm.keys"
    for text, rule in (
        ('{"name": "ride", "stages": ["a"], "moods": []}', "unknown key 'moods'"),
        ("{", "no JSON"),
    ):
        with crm.context.database.writing() as connection:
            connection.execute(sa.update(rulebook).values(rules=text))
        for told in (None, "ride", RIDE):
            with pytest.raises(
                InputError, match=rf"vertical 'ride', as the database keeps them: {rule}.*; tell .* anew"
            ):
                Crm.open(database_url, told, keys=keys)
        with Crm.open(database_url, "ride", keys=keys, changes_rules=True) as again:
            every = sorted(one.name for one in fields(RIDE))
            assert json.loads(last_audit(again).details)["changed"] == every


def test_an_older_database_is_told_once_and_a_slip_can_be_mended(crm, scope_id, database_url, tmp_path):
    keys = tmp_path / "crm.keys"
    add_customers(crm, scope_id, [1], tier="gold")
    with crm.context.database.writing() as connection:
        connection.execute(sa.delete(rulebook))
    for told in (None, "ride", RIDE):
        with pytest.raises(InputError, match=r"vertical is missing: .* init --upgrade --vertical"):
            Crm.open(database_url, told, keys=keys)
    delivery = Vertical.load("delivery")
    with pytest.raises(StateError, match=r"vertical is 'delivery': its rules lack tier 'gold'"):
        Crm.open(database_url, replace(delivery, **LOW), keys=keys, changes_rules=True)
    with Crm.open(database_url, "fuel", keys=keys, changes_rules=True) as told:  # which has gold as well
        assert "tiers" in json.loads(last_audit(told).details)["changed"]
        add_orders(told, scope_id, [{"customer_id": 1, "at_ms": MONDAY_MS}])
        with told.context.database.writing() as connection:
            connection.execute(sa.update(orders.orders).values(tier=2))
    Crm.open(database_url, HARDER, keys=keys, changes_rules=True).close()
    with Crm.open(database_url, keys=keys) as later:
        assert later.context.vertical == HARDER


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("is_kept", [True, False])
def test_two_who_change_them_do_so_one_after_the_other(crm, database_url, tmp_path, is_kept):
    keys = tmp_path / "crm.keys"
    if not is_kept:
        with crm.context.database.writing() as connection:
            connection.execute(sa.delete(rulebook))
    with ThreadPoolExecutor(1) as pool:
        with crm.context.database.writing() as connection:
            module.keep_in(connection, replace(RIDE, purposes=(*RIDE.purposes, "science")), MONDAY_MS)
            second = pool.submit(Crm.open, database_url, HARDER, keys, changes_rules=True)
            wait_until_blocked(crm.context.database)
        with second.result(30) as changed:
            assert set(changed.changed_rules) >= {"tiers", "purposes"}
    assert Vertical.from_json(kept(crm).rules, "kept") == HARDER


def test_a_backup_holds_them(tmp_path):
    keys = tmp_path / "crm.keys"
    with Crm.create(tmp_path / "crm.db", replace(HARDER, name="cabs"), keys=keys) as crm:
        backup(crm.context, tmp_path / "crm.zip", at_ms=MONDAY_MS)
    restore(tmp_path / "crm.zip", tmp_path / "new.db", keys, at_ms=MONDAY_MS + 1)
    with Crm.open(tmp_path / "new.db", keys=keys) as crm:
        assert crm.context.vertical == replace(HARDER, name="cabs")
