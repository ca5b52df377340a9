"""Messages to persons: only whom the law and the person allow, at the very moment of sending."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.outbox import Message, WithheldError, rfc3339
from dispatch.crm.people.consents import agreeing_in, latest_in
from dispatch.crm.people.persons import current_in
from dispatch.crm.ports.base import JsonLines
from dispatch.crm.tables.people import customer, driver
from dispatch.crm.vault import unseal_row
from dispatch.units import MS_PER_DAY

MARKETING: Final = "marketing"
"""Wishes, offers and topics: who agreed to it gets them."""
NOTICES: Final = "notices"
"""What happened to the person's own account: who refused it does not get them."""
_FAMILIES: Final = (
    ("care.", MARKETING),
    ("campaign.", MARKETING),
    ("topic.", MARKETING),
    ("survey.", "survey"),
)
_NOTICES: Final = ("points.changed", "coupon.issued", "membership.changed", "driver.blocked")
_LATEST_MS: Final = 3 * MS_PER_DAY
"""A wish or an offer that could not be sent for so long is not sent any more."""
_COLUMNS: Final = {"customer": (customer, ("phone", "email")), "driver": (driver, ("phone",))}


@dataclass(frozen=True)
class Notice:
    """What to tell whom; nothing personal is in it."""

    message_id: int
    """the same one again is the same message sent again"""
    kind: str
    person_id: int
    template: str
    language: str | None
    at_ms: int
    data: Mapping[str, Any] = field(default_factory=dict)
    """numbers and names for the template"""


@dataclass(frozen=True)
class Address:
    """Where a person is reached; it shows nothing of itself, so that no log holds it by accident."""

    by: str
    """phone or email"""
    value: str = field(repr=False)


class NotificationPort(Protocol):
    """Whatever sends messages to persons."""

    def send(self, notice: Notice, address: Address) -> None:
        """Send a message; :class:`DeliveryError` where that did not work. The address must not be kept."""


class NoticeFile:
    """Writes each notice as a line of JSON in place of sending it: pseudonymous id, template, no address."""

    def __init__(self, path: Path) -> None:
        self._lines = JsonLines(path)

    def send(self, notice: Notice, address: Address) -> None:
        """Write it down."""
        self._lines.append(
            {
                "id": notice.message_id,
                "person": f"{notice.kind}/{notice.person_id}",
                "template": notice.template,
                "language": notice.language,
                "by": address.by,
                "time": rfc3339(notice.at_ms),
                "data": dict(notice.data),
            }
        )


class Notifier:
    """Takes messages of the outbox to a port: checks consent now, opens the address now, and forgets it.

    Parameters
    ----------
    context : Context
    port : NotificationPort
    types : tuple of str, optional
        Types of messages, or families of them, that are sent to persons.
    """

    def __init__(
        self, context: Context, port: NotificationPort, types: tuple[str, ...] | None = None
    ) -> None:
        self._context, self._port = context, port
        self.types = types or (*(family for family, _ in _FAMILIES), *_NOTICES)

    def deliver(self, message: Message, at_ms: int) -> None:
        """Send a message.

        Raises
        ------
        WithheldError
            The person is gone, did not agree, opted out, or has no address; or it is too late for it.
        DeliveryError
            The port could not send it.
        """
        if message.kind not in _COLUMNS or message.object_id is None:
            raise WithheldError("no_person")
        if _purpose_of(message.type) != NOTICES and at_ms - message.at_ms > _LATEST_MS:
            raise WithheldError("too_late")
        with self._context.looking("notification.send") as connection:
            notice, address = self._opened_in(connection, message)
        self._port.send(notice, address)

    def _opened_in(self, connection: sa.Connection, message: Message) -> tuple[Notice, Address]:
        kind, person_id = str(message.kind), int(message.object_id or 0)
        if kind == "customer":
            person_id = current_in(connection, person_id)
            self._check_agreed(connection, message.type, person_id)
        table, fields = _COLUMNS[kind]
        row = connection.execute(sa.select(table).where(table.c[f"{kind}_id"] == person_id)).one_or_none()
        if row is None or row.status != "active":
            raise WithheldError("not_active")
        keys = self._context.vault.keys(connection, kind, [person_id])
        if person_id not in keys:
            raise WithheldError("no_address")
        opened = unseal_row(keys[person_id], kind, person_id, {by: row._mapping[by] for by in fields})
        by = next((by for by in fields if opened[by]), None)
        if by is None:
            raise WithheldError("no_address")
        data = {name: value for name, value in message.data.items() if name != "template"}
        template = str(message.data.get("template") or message.type.replace(".", "_"))
        language = row._mapping.get("language")
        notice = Notice(message.message_id, kind, person_id, template, language, message.at_ms, data)
        return notice, Address(by, str(opened[by]))

    def _check_agreed(self, connection: sa.Connection, type_: str, customer_id: int) -> None:
        purpose = _purpose_of(type_)
        if purpose == NOTICES:
            if latest_in(connection, [customer_id])[customer_id].get(NOTICES, True) is False:
                raise WithheldError("opted_out")
        elif customer_id not in agreeing_in(connection, purpose, [customer_id]):
            raise WithheldError("no_consent")


def _purpose_of(type_: str) -> str:
    return next((purpose for family, purpose in _FAMILIES if type_.startswith(family)), NOTICES)
