"""Import, export, backup, restore, erasure and check of the audit by command."""

import json

import pyarrow.csv
import pytest

from cli.said import assert_one_line
from dispatch.crm.crm import Crm
from dispatch.crm.exchange import importing

ROWS = "Name,Handy,E-Mail\n" + "".join(f"Per Son {n},(415) 555-{n:04d},p{n}@m.example\n" for n in range(9))


@pytest.fixture
def db(tmp_path, monkeypatch):
    """A database with a place, told by the environment."""
    path = tmp_path / "crm.db"
    with Crm.create(path) as crm:
        crm.scope("acme", "oakland")
    monkeypatch.setenv("DISPATCH_CRM", str(path))
    monkeypatch.setenv("DISPATCH_PLACE", "acme/oakland")
    return path


@pytest.fixture
def people(tmp_path):
    """A file of nine customers."""
    path = tmp_path / "people.csv"
    path.write_text(ROWS)
    return path


US = ("--region", "US", "--map", "phone=Handy")


def test_customers_are_imported_and_listed(dispatch, db, people, tmp_path):
    status, out, _ = dispatch("crm", "import", "customers", people, *US, "--dry-run")
    assert status == 0
    assert "dry run" in out
    status, out, err = dispatch("crm", "import", "customers", people, *US)
    assert (status, err) == (0, "")
    assert "new" in out
    assert "Handy" in out
    report = tmp_path / "report.csv"
    status, out, _ = dispatch("crm", "import", "customers", people, *US, "--report", report)
    assert status == 1, "nothing was imported"
    assert "row 1: the same phone as number 1 of the database" in out
    assert len(report.read_text().splitlines()) == 10
    people.write_text(ROWS.replace("Per Son", "New Name"))
    assert dispatch("crm", "import", "customers", people, *US, "--on-duplicate", "update")[0] == 0
    out_file = tmp_path / "customers.csv"
    assert dispatch("crm", "export", "customers", out_file, "--personal")[0] == 0
    table = pyarrow.csv.read_csv(out_file)
    assert table["name"].to_pylist() == [f"New Name {n}" for n in range(9)]
    analyst = ("--as", "analyst:a-1@acme/oakland")
    assert dispatch("crm", "export", "customers", out_file, "--personal", *analyst)[0] == 0
    assert set(pyarrow.csv.read_csv(out_file)["name"].to_pylist()) == {None}


def test_a_mapping_may_be_a_file(dispatch, db, people, tmp_path):
    mapping = tmp_path / "mapping.toml"
    mapping.write_text('[columns]\nphone = "Handy"\nchannel = "E-Mail"\n')
    options = ("--region", "US", "--mapping", mapping, "--map", "channel=Name")
    said = dispatch("crm", "import", "customers", people, *options)
    assert_one_line(said, f"{people}: row 1, column 'Name': channel is no name")
    for text, message in (
        ("phone=1", "no TOML with a table [columns]"),
        ("[columns]\nphone = 1", "a column's name"),
    ):
        mapping.write_text(text)
        assert message in dispatch("crm", "import", "customers", people, "--mapping", mapping)[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dogs", "people.csv"), "kind is 'dogs'"),
        (("customers", "none.csv"), "none.csv: no such file"),
        (("customers", "people.csv", "--map", "phone"), "--map is 'phone'"),
        (("customers", "people.csv", "--map", "phone=Tel"), "people.csv: it has no column 'Tel' for phone"),
        (("customers", "people.csv", *US, "--region", "XX"), "--region is 'XX'"),
        (("customers", "people.csv", *US, "--on-duplicate", "merge"), "--on-duplicate is 'merge'"),
        (("customers", "people.csv", "--place", "oakland"), "--place is 'oakland'"),
        (("drivers", "people.csv", "--as", "agent:a@acme/oakland"), "agent 'a' may not driver.import here"),
    ],
)
def test_what_is_wrong_with_an_import_is_told(dispatch, db, people, monkeypatch, arguments, message):
    monkeypatch.chdir(people.parent)
    if arguments[0] == "drivers":
        people.write_text(ROWS.replace("Handy", "phone"))
    assert_one_line(dispatch("crm", "import", *arguments), message)


def test_ctrl_c_says_that_nothing_was_imported(dispatch, db, people, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "import_people", interrupted)
    status, out, err = dispatch("crm", "import", "customers", people, *US)
    assert (status, out, err) == (130, "", "interrupted: nothing was imported\n")


def test_backup_and_restore(dispatch, db, people, tmp_path):
    dispatch("crm", "import", "customers", people, *US)
    file, new, keys = tmp_path / "crm.zip", tmp_path / "new.db", f"{db}.keys"
    status, out, err = dispatch("crm", "backup", file)
    assert (status, err) == (0, "")
    assert f"backup: {file}" in out
    assert dispatch("crm", "erase", "customer", "3", "--yes")[0] == 0
    status, out, err = dispatch("crm", "restore", file, "--db", new, "--keys", keys)
    assert (status, err) == (0, "")
    assert "erased again: 1" in out
    assert "all right" in out
    show = ("crm", "customer", "show")
    assert "Per Son 3" in dispatch(*show, "4", "--db", new, "--keys", keys)[1]
    assert "erased" in dispatch(*show, "3", "--db", new, "--keys", keys)[1]
    assert_one_line(dispatch("crm", "restore", file, "--db", new, "--keys", keys), f"{new}: there are tables")
    file.write_bytes(file.read_bytes()[:-9])
    said = dispatch("crm", "restore", file, "--db", tmp_path / "newer.db", "--keys", keys)
    assert_one_line(said, f"{file}: no backup, or its end was cut")
    assert not (tmp_path / "newer.db").exists()
    assert_one_line(dispatch("crm", "backup", file), f"path is '{file}': there is such a file already")


def test_erasing_asks_first(dispatch, db, people):
    dispatch("crm", "import", "customers", people, *US)
    assert_one_line(dispatch("crm", "erase", "customer", "3"), "--yes is missing")
    status, out, _ = dispatch("crm", "erase", "customer", "3", "--yes")
    assert (status, out) == (0, "erased: customer 3\n")
    assert_one_line(dispatch("crm", "erase", "customer", "3", "--yes"), "customer 3 is erased")
    assert_one_line(dispatch("crm", "erase", "dog", "3", "--yes"), "kind is 'dog'")


def test_the_audit_is_checked_against_a_head_kept_elsewhere(dispatch, db, people, tmp_path):
    head = tmp_path / "head.json"
    dispatch("crm", "import", "customers", people, *US)
    status, out, _ = dispatch("crm", "audit-verify", "--write-head", head)
    assert status == 0
    assert "all right" in out
    key = json.loads(head.read_text())["public_key"]
    assert key in "".join(out.split())
    assert dispatch("crm", "audit-verify", "--head", head, "--public-key", key)[0] == 0
    other = "00" * 32
    said = dispatch("crm", "audit-verify", "--head", head, "--public-key", other)
    assert_one_line(said, "the head of the log is signed by another key")
    assert_one_line(dispatch("crm", "audit-verify", "--public-key", "xyz"), "--public-key is 'xyz'")
    with Crm.open(db) as crm, crm.context.database.writing() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'nobody' WHERE seq = 1")
    assert_one_line(dispatch("crm", "audit-verify"), "audit: entry 1 was changed")
