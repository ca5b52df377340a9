"""What a file of OpenStreetMap says of streets: one pass over it, with pyosmium."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.roads.osm import car_profile, speeds
from dispatch.roads.osm.restriction_tags import Restriction, read_restriction

SUFFIXES: Final = (".osm.pbf", ".osm", ".osm.gz", ".osm.bz2", ".pbf")
"""Ends of the names of files that are read."""

PER_DEGREE: Final = 1e7
"""Unit of coordinates in such files: 1e-7 degrees, as integers."""
NO_PLACE: Final = 2**31 - 1
"""Coordinate of a node that the file names but does not hold."""

_EACH: Final = 5000
_WAY_KEYS: Final = car_profile.KEYS | speeds.KEYS

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0: nobody knows)."""


@dataclass
class Extract:
    """The streets of a file as they are drawn there, and what says who may drive how."""

    way_id: NDArray[np.int64]
    """(ways,)"""
    tag_set: NDArray[np.int32]
    """(ways,) row of :attr:`tag_sets`"""
    first_ref: NDArray[np.int64]
    """(ways + 1,) where the nodes of a way begin"""
    node_id: NDArray[np.int64]
    """(refs,)"""
    x: NDArray[np.int32]
    """(refs,) longitude, 1e-7 degrees, NO_PLACE: unknown"""
    y: NDArray[np.int32]
    """(refs,) latitude"""
    tag_sets: list[dict[str, str]]
    """The different sets of tags"""
    barrier_id: NDArray[np.int64]
    """(barriers,) nodes that no car passes"""
    restrictions: list[Restriction]
    drops: Counter[str]
    """Reason → number of ways or relations"""


@dataclass
class _Reader:
    """Collects what the objects of a file say."""

    way_id: array[int] = field(default_factory=lambda: array("q"))
    tag_set: array[int] = field(default_factory=lambda: array("i"))
    num_refs: array[int] = field(default_factory=lambda: array("q", (0,)))
    node_id: array[int] = field(default_factory=lambda: array("q"))
    x: array[int] = field(default_factory=lambda: array("i"))
    y: array[int] = field(default_factory=lambda: array("i"))
    row_of_tags: dict[tuple[tuple[str, str], ...], int | str] = field(default_factory=dict)
    """Known sets of tags: their row, or why such ways are left out"""
    tag_sets: list[dict[str, str]] = field(default_factory=list)
    barrier_id: array[int] = field(default_factory=lambda: array("q"))
    restrictions: list[Restriction] = field(default_factory=list)
    drops: Counter[str] = field(default_factory=Counter)

    def node(self, node: Any) -> None:
        """Read a node, which matters if it is a barrier."""
        tags = dict(node.tags)
        if "barrier" in tags and car_profile.stops_cars(tags):
            self.barrier_id.append(node.id)

    def way(self, way: Any) -> None:
        """Read a way with a highway or route."""
        known = tuple((tag.k, tag.v) for tag in way.tags if tag.k in _WAY_KEYS)
        row = self.row_of_tags.get(known)
        if row is None:
            row = self._new_tags(known)
        if isinstance(row, str):
            self.drops[row] += bool(row)
            return
        self.way_id.append(way.id)
        self.tag_set.append(row)
        for node in way.nodes:
            self.node_id.append(node.ref)
            self.x.append(node.x)
            self.y.append(node.y)
        self.num_refs.append(len(self.node_id))

    def _new_tags(self, known: tuple[tuple[str, str], ...]) -> int | str:
        """Give the row of a new set of tags, or why ways with it are left out ("": they never counted)."""
        tags = dict(known)
        is_street = "highway" in tags or tags.get("route") == "ferry"
        reason = car_profile.why_left_out(tags) if is_street else ""
        if reason is None:
            self.tag_sets.append(tags)
        row: int | str = len(self.tag_sets) - 1 if reason is None else reason
        self.row_of_tags[known] = row
        return row

    def relation(self, relation: Any) -> None:
        """Read a relation, which matters if it is a turn restriction."""
        tags = dict(relation.tags)
        if not tags.get("type", "").startswith("restriction"):
            return
        members = [(member.role, member.type, member.ref) for member in relation.members]
        read = read_restriction(tags, members)
        if isinstance(read, str):
            self.drops[read] += 1
        else:
            self.restrictions.append(read)

    def extract(self) -> Extract:
        """Give what was read."""
        return Extract(
            np.array(self.way_id, np.int64),
            np.array(self.tag_set, np.int32),
            np.array(self.num_refs, np.int64),
            np.array(self.node_id, np.int64),
            np.array(self.x, np.int32),
            np.array(self.y, np.int32),
            self.tag_sets,
            np.array(self.barrier_id, np.int64),
            self.restrictions,
            +self.drops,
        )


def read_extract(path: Path, on_progress: Progress | None = None) -> Extract:
    """Read all streets that cars drive, barriers and turn restrictions of a file.

    Raises
    ------
    InputError
        The file is missing or unreadable, or pyosmium is not installed.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if find_spec("osmium") is None:
        raise InputError(f'{path} needs pyosmium: pip install "dispatch-engine[osm]"')
    reader = _Reader()
    for done, thing in enumerate(_objects(path)):
        if on_progress is not None and done % _EACH == 0:
            on_progress("reading streets", done, 0)
        if thing.is_way():
            reader.way(thing)
        elif thing.is_node():
            reader.node(thing)
        else:
            reader.relation(thing)
    return reader.extract()


def _objects(path: Path) -> Iterator[Any]:
    """Yield the nodes, ways and relations of a file that may matter, ways with coordinates."""
    import osmium

    # A relation of a restriction for some vehicles only has no tag ``restriction``, but all have a type.
    wanted = osmium.filter.KeyFilter("highway", "barrier", "route", "type")
    try:
        yield from osmium.FileProcessor(str(path)).with_locations().with_filter(wanted)
    except RuntimeError as error:
        raise InputError(f"{path}: no readable file of OpenStreetMap, perhaps truncated ({error})") from error
