"""Fixtures for tests that need a database: new, empty ones on SQLite and on a real PostgreSQL server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from postgres_server import Run, fresh_database, prefix_of, server_url

RUN = pytest.StashKey[Run]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin a run of the tests, unless this process is a worker of one."""
    if not hasattr(config, "workerinput"):
        config.stash[RUN] = run = Run()
        config.add_cleanup(run.end)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    """Tell a worker which run it belongs to."""
    node.workerinput["postgres_folder"] = str(node.config.stash[RUN].folder)


@pytest.fixture(scope="session")
def postgres_folder(pytestconfig: pytest.Config) -> Path:
    """Folder of the PostgreSQL server that all processes of this run share."""
    told = getattr(pytestconfig, "workerinput", None)
    return Path(told["postgres_folder"]) if told else pytestconfig.stash[RUN].folder


@pytest.fixture(scope="session")
def postgres_server(postgres_folder: Path) -> str:
    """URL of a superuser on that server."""
    return server_url(postgres_folder)


@pytest.fixture
def postgres_url(postgres_server: str, postgres_folder: Path) -> Iterator[str]:
    """URL of a new, empty database on PostgreSQL."""
    with fresh_database(postgres_server, prefix_of(postgres_folder)) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a new, empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'crm.db'}"
    return request.getfixturevalue("postgres_url")
