"""The tables of a scenario file: frozen, range-checked dataclasses, whose fields are the tables' keys."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

from dispatch.engine.params import DispatchParams, FareRule
from dispatch.engine.policy import policy_named
from dispatch.errors import InputError
from dispatch.limits import check_range, check_seed, check_whole
from dispatch.sim.behaviour import Behaviour
from dispatch.sim.community import CommunityParams
from dispatch.sim.scenario import MAX_ORDERS, SimParams

AUTO: Final = "auto"
FROM_DATA: Final = "from-data"
BUSIEST: Final = "busiest"
BUILT_IN: Final = "built-in"
UNNAMED: Final = "unnamed"
MAX_DRIVERS: Final = 1_000_000
MAX_DEMAND_SCALE: Final = 20.0
PRESETS: Final = ("default", "none")

Tables = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class About:
    """What the scenario is called, and what its random draws start from.

    Parameters
    ----------
    name : str
        In reports and lists.
    description : str
        One line.
    seed : int
        Of everything random but the built-in city.
    """

    name: str = UNNAMED
    description: str = ""
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_seed(self.seed)


@dataclass(frozen=True)
class CitySource:
    """Where the streets come from.

    Parameters
    ----------
    source : str
        ``built-in``, a folder with nodes and edges, or a file of OpenStreetMap (.osm.pbf). Paths start at the
        scenario file; ``${NAME}`` is an environment variable.
    seed : int
        Of the built-in city: days of several seeds are days of one city.
    """

    source: str = BUILT_IN
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_seed(self.seed)
        if not self.source.strip():
            raise InputError(
                f"source is {self.source!r}: it must be {BUILT_IN}, a folder or an .osm.pbf file"
            )


@dataclass(frozen=True)
class DayParams:
    """Which day, and how many orders and drivers.

    Parameters
    ----------
    date : str
        Local day of recorded trips, YYYY-MM-DD, or ``busiest``: the one with the most trips.
    orders : int or 'auto'
        Of a made-up day. ``auto``: 50,000 in the built-in city, else one for each 200 m of residential
        street.
    drivers : int, 'from-data' or 'auto'
        ``from-data``: the recorded taxis, on duty as their pings show. ``auto``: these where the city has
        pings and no shift_h is given; one for 25 orders where the day is made up of an imported city; else
        2000.
    shift_h : float or 'auto'
        Hours that a made-up driver works. ``auto``: 8 on a made-up day, else 24.
    demand_scale : float
        Times as many orders, recorded or made up: see :mod:`dispatch.sim.demand_scale`. Drivers stay.
    """

    date: str = BUSIEST
    orders: int | str = AUTO
    drivers: int | str = AUTO
    shift_h: float | str = AUTO
    demand_scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.date != BUSIEST and not _is_date(self.date):
            raise InputError(
                f"date is {self.date!r}: it must be a day of the calendar as YYYY-MM-DD, or {BUSIEST}"
            )
        if self.orders != AUTO:
            _refuse_text("orders", self.orders, f"a whole number or {AUTO}")
            check_whole("orders", _number(self.orders), 1, MAX_ORDERS)
        if self.drivers not in (AUTO, FROM_DATA):
            _refuse_text("drivers", self.drivers, f"a whole number or {FROM_DATA} or {AUTO}")
            check_whole("drivers", _number(self.drivers), 1, MAX_DRIVERS)
        if self.shift_h != AUTO:
            _refuse_text("shift_h", self.shift_h, f"a number of hours or {AUTO}")
            check_range("shift_h", _number(self.shift_h), 0.1, 24, "hours")
        check_range("demand_scale", self.demand_scale, 0.001, MAX_DEMAND_SCALE)


@dataclass(frozen=True)
class BehaviourPreset:
    """Where the tables customers, drivers, vehicles and traffic start from.

    Parameters
    ----------
    preset : 'default' or 'none'
        ``default``: people cancel, decline, rest and charge; ``none``: a city of machines.
    """

    preset: str = "default"

    def __post_init__(self) -> None:
        """Refuse unknown presets."""
        if self.preset not in PRESETS:
            raise InputError(f"preset is {self.preset!r}: it must be one of {', '.join(PRESETS)}")


@dataclass(frozen=True)
class ZonesFile:
    """Which zones figures are told by.

    Parameters
    ----------
    file : str
        Path, as for the city's source; empty: none.
    """

    file: str = ""


STARTING: Final[Mapping[str, Any]] = {
    "scenario": About(),
    "city": CitySource(),
    "day": DayParams(),
    "engine": DispatchParams(),
    "policy": policy_named("batch"),
    "sim": SimParams(),
    "fare": FareRule(),
    "behaviour": BehaviourPreset(),
    "customers": Behaviour().customers,
    "drivers": Behaviour().drivers,
    "vehicles": Behaviour().vehicles,
    "traffic": Behaviour().traffic,
    "zones": ZonesFile(),
    "community": CommunityParams(),
}
"""What each table is where a file says nothing."""


def starting_tables(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give what each table starts from, before its own keys are applied.

    That of ``policy`` hangs on ``policy.name``, those of people, cars and traffic on ``behaviour.preset``.
    Where one of these two is wrong it is left out of account.
    """
    tables = dict(STARTING)
    if _value(given, "behaviour", "preset") == "none":
        none = Behaviour.none()
        tables |= {f.name: getattr(none, f.name) for f in fields(none)}
    name = _value(given, "policy", "name")
    if name is not None:
        try:
            tables["policy"] = policy_named(name)
        except InputError:
            tables["policy"] = STARTING["policy"]  # the name is told to be wrong where names are checked
    return tables


def keys_of(table: str, start: Any) -> dict[str, Any]:
    """Give the keys of a table with what they start from, as plain TOML values."""
    hidden = {"policy"} if table == "engine" else set()
    return {f.name: plain(getattr(start, f.name)) for f in fields(start) if f.name not in hidden}


def plain(value: Any) -> Any:
    """Give a parameter as TOML has it: lists for tuples."""
    if is_dataclass(value):
        raise TypeError(f"{value!r} is no value of one key")
    return [plain(one) for one in value] if isinstance(value, tuple | list) else value


def _value(given: Mapping[str, Any], table: str, key: str) -> Any:
    keys = given.get(table)
    return keys.get(key) if isinstance(keys, Mapping) else None


def _refuse_text(name: str, value: object, rule: str) -> None:
    if isinstance(value, str):
        raise InputError(f"{name} is {value!r}: it must be {rule}")


def _number(value: int | float | str) -> float:
    """Narrow the type of what is no text."""
    assert not isinstance(value, str)
    return value


def _is_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
