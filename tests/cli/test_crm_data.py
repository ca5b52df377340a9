"""Import, export, backup, restore, erasure and check of the audit by command."""

import json
import shutil

import pyarrow.csv
import pytest

from cli.said import assert_one_line
from dispatch.crm.crm import Crm
from dispatch.crm.exchange import importing
from dispatch.crm.exchange.import_people import CustomerImport, DriverImport

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
    lines = report.read_text().splitlines()
    assert lines[1] == ',column,Handy,,,"it is phone, told"'
    assert len([line for line in lines if ",duplicate," in line]) == 9
    people.write_text(ROWS.replace("Per Son", "New Name"))
    assert dispatch("crm", "import", "customers", people, *US, "--on-duplicate", "update")[0] == 0
    out_file = tmp_path / "customers.csv"
    assert dispatch("crm", "export", "customers", out_file, "--personal")[0] == 0
    table = pyarrow.csv.read_csv(out_file)
    assert table["name"].to_pylist() == [f"New Name {n}" for n in range(9)]
    analyst = ("--as", "analyst:a-1@acme/oakland")
    assert dispatch("crm", "export", "customers", out_file, "--personal", *analyst)[0] == 0
    assert set(pyarrow.csv.read_csv(out_file)["name"].to_pylist()) == {None}


def test_a_report_is_written_whatever_happens(dispatch, db, people, tmp_path):
    report = tmp_path / "report.csv"
    people.write_text(ROWS.replace("555-0003", "n/a").replace("p3@", "p3").replace("555-0005", "x"))
    said = dispatch("crm", "import", "customers", people, *US, "--report", report)
    assert_one_line(said, f"{people}: row 4, column 'Handy': phone is no telephone number")
    broken = [line for line in report.read_text().splitlines() if ",broken," in line]
    assert [line.split(",")[:3] for line in broken] == [
        ["4", "broken", "Handy"], ["4", "broken", "E-Mail"], ["6", "broken", "Handy"],
    ]  # fmt: skip
    report.unlink()
    assert dispatch("crm", "import", "customers", people, *US, "--report", report, "--dry-run")[0] == 1
    assert report.read_text().count(",broken,") == 3
    people.write_bytes("Name,Phone\nZoë,1\n".encode("cp1252"))
    said = dispatch("crm", "import", "customers", people, "--report", report)
    assert_one_line(said, f"{people}: row 1, column 'Name': a text is not in the encoding 'utf-8'")
    assert "1,broken,Name" in report.read_text()
    people.write_text("")
    assert_one_line(
        dispatch("crm", "import", "customers", people, "--report", report), f"{people}: it has no"
    )
    assert ",file,,,," in report.read_text()
    nowhere = tmp_path / "no" / "report.csv"
    people.write_text(ROWS)
    said = dispatch("crm", "import", "customers", people, *US, "--report", nowhere)
    assert_one_line(said, f"--report is {nowhere}: its folder does not exist")
    assert dispatch("crm", "import", "customers", people, *US)[0] == 0, "nothing had been imported"


def test_another_person_of_the_same_address_is_unclear(dispatch, db, people):
    lines = ["Customer,First Name,Last Name,Phone,E-Mail", "1001,Ann,Lee,+14155550100,a@m.example"]
    people.write_text("\n".join([*lines, "1002,Bob,Ray,+14155550101,a@m.example", ""]))
    status, out, _ = dispatch("crm", "import", "customers", people, "--on-duplicate", "update")
    assert status == 1
    assert "First Name + Last Name" in out
    assert "guessed" in out
    assert "row 2: the same email as row 1, but with another phone" in " ".join(out.split())
    assert "--on-unclear skip leaves them out" in " ".join(out.split())
    skip = ("--on-duplicate", "update", "--on-unclear", "skip")
    status, out, _ = dispatch("crm", "import", "customers", people, *skip)
    assert status == 0
    assert "left out: 1 unclear rows" in out
    assert "Ann Lee" in dispatch("crm", "customer", "show", "1")[1]


def test_the_help_tells_the_fields_that_there_are(dispatch):
    said = " ".join(dispatch("crm", "import", "--help")[1].replace("│", " ").split())
    for kind in (CustomerImport, DriverImport):
        fields = ", ".join(kind.usual).replace("birthday_mmdd", "birthday")
        assert fields in said


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


def test_a_keyring_without_its_register_brings_nobody_back(dispatch, db, people, tmp_path):
    dispatch("crm", "import", "customers", people, *US)
    file, new, keys = tmp_path / "crm.zip", tmp_path / "new.db", tmp_path / "copy.keys"
    shutil.copy(f"{db}.keys", keys)
    assert dispatch("crm", "backup", file)[0] == 0
    assert dispatch("crm", "erase", "customer", "3", "--yes")[0] == 0
    to_new = ("crm", "restore", file, "--db", new, "--keys", keys)
    assert_one_line(dispatch(*to_new), f"{keys}.erased: there is no register of erasures of this database")
    assert not new.exists()
    status, out, _ = dispatch(*to_new, "--without-register")
    assert status == 0
    assert "erased again: 0\n" in out
    assert "who was erased since may be back" in out
    # The keyring has a register from now on; it is the latest one's copy that is refused no more.
    shutil.copy(f"{db}.keys.erased", f"{keys}.erased")
    status, out, err = dispatch("crm", "customer", "show", "3", "--db", new, "--keys", keys)
    assert (status, err) == (
        0,
        "erased again: 1, who had come back, as with an older file that is put back\n",
    )
    assert "erased" in out
    status, out, _ = dispatch(
        "crm", "restore", file, "--db", tmp_path / "b.db", "--keys", keys, "--erasures", f"{db}.keys.erased"
    )
    assert status == 0
    assert "erased again: 1\n" in out
    assert "may be back" not in out


def test_a_lost_register_is_begun_anew_on_purpose(dispatch, db, tmp_path):
    register = tmp_path / "crm.db.keys.erased"
    register.unlink()
    said = dispatch("crm", "customer", "list")
    assert_one_line(said, f"{register}: the register of erasures of this database is not there")
    assert "init --upgrade begins a new one" in said[2]
    status, out, _ = dispatch("crm", "init", "--upgrade")
    assert status == 0
    assert f"register of erasures: begun, {register}" in out
    assert "begun" not in dispatch("crm", "init", "--upgrade")[1]
    assert dispatch("crm", "customer", "list")[0] == 0


def test_erasing_asks_first(dispatch, db, people):
    dispatch("crm", "import", "customers", people, *US)
    assert_one_line(dispatch("crm", "erase", "customer", "3"), "--yes is missing")
    status, out, _ = dispatch("crm", "erase", "customer", "3", "--yes")
    assert (status, out) == (0, f"erased: customer 3\nnoted in {db}.keys.erased: copy it anew\n")
    assert_one_line(dispatch("crm", "erase", "customer", "3", "--yes"), "customer 3 is erased")
    assert_one_line(dispatch("crm", "erase", "dog", "3", "--yes"), "kind is 'dog'")


def test_the_audit_is_checked_against_a_head_kept_elsewhere(dispatch, db, people, tmp_path):
    head = tmp_path / "head.json"
    dispatch("crm", "import", "customers", people, *US)
    status, out, _ = dispatch("crm", "audit-verify", "--write-head", head)
    assert status == 0
    assert "audit: 1 entries, all right; 0 of refused attempts" in out
    said = dispatch("crm", "export", "orders", tmp_path / "o.csv", "--as", "driver:d-7@acme/oakland")
    assert_one_line(said, "driver 'd-7' may not order.list_out here")
    assert "audit: 2 entries, all right; 1 of refused attempts" in dispatch("crm", "audit-verify")[1]
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
