"""Orders that come from delivery platforms, signed and each once; and what becomes of them, told back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import sqlalchemy as sa

from dispatch.crm.context import Context, check_instant
from dispatch.crm.outbox import DeliveryError, Message, announce_many_in, rfc3339
from dispatch.crm.ports.base import TOLERANCE_S, JsonLines, is_signed, sign
from dispatch.crm.rules import MOST_CENTS, check_name
from dispatch.crm.tables.engagement import platform_order
from dispatch.crm.tables.fleet import merchant
from dispatch.crm.tables.orders import orders
from dispatch.engine.lifecycle import OrderStatus
from dispatch.errors import AuthError, InputError
from dispatch.limits import check_range, check_whole
from dispatch.units import MS_PER_S

FIRST_ID: Final = 1 << 52
"""Orders of platforms are numbered from here: no counter of our own comes so far."""
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
_TOLD: Final = ("merchant_id", "lon", "lat", "wanted_at_ms", "fare_cents")


@dataclass(frozen=True)
class Inbound:
    """A request of a platform, as it came.

    Parameters
    ----------
    platform : str
    key : str
        The platform's own name of the order; the same again is the same order.
    timestamp_s : int
        When it was signed.
    body : bytes
        JSON: ``merchant_id``, ``lon`` and ``lat`` of the customer, ``wanted_at_ms``, ``fare_cents``. Nothing
        else is taken: names and telephone numbers stay with the platform.
    signature : str
        Over ``key.timestamp_s.body``, see :func:`dispatch.crm.ports.base.sign`; several are between blanks.
    """

    platform: str
    key: str
    timestamp_s: int
    body: bytes
    signature: str


@dataclass(frozen=True)
class PlatformOrder:
    """An order of a platform, to be submitted to the dispatcher."""

    order_id: int
    merchant_id: int
    pickup_lon: float
    pickup_lat: float
    dropoff_lon: float
    dropoff_lat: float
    wanted_at_ms: int
    fare_cents: int
    is_new: bool
    """False where the platform sent it again: it was submitted before"""


@dataclass(frozen=True)
class Status:
    """What a platform is told."""

    message_id: int
    platform: str
    key: str
    status: str
    """a name of ``OrderStatus`` in small letters"""
    at_ms: int
    """when it came to be so"""
    sent_at_ms: int


class PlatformPort(Protocol):
    """Whatever tells platforms what became of their orders."""

    def tell(self, status: Status) -> None:
        """Tell a platform; :class:`DeliveryError` where that did not work."""


class StatusFile:
    """Writes what platforms would be told as signed lines of JSON; calls nobody."""

    def __init__(self, path: Path, secrets: Mapping[str, bytes]) -> None:
        self._lines, self._secrets = JsonLines(path), dict(secrets)

    def tell(self, status: Status) -> None:
        """Write it down as a webhook: headers and body."""
        if status.platform not in self._secrets:
            raise DeliveryError("no_secret", again=False)
        told = {"order": status.key, "status": status.status, "time": rfc3339(status.at_ms)}
        body = json.dumps(told, separators=(",", ":"))
        id_, timestamp_s = str(status.message_id), status.sent_at_ms // MS_PER_S
        signature = sign(self._secrets[status.platform], id_, timestamp_s, body.encode())
        headers = {"webhook-id": id_, "webhook-timestamp": timestamp_s, "webhook-signature": signature}
        self._lines.append({"platform": status.platform, **headers, "body": body})


class Platforms:
    """Takes orders of platforms in, and leaves messages on how they fare in the outbox.

    Parameters
    ----------
    context : Context
    secrets : mapping of str to bytes
        What platforms sign by; never kept in the database.
    """

    def __init__(self, context: Context, secrets: Mapping[str, bytes]) -> None:
        self._context, self._secrets = context, dict(secrets)

    def take(self, scope_id: int, inbound: Inbound, at_ms: int) -> PlatformOrder:
        """Take an order in, each key once.

        Raises
        ------
        AuthError
            The signature is wrong, the platform unknown, or the request too old.
        InputError
            The body breaks a rule, or the key was used with another body.
        """
        self._check_signed(inbound, at_ms)
        told, digest = _read(inbound.body), hashlib.sha256(inbound.body).digest()
        with self._context.acting("platform.take", at_ms=at_ms, scope_id=scope_id) as connection:
            place = connection.execute(
                sa.select(merchant.c.lon_e6, merchant.c.lat_e6).where(
                    merchant.c.merchant_id == told["merchant_id"], merchant.c.scope_id == scope_id
                )
            ).one_or_none()
            if place is None:
                raise InputError(f"merchant_id is {told['merchant_id']}: there is none of it in this scope")
            order_id, is_new = _entered_in(connection, scope_id, inbound, digest, at_ms)
        where = (place.lon_e6 / 1e6, place.lat_e6 / 1e6, told["lon"], told["lat"])
        return PlatformOrder(
            order_id, told["merchant_id"], *where, told["wanted_at_ms"], told["fare_cents"], is_new
        )

    def announce(self, at_ms: int) -> int:
        """Leave a message for each order that stands otherwise than its platform knows; gives how many."""
        with self._context.acting("platform.announce", at_ms=at_ms) as connection:
            rows = connection.execute(
                sa.select(platform_order.c.order_id, platform_order.c.scope_id, orders.c.stage)
                .join(orders, orders.c.order_id == platform_order.c.order_id)
                .where(
                    sa.or_(
                        platform_order.c.told_stage.is_(None),
                        platform_order.c.told_stage != orders.c.stage,
                    )
                )
                .order_by(platform_order.c.order_id)
                .with_for_update(of=platform_order)
            ).all()
            for row in rows:
                chosen = sa.update(platform_order).where(platform_order.c.order_id == row.order_id)
                connection.execute(chosen.values(told_stage=row.stage))
            return announce_many_in(
                connection,
                "platform.status",
                "order",
                [row.order_id for row in rows],
                at_ms,
                [{"status": OrderStatus(row.stage).name.lower()} for row in rows],
                [row.scope_id for row in rows],
            )

    def _check_signed(self, inbound: Inbound, at_ms: int) -> None:
        check_instant("at_ms", at_ms)
        check_name("platform", inbound.platform)
        if not isinstance(inbound.key, str) or not _KEY.fullmatch(inbound.key):
            raise InputError("key must be 1 to 255 letters, digits, _ and -")
        secret = self._secrets.get(inbound.platform)
        is_right = secret is not None and is_signed(
            secret, inbound.key, inbound.timestamp_s, inbound.body, inbound.signature
        )
        if not is_right:
            raise AuthError(f"platform {inbound.platform!r}: the signature is not right")
        if abs(at_ms // MS_PER_S - inbound.timestamp_s) > TOLERANCE_S:
            raise AuthError(f"platform {inbound.platform!r}: signed more than {TOLERANCE_S} s from now")


class StatusTeller:
    """Takes messages on orders of platforms from the outbox to a port."""

    types = ("platform.status",)

    def __init__(self, context: Context, port: PlatformPort) -> None:
        self._context, self._port = context, port

    def deliver(self, message: Message, at_ms: int) -> None:
        """Tell the platform whose order it is."""
        with self._context.looking("platform.read") as connection:
            row = connection.execute(
                sa.select(platform_order.c.platform, platform_order.c.key).where(
                    platform_order.c.order_id == message.object_id
                )
            ).one_or_none()
        if row is None:
            raise DeliveryError("no_platform", again=False)
        status = str(message.data["status"])
        self._port.tell(Status(message.message_id, row.platform, row.key, status, message.at_ms, at_ms))


def _read(body: bytes) -> dict[str, Any]:
    """Read what a platform told; names of fields that are not taken are told, their values never."""
    try:
        told = json.loads(body)
    except ValueError:
        raise InputError("body is no JSON") from None
    if not isinstance(told, dict) or set(told) != set(_TOLD):
        raise InputError(f"body must hold {', '.join(_TOLD)}, and nothing else")
    check_whole("merchant_id", told["merchant_id"], 0, 2**63 - 1)
    check_range("lon", told["lon"], -180, 180, "degrees")
    check_range("lat", told["lat"], -90, 90, "degrees")
    check_instant("wanted_at_ms", told["wanted_at_ms"])
    check_whole("fare_cents", told["fare_cents"], 0, MOST_CENTS)
    return told


def _entered_in(
    connection: sa.Connection, scope_id: int, inbound: Inbound, digest: bytes, at_ms: int
) -> tuple[int, bool]:
    """Give the order's id, and whether it is new."""
    known = connection.execute(
        sa.select(platform_order).where(
            platform_order.c.platform == inbound.platform, platform_order.c.key == inbound.key
        )
    ).one_or_none()
    if known is not None:
        if known.digest != digest or known.scope_id != scope_id:
            raise InputError("key was used for another order: each needs one of its own")
        return int(known.order_id), False
    last = connection.execute(sa.select(sa.func.max(platform_order.c.order_id))).scalar_one()
    order_id = FIRST_ID if last is None else int(last) + 1
    row = {"platform": inbound.platform, "key": inbound.key, "order_id": order_id, "scope_id": scope_id}
    connection.execute(sa.insert(platform_order).values(**row, digest=digest, at_ms=at_ms))
    return order_id, True
