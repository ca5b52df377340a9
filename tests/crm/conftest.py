"""A CRM of its own for each test, on SQLite and on a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dispatch.crm.crm import Crm
from dispatch.crm.permissions import Actor

TENANT, CITY, OTHER_CITY, OTHER_TENANT = "acme", "san_francisco", "oakland", "zenith"
MONDAY_MS = 1_700_438_400_000
"""2023-11-20, midnight UTC."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def crm(database_url: str, tmp_path: Path) -> Iterator[Crm]:
    """An empty CRM of a ride-hailing company, the program itself acting."""
    with Crm.create(database_url, "ride", keys=tmp_path / "crm.keys") as made:
        yield made


@pytest.fixture
def scope_id(crm: Crm) -> int:
    """The company's own city."""
    return crm.scope(TENANT, CITY)


def actor(role: str, name: str = "staff-1", **changes: object) -> Actor:
    """Somebody of the company's own city."""
    told: dict[str, object] = {"tenant": TENANT, "cities": frozenset({CITY})} | changes
    return Actor(role, name, **told)  # type: ignore[arg-type]  # a test may tell what it likes
