"""Road networks from files of OpenStreetMap.

One pass reads what matters to cars (:mod:`.reading`); tags say who may drive where (:mod:`.car_profile`)
and how fast (:mod:`.speeds`). Ways are cut into segments from node to node, the largest strongly connected
part is kept, whatever turns are forbidden (:mod:`.segments`), turn restrictions are found in it
(:mod:`.restriction_tags`, :mod:`.restrictions`), and segments are joined to arcs from crossing to crossing
(:mod:`.chains`).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import tzfpy

from dispatch.errors import InputError
from dispatch.roads.graph import RoadGraph
from dispatch.roads.osm.area import inside
from dispatch.roads.osm.chains import join
from dispatch.roads.osm.reading import NO_PLACE, PER_DEGREE, Extract, Progress, read_extract
from dispatch.roads.osm.restrictions import forbidden_turns, paths_of
from dispatch.roads.osm.segments import Nodes, Segments, largest_part, segments_of
from dispatch.roads.osm.speeds import Limits, country_of_timezone, limits_of
from dispatch.roads.tables import Dropped
from dispatch.units import INDEX_DTYPE, NO_INDEX

MIN_LENGTH_M = 0.01
"""Least length of an arc: some nodes lie on one spot."""


def import_graph(
    path: Path, area: Any = None, on_progress: Progress | None = None
) -> tuple[RoadGraph, tuple[Dropped, ...]]:
    """Make the road network of a file of OpenStreetMap.

    Parameters
    ----------
    path : Path
    area : shapely geometry, optional
        In degrees; pieces of streets with an end outside are left out. By default all of the file.
    on_progress : callable, optional
        Called with what is being done, how much is done, and of how much (0: nobody knows).

    Returns
    -------
    graph : RoadGraph
        With shapes; nodes in the order of their ids. All nodes reach each other along its arcs, but the
        part is found without the turn restrictions: a few nodes may be out of reach to who obeys them.
    drops : tuple of Dropped
        What was left out, and how often.

    Raises
    ------
    InputError
        The file is missing or unreadable, or no street for cars is left.
    """
    extract = read_extract(path, on_progress)
    nodes, segments, dropped = segments_of(extract, _limits(extract, area), area)
    if not segments.num_segments:
        where = "" if area is None else " inside of the area"
        raise InputError(f"{path}: no streets for cars{where}; {_told(extract.drops + dropped)}")
    if on_progress is not None:
        on_progress("joining streets", 0, 0)
    whole = segments.num_segments
    segments, num_parts = largest_part(nodes, segments)
    if not segments.num_segments:
        raise InputError(f"{path}: no two places reach each other on {whole} pieces of streets")
    dropped[f"pieces of streets outside of the largest of {num_parts} strongly connected parts"] = (
        whole - segments.num_segments
    )
    graph, not_used = _graph(extract, nodes, segments)
    counts = +(extract.drops + dropped + not_used)
    return graph, tuple(Dropped(what, count, path.name) for what, count in counts.items())


def _limits(extract: Extract, area: Any) -> Limits:
    """Give the speed limits of the country in the middle of what the file holds inside of the area."""
    known = (extract.x != NO_PLACE) & (extract.y != NO_PLACE)
    lon, lat = (values[known] / PER_DEGREE for values in (extract.x, extract.y))
    chosen = inside(area, lon, lat)
    if not chosen.any():
        return limits_of("")
    middle = float(np.median(lon[chosen])), float(np.median(lat[chosen]))
    return limits_of(country_of_timezone(tzfpy.get_tz(*middle)))


def _graph(extract: Extract, nodes: Nodes, segments: Segments) -> tuple[RoadGraph, Counter[str]]:
    """Join segments to a graph with shapes and forbidden turns; and count the restrictions without use."""
    paths = paths_of(extract, nodes, segments)
    chains = join(segments, paths.nodes, len(nodes.id))
    tail, head = chains.ends(segments)
    row = np.full(len(nodes.id), NO_INDEX, INDEX_DTYPE)
    used = np.unique(tail)
    row[used] = np.arange(len(used))
    first = chains.run[chains.first_run[:-1]]
    graph = RoadGraph.from_edges(
        (nodes.lon[used], nodes.lat[used]),
        row[tail],
        row[head],
        np.maximum(chains.lengths_m(segments.lengths_m(nodes)), MIN_LENGTH_M),
        segments.run_kph[first],
        segments.road_class[first % segments.num_segments],
        chains.shapes(nodes, segments),
        forbidden_turns(paths, chains, segments),
    )
    return graph, paths.drops


def _told(counts: Counter[str]) -> str:
    return "left out: " + (", ".join(f"{count} {what}" for what, count in (+counts).items()) or "nothing")
