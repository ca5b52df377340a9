"""The rules that a database keeps: taken where none are told, changed on purpose alone, of one business."""

import json
from dataclasses import fields, replace

import pytest
import sqlalchemy as sa

from crm.conftest import CITY, MONDAY_MS, TENANT, actor
from crm.made_people import last_audit
from dispatch.crm import rulebook as module
from dispatch.crm.crm import Crm
from dispatch.crm.exchange.backup import backup, restore
from dispatch.crm.tables.people import rulebook
from dispatch.crm.vertical import Vertical, packaged_verticals
from dispatch.errors import AuthError, InputError

RIDE = Vertical.load("ride")
HARDER = replace(RIDE, tiers=(*RIDE.tiers[:-1], replace(RIDE.tiers[-1], at_least=10**9)))


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


def test_rules_of_the_same_name_may_be_changed_by_who_may_do_all(crm, scope_id, database_url, tmp_path):
    keys = tmp_path / "crm.keys"
    before = kept(crm)
    with pytest.raises(AuthError, match=r"may not rules.change here: the rules that were told are not those"):
        Crm.open(database_url, HARDER, keys=keys, actor=actor("admin"))
    assert kept(crm) == before
    with Crm.open(database_url, HARDER, keys=keys) as changed:
        entry = last_audit(changed)
        assert entry.action == "rules.change"
        noted = json.loads(entry.details)
        assert (noted["vertical"], noted["changed"], len(noted["sha256"])) == ("ride", ["tiers"], 64)
    with Crm.open(database_url, keys=keys, actor=actor("agent")) as later:
        assert later.context.vertical == HARDER
        assert later.scope(TENANT, CITY) == scope_id
    assert crm.context.vertical == RIDE, "who has it open goes on as before"
    crm.audit_log.verify()


def test_rules_that_this_version_cannot_read_are_told_anew(crm, database_url, tmp_path):
    keys = tmp_path / "crm.keys"
    for text, rule in (
        ('{"name": "ride", "stages": ["a"], "moods": []}', "unknown key 'moods'"),
        ("{", "no JSON"),
    ):
        with crm.context.database.writing() as connection:
            connection.execute(sa.update(rulebook).values(rules=text))
        with pytest.raises(
            InputError, match=rf"vertical 'ride', as the database keeps them: {rule}.*; tell .* anew"
        ):
            Crm.open(database_url, keys=keys)
        with Crm.open(database_url, "ride", keys=keys) as again:
            assert json.loads(last_audit(again).details)["changed"] == sorted(
                one.name for one in fields(RIDE)
            )


def test_an_older_database_is_told_once(crm, database_url, tmp_path):
    with crm.context.database.writing() as connection:
        connection.execute(sa.delete(rulebook))
        with pytest.raises(InputError, match="vertical is missing"):
            module.chosen_in(connection, None)
    with Crm.open(database_url, HARDER, keys=tmp_path / "crm.keys") as told:
        assert "tiers" in json.loads(last_audit(told).details)["changed"]
    with Crm.open(database_url, keys=tmp_path / "crm.keys") as later:
        assert later.context.vertical == HARDER


def test_a_backup_holds_them(tmp_path):
    keys = tmp_path / "crm.keys"
    with Crm.create(tmp_path / "crm.db", replace(HARDER, name="cabs"), keys=keys) as crm:
        backup(crm.context, tmp_path / "crm.zip", at_ms=MONDAY_MS)
    restore(tmp_path / "crm.zip", tmp_path / "new.db", keys, at_ms=MONDAY_MS + 1)
    with Crm.open(tmp_path / "new.db", keys=keys) as crm:
        assert crm.context.vertical == replace(HARDER, name="cabs")
