"""One customer and one driver at a time, by command."""

import json

import pytest

from cli.said import assert_one_line
from dispatch.crm.crm import Crm

AGENT = ("--as", "agent:a-1@acme/oakland")


@pytest.fixture(autouse=True)
def db(tmp_path, monkeypatch):
    """A database with two customers and a driver."""
    path = tmp_path / "crm.db"
    monkeypatch.setenv("DISPATCH_CRM", str(path))
    monkeypatch.setenv("DISPATCH_PLACE", "acme/oakland")
    from dispatch.crm.fleet.drivers import DriverDetails
    from dispatch.crm.people.customer_details import CustomerDetails

    with Crm.create(path) as crm:
        scope_id = crm.scope("acme", "oakland")
        ann = CustomerDetails("Ann Lee", "+14155550100", "ann@m.example", 1231, "en", "app", "M-1")
        crm.customers.register(ann, scope_id=scope_id, at_ms=1)
        crm.customers.register(CustomerDetails("Ann L.", "+14155550101"), scope_id=scope_id, at_ms=1)
        crm.drivers.register(DriverDetails("Bo Lin", "+14155550110"), scope_id=scope_id, at_ms=1)
    return path


def words(said):
    status, out, err = said
    assert (status, err) == (0, "")
    return " ".join(out.replace("│", " ").split())


def test_a_customer_is_shown_as_far_as_the_role_sees(dispatch):
    told = words(dispatch("crm", "customer", "show", "1"))
    for part in ("Ann Lee", "+14155550100", "ann@m.example", "M-1", "consents: none"):
        assert part in told
    hidden = words(dispatch("crm", "customer", "show", "1", *AGENT))
    assert "Ann Lee" in hidden
    assert "birthday_mmdd hidden" in hidden
    said = dispatch("crm", "customer", "show", "1", "--as", "agent:a-1@acme/paris")
    assert_one_line(said, "agent 'a-1' may not customer.view here")


def test_customers_are_found_added_and_changed(dispatch):
    assert words(dispatch("crm", "customer", "find", "--email", "ANN@m.example")) == "1"
    assert words(dispatch("crm", "customer", "find", "--member-no", "M-1")) == "1"
    assert dispatch("crm", "customer", "find", "--phone", "+14155550199")[:2] == (1, "nobody\n")
    assert_one_line(
        dispatch("crm", "customer", "find"), "one of --phone, --email and --member-no must be told"
    )
    made = words(
        dispatch("crm", "customer", "add", "--name", "Cy", "--phone", "(415) 555-0102", "--region", "US",
                 "--birthday", "02-29", "--language", "fr")
    )  # fmt: skip
    assert made == "3"
    assert words(
        dispatch("crm", "customer", "update", "3", "--email", "c@m.example", "--forget", "phone")
    ) == ("customer 3: version 2")
    told = words(dispatch("crm", "customer", "show", "3"))
    assert "c@m.example" in told
    assert "0102" not in told
    assert "229" in told
    assert_one_line(dispatch("crm", "customer", "update", "3"), "nothing to change was told")
    said = dispatch("crm", "customer", "add", "--name", "Di", "--phone", "+14155550100")
    assert said[0] == 2
    assert said[2].startswith("error: customer.register: ")
    assert "555" not in said[2]


def test_customers_are_merged_and_handed_their_data(dispatch, tmp_path):
    assert words(dispatch("crm", "customer", "merge", "2", "1")) == "customer 2 is customer 1 now"
    assert "merged into it: 2" in words(dispatch("crm", "customer", "show", "1"))
    file = tmp_path / "ann.json"
    assert f"rows: {file}" in words(dispatch("crm", "customer", "export", "1", file)).replace(" /", " /")
    assert "ann@m.example" in json.dumps(json.loads(file.read_text()), ensure_ascii=False)
    assert_one_line(
        dispatch("crm", "customer", "export", "1", file), f"path is '{file}': there is such a file"
    )


def test_consents(dispatch):
    assert words(dispatch("crm", "customer", "consent", "1")) == "agrees to nothing"
    assert words(dispatch("crm", "customer", "consent", "1", "marketing", "--yes")) == "marketing: yes"
    assert words(dispatch("crm", "customer", "consent", "1", "marketing", "--no")) == "marketing: no"
    assert_one_line(dispatch("crm", "customer", "consent", "1", "marketing"), "--yes or --no is missing")
    assert_one_line(
        dispatch("crm", "customer", "consent", "1", "kuku", "--yes"),
        "purpose is 'kuku': it must be one of marketing, profiling, location, survey",
    )


def test_a_customer_of_whom_nothing_is_told_is_not_entered(dispatch):
    assert_one_line(dispatch("crm", "customer", "add"), "nothing was told of the customer: --name, --phone")
    assert "Customers" in dispatch("crm", "customer", "list")[1]
    assert_one_line(dispatch("crm", "driver", "update", "1"), "nothing to change was told")


def test_what_happened_is_told_in_words(dispatch):
    dispatch("crm", "customer", "consent", "1", "marketing", "--yes")
    lines = dispatch("crm", "customer", "show", "1")[1].splitlines()
    assert lines[-1] == "• 1970-01-01 00:00:00 entered as a customer: channel app"
    assert lines[-2].endswith(" agreed: marketing, source staff")


def test_drivers(dispatch):
    options = ("--name", "Di Ver", "--phone", "+14155550111", "--birthday", "1990-05-06")
    assert words(dispatch("crm", "driver", "add", *options)) == "2"
    assert words(
        dispatch("crm", "driver", "licence", "2", "driving", "--from", "2024-05-01", "--until", "2199-05-01")
    )
    assert words(dispatch("crm", "driver", "block", "2", "complaint", "--until", "2028-01-01T12:00")) == "1"
    told = words(dispatch("crm", "driver", "show", "2"))
    for part in ("Di Ver", "506", "licence 1, driving: until 2199-05-01", "block 1, complaint"):
        assert part in told
    assert words(dispatch("crm", "driver", "lift", "1")) == "block 1: lifted"
    assert_one_line(dispatch("crm", "driver", "lift", "1"), "block 1 is lifted already")
    assert ", lifted 2" in words(dispatch("crm", "driver", "show", "2"))
    assert words(dispatch("crm", "driver", "block", "2", "complaint", "--until", "2028-01-01T12:00")) == "2"
    assert words(dispatch("crm", "driver", "update", "2", "--name", "Di Vera")) == "driver 2: changed"
    assert "Di Vera" in words(dispatch("crm", "driver", "show", "2"))
    assert words(dispatch("crm", "driver", "leave", "2")) == "driver 2: has left"
    assert_one_line(dispatch("crm", "driver", "leave", "2"), "driver 2 has left already")
    assert words(dispatch("crm", "driver", "leave", "2", "--back")) == "driver 2: is back"
    scored = words(dispatch("crm", "driver", "score", "2"))
    assert "not judged yet: 0 of" in scored
    for arguments, message in (
        (("licence", "2", "flying", "--from", "2024-05-01", "--until", "2199-05-01"), "kind is 'flying'"),
        (("licence", "2", "driving", "--from", "soon", "--until", "2199-05-01"), "--from is 'soon'"),
        (("block", "2", "complaint", "--until", "2028-01-01"), "driver 2 is blocked already"),
        (("show", "9"), "driver 9 is not known"),
        (("block", "1", "rest", "--until", "2020-01-01"), "--until is 2020-01-01: it must be after 20"),
        (
            ("licence", "1", "driving", "--from", "2020-03-01T12:30", "--until", "2020-03-01"),
            "--until is 2020-03-01: it must be after 2020-03-01 12:30:00 UTC",
        ),
    ):
        assert_one_line(dispatch("crm", "driver", *arguments), message)
