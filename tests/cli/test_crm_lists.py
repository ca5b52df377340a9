"""Places, and lists of customers and drivers, by command."""

import pytest

from cli.said import assert_one_line
from dispatch.crm import paging
from dispatch.crm.crm import Crm


@pytest.fixture(autouse=True)
def db(tmp_path, monkeypatch):
    """A database with two places, five customers and three drivers."""
    path = tmp_path / "crm.db"
    monkeypatch.setenv("DISPATCH_CRM", str(path))
    with Crm.create(path) as crm:
        oakland, paris = crm.scope("acme", "oakland"), crm.scope("zenith", "paris")
        crm.customers.register_many({"customer_id": [1, 2, 3, 4]}, scope_id=oakland, at_ms=1)
        crm.customers.register_many({"customer_id": [5]}, scope_id=paris, at_ms=1)
        crm.memberships.set_tier(2, "gold", reason="gift", at_ms=1)
        crm.drivers.register_many([7, 8, 9], scope_id=oakland, at_ms=1)
        crm.drivers.leave(8, at_ms=86_400_000)
    return path


def rows(said):
    status, out, err = said
    assert (status, err) == (0, "")
    return [line.split()[0] for line in out.splitlines() if line.strip()[:1].isdigit()]


def test_places(dispatch):
    assert dispatch("crm", "place", "list")[1] == "1 acme/oakland\n2 zenith/paris\n"
    assert dispatch("crm", "place", "add", "acme/lyon")[:2] == (0, "3\n")
    assert dispatch("crm", "place", "add", "acme/lyon")[:2] == (0, "3\n")
    assert dispatch("crm", "place", "list", "--as", "agent:a@acme/lyon")[1] == "3 acme/lyon\n"
    assert_one_line(
        dispatch("crm", "place", "add", "acme/nice", "--as", "manager:m@acme"),
        "manager 'm' may not scope.find",
    )
    assert_one_line(dispatch("crm", "place", "add", "acme"), "--place is 'acme': it must be TENANT/CITY")


@pytest.mark.parametrize("largest", [2, 1000])
def test_customers(dispatch, monkeypatch, largest):
    monkeypatch.setattr(paging, "LARGEST_PAGE", largest)
    assert rows(dispatch("crm", "customer", "list")) == ["1", "2", "3", "4", "5"]
    assert rows(dispatch("crm", "customer", "list", "--tier", "gold")) == ["2"]
    assert rows(dispatch("crm", "customer", "list", "--place", "zenith/paris")) == ["5"]
    assert rows(dispatch("crm", "customer", "list", "--as", "agent:a@acme/oakland")) == ["1", "2", "3", "4"]
    first = dispatch("crm", "customer", "list", "--limit", "3")
    assert rows(first) == ["1", "2", "3"]
    assert "the first 3; --limit shows more" in first[1]
    assert dispatch("crm", "customer", "list", "--status", "erased")[1] == "nobody\n"


def test_drivers(dispatch):
    said = dispatch("crm", "driver", "list")
    assert rows(said) == ["7", "8", "9"]
    assert "left" in said[1].splitlines()[5]
    assert "1970-01-02 00:00:00" in said[1].splitlines()[5]
    assert rows(dispatch("crm", "driver", "list", "--status", "active", "--limit", "1")) == ["7"]
    assert dispatch("crm", "driver", "list", "--as", "agent:a@acme/lyon")[1] == "nobody\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("customer", "list", "--status", "asleep"), "status is 'asleep'"),
        (("customer", "list", "--tier", "tin"), "tier is 'tin'"),
        (("customer", "list", "--limit", "0"), "limit is 0"),
        (("driver", "list", "--status", "merged"), "status is 'merged'"),
        (
            ("driver", "list", "--place", "acme/okland"),
            "--place is 'acme/okland': there is none such; known are "
            "acme/oakland, zenith/paris; dispatch crm place add enters a new one",
        ),
        (("customer", "add", "--name", "A", "--place", "acme/okland"), "--place is 'acme/okland'"),
        (("import", "customers", "none.csv", "--place", "acme/okland"), "--place is 'acme/okland'"),
        (
            ("customer", "add", "--name", "A", "--as", "agent:a@acme/okland"),
            "agent 'a' may not scope.find here",
        ),
    ],
)
def test_what_is_wrong_is_told(dispatch, arguments, message):
    assert_one_line(dispatch("crm", *arguments), message)
    assert dispatch("crm", "place", "list")[1] == "1 acme/oakland\n2 zenith/paris\n"


def test_lists_hold_nothing_personal():
    from dispatch.crm.fleet.drivers import DriverLine
    from dispatch.crm.people.customers import CustomerLine

    for line in (CustomerLine, DriverLine):
        assert not {"name", "phone", "email", "address"} & set(line.__dataclass_fields__)
