"""The table of permissions, held against a second reading: every role, action and place of an object."""

import ast
import inspect
import textwrap
import typing
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pytest
import sqlalchemy as sa

import dispatch.crm.permissions as module
from crm.conftest import CITY, MONDAY_MS, OTHER_CITY, OTHER_TENANT, TENANT
from crm.made_people import VERTICAL, insert
from dispatch.crm.context import Context
from dispatch.crm.crm import Crm
from dispatch.crm.permissions import Actor, Place, permissions
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import customer, driver
from dispatch.errors import AuthError, InputError

TSV = Path(module.__file__).with_name("permissions.tsv")
OWN, CITIZEN, AWAY, FOREIGN, NOWHERE, UNKNOWN = 1, 2, 3, 4, 5, 99
"""Ids of one object each: the actor's own, another in the city, in another city, another company's, one of
no place at all, and none."""
# What a role may touch at most, however the table is edited; the words of CRM.md on who works where.
STAFF = {
    "system": {OWN, CITIZEN, AWAY, FOREIGN, NOWHERE},
    "admin": {OWN, CITIZEN, AWAY},
    "manager": {OWN, CITIZEN, AWAY},
    "dispatcher": {OWN, CITIZEN},
    "agent": {OWN, CITIZEN},
    "marketing": {OWN, CITIZEN, AWAY},
    "analyst": {OWN, CITIZEN},
    "auditor": {OWN, CITIZEN, AWAY},
    "driver": {OWN},
    "customer": {OWN},
}
WITHOUT_OBJECTS = ("audit.verify", "audit.head")
"""Done to the whole log, of which they tell nothing but whether it holds."""
# The reach of this issue's own actions, written down a second time by hand.
PERSONAL_READERS = {
    "customer.get": "system admin manager dispatcher agent customer",
    "customer.find": "system admin manager dispatcher agent",
    "customer.view": "system admin manager agent",
    "alias.read": "system admin manager agent customer",
    "address.read": "system admin manager dispatcher agent customer",
    "person.export": "system admin driver customer",
    "person.erase": "system admin",
    "person.hold": "system admin",
    "customer.merge": "system admin manager",
    "customer.name": "system admin manager dispatcher agent customer",
    "customer.phone": "system admin manager agent customer",
    "customer.email": "system admin manager agent customer",
    "customer.address": "system admin manager dispatcher agent customer",
    "privacy.rotate_keys": "system",
    "audit.read": "system admin auditor",
}


def second_reading():
    """The table as plain text: by action, whether it is audited and the cell of each role."""
    head, *lines = TSV.read_text().splitlines()
    roles = head.split("\t")[2:]
    rows = {}
    for line in lines:
        what, audited, *cells = line.split("\t")
        assert len(cells) == len(roles), line
        assert what not in rows, f"{what} stands twice"
        rows[what] = (audited, dict(zip(roles, cells, strict=True)))
    return roles, rows


ROLES, ROWS = second_reading()
WITHIN = {
    "-": set(),
    "own": {OWN},
    "city": {OWN, CITIZEN},
    "tenant": {OWN, CITIZEN, AWAY},
    "all": {OWN, CITIZEN, AWAY, FOREIGN, NOWHERE},
}


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """A CRM with one customer, driver and order at each place; not changed by these tests."""
    path = tmp_path_factory.mktemp("permissions") / "crm.db"
    with Crm.create(path, VERTICAL) as crm:
        fill(crm)
        yield crm


def fill(crm):
    """Enter one customer, driver and order at each place."""
    scopes = {
        OWN: crm.scope(TENANT, CITY),
        CITIZEN: crm.scope(TENANT, CITY),
        AWAY: crm.scope(TENANT, OTHER_CITY),
        FOREIGN: crm.scope(OTHER_TENANT, CITY),
    }
    for row, scope_id in scopes.items():
        person = {"scope_id": scope_id, "created_at_ms": 1, "changed_at_ms": 1}
        insert(crm, customer, {"customer_id": row, **person})
        insert(crm, driver, {"driver_id": row, **person})
        insert(crm, orders, {"order_id": row, "customer_id": row, "driver_id": row, "scope_id": scope_id})
    # A customer of the engine's whom the CRM does not know.
    insert(crm, orders, {"order_id": NOWHERE, "customer_id": 77, "driver_id": 77, "scope_id": None})


def actor_of(role):
    own = (role, OWN) if role in ("customer", "driver") else None
    tenant, cities = ("", frozenset()) if role == "system" else (TENANT, frozenset({CITY}))
    return Actor(role, f"{role}-1", tenant, cities, own)


@pytest.fixture
def noted(monkeypatch):
    """The refusals that were to be entered into the audit, kept here: the transaction is everybody's."""
    refusals = []
    monkeypatch.setattr(Context, "_note", lambda self, refusal, error: refusals.append(refusal))
    return refusals


class RolledBackError(Exception):
    """Ends a transaction without a trace."""


def attempt(context, action, target):
    """Give what an action on an object ends with: nothing, or the text of the error."""
    try:
        if action in permissions().audited:
            with context.acting(action, target, at_ms=MONDAY_MS):
                raise RolledBackError
        else:
            with context.looking(action, target):
                pass
    except RolledBackError:
        return None
    except (AuthError, InputError) as error:
        return f"{type(error).__name__}: {error}"
    return None


class OneTransaction:
    """A database whose transactions are all the same one: nothing is written, so each sees the same."""

    def __init__(self, connection):
        self._connection = connection

    @contextmanager
    def writing(self):
        yield self._connection

    reading = writing


def run_matrix(crm, actions, noted):
    """Hold every role, action and object against the second reading; gives how many were tried."""
    with crm.context.database.reading() as connection:
        return matrix_of(replace(crm.context, database=OneTransaction(connection)), actions, noted)


def matrix_of(of_all, actions, noted):
    count, leaks = 0, []
    for role in ROLES:
        context = of_all.of(actor_of(role))
        for place, action in enumerate(actions):
            kinds = [role] if role in ("customer", "driver") else [("customer", "driver")[place % 2]]
            reach = ROWS[action][1][role]
            refusals = set()
            for kind in (*kinds, "order"):
                for row in (OWN, CITIZEN, AWAY, FOREIGN, NOWHERE, UNKNOWN):
                    if row == NOWHERE and kind != "order":
                        continue
                    noted.clear()
                    told = attempt(context, action, (kind, row))
                    allowed = row in WITHIN[reach]
                    entries = [(one.actor.role, one.action, one.kind, one.object_id) for one in noted]
                    is_refused = told is not None and told.startswith("AuthError")
                    if entries != ([(role, action, kind, row)] if is_refused else []):
                        leaks.append((role, action, kind, row, entries))
                    count += 1
                    if (told is None) != allowed or (
                        told is None and row not in STAFF[role] and action not in WITHOUT_OBJECTS
                    ):
                        leaks.append((role, action, kind, row, told))
                    if told is not None and reach != "all":
                        refusals.add(told)
            # What is there and what is not is refused in the same words.
            if reach == "all":
                continue
            if refusals != {f"AuthError: {role} '{role}-1' may not {action} here"}:
                leaks.append((role, action, refusals))
    return count, leaks


def test_every_role_action_and_place(city, noted):
    count, leaks = run_matrix(city, list(ROWS), noted)
    assert leaks == []
    assert count == len(ROLES) * len(ROWS) * 11
    print(f"{count} combinations of role, action and object")


@pytest.mark.long
def test_every_role_action_and_place_on_postgresql(postgres_url, tmp_path, noted):
    with Crm.create(postgres_url, VERTICAL, keys=tmp_path / "crm.keys") as crm:
        fill(crm)
        _, leaks = run_matrix(crm, list(ROWS), noted)
        assert leaks == []


def test_some_of_it_on_both(crm, noted):
    fill(crm)
    count, leaks = run_matrix(crm, ["customer.get", "order.read", "customer.orders"], noted)
    assert leaks == []
    assert count == 10 * 3 * 11


def looked_at(context, action, scope_id):
    """Give the kind of error that looking at a place ends with, None for none."""
    try:
        with context.looking(action, scope_id=scope_id):
            return None
    except (AuthError, InputError) as error:
        return type(error)


def test_places_are_judged_as_objects_are(city, noted):
    """Actions on a whole place, or on nothing in particular."""
    scopes = {
        CITIZEN: city.scope(TENANT, CITY),
        AWAY: city.scope(TENANT, OTHER_CITY),
        FOREIGN: city.scope(OTHER_TENANT, CITY),
        UNKNOWN: 4711,
    }
    count = 0
    for role in ROLES:
        context = city.context.of(actor_of(role))
        for action, (audited, cells) in ROWS.items():
            if audited == "yes":
                continue
            for row, scope_id in [*scopes.items(), (None, None)]:
                noted.clear()
                told = looked_at(context, action, scope_id)
                allowed = told is None
                assert [one.scope_id for one in noted] == ([scope_id] if told is AuthError else [])
                assert (told is InputError) == (row == UNKNOWN and cells[role] == "all")
                expected = row in WITHIN[cells[role]] if row else cells[role] == "all"
                assert allowed == expected, (role, action, row)
                count += 1
    assert count > 500


def test_lists_hold_the_same_rows_as_objects_are_within_reach(city, noted):
    for role in ROLES:
        context = city.context.of(actor_of(role))
        owners = {"customer": orders.c.customer_id, "driver": orders.c.driver_id}
        for action, (audited, cells) in ROWS.items():
            if audited == "yes":
                continue
            noted.clear()
            try:
                with context.listing(action, orders.c.scope_id, owners) as (connection, within):
                    found = set(connection.scalars(sa.select(orders.c.order_id).where(within)))
                assert noted == []
            except AuthError:
                found = set()
                assert [one.action for one in noted] == [action]
            assert found == WITHIN[cells[role]], (role, action)


def test_the_reach_of_what_is_personal_is_as_written_down_by_hand():
    for action, roles in PERSONAL_READERS.items():
        assert {role for role, cell in ROWS[action][1].items() if cell != "-"} == set(roles.split()), action
    for action, (audited, cells) in ROWS.items():
        assert audited in ("yes", "no"), action
        assert set(cells.values()) <= set(WITHIN), action
        assert cells["system"] == "all", action
        assert cells["customer"] in ("-", "own"), action
        assert cells["driver"] in ("-", "own"), action
        for role in ("dispatcher", "agent", "analyst"):
            assert cells[role] in ("-", "own", "city"), (action, role)
        if action.split(".")[0] in ("customer", "alias", "address", "consent", "person"):
            assert cells["marketing"] in ("-", "city"), action
    # Whoever reads or changes what is personal leaves an entry.
    for action in PERSONAL_READERS:
        field = action.startswith("customer.") and action.split(".")[1] in (
            "name",
            "phone",
            "email",
            "address",
        )
        assert (ROWS[action][0] == "yes") != field, action


# --- every public method goes through the door ---------------------------------------------------


def parts():
    """The classes of all parts, by their names on the face."""
    hints = {}
    for name, value in vars(Crm).items():
        if isinstance(value, cached_property):
            hints[name] = typing.get_type_hints(value.func)["return"]
    return hints


def doors_of(kind):
    """Public methods of a class, and whether each checks the actor, itself or by a method that it calls."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    methods = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}

    def guarded(name, seen=()):
        for node in ast.walk(methods[name]):
            if isinstance(node, ast.Attribute) and node.attr in ("acting", "looking", "listing"):
                return True
            called = node.attr if isinstance(node, ast.Attribute) else None
            own = (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "self"
            )
            if own and called in methods and called not in (*seen, name) and guarded(called, (*seen, name)):
                return True
        return False

    return {name: guarded(name) for name in methods if not name.startswith("_")}


def test_every_public_method_of_every_part_checks_who_acts():
    checked = {
        f"{name}.{method}": door for name, kind in parts().items() for method, door in doors_of(kind).items()
    }
    assert {name for name, door in checked.items() if not door} == set()
    assert len(checked) > 25


OPENERS = {
    "context.py": "the door itself",
    "crm.py": "makes and opens databases, before anybody acts",
    "erasing.py: catch_up": "is part of opening: erases again, as the system, who was erased before",
    "erasing.py: begin_register": "changes a file beside the keyring alone, before anybody acts",
    "backup.py: restore": "fills an empty database, before anybody acts",
    "schema.py": "makes, checks and changes tables, before anybody acts",
}


def test_nobody_reads_or_writes_past_the_door():
    """Whatever opens a transaction checks who acts; what is given a connection is within a checked one."""
    past, count = set(), 0
    for path in sorted(TSV.parent.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            attributes = {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}
            if not attributes & {"reading", "writing", "connect"}:
                continue
            count += 1
            name = f"{path.name}: {function.name}"
            guarded = attributes & {"acting", "looking", "listing"}
            if not guarded and name not in OPENERS and path.name not in OPENERS:
                past.add(name)
    assert past == set()
    assert count > 5


def test_no_row_ever_changes_its_place():
    """What was within reach when it was checked is so when it is written: scopes are told at insertion."""
    changed = set()
    for path in sorted(TSV.parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "values"
            ):
                names = {keyword.arg for keyword in node.keywords}
                if "sa.update(" in ast.unparse(node.func.value) and "scope_id" in names:
                    changed.add(f"{path.name}:{node.lineno}")
    assert changed == set()


def test_the_check_of_methods_is_able_to_fail():
    class Part:
        def open(self):
            return self._read()

        def _read(self):
            return self._context.database.reading()

        def closed(self):
            return self._guarded()

        def _guarded(self):
            return self._context.looking("x")

    assert doors_of(Part) == {"open": False, "closed": True}


# --- the table and its actors --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({"role": "king"}, "role is 'king'"),
        ({"cities": "oakland"}, "cities is 'oakland'"),
        ({"cities": {"oakland"}}, "must be a frozenset"),
        ({"cities": frozenset({7})}, "must be a frozenset"),
        ({"tenant": None}, "tenant is None"),
        ({"name": "a\udcff"}, "name is .* must be a text of at most 200 printable"),
        ({"name": "a\0"}, "name is .* must be a text of at most 200 printable"),
        ({"name": "a" * 201}, "name is .* must be a text of at most 200 printable"),
        ({"own": ("dog", 1)}, "own is"),
        ({"own": ("customer", True)}, "own is"),
        ({"own": ["customer", 1]}, "own is"),
        ({"role": "driver", "own": ("customer", 1)}, "can only be a driver"),
    ],
)
def test_actors_that_would_be_compared_wrongly_are_refused(told, rule):
    with pytest.raises(InputError, match=rule):
        Actor(**{"role": "agent", "name": "a", "tenant": TENANT} | told)


def test_a_row_of_no_company_is_nobody_s():
    nameless = Actor("manager", "m", "", frozenset({""}))
    assert not permissions().may(nameless, "order.read", Place("", ""))
    assert not permissions().may(nameless, "order.read", Place(TENANT, ""))
    with pytest.raises(InputError, match="does not know"):
        permissions().may(nameless, "order.reed", Place("", ""))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("what\taudited\tsystem\na\tno\tall\na\tyes\tall\n", "twice"),
        ("what\taudited\tsystem\na\tyes\tall\na\tno\tall\n", "twice"),
        ("what\taudited\tsystem\na\tno\teverything\n", "must be one of"),
    ],
)
def test_a_broken_table_is_refused(monkeypatch, tmp_path, text, rule):
    (tmp_path / "permissions.tsv").write_text(text)
    monkeypatch.setattr(module.resources, "files", lambda _: tmp_path)
    with pytest.raises(InputError, match=rule):
        module.read_table()
