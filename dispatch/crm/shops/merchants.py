"""Restaurants and stations: where they are, when they are open, what they sell and for how much."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_instant
from dispatch.crm.people.sealed_texts import check_text
from dispatch.crm.rules import MOST_CENTS, check_name, check_one_of
from dispatch.crm.tables.fleet import item, merchant, price
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY, MS_PER_S

KINDS: Final = ("restaurant", "station", "shop")
PER: Final = ("item", "litre", "kwh")
MAX_LON_E6: Final = 180_000_000
MAX_LAT_E6: Final = 90_000_000


@dataclass(frozen=True)
class Merchant:
    """A restaurant, station or shop.

    Parameters
    ----------
    kind : str
        ``restaurant``, ``station`` or ``shop``.
    name : str
        Of the business; a person's own name does not belong here.
    lon_e6, lat_e6 : int
        1e-6 degrees.
    slots : int
        Pumps, chargers, or dishes that are made at once.
    preparation_ms : int
        What an order takes, where none is told with it.
    opens_ms, closes_ms : int
        Since midnight of its own time zone; closing before opening is the next day; equal: always open.
    time_zone : str
        IANA name.
    """

    kind: str
    name: str
    lon_e6: int
    lat_e6: int
    slots: int = 1
    preparation_ms: int = 0
    opens_ms: int = 0
    closes_ms: int = 0
    time_zone: str = "UTC"
    merchant_id: int | None = None
    scope_id: int | None = None
    status: str = "open"

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_one_of("kind", self.kind, KINDS)
        check_text("name", self.name, 200)
        check_whole("lon_e6", self.lon_e6, -MAX_LON_E6, MAX_LON_E6)
        check_whole("lat_e6", self.lat_e6, -MAX_LAT_E6, MAX_LAT_E6)
        check_whole("slots", self.slots, 1, 10_000)
        check_whole("preparation_ms", self.preparation_ms, 0, MS_PER_DAY)
        check_whole("opens_ms", self.opens_ms, 0, MS_PER_DAY)
        check_whole("closes_ms", self.closes_ms, 0, MS_PER_DAY)
        _zone(self.time_zone)

    def is_open(self, at_ms: int) -> bool:
        """Tell whether it is open at an instant."""
        check_instant("at_ms", at_ms)
        if self.status != "open":
            return False
        if self.opens_ms == self.closes_ms:
            return True
        local = datetime.fromtimestamp(at_ms / MS_PER_S, UTC).astimezone(_zone(self.time_zone))
        since_midnight = (local.hour * 3600 + local.minute * 60 + local.second) * MS_PER_S
        after, before = since_midnight >= self.opens_ms, since_midnight < self.closes_ms
        return (after and before) if self.opens_ms < self.closes_ms else (after or before)


@dataclass(frozen=True)
class Offer:
    """A product that a merchant sells now."""

    product: str
    cents: int
    per: str
    available: bool
    from_ms: int
    """since when the price holds"""


class Merchants:
    """Enters merchants, and keeps what they sell."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add(self, told: Merchant, *, scope_id: int, at_ms: int) -> int:
        """Enter a merchant; gives its id. A name is one merchant's of its kind and place."""
        details: dict[str, Any] = {"kind": told.kind}
        with self._context.acting(
            "merchant.add", at_ms=at_ms, scope_id=scope_id, details=details
        ) as connection:
            values = {
                name: value for name, value in vars(told).items() if name not in ("merchant_id", "scope_id")
            }
            added = connection.execute(
                sa.insert(merchant).values(scope_id=scope_id, created_at_ms=at_ms, **values)
            )
            made = int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
            details["merchant_id"] = made
            return made

    def set_status(self, merchant_id: int, status: str, *, at_ms: int) -> None:
        """Close a merchant for the time being, or open it again: ``closed``, ``open``."""
        check_one_of("status", status, ("open", "closed"))
        with self._context.acting(
            "merchant.status", ("merchant", merchant_id), at_ms=at_ms, details={"status": status}
        ) as connection:
            connection.execute(
                sa.update(merchant).where(merchant.c.merchant_id == merchant_id).values(status=status)
            )

    def read(self, merchant_id: int) -> Merchant:
        """Give a merchant."""
        with self._context.looking("merchant.read", ("merchant", merchant_id)) as connection:
            return merchant_in(connection, merchant_id)

    def all(self, *, scope_id: int, kind: str | None = None) -> list[Merchant]:
        """Give the merchants of a place, of one kind or of all, by their ids."""
        with self._context.looking("merchant.read", scope_id=scope_id) as connection:
            wanted = sa.select(merchant).where(merchant.c.scope_id == scope_id)
            if kind is not None:
                check_one_of("kind", kind, KINDS)
                wanted = wanted.where(merchant.c.kind == kind)
            return [_merchant(row) for row in connection.execute(wanted.order_by(merchant.c.merchant_id))]

    def set_price(
        self, merchant_id: int, product: str, cents: int, *, from_ms: int, at_ms: int, per: str = "item"
    ) -> None:
        """Set what a product costs from an instant on, which is not past; earlier prices stay known.

        Raises
        ------
        InputError
            The product is none of the vertical's (of a station); the price is negative, or of the past.
        StateError
            A price from that very instant on is set already.
        """
        check_whole("cents", cents, 0, MOST_CENTS)
        check_one_of("per", per, PER)
        check_instant("from_ms", from_ms)
        if from_ms < at_ms:
            raise InputError(f"from_ms is {from_ms}: a price cannot begin in the past, before {at_ms}")
        details = {"product": product, "cents": cents, "from_ms": from_ms}
        with self._context.acting(
            "price.set", ("merchant", merchant_id), at_ms=at_ms, details=details
        ) as connection:
            self._check_product(connection, merchant_id, product)
            known = sa.select(price.c.cents).where(
                price.c.merchant_id == merchant_id, price.c.product == product, price.c.from_ms == from_ms
            )
            if connection.execute(known).first() is not None:
                raise StateError(f"{product} of merchant {merchant_id} has a price from {from_ms} on already")
            connection.execute(
                sa.insert(price).values(
                    merchant_id=merchant_id, product=product, from_ms=from_ms, cents=cents, per=per
                )
            )
            bulk.upsert(
                connection,
                item,
                {"merchant_id": [merchant_id], "product": [product], "changed_at_ms": [at_ms]},
            )

    def set_available(self, merchant_id: int, product: str, available: bool, *, at_ms: int) -> None:
        """Note that a product is sold out, or there again; it must have a price."""
        check_name("product", product)
        with self._context.acting("item.available", ("merchant", merchant_id), at_ms=at_ms) as connection:
            changed = connection.execute(
                sa.update(item)
                .where(item.c.merchant_id == merchant_id, item.c.product == product)
                .values(available=int(available), changed_at_ms=at_ms)
            )
            if changed.rowcount == 0:
                raise InputError(f"product is {product!r}: merchant {merchant_id} sells no such thing")

    def offers(self, merchant_id: int, *, at_ms: int) -> list[Offer]:
        """Give what a merchant sells, at the prices of an instant, by product."""
        check_instant("at_ms", at_ms)
        with self._context.looking("merchant.read", ("merchant", merchant_id)) as connection:
            return offers_in(connection, merchant_id, at_ms)

    def _check_product(self, connection: sa.Connection, merchant_id: int, product: str) -> None:
        check_name("product", product)
        kind = connection.execute(
            sa.select(merchant.c.kind).where(merchant.c.merchant_id == merchant_id)
        ).scalar_one()
        if kind == "station" and self._context.vertical.products:
            check_one_of("product", product, self._context.vertical.products)


def merchant_in(connection: sa.Connection, merchant_id: int) -> Merchant:
    """Give a merchant; :class:`InputError` if there is none."""
    check_id("merchant_id", merchant_id)
    row = connection.execute(sa.select(merchant).where(merchant.c.merchant_id == merchant_id)).one_or_none()
    if row is None:
        raise InputError(f"merchant {merchant_id} is not known")
    return _merchant(row)


def offers_in(connection: sa.Connection, merchant_id: int, at_ms: int) -> list[Offer]:
    """Give what a merchant sells at the prices of an instant, by product."""
    latest = (
        sa.select(price.c.product, sa.func.max(price.c.from_ms).label("from_ms"))
        .where(price.c.merchant_id == merchant_id, price.c.from_ms <= at_ms)
        .group_by(price.c.product)
        .subquery()
    )
    rows = connection.execute(
        sa.select(price.c.product, price.c.cents, price.c.per, item.c.available, price.c.from_ms)
        .join(latest, sa.and_(price.c.product == latest.c.product, price.c.from_ms == latest.c.from_ms))
        .join(item, sa.and_(item.c.merchant_id == price.c.merchant_id, item.c.product == price.c.product))
        .where(price.c.merchant_id == merchant_id)
        .order_by(price.c.product)
    )
    return [Offer(product, cents, per, bool(there), from_ms) for product, cents, per, there, from_ms in rows]


def _merchant(row: sa.Row[Any]) -> Merchant:
    return Merchant(**{name: row._mapping[name] for name in Merchant.__annotations__})


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise InputError(
            f"time_zone is {name!r}: it must be an IANA name, such as America/Los_Angeles"
        ) from error
