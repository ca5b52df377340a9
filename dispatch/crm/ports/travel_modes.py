"""Advice on other ways to travel, where no car can be had or the weather forbids one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Protocol

import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.rules import check_one_of
from dispatch.crm.tables.orders import orders
from dispatch.engine.lifecycle import OrderStatus
from dispatch.errors import StateError
from dispatch.limits import check_range
from dispatch.units import NO_COORDINATE

WEATHER: Final = ("fair", "rain", "storm", "snow", "ice", "heat")
_EARTH_M: Final = 6_371_009.0
_DETOUR: Final = 1.3
"""Streets are so much longer than the straight line, about: a rule of thumb."""


@dataclass(frozen=True)
class Journey:
    """From where to where, when, and why no car takes it."""

    from_lon: float
    from_lat: float
    to_lon: float
    to_lat: float
    at_ms: int
    weather: str = "fair"

    def __post_init__(self) -> None:
        """Refuse places that are none."""
        for name, limit in (("from_lon", 180), ("from_lat", 90), ("to_lon", 180), ("to_lat", 90)):
            check_range(name, getattr(self, name), -limit, limit, "degrees")
        check_one_of("weather", self.weather, WEATHER)

    @property
    def straight_m(self) -> float:
        """Great-circle distance."""
        lat, to_lat = math.radians(self.from_lat), math.radians(self.to_lat)
        half = math.sin((to_lat - lat) / 2) ** 2
        half += (
            math.cos(lat) * math.cos(to_lat) * math.sin(math.radians(self.to_lon - self.from_lon) / 2) ** 2
        )
        return 2 * _EARTH_M * math.asin(math.sqrt(half))


@dataclass(frozen=True)
class Advice:
    """One other way to travel."""

    mode: str
    duration_s: int | None
    """None where nobody here knows"""
    basis: str
    """what the advice rests on: a name"""


class ModePort(Protocol):
    """Whatever knows other ways to travel."""

    def advise(self, journey: Journey) -> list[Advice]:
        """Give ways to travel, the best one first; none where none is sensible."""


class TypicalSpeeds:
    """Walking and cycling by the straight line and typical speeds; knows no street, stop or timetable."""

    _MODES: Final = (
        # mode, metres a second, longest way that is sensible, weather in which it is not
        ("walk", 1.3, 3_000.0, ("storm", "ice")),
        ("bicycle", 4.2, 10_000.0, ("storm", "snow", "ice", "heat")),
    )

    def advise(self, journey: Journey) -> list[Advice]:
        """Give what is sensible over the distance in the weather, quickest first; then public transport."""
        length_m = journey.straight_m * _DETOUR
        found = [
            Advice(mode, round(length_m / speed), "typical_speed")
            for mode, speed, most_m, forbidden in self._MODES
            if length_m <= most_m and journey.weather not in forbidden
        ]
        found.sort(key=lambda one: one.duration_s or 0)
        return [*found, Advice("public_transport", None, "no_timetable_here")]


class ModeAdvice:
    """Answers who got no car."""

    def __init__(self, context: Context, port: ModePort) -> None:
        self._context, self._port = context, port

    def for_order(self, order_id: int, weather: str = "fair") -> list[Advice]:
        """Give other ways to travel for an order that got no driver.

        Raises
        ------
        StateError
            It has one, or its places are not known (any more).
        """
        with self._context.looking("order.read", ("order", order_id)) as connection:
            row = connection.execute(sa.select(orders).where(orders.c.order_id == order_id)).one()
        if row.stage not in (OrderStatus.OPEN, OrderStatus.OFFERED, OrderStatus.EXPIRED):
            raise StateError(f"order {order_id} got a driver, or was cancelled: there is nothing to advise")
        place = (row.pickup_lon_e6, row.pickup_lat_e6, row.dropoff_lon_e6, row.dropoff_lat_e6)
        if None in place or NO_COORDINATE in place:
            raise StateError(f"order {order_id} has no known places: nothing can be advised")
        lon, lat, to_lon, to_lat = (one / 1e6 for one in place)
        return self._port.advise(Journey(lon, lat, to_lon, to_lat, row.submitted_at_ms or 0, weather))
