"""``dispatch crm init``, and what all commands of the CRM share."""

import subprocess
import sys
from importlib import resources

import pytest

from cli.said import assert_one_line
from crm.conftest import MONDAY_MS
from crm.engaged import add_customers
from dispatch.cli.crm import actor_of, instant_of, told_at
from dispatch.crm.crm import Crm
from dispatch.crm.permissions import Actor
from dispatch.crm.schema import MIGRATIONS
from dispatch.errors import InputError

COMMANDS = (
    ("init",), ("import",), ("export",), ("backup",), ("restore",), ("erase",), ("audit-verify",),
    ("report",), ("rules",),
    *(("customer", one) for one in ("show", "find", "list", "add", "update", "merge", "export", "consent")),
    *(("driver", one) for one in ("show", "list", "add", "update", "leave", "licence", "block", "lift")),
    ("driver", "score"),
    *(("place", one) for one in ("add", "list")),
)  # fmt: skip


def test_a_database_is_made_with_its_keyring(dispatch, tmp_path):
    db = tmp_path / "crm.db"
    status, out, err = dispatch("crm", "init", "--db", db, "--place", "acme/paris", "--vertical", "fuel")
    assert (status, err) == (0, "")
    assert f"keyring: {db}.keys" in out
    assert (tmp_path / "crm.db.keys").stat().st_mode & 0o777 == 0o600
    with Crm.open(db) as crm:
        assert crm.context.vertical.name == "fuel"
        assert crm.scope("acme", "paris") == 1
    assert dispatch("crm", "report", "--db", db)[1].startswith("fuel · ")
    assert_one_line(
        dispatch("crm", "report", "--db", db, "--vertical", "ride"),
        "vertical is 'ride': this database is of 'fuel'",
    )
    assert_one_line(dispatch("crm", "init", "--db", db), f"{db}: there are tables already")
    status, out, _ = dispatch("crm", "init", "--db", db, "--upgrade")
    assert (status, out.startswith("tables: ")) == (0, True)


def test_the_database_may_be_told_by_the_environment(dispatch, tmp_path, monkeypatch):
    monkeypatch.setenv("DISPATCH_CRM", str(tmp_path / "crm.db"))
    monkeypatch.setenv("DISPATCH_PLACE", "acme/paris")
    assert dispatch("crm", "init")[0] == 0
    status, out, _ = dispatch("crm", "customer", "add", "--name", "Ann Lee", "--phone", "+14155550100")
    assert (status, out) == (0, "1\n")
    assert dispatch("crm", "customer", "find", "--phone", "+14155550100")[1] == "1\n"


def test_an_older_database_is_told_its_vertical_once(dispatch, tmp_path):
    db = tmp_path / "crm.db"
    with Crm.create(db, "fuel") as crm, crm.context.database.writing() as connection:
        MIGRATIONS.downgrade(connection, "0004")
    assert_one_line(dispatch("crm", "place", "list", "--db", db), f"{db}: its tables are of revision 0004")
    status, out, _ = dispatch("crm", "init", "--db", db, "--upgrade")
    assert (status, len(out.splitlines())) == (0, 2)
    assert "dispatch crm init --upgrade --vertical" in out
    assert_one_line(dispatch("crm", "place", "list", "--db", db), "vertical is missing: this database")
    status, out, _ = dispatch("crm", "init", "--db", db, "--upgrade", "--vertical", "fuel")
    assert (status, "rules: fuel, changed: " in out) == (0, True)
    assert dispatch("crm", "place", "list", "--db", db)[:2] == (0, "none\n")
    again = ("crm", "init", "--db", db, "--upgrade", "--vertical")
    assert dispatch(*again, "fuel")[1].endswith("rules: fuel, as before\n")
    status, _, err = dispatch(*again, "ride")
    assert (status, err.startswith("error: vertical is 'ride': this database is of 'fuel'")) == (2, True)


def test_rules_are_changed_by_their_own_command_alone(dispatch, tmp_path, monkeypatch):
    db, file = tmp_path / "crm.db", tmp_path / "my.toml"
    packaged = (resources.files("dispatch.crm") / "verticals" / "ride.toml").read_text()
    tier = '{ name = "platinum", at_least = 200_000, weight = 6.0 },\n]\n\nearn'
    file.write_text(packaged.replace("]\n\nearn", tier))
    assert dispatch("crm", "init", "--db", db, "--vertical", file, "--place", "acme/paris")[0] == 0
    with Crm.open(db) as crm:
        mine = crm.context.vertical
        add_customers(crm, 1, [1])
        crm.memberships.set_tier(1, "platinum", at_ms=MONDAY_MS, reason="gift")
    monkeypatch.setenv("DISPATCH_VERTICAL", "ride")
    for told in ((), ("--vertical", "ride"), ("--vertical", file)):
        assert dispatch("crm", "report", "--db", db, *told)[0] == 0
        assert dispatch("crm", "init", "--db", db, "--upgrade", *told)[1].endswith("rules: ride, as before\n")
    change = ("crm", "rules", "--db", db)
    refused = "vertical is 'ride': its rules lack tier 'platinum' (used in customer, membership); nothing was"
    assert_one_line(dispatch(*change, "ride"), refused)
    with Crm.open(db) as crm:
        assert crm.context.vertical == mine
    file.write_text(file.read_text().replace("200_000", "300_000"))
    differs = "vertical is 'ride', with other rules than the database keeps (tiers): leave it out"
    assert_one_line(dispatch("crm", "report", "--db", db, "--vertical", file), differs)
    status, _, err = dispatch("crm", "init", "--upgrade", "--db", db, "--vertical", file)
    assert (status, err.startswith(f"error: {differs}")) == (2, True)
    assert dispatch(*change, file) == (0, "rules: ride, changed: tiers\n", "")
    assert dispatch(*change, file) == (0, "rules: ride, as before\n", "")
    said = dispatch(*change, "fuel", "--as", "admin:a@acme")
    assert_one_line(said, "admin 'a' may not rules.change here")


def test_a_file_that_is_no_database(dispatch, tmp_path):
    (tmp_path / "notes.txt").write_text("no database at all, but long enough to be looked into " * 20)
    (tmp_path / "notes.txt.keys").write_text("")
    said = dispatch("crm", "place", "list", "--db", tmp_path / "notes.txt")
    assert_one_line(said, f"{tmp_path / 'notes.txt'}: this file is no database of SQLite")


def test_no_password_is_repeated(dispatch, postgres_url, tmp_path):
    password = postgres_url.split(":")[2].split("@")[0]
    status, out, err = dispatch("crm", "init", "--db", postgres_url, "--keys", tmp_path / "crm.keys")
    assert (status, err) == (0, "")
    assert password not in out
    assert "***" in out


def test_letters_that_a_terminal_could_not_have_sent(dispatch, tmp_path):
    """What is not UTF-8 on the command line reaches Python as half a letter."""
    db = tmp_path / "crm.db"
    assert dispatch("crm", "init", "--db", db, "--place", "acme/paris")[0] == 0
    add = ("crm", "customer", "add", "--db", db, "--place", "acme/paris", "--name")
    assert_one_line(dispatch(*add, "A\udcff"), "name holds a control character")
    assert_one_line(dispatch(*add, "Ann", "--as", "agent:a\udcff@acme/paris"), "name is")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--db", "none.db"), "none.db: there is no such file; dispatch crm init makes one"),
        (("--db", "mysql://x/y"), "database is 'mysql://x/y'"),
        (
            ("--db", "postgresql://nobody@127.0.0.1:1/none", "--keys", "no.keys"),
            "postgresql+psycopg://nobody@",
        ),
        (("--db", "crm.db", "--vertical", "taxi"), "vertical is 'taxi'"),
        (("--db", "crm.db", "--as", "agent"), "--as is 'agent'"),
        (("--db", "crm.db", "--as", "king:x@acme/paris"), "role is 'king'"),
        (("--db", "crm.db", "--keys", "no.keys"), "no.keys: no keys can be read"),
        (("--db", "crm.db", "--as", "driver:d7@acme/paris"), "driver 'd7' may not report.read"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(dispatch, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    Crm.create("crm.db").close()
    assert_one_line(dispatch("crm", "report", *options), message)


def test_what_to_install_is_told(tmp_path):
    script = (
        "import sys; sys.modules['sqlalchemy'] = None; "
        f"sys.argv = ['dispatch', 'crm', 'init', '--db', {str(tmp_path / 'crm.db')!r}]; "
        "from dispatch.cli import main; main()"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    message = 'this needs a database: pip install "dispatch-engine[crm]"'
    assert_one_line((said.returncode, said.stdout, said.stderr), message)


def test_who_acts():
    assert actor_of(None) is None
    assert actor_of("system:cron") == Actor("system", "cron")
    assert actor_of("manager:m-1@acme") == Actor("manager", "m-1", "acme")
    told = Actor("agent", "a 7", "acme", frozenset({"paris", "lyon"}))
    assert actor_of("agent:a 7@acme/paris, lyon") == told


def test_instants():
    assert instant_of("--until", "2023-11-20") == 1_700_438_400_000
    assert instant_of("--until", "2023-11-20T01:00+01:00") == 1_700_438_400_000
    assert told_at(1_700_438_400_999) == "2023-11-20 00:00:00"
    assert told_at(None) == "–"
    with pytest.raises(InputError, match="--until is 'soon'"):
        instant_of("--until", "soon")


def test_help_has_examples(dispatch):
    for command in COMMANDS:
        _, out, _ = dispatch("crm", *command, "--help")
        assert f"dispatch crm {' '.join(command)}" in " ".join(out.replace("│", "").split())
