"""From the options of a command to the day that it simulates."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dispatch.errors import InputError

if TYPE_CHECKING:
    from dispatch.engine.params import DispatchParams
    from dispatch.roads.city import City
    from dispatch.sim.scenario import Scenario, SimParams

DEFAULT_DRIVERS: Final = "2000"
FROM_DATA: Final = "from-data"


@dataclass(frozen=True)
class Day:
    """What the options of a command say of the day to simulate."""

    city: Path | None
    date: str | None
    drivers: str | None
    orders: int | None
    shift_hours: float | None
    window: float
    max_pickup: float
    seed: int

    def scenario(self) -> Scenario:
        """Read or make the city and its day."""
        from dispatch.engine.params import DispatchParams
        from dispatch.roads.city import City
        from dispatch.sim.scenario import SimParams

        params, sim = DispatchParams(max_pickup_s=self.max_pickup), SimParams(window_s=self.window)
        if self.city is None:
            return self._built_in(params, sim)
        date = None if self.date is None else _date(self.date)
        num_drivers = None if self.drivers is None else _num_drivers(self.drivers)
        if self.drivers == FROM_DATA and self.shift_hours is not None:
            raise InputError("--shift-hours goes with made-up drivers, not with --drivers from-data")
        city = City.load(self.city)
        if city.trips is None:
            return self._made_up(city, num_drivers, params, sim)
        return self._recorded(city, date, num_drivers, params, sim)

    def _built_in(self, params: DispatchParams, sim: SimParams) -> Scenario:
        from dispatch.sim.scenario import synthetic_scenario

        if self.date is not None:
            raise InputError(f"--date is {self.date}: the built-in city has one day without a date")
        num_drivers = _num_drivers(self.drivers or DEFAULT_DRIVERS)
        if num_drivers is None:
            raise InputError("--drivers is from-data: the built-in city has no recorded taxis, give a number")
        num_orders = 50_000 if self.orders is None else self.orders
        shift_hours = 8.0 if self.shift_hours is None else self.shift_hours
        return synthetic_scenario(self.seed, num_orders, num_drivers, shift_hours, params, sim)

    def _made_up(
        self, city: City, num_drivers: int | None, params: DispatchParams, sim: SimParams
    ) -> Scenario:
        from dispatch.sim.scenario import made_up_day

        if self.date is not None:
            raise InputError(f"--date is {self.date}: {self.city} has no trips, its made-up day has no date")
        if self.drivers == FROM_DATA:
            raise InputError(f"--drivers is from-data: {self.city} has no trips, give a number or nothing")
        shift_hours = 8.0 if self.shift_hours is None else self.shift_hours
        return made_up_day(city, self.orders, num_drivers, shift_hours, self.seed, params, sim)

    def _recorded(
        self,
        city: City,
        date: datetime.date | None,
        num_drivers: int | None,
        params: DispatchParams,
        sim: SimParams,
    ) -> Scenario:
        from dispatch.sim.recorded_day import recorded_day

        if self.orders is not None:
            raise InputError(
                f"--orders is {self.orders}: the orders of {self.city} are recorded; leave it out"
            )
        if self.drivers is None and (city.pings_path is None or self.shift_hours is not None):
            num_drivers = int(DEFAULT_DRIVERS)
        shift_hours = 24.0 if self.shift_hours is None else self.shift_hours
        return recorded_day(city, date, num_drivers, shift_hours, self.seed, params, sim)


def _num_drivers(text: str) -> int | None:
    """Read ``--drivers``; None stands for the recorded taxis."""
    if text == FROM_DATA:
        return None
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--drivers is {text!r}: it must be a whole number or from-data") from None


def _date(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--date is {text!r}: it must be a day of the calendar as YYYY-MM-DD") from None
