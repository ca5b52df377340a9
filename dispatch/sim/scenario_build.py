"""From the values of a scenario file to the day that is simulated."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from dispatch.engine.params import DispatchParams, FareRule
from dispatch.engine.policy import policy_named
from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.osm.reading import SUFFIXES as OSM_SUFFIXES
from dispatch.roads.trips import local_midnight_ms, zone_info
from dispatch.roads.zones import Zones
from dispatch.sim.behaving import with_behaviour
from dispatch.sim.behaviour import ETA_RULE, Behaviour
from dispatch.sim.demand import ORDINARY_DAY
from dispatch.sim.demand_scale import scaled_demand
from dispatch.sim.etas import names_file
from dispatch.sim.recorded_day import recorded_day
from dispatch.sim.scenario import PARKING_NOTE, Scenario, SimParams, made_up_day
from dispatch.sim.scenario_tables import AUTO, BUILT_IN, BUSIEST, FROM_DATA, STARTING, UNNAMED, Tables
from dispatch.units import MS_PER_DAY

DEFAULT_DRIVERS = 2000
DEFAULT_ORDERS = 50_000

CityCache = dict[Any, Any]
"""Cities by source, and the last day that was made: for many scenarios of one city in one process."""


def build_scenario(
    values: Tables, folder: Path, seed: int | None = None, city_cache: CityCache | None = None
) -> Scenario:
    """Read or make the city and its day.

    Parameters
    ----------
    values : mapping
        Of a scenario file, complete and checked by itself.
    folder : path
        That relative paths start from.
    seed : int, optional
        Instead of the file's.
    city_cache : dict, optional
        Empty at first; cities read, and the last day made, are kept in it and used again. Policies,
        behaviours and prices of one day share its city, its network and its orders.

    Raises
    ------
    InputError
        The city cannot be read, or has no such day.
    """
    cache = {} if city_cache is None else city_cache
    seed = values["scenario"]["seed"] if seed is None else seed
    policy = dict(values["policy"])
    params = DispatchParams(policy=policy_named(policy.pop("name"), **_tuples(policy)), **values["engine"])
    sim = SimParams(**values["sim"])
    day = _day(values, folder, seed, params, sim, cache)
    zones, about = values["zones"]["file"], values["scenario"]
    told = f"Scenario {about['name']}" + (f": {about['description']}." if about["description"] else ".")
    behaving = replace(
        day,
        params=params,
        sim=sim,
        fare=FareRule(**values["fare"]),
        behaviour=_with_eta_file(behaviour_of(values), folder),
        zones=Zones.load(expanded(zones, folder), day.city) if zones else None,
        notes=day.notes if about["name"] == UNNAMED else (told, *day.notes),
    )
    return with_behaviour(behaving)


def behaviour_of(values: Tables) -> Behaviour:
    """Give everybody's behaviour."""
    parts = {f.name: type(STARTING[f.name])(**_tuples(values[f.name])) for f in fields(Behaviour)}
    return Behaviour(**parts)


def _with_eta_file(behaviour: Behaviour, folder: Path) -> Behaviour:
    """Give the behaviour with the path of its model of ETAs, if it names one, from where this runs."""
    eta = behaviour.traffic.eta
    if not names_file(eta):
        return behaviour
    return replace(behaviour, traffic=replace(behaviour.traffic, eta=str(expanded(eta, folder))))


def expanded(path: str, folder: Path) -> Path:
    """Give a path of a scenario file: variables in place, relative to the file's folder.

    Raises
    ------
    InputError
        A variable of the environment is not set.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if not os.environ.get(name):
            raise InputError(f"{path} needs the environment variable {name}, which is not set")
        return os.environ[name]

    return folder / Path(re.sub(r"\$\{(\w+)\}", value, path)).expanduser()


def problems_of_places(values: Tables, folder: Path) -> list[str]:
    """List what does not go together, and files that are not there; no city is read."""
    return [*_missing_files(values, folder), *_impossible_values(values), *_impossible_day(values, folder)]


def _missing_files(values: Tables, folder: Path) -> list[str]:
    source, zones, problems = values["city"]["source"], values["zones"]["file"], []
    try:
        city = None if source == BUILT_IN else expanded(source, folder)
        if city is not None and not city.exists():
            problems.append(
                f"city.source is {source}: there is no {city}; it must be {BUILT_IN}, a folder with nodes "
                "and edges, or an .osm.pbf file"
            )
        elif city is not None and not city.is_dir() and not _is_road_file(city):
            problems.append(f"city.source is {source}: a file must be of OpenStreetMap, .osm.pbf")
    except InputError as error:
        problems.append(f"city.source is {error}")
    try:
        if zones and not expanded(zones, folder).is_file():
            problems.append(f"zones.file is {zones}: there is no file {expanded(zones, folder)}")
    except InputError as error:
        problems.append(f"zones.file is {error}")
    eta = values["traffic"]["eta"]
    try:
        if names_file(eta) and not expanded(eta, folder).is_file():
            problems.append(f"traffic.eta is {eta}: there is no file {expanded(eta, folder)}; {ETA_RULE}")
    except InputError as error:
        problems.append(f"traffic.eta is {error}")
    return problems


def _impossible_values(values: Tables) -> list[str]:
    problems, day = [], values["day"]
    ping_s, stale_s = values["sim"]["ping_s"], values["engine"]["stale_position_s"]
    if ping_s > stale_s:
        problems.append(
            f"sim.ping_s is {ping_s:g}: it must be at most engine.stale_position_s, {stale_s:g} seconds, "
            "or parked drivers are no cars half of the time"
        )
    asked, driven = values["customers"]["class_shares"], values["vehicles"]["class_shares"]
    if any(asked[len(driven) :]):
        problems.append(
            f"customers.class_shares is {asked}: of vehicles.class_shares there are {len(driven)}, so that "
            "no car could serve the others"
        )
    if day["drivers"] == FROM_DATA and day["shift_h"] != AUTO:
        problems.append("day.shift_h goes with made-up drivers, not with drivers from-data; leave it out")
    return problems


def _impossible_day(values: Tables, folder: Path) -> list[str]:
    """List what the city has not; nothing where its place is unknown or it is not there."""
    day, source = values["day"], values["city"]["source"]
    date, drivers, hot_spots = day["date"], day["drivers"], values["drivers"]["cruising"] == "hot_spots"
    problems = []
    if source == BUILT_IN:
        if date != BUSIEST:
            problems.append(f"day.date is {date}: the built-in city has one day without a date; leave it out")
        if drivers == FROM_DATA:
            problems.append(
                "day.drivers is from-data: the built-in city has no recorded taxis, give a number"
            )
        if hot_spots:
            problems.append("drivers.cruising is hot_spots: the built-in city has no pings to learn from")
        return problems
    try:
        city = expanded(source, folder)
    except InputError:
        return []  # told where files are looked for
    if not city.exists():
        return []
    has_trips = any((city / f"trips{suffix}").is_file() for suffix in (".parquet", ".csv"))
    has_pings = (city / "pings.parquet").is_file()
    if has_trips and day["orders"] != AUTO:
        problems.append(
            f"day.orders is {day['orders']}: the orders of {source} are recorded; leave it out; "
            "day.demand_scale makes them more or fewer"
        )
    if not has_trips and date != BUSIEST:
        problems.append(f"day.date is {date}: {source} has no trips, its made-up day has no date")
    if not has_trips and drivers == FROM_DATA:
        problems.append(f"day.drivers is from-data: {source} has no trips, give a number or nothing")
    if has_trips and not has_pings and drivers == FROM_DATA:
        problems.append(f"day.drivers is from-data: {source} has no pings.parquet, give a number")
    if hot_spots and not has_pings:
        problems.append(f"drivers.cruising is hot_spots: {source} has no pings.parquet to learn from")
    return problems


def _day(
    values: Tables, folder: Path, seed: int, params: DispatchParams, sim: SimParams, cache: CityCache
) -> Scenario:
    """Make the day, or give the last one where nothing that it is made of has changed."""
    source = values["city"]["source"]
    place: Any = ("built-in", values["city"]["seed"])
    if source != BUILT_IN:
        place = str(expanded(source, folder).resolve())
    made_of = (place, tuple(values["day"].items()), seed, params.max_wait_s)
    last_made_of, last = cache.get("last day", (None, None))
    if last_made_of == made_of:
        found: Scenario = last
        return found
    if place not in cache:
        cache[place] = (
            City.synthetic(seed=values["city"]["seed"])
            if source == BUILT_IN
            else City.load(expanded(source, folder))
        )
    city = cache[place]
    make = _built_in_day if source == BUILT_IN else _made_up_day if city.trips is None else _recorded_day
    made = make(city, values, seed, params, sim)
    cache[place] = made.city  # with the land use that was guessed, where it was
    made = _scaled(made, values["day"]["demand_scale"], seed)
    cache["last day"] = (made_of, made)
    return made


def _built_in_day(city: City, values: Tables, seed: int, params: DispatchParams, sim: SimParams) -> Scenario:
    day = values["day"]
    num_orders, num_drivers = _or(day["orders"], DEFAULT_ORDERS), _or(day["drivers"], DEFAULT_DRIVERS)
    shift_h = _or(day["shift_h"], 8.0)
    made = made_up_day(city, num_orders, num_drivers, shift_h, seed, params, sim, ORDINARY_DAY)
    seeds = f"seed {seed}" + (
        f", the city's {values['city']['seed']}" if values["city"]["seed"] != seed else ""
    )
    note = f"City, demand and fleet are made up ({seeds}); drivers work shifts of {shift_h:g} hours."
    return replace(made, notes=(note, PARKING_NOTE))


def _made_up_day(city: City, values: Tables, seed: int, params: DispatchParams, sim: SimParams) -> Scenario:
    day = values["day"]
    shift_h = _or(day["shift_h"], 8.0)
    return made_up_day(city, _or(day["orders"], None), _or(day["drivers"], None), shift_h, seed, params, sim)


def _recorded_day(city: City, values: Tables, seed: int, params: DispatchParams, sim: SimParams) -> Scenario:
    day = values["day"]
    date = None if day["date"] == BUSIEST else datetime.date.fromisoformat(day["date"])
    recorded = city.pings_path is not None and day["shift_h"] == AUTO
    num_drivers = _or(day["drivers"], None if recorded else DEFAULT_DRIVERS)
    if num_drivers == FROM_DATA:
        num_drivers = None
    return recorded_day(city, date, num_drivers, _or(day["shift_h"], 24.0), seed, params, sim)


def _scaled(made: Scenario, scale: float, seed: int) -> Scenario:
    if scale == 1.0:
        return made
    end_ms = made.start_at_ms + MS_PER_DAY
    if made.date is not None:
        next_day = datetime.date.fromisoformat(made.date) + datetime.timedelta(days=1)
        end_ms = local_midnight_ms(next_day, zone_info(made.timezone))
    orders = scaled_demand(made.orders, scale, seed, (made.start_at_ms, end_ms))
    how = "drawn from" if scale < 1 else "with copies moved by up to 10 minutes, of"
    note = f"Demand is scaled by {scale:g}: {len(orders):,} orders, {how} {len(made.orders):,}; drivers stay."
    return replace(made, orders=orders, notes=(note, *made.notes))


def _or(value: Any, default: Any) -> Any:
    return default if value == AUTO else value


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give lists as the tuples that parameters are."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _is_road_file(path: Path) -> bool:
    return path.name.endswith((*OSM_SUFFIXES, ".graphml"))
