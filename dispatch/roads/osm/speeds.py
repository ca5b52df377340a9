"""How fast a car drives a way of OpenStreetMap: signs, and national limits where there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final, NamedTuple

from dispatch.roads.osm.car_profile import CLASS_OF_HIGHWAY, is_last_mile


class Limits(NamedTuple):
    """Speed limits of a country for cars, km/h."""

    urban: float
    rural: float
    motorway: float


DEFAULT_LIMITS: Final = Limits(50, 80, 110)
"""For countries that are not in :data:`LIMITS`."""

_MPH: Final = 1.609344
_KNOT: Final = 1.852
_US: Final = Limits(30 * _MPH, 55 * _MPH, 65 * _MPH)
_GB: Final = Limits(30 * _MPH, 60 * _MPH, 70 * _MPH)

LIMITS: Final = {
    "AD": Limits(50, 90, 90),
    "AT": Limits(50, 100, 130),
    "AU": Limits(50, 100, 110),
    "BE": Limits(50, 70, 120),
    "BG": Limits(50, 90, 140),
    "CA": Limits(50, 80, 100),
    "CH": Limits(50, 80, 120),
    "CZ": Limits(50, 90, 130),
    "DE": Limits(50, 100, 130),
    "DK": Limits(50, 80, 130),
    "ES": Limits(50, 90, 120),
    "FI": Limits(50, 80, 120),
    "FR": Limits(50, 80, 130),
    "GB": _GB,
    "GR": Limits(50, 90, 130),
    "HR": Limits(50, 90, 130),
    "HU": Limits(50, 90, 130),
    "IE": Limits(50, 80, 120),
    "IT": Limits(50, 90, 130),
    "JP": Limits(50, 60, 100),
    "KR": Limits(50, 80, 100),
    "LI": Limits(50, 80, 80),
    "LU": Limits(50, 90, 130),
    "MT": Limits(50, 80, 80),
    "NL": Limits(50, 80, 100),
    "NO": Limits(50, 80, 110),
    "NZ": Limits(50, 100, 100),
    "PL": Limits(50, 90, 140),
    "PT": Limits(50, 90, 120),
    "RO": Limits(50, 90, 130),
    "RS": Limits(50, 80, 130),
    "SE": Limits(50, 70, 110),
    "SI": Limits(50, 90, 130),
    "SK": Limits(50, 90, 130),
    "TR": Limits(50, 90, 120),
    "UA": Limits(50, 90, 130),
    "US": _US,
    "ZA": Limits(60, 100, 120),
}
"""General limits by ISO country code, where no sign says otherwise."""

RURAL_SHARE: Final = {"motorway": 1.0, "trunk": 1.0, "primary": 0.5, "secondary": 0.25}
"""Where a street without a sign lies between the urban limit (0) and the rural one (1) if nothing tells."""
LINK_FACTOR: Final = 0.5
"""Ramps without a sign are so much slower than their roads."""
UNLIMITED_KPH: Final = 120.0
"""Where ``maxspeed`` is ``none``."""
WALK_KPH: Final = 7.0
RESIDENTIAL_KPH: Final = 30.0
LIVING_STREET_KPH: Final = 10.0
LAST_MILE_KPH: Final = 15.0
"""At most so fast are service roads and streets for destinations only."""
_POSSIBLE_KPH: Final = (3.0, 160.0)

_TYPE_KEYS: Final = ("maxspeed:type", "source:maxspeed", "zone:maxspeed", "zone:traffic")
KEYS: Final = frozenset(("highway", "maxspeed", "maxspeed:forward", "maxspeed:backward", *_TYPE_KEYS))
"""Tags of a way that this module reads."""

_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(km/?h|kph|kmph|mph|knots)?")
_CODE: Final = re.compile(r"([A-Za-z]{2}):(\w+)(?::(\d+))?")


def country_of_timezone(timezone: str) -> str:
    """Give the ISO code of the country that a time zone is named after, "" if there is none."""
    table = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return next((row[0] for row in rows if row[2] == timezone), "")


def limits_of(country: str) -> Limits:
    """Give the limits of a country by its ISO code."""
    return LIMITS.get(country.upper(), DEFAULT_LIMITS)


def speed_kph(tags: Mapping[str, str], direction: str, limits: Limits) -> float:
    """Give the speed at which a car drives a way in a direction (``forward`` or ``backward``), km/h.

    Signs first, then the kind of zone if a tag tells it, then what is usual for such a street in the country.
    """
    signs = (tags.get(key, "") for key in (f"maxspeed:{direction}", "maxspeed", *_TYPE_KEYS))
    told = next((speed for sign in signs if (speed := parsed_kph(sign)) is not None), None)
    speed = _usual_kph(tags["highway"], limits) if told is None else told
    return min(speed, LAST_MILE_KPH) if is_last_mile(tags) else speed


def parsed_kph(sign: str) -> float | None:
    """Read a speed tag, km/h; None if it names none that is possible.

    Of several values (``50; 30``) the lowest counts. Units are km/h, mph and knots; ``none``, ``walk`` and
    codes such as ``DE:urban``, ``FR:zone30``, ``GB:nsl_dual`` are understood.
    """
    read = [_one_kph(part.strip()) for part in re.split(r"[;|,]", sign)]
    low, high = _POSSIBLE_KPH
    return min((speed for speed in read if speed is not None and low <= speed <= high), default=None)


def _one_kph(sign: str) -> float | None:
    if sign == "none":
        return UNLIMITED_KPH
    if sign in ("walk", "living_street"):
        return WALK_KPH
    if number := _NUMBER.fullmatch(sign):
        return float(number[1]) * {"mph": _MPH, "knots": _KNOT}.get(number[2] or "", 1.0)
    code = _CODE.fullmatch(sign)
    return _zone_kph(limits_of(code[1]), code[2].lower(), code[3]) if code else None


def _zone_kph(limits: Limits, zone: str, number: str | None) -> float | None:
    """Give the limit of a zone of a country: ``urban``, ``zone30`` and so on."""
    if digits := re.fullmatch(r"(?:zone)?_?(\d+)", zone + (number or "")):
        return float(digits[1]) * (_MPH if limits in (_GB, _US) else 1.0)
    return {
        "urban": limits.urban,
        "rural": limits.rural,
        "trunk": limits.rural,
        "motorway": limits.motorway,
        "living_street": WALK_KPH,
        "nsl_restricted": limits.urban,
        "nsl_single": limits.rural,
        "nsl_dual": limits.motorway,
    }.get(zone)


def _usual_kph(highway: str, limits: Limits) -> float:
    """Give the usual speed on a street without a sign."""
    if highway == "living_street":
        return LIVING_STREET_KPH
    name = CLASS_OF_HIGHWAY[highway]
    if name in ("residential", "service"):
        return min(RESIDENTIAL_KPH, limits.urban)
    high = limits.motorway if name == "motorway" else limits.rural
    usual = limits.urban + RURAL_SHARE.get(name, 0.0) * (high - limits.urban)
    return usual * LINK_FACTOR if highway.endswith("_link") else usual
