"""Which ways of OpenStreetMap a car may drive, and in which direction.

Keys of a more specific vehicle win over more general ones (``motorcar``, ``motor_vehicle``, ``vehicle``,
``access``), and keys of one direction over those of both. What holds at certain times only
(``…:conditional``) is not read. Streets with ``oneway=reversible`` are left out, since nothing says when
which direction is open.

*Last-mile streets* are service roads and streets that are open to destinations, customers or deliveries only.
Trips may begin and end there, so they are kept, but at :data:`dispatch.roads.osm.speeds.LAST_MILE_KPH` at
most, too slow to be short cuts. Driveways, parking aisles, drive-throughs and private streets are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Tags = Mapping[str, str]

CLASS_OF_HIGHWAY: Final = {
    **{
        f"{name}{link}": name
        for name in ("motorway", "trunk", "primary", "secondary", "tertiary")
        for link in ("", "_link")
    },
    "unclassified": "other",
    "road": "other",
    "residential": "residential",
    "living_street": "residential",
    "service": "service",
}
"""Kinds of ways that cars drive → name in ``ROAD_CLASSES``."""

FERRIES: Final = "ferries"
UNFINISHED: Final = "streets under construction or only proposed"
NOT_FOR_CARS: Final = "ways that are not for cars (paths, tracks, steps and the like)"
AREAS: Final = "areas"
DRIVEWAYS: Final = "driveways, parking aisles and drive-throughs"
CLOSED: Final = "streets that are private or closed to cars"
REVERSIBLE: Final = "streets whose direction changes with the hour"

_VEHICLES: Final = ("motorcar", "motor_vehicle", "vehicle", "access")
_ONEWAY_KEYS: Final = ("oneway:motorcar", "oneway:motor_vehicle", "oneway:vehicle", "oneway")
_FORWARD, _BACKWARD = "forward", "backward"
KEYS: Final = frozenset(
    (
        *("highway", "route", "area", "service", "junction", "construction"),
        *(f"{key}{side}" for key in _VEHICLES for side in ("", ":forward", ":backward")),
        *_ONEWAY_KEYS,
    )
)
"""Tags of a way that this module reads."""

_OPEN: Final = {"yes", "permissive", "designated", "official", "public", "allowed"}
_LAST_MILE: Final = {"destination", "customers", "delivery"}
_SHUT: Final = {
    *("no", "private", "permit", "residents", "employees", "staff", "restricted", "emergency", "military"),
    *("agricultural", "forestry", "psv", "bus", "hgv", "foot", "bicycle", "use_sidepath"),
}
_NO_THROUGH_ROADS: Final = {
    "driveway",
    "parking_aisle",
    "drive-through",
    "emergency_access",
    "slipway",
    "bus",
}
_ONE_WAY: Final = {"yes": (True, False), "true": (True, False), "1": (True, False)} | {
    **dict.fromkeys(("-1", "reverse"), (False, True)),
    **dict.fromkeys(("no", "false", "0", "alternating"), (True, True)),
    "reversible": (False, False),
}

_PASSABLE_BARRIERS: Final = {
    *("border_control", "cattle_grid", "entrance", "gate", "height_restrictor", "kerb", "lift_gate", "no"),
    *("sally_port", "spikes", "speed_bump", "swing_gate", "toll_booth", "arch", "bump_gate"),
}


def why_left_out(tags: Tags) -> str | None:
    """Give the reason why a way is no street of the network, None if it is one.

    The way has a tag ``highway`` or is a ferry.
    """
    kind = tags.get("highway")
    if tags.get("route") == "ferry":
        return FERRIES
    if kind in ("construction", "proposed") or tags.get("construction") == "yes":
        return UNFINISHED
    if kind not in CLASS_OF_HIGHWAY:
        return NOT_FOR_CARS
    if tags.get("area") == "yes":
        return AREAS
    if kind == "service" and tags.get("service") in _NO_THROUGH_ROADS:
        return DRIVEWAYS
    if _one_way(tags) == (False, False):
        return REVERSIBLE
    return None if any(directions(tags)) else CLOSED


def directions(tags: Tags) -> tuple[bool, bool]:
    """Tell whether a car may drive a way as it is drawn, and backwards."""
    forward, backward = _one_way(tags)
    return forward and _access(tags, _FORWARD) != "no", backward and _access(tags, _BACKWARD) != "no"


def is_last_mile(tags: Tags) -> bool:
    """Tell whether a way is there for those who begin or end a trip on it."""
    return tags.get("highway") == "service" or "destination" in (
        _access(tags, _FORWARD),
        _access(tags, _BACKWARD),
    )


def stops_cars(tags: Tags) -> bool:
    """Tell whether a node with a tag ``barrier`` lets no car pass.

    Where no tag says who may pass, gates and the like are open; bollards, blocks and whatever is unknown
    are not, except bollards that rise.
    """
    access = _access(tags, _FORWARD, unknown="")
    if access:
        return access == "no"
    rising = tags["barrier"] == "bollard" and tags.get("bollard") == "rising"
    return not rising and tags["barrier"] not in _PASSABLE_BARRIERS


def _one_way(tags: Tags) -> tuple[bool, bool]:
    """Tell which directions the one-way tags leave open."""
    for key in _ONEWAY_KEYS:
        if tags.get(key) in _ONE_WAY:
            return _ONE_WAY[tags[key]]
    implied = tags.get("junction") in ("roundabout", "circular") or tags.get("highway") in (
        "motorway",
        "motorway_link",
    )
    return True, not implied


def _access(tags: Tags, direction: str, unknown: str = "yes") -> str:
    """Give ``yes``, ``destination`` or ``no``; `unknown` where no tag tells."""
    for vehicle in _VEHICLES:
        for key in (f"{vehicle}:{direction}", vehicle):
            values = {value.strip() for value in tags.get(key, "").split(";")}
            if values & _OPEN:
                return "yes"
            if values & _LAST_MILE:
                return "destination"
            if values & _SHUT:
                return "no"
    return unknown
