"""Stations: fuel and charge that customers and drivers buy, its points, and what is sold when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_id, check_instant, check_not_before
from dispatch.crm.fleet.vehicles import range_left_in, set_level_in
from dispatch.crm.loyalty.memberships import progress_in
from dispatch.crm.loyalty.points import Gain, earn_in
from dispatch.crm.loyalty.referrals import reward_purchase_in
from dispatch.crm.people.idempotency import check_key
from dispatch.crm.people.persons import family_in
from dispatch.crm.rules import MOST_CENTS, check_one_of
from dispatch.crm.shops.merchants import merchant_in
from dispatch.crm.tables.fleet import energy_purchase, vehicle
from dispatch.crm.tables.loyalty import points_entry
from dispatch.crm.tables.orders import customer_day
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

MOST_MILLILITRES: Final = 10_000_000
MOST_WATT_HOURS: Final = 10_000_000
HOURS: Final = 24
_MS_PER_HOUR: Final = 3_600_000
_TOLD: Final = (
    "customer_id",
    "driver_id",
    "vehicle_id",
    "product",
    "millilitres",
    "watt_hours",
    "cents",
    "level_permille",
)


@dataclass(frozen=True)
class Purchase:
    """Fuel or charge that was bought.

    Parameters
    ----------
    product : str
        One of the vertical's.
    cents : int
    key : str
        The till's own name of it: it is entered once. Nothing personal: it stays whoever is erased.
    customer_id, driver_id : int, optional
        Who bought, at most one of them; neither: nobody known.
    millilitres, watt_hours : int, optional
        Exactly one of them, above 0.
    vehicle_id, level_permille : int, optional
        The driver's vehicle, and how full it is afterwards.
    """

    product: str
    cents: int
    key: str
    customer_id: int | None = None
    driver_id: int | None = None
    millilitres: int | None = None
    watt_hours: int | None = None
    vehicle_id: int | None = None
    level_permille: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_whole("cents", self.cents, 0, MOST_CENTS)
        check_key("key", self.key)
        for name in ("customer_id", "driver_id", "vehicle_id"):
            if getattr(self, name) is not None:
                check_id(name, getattr(self, name))
        if self.customer_id is not None and self.driver_id is not None:
            raise InputError("customer_id and driver_id are told: one of them bought")
        if (self.millilitres is None) == (self.watt_hours is None):
            raise InputError("millilitres and watt_hours: exactly one of them must be told")
        if self.millilitres is not None:
            check_whole("millilitres", self.millilitres, 1, MOST_MILLILITRES)
        if self.watt_hours is not None:
            check_whole("watt_hours", self.watt_hours, 1, MOST_WATT_HOURS)
        if self.level_permille is not None:
            check_whole("level_permille", self.level_permille, 0, 1000)
            if self.vehicle_id is None:
                raise InputError("vehicle_id is missing: of which vehicle is the level?")
        if self.vehicle_id is not None and self.driver_id is None:
            raise InputError("driver_id is missing: whose vehicle is it?")


@dataclass(frozen=True)
class Bought:
    """What was entered."""

    purchase_id: int
    points: int
    """that the customer earned by it"""
    is_new: bool
    """false where the same key was told before"""


@dataclass(frozen=True)
class EnergyLog:
    """A purchase as it is kept."""

    purchase_id: int
    station_id: int
    product: str
    millilitres: int | None
    watt_hours: int | None
    cents: int
    level_permille: int | None
    at_ms: int


@dataclass(frozen=True)
class EnergySales:
    """What stations sold in a window, by product and hour of the day in UTC; arrays (products, 24) int64."""

    products: tuple[str, ...]
    num: NDArray[np.int64]
    cents: NDArray[np.int64]
    millilitres: NDArray[np.int64]
    watt_hours: NDArray[np.int64]


class Stations:
    """Enters purchases of energy and sums them up."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def sell(self, station_id: int, told: Purchase, *, at_ms: int) -> Bought:
        """Enter a purchase, once a key; a customer earns points by the rules for ``energy``, and may rise.

        Where ``referral.on`` has ``energy``, the first one rewards who referred the customer.

        Raises
        ------
        InputError
            The product is none of the vertical's, or the vehicle not the driver's.
        StateError
            This is no station; or the key stands for another purchase.
        """
        check_one_of("product", told.product, self._context.vertical.products or (told.product,))
        with self._context.acting("energy.sell", ("merchant", station_id), at_ms=at_ms) as connection:
            of = merchant_in(connection, station_id)
            if of.kind != "station":
                raise StateError(f"merchant {station_id} is a {of.kind}: energy is sold at stations")
            known = connection.execute(
                sa.select(energy_purchase).where(energy_purchase.c.key == _key(station_id, told.key))
            ).one_or_none()
            if known is not None:
                return self._again(connection, known, told)
            if told.vehicle_id is not None:
                _check_vehicle(connection, told)
            added = connection.execute(
                sa.insert(energy_purchase).values(
                    scope_id=of.scope_id,
                    station_id=station_id,
                    at_ms=at_ms,
                    key=_key(station_id, told.key),
                    **{name: getattr(told, name) for name in _TOLD},
                )
            )
            made = int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
            if told.vehicle_id is not None and told.level_permille is not None:
                set_level_in(connection, told.vehicle_id, told.level_permille, at_ms)
            points = 0
            if told.customer_id is not None:
                _count_in(connection, told.customer_id, told.cents, at_ms)
                gain = Gain("energy", _earned(made), told.cents, told.product)
                points = earn_in(connection, self._context, told.customer_id, gain, at_ms)
                progress_in(connection, self._context, [told.customer_id], at_ms)
                reward_purchase_in(connection, self._context, told.customer_id, made, at_ms)
            return Bought(made, points, True)

    def log(self, driver_id: int, *, from_ms: int = 0) -> list[EnergyLog]:
        """Give what a driver bought since an instant, the latest first."""
        check_instant("from_ms", from_ms)
        with self._context.looking("energy.read", ("driver", driver_id)) as connection:
            return _log(connection, energy_purchase.c.driver_id == driver_id, from_ms)

    def of_customer(self, customer_id: int, *, from_ms: int = 0) -> list[EnergyLog]:
        """Give what a customer bought since an instant, the latest first, that of merged ones among it."""
        check_instant("from_ms", from_ms)
        with self._context.looking("energy.read", ("customer", customer_id)) as connection:
            family = family_in(connection, customer_id)
            return _log(connection, energy_purchase.c.customer_id.in_(family), from_ms)

    def ranges(self, driver_ids: Sequence[int], *, scope_id: int) -> NDArray[np.int64]:
        """Give how far drivers (n,) get with what their vehicles have left: metres (n,), -1 if unknown."""
        ids = [int(one) for one in driver_ids]
        with self._context.looking("energy.ranges", scope_id=scope_id) as connection:
            of_scope = sa.select(vehicle.c.driver_id).where(
                vehicle.c.scope_id == scope_id, bulk.among(connection, vehicle.c.driver_id, ids)
            )
            here = set(connection.execute(of_scope).scalars())
            left = range_left_in(connection, ids)
            return np.where([one in here for one in ids], left, -1)

    def sales(
        self, from_ms: int, until_ms: int, *, scope_id: int, station_id: int | None = None
    ) -> EnergySales:
        """Sum up what the stations of a place, or one of them, sold within a window."""
        check_instant("from_ms", from_ms)
        check_not_before("until_ms", until_ms, from_ms, "from_ms")
        told = energy_purchase.c
        hour = (told.at_ms % MS_PER_DAY) // _MS_PER_HOUR
        sums = [sa.func.count(), *(sa.func.coalesce(sa.func.sum(told[name]), 0) for name in _TOLD[4:7])]
        with self._context.looking("energy.sales", scope_id=scope_id) as connection:
            wanted = sa.select(told.product, hour, *sums).where(
                told.scope_id == scope_id, told.at_ms >= from_ms, told.at_ms < until_ms
            )
            if station_id is not None:
                wanted = wanted.where(told.station_id == station_id)
            rows = connection.execute(wanted.group_by(told.product, hour)).all()
        products = tuple(sorted({row[0] for row in rows}))
        total = np.zeros((len(sums), len(products), HOURS), np.int64)
        for product, at_hour, *values in rows:
            total[:, products.index(product), at_hour] = values
        num, millilitres, watt_hours, cents = total
        return EnergySales(products, num, cents, millilitres, watt_hours)

    def _again(self, connection: sa.Connection, known: sa.Row[Any], told: Purchase) -> Bought:
        """Give the answer to a key that was told before."""
        if any(known._mapping[name] != getattr(told, name) for name in _TOLD):
            raise StateError(f"key {told.key!r} stands for another purchase, {known.purchase_id}, already")
        points = connection.execute(
            sa.select(points_entry.c.points).where(points_entry.c.key == _earned(known.purchase_id))
        ).scalar_one_or_none()
        return Bought(known.purchase_id, points or 0, False)


def _count_in(connection: sa.Connection, customer_id: int, cents: int, at_ms: int) -> None:
    """Let a purchase count in the customer's day as an order does: tiers and segments are made of these."""
    one = {"submitted": [1], "completed": [1], "spend_cents": [cents]}
    day = {"customer_id": [customer_id], "day": [at_ms // MS_PER_DAY]}
    bulk.upsert(connection, customer_day, day | one, adds=one)


def _check_vehicle(connection: sa.Connection, told: Purchase) -> None:
    row = connection.execute(
        sa.select(vehicle).where(
            vehicle.c.vehicle_id == told.vehicle_id, vehicle.c.driver_id == told.driver_id
        )
    ).one_or_none()
    if row is None:
        raise InputError(f"vehicle_id is {told.vehicle_id}: driver {told.driver_id} has no such vehicle")
    if (row.energy == "electric") != (told.watt_hours is not None):
        raise InputError(f"vehicle {told.vehicle_id} takes {row.energy}: it cannot take {told.product!r}")


def _log(connection: sa.Connection, which: sa.ColumnElement[bool], from_ms: int) -> list[EnergyLog]:
    rows = connection.execute(
        sa.select(energy_purchase)
        .where(which, energy_purchase.c.at_ms >= from_ms)
        .order_by(energy_purchase.c.at_ms.desc(), energy_purchase.c.purchase_id.desc())
    )
    return [EnergyLog(**{name: row._mapping[name] for name in EnergyLog.__annotations__}) for row in rows]


def _key(station_id: int, key: str) -> str:
    """Tills of different stations may give the same names."""
    return f"{station_id}/{key}"


def _earned(purchase_id: int) -> str:
    """Give the key of the points that a purchase earned."""
    return f"energy:{purchase_id}"
