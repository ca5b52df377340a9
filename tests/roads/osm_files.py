"""Small files of OpenStreetMap, written by hand."""

import osmium
from osmium.osm import mutable

from dispatch.roads.city import City

LON0, LAT0, STEP = 14.5, 35.9, 0.001
"""In Malta; nodes lie on a grid of so many degrees."""
STREET = {"highway": "residential"}


def place(x, y=0):
    """Degrees of a point of the grid."""
    return round(LON0 + x * STEP, 7), round(LAT0 + y * STEP, 7)


def write_osm(path, nodes, ways, relations=()):
    """Write a file.

    nodes: id → (x, y) on the grid, or (x, y, tags). ways: (id, node ids, tags). relations: (id, members,
    tags) with members (type, id, role).
    """
    with osmium.SimpleWriter(str(path), overwrite=True) as writer:
        for number, (x, y, *tags) in sorted(nodes.items()):
            writer.add_node(mutable.Node(id=number, location=place(x, y), tags=tags[0] if tags else {}))
        for number, refs, tags in ways:
            writer.add_way(mutable.Way(id=number, nodes=refs, tags=tags))
        for number, members, tags in relations:
            writer.add_relation(mutable.Relation(id=number, members=members, tags=tags))
    return path


def city_of(folder, nodes, ways, relations=(), **options):
    """Write a file and import it."""
    return City.from_osm(write_osm(folder / "small.osm.pbf", nodes, ways, relations), **options)


def node_at(city, x, y=0):
    """The node of a city's graph at a point of the grid, None if there is none."""
    at = [place(x, y) == pair for pair in zip(city.graph.node_lon, city.graph.node_lat, strict=True)]
    return at.index(True) if any(at) else None


def arcs_of(city, nodes):
    """All arcs as (id of tail, id of head, km/h), sorted; nodes as they were written."""
    number = {node_at(city, *given[:2]): node_id for node_id, given in nodes.items()}
    graph = city.graph
    columns = graph.tail.tolist(), graph.head.tolist(), graph.speed_kph.tolist()
    return sorted((number[tail], number[head], kph) for tail, head, kph in zip(*columns, strict=True))


def drops_of(city):
    """What was left out, and how often."""
    return {drop.what: drop.count for drop in city.drops}


def rules_by_nodes(city, nodes):
    """Forbidden turns as sequences of node ids, sorted; only for arcs that no other one is parallel to."""
    graph = city.graph
    if graph.forbidden is None:
        return []
    number = {node_at(city, *given[:2]): node_id for node_id, given in nodes.items()}
    rules = []
    for first, last in zip(graph.forbidden.first[:-1], graph.forbidden.first[1:], strict=True):
        arcs = graph.forbidden.arc[first:last]
        rules.append(tuple(number[node] for node in [graph.tail[arcs[0]], *graph.head[arcs]]))
    return sorted(rules)
