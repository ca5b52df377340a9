"""Persons for tests: one who is known by everything, and what of that can be searched for in bytes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crm.conftest import MONDAY_MS
from dispatch.crm.crm import Crm
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.rules import CustomFieldRule
from dispatch.crm.tables.everything import metadata
from dispatch.crm.tables.people import audit
from dispatch.crm.vertical import Vertical
from dispatch.store import bulk

NAME, PHONE, EMAIL = "Zoë Quarrington", "+14155552671", "zoe.q@mail.example"
ADDRESS, CARD, WISH = "1742 Lombardy Street, Apt 9", "CARD-55-9071", "no perfume, please"
VERTICAL = replace(
    Vertical.load("ride"),
    custom_fields=(
        CustomFieldRule("wish"),
        CustomFieldRule("seats", "whole", personal=False),
        CustomFieldRule("vip", "flag", personal=False),
    ),
)


def details(**changes: Any) -> CustomerDetails:
    """Somebody of whom all is told."""
    told = {
        "name": NAME,
        "phone": PHONE,
        "email": EMAIL,
        "birthday_mmdd": 229,
        "language": "en",
        "channel": "app",
        "member_no": "M-17",
        "custom": {"wish": WISH, "seats": 2, "vip": True},
    }
    return CustomerDetails(**(told | changes))


def enter(crm: Crm, scope_id: int, home: str = ADDRESS, **changes: Any) -> int:
    """Register somebody with an alias and an address; gives the id."""
    customer_id = crm.customers.register(details(**changes), scope_id=scope_id, at_ms=MONDAY_MS)
    crm.contacts.add_alias(customer_id, "card", f"{CARD}-{customer_id}", at_ms=MONDAY_MS)
    crm.contacts.add_address(
        customer_id, "home", home, lon_e6=-122_419_416, lat_e6=37_774_929, at_ms=MONDAY_MS
    )
    return customer_id


def insert(crm: Crm, table: sa.Table, *rows: dict[str, Any]) -> None:
    """Write rows, all with the same columns."""
    with crm.context.database.writing() as connection:
        bulk.insert(connection, table, {name: [row[name] for row in rows] for name in rows[0]})


def dump(crm: Crm) -> dict[str, list[Any]]:
    """Give all rows of all tables, by the names of tables."""
    with crm.context.database.reading() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(sa.select(table))))
            for table in metadata.sorted_tables
        }


def last_audit(crm: Crm) -> Any:
    """Give the latest entry of the audit."""
    with crm.context.database.reading() as connection:
        return connection.execute(sa.select(audit).order_by(audit.c.seq.desc()).limit(1)).one()


def spellings(values: Iterator[str] | list[str]) -> list[bytes]:
    """Give the bytes that values may be written as: UTF-8, UTF-16, JSON, digits alone."""
    found: set[bytes] = set()
    for value in values:
        for text in {value, value.lower(), value.upper(), value.encode("unicode_escape").decode()}:
            found |= {text.encode("utf-8"), text.encode("utf-16-le"), text.encode("utf-16-be")}
    return sorted(found)


def phone_spellings() -> list[str]:
    """Give the usual ways to write the number."""
    return [
        "4155552671",
        "415-555-2671",
        "415.555.2671",
        "415 555 2671",
        "(415) 555-2671",
        "5552671",
        "555-2671",
    ]


def found_in(files: list[Path], wanted: list[bytes]) -> list[tuple[str, bytes]]:
    """Give what is found in files, and where."""
    return [(file.name, one) for file in files for one in wanted if one in file.read_bytes()]
