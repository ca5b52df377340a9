"""Turn restrictions of OpenStreetMap: which of them bind a car, and what they name.

``restriction:motorcar``, ``restriction:motor_vehicle`` and ``restriction:vehicle`` win over ``restriction``;
those for other vehicles are not read, nor what holds at certain times only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

OTHER_VEHICLES: Final = "turn restrictions for other vehicles"
CARS_EXEMPT: Final = "turn restrictions that cars are exempt from"
AT_TIMES: Final = "turn restrictions at certain times only"
UNKNOWN: Final = "turn restrictions of an unknown kind"
BROKEN: Final = "broken turn restrictions (members are missing, or do not meet)"
ELSEWHERE: Final = "turn restrictions at streets, or directions of streets, that the network does not have"

_OURS: Final = ("motorcar", "motor_vehicle", "vehicle")
_TIMES: Final = ("day_on", "day_off", "hour_on", "hour_off", "opening_hours")


@dataclass(frozen=True)
class Restriction:
    """A restriction that binds cars."""

    only: bool
    """The way from ``from_ways`` must lead to ``to_ways``; else it must not"""
    u_turn: bool
    from_ways: tuple[int, ...]
    """Ids of ways"""
    via_node: int | None
    """Id of a node, None where the restriction leads over ways"""
    via_ways: tuple[int, ...]
    to_ways: tuple[int, ...]


def read_restriction(tags: Mapping[str, str], members: Sequence[tuple[str, str, int]]) -> Restriction | str:
    """Read the tags and the members (role, type, id) of a relation; a text tells why it does not count."""
    kind = _kind(tags)
    if not kind.startswith(("no_", "only_")):
        return kind
    from_ways, via_ways, to_ways = (
        tuple(ref for role, what, ref in members if role == wanted and what == "w")
        for wanted in ("from", "via", "to")
    )
    via_nodes = [ref for role, what, ref in members if role == "via" and what == "n"]
    only = kind.startswith("only_")
    one_place = len(via_nodes) == (0 if via_ways else 1)
    several = len(from_ways) > 1 or len(to_ways) > 1
    if not (from_ways and to_ways and one_place) or (several and (only or via_ways)):
        return BROKEN
    via_node = via_nodes[0] if via_nodes else None
    return Restriction(only, kind == "no_u_turn", from_ways, via_node, via_ways, to_ways)


def _kind(tags: Mapping[str, str]) -> str:
    """Give ``no_…`` or ``only_…``, or why the restriction does not bind a car."""
    for_whom = tags.get("type", "").partition(":")[2]
    exempt = {name.strip() for name in tags.get("except", "").replace(",", ";").split(";")}
    kind = next((tags[key] for name in _OURS if (key := f"restriction:{name}") in tags), None)
    if kind is None and for_whom in ("", *_OURS):
        kind = tags.get("restriction")
    if kind is None:
        conditional = any(
            key.endswith(":conditional") and (key.split(":")[1] in ("conditional", *_OURS)) for key in tags
        )
        others = for_whom or any(key.startswith("restriction:") for key in tags)
        return AT_TIMES if conditional else OTHER_VEHICLES if others else UNKNOWN
    if exempt & set(_OURS):
        return CARS_EXEMPT
    if any(key in tags for key in _TIMES) or "@" in kind:
        return AT_TIMES
    return kind if kind.startswith(("no_", "only_")) else UNKNOWN
